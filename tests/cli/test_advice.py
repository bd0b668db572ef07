"""No text of the command line names a parameter of Python, or gives advice in Python."""

import re
from collections.abc import Iterator

import click
import numpy as np
import pytest

from lazyvox.cli.main import program
from lazyvox.testing.images import write_nifti

PYTHON = re.compile(
    r"\b(?:np|numpy|nibabel|nib|lv|img|imgs|scipy)\.\w"
    r"|\blazyvox\.(?!nii)\w|get_fdata|=\[|\w+\(\.\.\.\)"
    r"|(?<![-\w/])\w+=(?:True|False|None|['\"\d-])|`\w+`"
)
#: Warnings are lines on stderr here, as in a process of its own.
pytestmark = pytest.mark.filterwarnings("always")

EXTRACT = ["extract", "run.nii.gz", "-o", "o.npy"]
LABELS = [*EXTRACT, "--labels", "atlas.nii.gz"]

#: A command line that works, for each command.
WORKING = {
    "info": ["info", "run.nii.gz"],
    "extract": LABELS,
    "connectivity": ["connectivity", "signals.tsv", "-o", "matrix.tsv"],
    "mean": ["mean", "run.nii.gz", "-o", "o.nii"],
    "qc": ["qc", "run.nii.gz", "-o", "o.tsv"],
    "stats": ["stats", "run.nii.gz", "-o", "o.tsv"],
    "tstat": ["tstat", "run.nii.gz", "--median", "o.nii"],
    "std": ["std", "run.nii.gz", "-o", "o.nii"],
    "tsnr": ["tsnr", "run.nii.gz", "-o", "o.nii"],
    "slice": ["slice", "run.nii.gz", "..., 0", "-o", "o.nii"],
    "concat": ["concat", "run.nii.gz", "run.nii.gz", "-o", "o.nii"],
    "convert": ["convert", "run.nii.gz", "o.nii"],
    "index": ["index", "run.nii.gz", "--explain"],
    "calc": ["calc", "a + 1", "-v", "a=run.nii.gz", "-o", "o.nii"],
    "smooth": ["smooth", "run.nii.gz", "--fwhm", "6", "-o", "o.nii"],
    "clean": ["clean", "run.nii.gz", "--detrend", "1", "-o", "o.nii"],
    "resample": ["resample", "run.nii.gz", "--zooms", "4", "-o", "o.nii"],
    "split": ["split", "two.nii", "-o", "o{}.nii"],
}
#: Inputs that something is wrong with; `files` makes them.
INPUTS = (
    "absent.nii.gz", "words.txt", "empty.tsv", "nan.nii", "fractions.nii", "zeros.nii", "small.nii",
    "five.nii", "complex.nii", "colours.nii", "unsorted.txt", "twice.tsv", "outside.tsv", "run.nii.gz",
    "desc-confounds_timeseries.tsv",
)  # fmt: skip
BAD = [
    # Voxels that a mask, an atlas or an image of maps must not hold.
    [*EXTRACT, "--mask", "nan.nii"],
    [*EXTRACT, "--mask", "fractions.nii"],
    [*EXTRACT, "--labels", "fractions.nii"],
    [*EXTRACT, "--maps", "nan4.nii"],
    [*EXTRACT, "--mask", "atlas.nii.gz"],
    [*EXTRACT, "--mask", "run.nii.gz"],
    [*EXTRACT, "--mask", "small.nii"],
    [*EXTRACT, "--maps", "overlap.nii"],
    # Volumes that do not ascend.
    [*LABELS, "--sample-mask", "unsorted.txt"],
    [*LABELS, "--detrend", "--sample-mask", "unsorted.txt"],
    # Seeds that share voxels, or a name.
    [*EXTRACT, "--seeds", "twice.tsv", "--radius", "4"],
    [*EXTRACT, "--seeds", "same.tsv"],
    # Filters that a run is too short for, or that its header does not allow.
    ["extract", "two.nii", "-o", "o.npy", "--mask", "ones.nii", "--low-pass", "0.1"],
    ["extract", "two.nii", "-o", "o.npy", "--mask", "ones.nii", "--high-pass", "0.01"],
    [*LABELS, "--low-pass", "0.25"],
    [*LABELS, "--low-pass", "0.05", "--high-pass", "0.1"],
    [*LABELS, "--high-pass", "0.0001", "--filter", "cosine"],
    [*LABELS, "--confounds", "desc-confounds_timeseries.tsv", "--confound-strategy", "compcor"],
    [*LABELS, "--confounds", "desc-confounds_timeseries.tsv", "--confound-strategy", "acompcor5"],
    [*LABELS, "--confounds", "desc-confounds_timeseries.tsv", "--confound-columns", "nothing"],
    # Images that are no series, or too much memory.
    ["mean", "five.nii", "-o", "o.nii"],
    ["mean", "colours.nii", "-o", "o.nii"],
    ["mean", "flat.nii", "-o", "o.nii"],
    ["mean", "run.nii.gz", "small.nii", "-o", "o.nii"],
    ["concat", "run.nii.gz", "small.nii", "-o", "o.nii"],
    ["concat", "run.nii.gz", "five.nii", "-o", "o.nii"],
    ["concat", "colours.nii", "colours.nii", "-o", "o.nii", "--dtype", "float32"],
    ["convert", "colours.nii", "o.nii", "--dtype", "float32"],
    ["slice", "colours.nii", "0", "-o", "o.npy", "--dtype", "float32"],
    ["extract", "five.nii", "-o", "o.npy", "--mask", "ones.nii", "--smoothing-fwhm", "6"],
    ["extract", "colours.nii", "-o", "o.npy", "--mask", "ones.nii", "--smoothing-fwhm", "6"],
    ["extract", "complex.nii", "-o", "o.npy", "--mask", "ones.nii", "--detrend"],
    ["extract", "flat.nii", "-o", "o.npy", "--mask", "ones.nii"],
    ["mean", "run.nii.gz", "-o", "o.nii", "--memory", "1MB"],
    [*LABELS, "--memory", "1MB"],
    [*LABELS, "--memory", "1MB", "--detrend"],
    [*LABELS, "--memory", "1MB", "--smoothing-fwhm", "6"],
    ["convert", "run.nii.gz", "o.nii.gz", "--memory", "1MB", "--jobs", "8"],
    ["std", "complex.nii", "-o", "o.nii"],
    # Images that the commands which write images cannot take.
    *([*line, "-o", "o.nii"]
      for bad in ("nan.nii", "small.nii", "five.nii", "complex.nii", "colours.nii", "flat.nii")
      for line in (
          ["calc", "a + b", "-v", "a=run.nii.gz", "-v", f"b={bad}"],
          ["smooth", "run.nii.gz", "--fwhm", "6", "--mask", bad],
          ["clean", bad, "--detrend", "1"],
          ["clean", "run.nii.gz", "--detrend", "1", "--mask", bad],
          ["resample", bad, "--zooms", "2"],
          ["resample", bad, "--like", "run.nii.gz"],
      )),
    *(["smooth", bad, "--fwhm", "6", "-o", "o.nii"] for bad in ("five.nii", "colours.nii", "flat.nii")),
    ["resample", "run.nii.gz", "--like", "flat.nii", "-o", "o.nii"],
    *(["split", bad, "-o", "o{}.nii"] for bad in ("small.nii", "five.nii", "colours.nii")),
    ["calc", "a / 3", "-v", "a=run.nii.gz", "-o", "o.nii", "--dtype", "int16"],
    ["calc", "a & a", "-v", "a=run.nii.gz", "-o", "o.nii"],
    ["calc", "a[0]", "-v", "a=run.nii.gz", "-o", "o.nii"],
    ["calc", "a.foo", "-v", "a=run.nii.gz", "-o", "o.nii"],
    ["calc", "a +", "-v", "a=run.nii.gz", "-o", "o.nii"],
    ["convert", "nan.nii", "o.nii", "--dtype", "int16"],
    ["convert", "run.nii.gz", "o.nii", "--dtype", "uint8"],
    ["convert", "run.nii.gz", "o.mgz", "--dtype", "complex64"],
    ["convert", "run.nii.gz", "o.nii", "--compresslevel", "3"],
    ["convert", "run.nii.gz", "o.nii.gz", "--compresslevel", "30"],
    ["convert", "complex.nii", "o.nii", "--dtype", "float32"],
    ["connectivity", "constant.tsv", "-o", "matrix.tsv", "--kind", "partial", "--estimator", "empirical"],
    ["connectivity", "nan.tsv", "-o", "matrix.tsv"],
]  # fmt: skip


@pytest.fixture
def files(folder):
    """Folder with inputs that something is wrong with."""
    rng = np.random.default_rng(0)
    values = rng.uniform(0.1, 0.9, (12, 14, 10)).astype("f4")
    nans = np.where(values > 0.5, np.nan, 1).astype("f4")
    write_nifti(folder / "nan.nii", nans)
    write_nifti(folder / "nan4.nii", np.stack([nans, nans], axis=3))
    write_nifti(folder / "fractions.nii", values)
    write_nifti(folder / "zeros.nii", np.zeros((12, 14, 10), "u1"))
    write_nifti(folder / "small.nii", np.ones((5, 5, 5), "u1"))
    write_nifti(folder / "flat.nii", np.ones((5, 5), "u1"))
    write_nifti(folder / "overlap.nii", np.ones((12, 14, 10, 2), "f4"))
    write_nifti(folder / "five.nii", np.ones((5, 5, 5, 2, 2), "u1"))
    write_nifti(folder / "complex.nii", np.ones((5, 5, 5, 2), "c8"))
    write_nifti(folder / "colours.nii", np.zeros((5, 5, 5), [(one, "u1") for one in "RGB"]))
    write_nifti(folder / "two.nii", rng.normal(size=(5, 5, 5, 2)).astype("f4"))
    write_nifti(folder / "ones.nii", np.ones((5, 5, 5), "u1"))
    texts = {
        "words.txt": "one\ntwo\n",
        "empty.tsv": "",
        "unsorted.txt": "5\n3\n",
        "twice.tsv": "x\ty\tz\n-8\t0\t0\n-5\t0\t0\n",
        "same.tsv": "name\tx\ty\tz\na\t-8\t0\t0\na\t8\t0\t0\n",
        "outside.tsv": "x\ty\tz\n800\t0\t0\n",
        "constant.tsv": "a\tb\n" + "1\t2\n" * 9,
        "nan.tsv": "a\tb\n1\tnan\n2\t3\n4\t7\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    columns = {name: rng.normal(size=40) for name in ("trans_x", "a_comp_cor_00", "t_comp_cor_00")}
    rows = "\n".join(
        "\t".join(f"{value:.5f}" for value in row) for row in zip(*columns.values(), strict=False)
    )
    (folder / "desc-confounds_timeseries.tsv").write_text("\t".join(columns) + f"\n{rows}\n")
    np.savetxt(
        folder / "signals.tsv", rng.normal(size=(9, 2)), header="a\tb", comments="", delimiter="\t"
    )
    return folder  # fmt: skip


@pytest.mark.parametrize("argv", BAD, ids=[" ".join(argv) for argv in BAD])
def test_advice_is_for_the_command_line(lazyvox, files, argv):
    done = lazyvox(*argv)
    assert done.err
    assert not PYTHON.search(done.err), done.err


def options() -> Iterator[tuple[str, click.Option]]:
    """Yield the options of all commands of `WORKING`."""
    ctx = click.Context(program)
    for name in WORKING:
        for param in program.get_command(ctx, name).params:
            if isinstance(param, click.Option) and not param.is_flag and param.name != "output":
                yield name, param


def bad_values(param: click.Option) -> list[str]:
    """Return values that an option may refuse, or take."""
    kind = param.type
    if isinstance(kind, click.Choice):
        return list(kind.choices)
    if isinstance(kind, click.Path):
        return list(INPUTS)
    return ["nonsense", "-1", "0", "1e9", "nan", "3", "0.4"]


@pytest.mark.parametrize(
    ("command", "param"), [pytest.param(*case, id=f"{case[0]}{case[1].opts[0]}") for case in options()]
)  # fmt: skip
def test_every_option_answers_for_the_command_line(lazyvox, files, command, param):
    for value in bad_values(param):
        done = lazyvox(*WORKING[command], "--overwrite", f"{param.opts[0]}={value}")
        assert done.code in {0, 1, 2}
        assert "this should not happen" not in done.err, (value, done.err)
        assert not PYTHON.search(done.err), (value, done.err)
