"""Each line of the page *From FSL and AFNI* runs, and some of its results beside their definition."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "from-fsl-and-afni.md"
LINES = re.findall(r"^\| .*? \| `(lazyvox [^|]*?)` \| [^|]*\|$", PAGE.read_text(), re.MULTILINE)
#: Files that lines read and no line writes.
MADE_BEFORE = {
    "coarse.nii.gz": ["slice", "atlas.nii.gz", "::2, ::2, ::2", "-o"],
    "rois_mean.tsv": ["extract", "run.nii.gz", "--labels", "atlas.nii.gz", "-o"],
    "volume7.nii.gz": ["slice", "run.nii.gz", "..., 7", "-o"],
}


#: Lines that serve a page until they are stopped.
VIEWS = [line for line in LINES if line.startswith("lazyvox view ")]


def write_tables(folder):
    """Write the tables that lines name."""
    rng = np.random.default_rng(0)
    (folder / "kept.txt").write_text("".join(f"{n}\n" for n in range(40) if n not in {7, 8}))
    rows = ["\t".join(f"{one:.5f}" for one in row) for row in rng.normal(size=(40, 3))]
    (folder / "confounds.tsv").write_text("\n".join(["a\tb\tc", *rows]) + "\n")
    np.savetxt(folder / "run_mcf.par", rng.normal(scale=0.01, size=(40, 6)))
    rows = [f"{onset}\t8\t{kind}" for onset, kind in ((4, "a"), (20, "b"), (36, "a"), (52, "b"))]
    (folder / "events.tsv").write_text("\n".join(["onset\tduration\ttrial_type", *rows]) + "\n")
    files = "run.nii.gz\tmask.nii.gz\tevents.tsv"
    rows = [f"{sub}\tgo\t{run}\t{files}" for sub in ("01", "02") for run in (1, 2)]
    head = "sub\ttask\trun\tbold\tmask\tevents"
    (folder / "runs.tsv").write_text("\n".join([head, *rows]) + "\n")


def whole(path):
    return np.asarray(nib.load(path).dataobj)


def test_the_whole_page_is_tested():
    rows = [one for one in PAGE.read_text().splitlines() if one.startswith("| ")]
    headings = sum(one.startswith("| FSL, AFNI | lazyvox | notes |") for one in rows)
    assert headings == 10
    assert len(LINES) == len(rows) - headings > 55


@pytest.mark.parametrize("line", VIEWS)
def test_line_serves(folder, line):
    write_tables(folder)
    command = [sys.executable, "-m", *shlex.split(line), "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder)
    try:
        with urlopen(process.stdout.readline().strip() + "info") as answer:
            assert json.load(answer)["shape"] == [12, 14, 10, 40]
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.mark.parametrize("line", [line for line in LINES if line not in VIEWS])
def test_line_runs(lazyvox, folder, line):
    write_tables(folder)
    argv = shlex.split(line)[1:]
    for name, command in MADE_BEFORE.items():
        if name in line and f"-o {name}" not in line:
            assert lazyvox(*command, name).code == 0
    follows = not {"subject", "group"}.isdisjoint(argv)
    if follows:
        (first,) = [one for one in LINES if "participant" in one]
        assert lazyvox(*shlex.split(first)[1:]).code == 0
    before = set(folder.iterdir())
    done = lazyvox(*argv)
    assert (done.code, done.err) == (0, "")
    prints = (
        argv[0] in {"info", "stats", "qc"}
        or follows
        or "-o -" in line
        or "-v" in argv
        or "--field" in argv
    )
    assert prints or set(folder.iterdir()) > before
    assert done.out


def made(lazyvox, name):
    """Run the line that writes a file; return what it wrote."""
    (line,) = [one for one in LINES if re.search(rf"[ =]{re.escape(name)}( |$)", one)]
    assert lazyvox(*shlex.split(line)[1:]).code == 0
    return whole(name)


@pytest.mark.parametrize(
    ("name", "definition"),
    [
        ("calc.nii.gz", lambda run, mask, left: (run - mask) * left),
        ("mas.nii.gz", lambda run, mask, left: run * mask),
        ("thr.nii.gz", lambda run, mask, left: np.where(run < 1000, 0, run)),
        ("uthr.nii.gz", lambda run, mask, left: np.where(run > 1000, 0, run)),
        ("between.nii.gz", lambda run, mask, left: np.where((run < 900) | (run > 1100), 0, run)),
        ("bin.nii.gz", lambda run, mask, left: (run > 0).astype("u1")),
        ("div.nii.gz", lambda run, mask, left: run * left),
        ("demeaned.nii.gz", lambda run, mask, left: run - run.mean(-1, keepdims=True)),
        ("short.nii.gz", lambda run, mask, left: np.round(run).astype("i2")),
        ("tstd.nii.gz", lambda run, mask, left: run.std(-1, ddof=1)),
        ("tmedian.nii.gz", lambda run, mask, left: np.median(run, axis=-1)),
        ("sigma.nii.gz", lambda run, mask, left: gaussian_filter(
            run, (2.548 / 3,) * 3 + (0,), mode="reflect", truncate=4)),
        ("steady.nii.gz", lambda run, mask, left: run[..., 4:]),
        ("box.nii.gz", lambda run, mask, left: run[5:8, 6:10]),
    ],
)  # fmt: skip
def test_values_are_those_of_the_definition(lazyvox, folder, name, definition):
    run = whole("run.nii.gz").astype(float)
    mask, left = (whole(f"{one}.nii.gz")[..., None] for one in ("mask", "left"))
    found = made(lazyvox, name)
    np.testing.assert_allclose(found, definition(run, mask, left), rtol=1e-5, atol=2e-3)


def test_regression_keeps_the_mean_and_removes_the_confounds(lazyvox, folder):
    confounds = np.random.default_rng(0).normal(size=(40, 3))
    np.savetxt(folder / "confounds.tsv", confounds, delimiter="\t", header="a\tb\tc", comments="")
    run = whole("run.nii.gz").reshape(-1, 40).T.astype(float)
    centred = confounds - confounds.mean(0)
    left = run - centred @ np.linalg.lstsq(centred, run, rcond=None)[0]
    np.testing.assert_allclose(made(lazyvox, "regfilt.nii.gz").reshape(-1, 40).T, left, atol=2e-3)
