"""`lazyvox clean`: values are those of nilearn's clean_img, and what is left out is said."""

import errno
import json

import nibabel as nib
import numpy as np
import pytest
from nilearn import image as nil

CENSORED = [7, 20, 21]
LIMITS = ["--fd-threshold", "0.9", "--std-dvars-threshold", "inf", "--scrub", "0"]
TABLE = ["--confounds", "c.tsv", "--confound-columns", "a,b"]


def whole(path):
    return np.asarray(nib.load(path).dataobj)


@pytest.fixture
def columns(folder):
    """Write a table of confounds with three volumes of large motion; return its columns."""
    values = np.random.default_rng(0).normal(size=(40, 2))
    motion = np.full(40, 0.1)
    motion[CENSORED] = 2
    rows = [
        "\t".join(f"{one:.6f}" for one in (*row, fd))
        for row, fd in zip(values, motion, strict=True)
    ]
    (folder / "c.tsv").write_text("\n".join(["a\tb\tframewise_displacement", *rows]) + "\n")
    return np.round(values, 6)


OPTIONS = {
    "detrend": (["--detrend", "1"], {"detrend": True}),
    "psc": (["--standardize", "psc", "--detrend", "1"], {"detrend": True, "standardize": "psc"}),
    "band": (["--low-pass", "0.1", "--high-pass", "0.02"], {"low_pass": 0.1, "high_pass": 0.02, "t_r": 2}),
    "cosine": (["--high-pass", "0.02", "--filter", "cosine"], {"high_pass": 0.02, "t_r": 2, "clean__filter": "cosine"}),
    "zscore": (["--standardize", "zscore_sample"], {"standardize": "zscore_sample"}),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIONS)
def test_values_are_nilearns(lazyvox, columns, name):
    argv, given = OPTIONS[name]
    done = lazyvox("clean", "run.nii.gz", "--fwhm", "5", *argv, *TABLE, "--mask", "left.nii.gz",
                   "-o", "out.nii.gz")  # fmt: skip
    assert (done.code, done.err) == (0, "")
    options = {"detrend": False, "standardize": None, **given}
    smooth = nil.smooth_img("run.nii.gz", 5)
    wanted = nil.clean_img(smooth, confounds=columns, mask_img="left.nii.gz", **options)
    np.testing.assert_allclose(whole("out.nii.gz"), wanted.get_fdata(), atol=2e-3)
    made = nib.load("out.nii.gz").header
    assert (made.get_zooms()[3], made.get_data_dtype()) == (2, np.float32)


@pytest.mark.parametrize("degree", [0, 1, 2, 5])
def test_trends_are_polynomials(lazyvox, folder, degree):
    assert lazyvox("clean", "run.nii.gz", "--detrend", degree, "-o", "out.nii").code == 0
    run = whole("run.nii.gz").reshape(-1, 40).astype(float)
    time = np.linspace(-1, 1, 40)
    fits = np.polynomial.polynomial.polyfit(time, run.T, degree)
    left = run - np.polynomial.polynomial.polyval(time, fits)
    np.testing.assert_allclose(whole("out.nii").reshape(-1, 40), left, atol=2e-3)


@pytest.mark.parametrize("censored", ["drop", "keep", "zero", "interpolate"])
def test_volumes_left_out_are_treated_and_said(lazyvox, columns, censored):
    argv = ["clean", "run.nii.gz", *TABLE, *LIMITS, "--detrend", "1", "--keep-mean", "--censored"]
    done = lazyvox(*argv, censored, "-o", "out.nii")
    verb = {"drop": "left out", "keep": "censored, and kept", "zero": "set to zero"}
    said = f"3 of 40 volumes {verb.get(censored, 'interpolated')}: 7, 20-21"
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[1] == said
    made = whole("out.nii")
    kept = np.setdiff1d(np.arange(40), CENSORED)
    run = whole("run.nii.gz")
    if censored == "drop":
        assert made.shape[3] == 37
        np.testing.assert_allclose(made.mean(-1), run[..., kept].mean(-1), rtol=1e-5)
        return
    assert made.shape[3] == 40
    of_mean = slice(None) if censored == "keep" else kept
    np.testing.assert_allclose(made[..., of_mean].mean(-1), run[..., of_mean].mean(-1), rtol=1e-5)
    if censored == "zero":
        assert not made[..., CENSORED].any()
    if censored == "interpolate":
        between = made[..., 6] + (made[..., 8] - made[..., 6]) / 2
        np.testing.assert_allclose(made[..., 7], between, rtol=1e-5)
    facts = json.loads(lazyvox(*argv, censored, "-o", "more.nii", "--json").out)
    assert facts["censored_volumes"] == CENSORED
    assert facts["increment_bytes"] <= facts["plan"]["peak_bytes"]
    assert said in lazyvox(*argv, censored, "--explain").out


def test_bids_name_has_a_json_file_beside_it(lazyvox, columns, folder):
    name = "sub-1_task-rest_desc-clean_bold"
    argv = [
        "clean",
        "run.nii.gz",
        *TABLE,
        *LIMITS,
        "--mask",
        "mask.nii.gz",
        "-o",
        f"{name}.nii.gz",
    ]
    assert lazyvox(*argv).code == 0
    record = json.loads((folder / f"{name}.json").read_text())
    assert record["CensoredVolumes"] == CENSORED
    assert record["RepetitionTime"] == 2
    assert record["Sources"] == ["run.nii.gz", "c.tsv", "mask.nii.gz"]
    assert record["Parameters"]["confounds"] == ["a", "b"]
    assert list(record["RegionsSHA256"]) == ["mask.nii.gz"]
    (folder / f"{name}.nii.gz").unlink()
    done = lazyvox(*argv)
    assert done.code == 2
    assert f"--output {name}.json: the file exists" in done.err


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["run.nii.gz"], 2, "nothing to remove: pass --detrend, --high-pass, --low-pass, --confounds, --standardize or --fwhm, or several of them"),
        (["run.nii.gz", "--detrend", "-1"], 2, "Invalid value for '--detrend'"),
        (["run.nii.gz", "--keep-mean", "--standardize", "psc"], 2, "--keep-mean keeps the means that --standardize removes. Leave out one of them"),
        (["run.nii.gz", "--fwhm", "x"], 2, "must be a width in mm, above 0, three of them as in 6,6,8, or fast. Got 'x'"),
        (["run.nii.gz", "--detrend", "1", "--censored", "zero"], 2, "--censored zero concerns volumes that --confounds or --sample-mask leaves out, and neither is given"),
        (["run.nii.gz", "--high-pass", "nan"], 1, "--high-pass must be a frequency above 0, in Hz. Got nan.\n"),
        (["run.nii.gz", "--low-pass", "inf"], 1, "--low-pass must be a frequency above 0, in Hz. Got inf.\n"),
        (["run.nii.gz", "--detrend", "40"], 1, "--detrend must be below the number of volumes of each run. Got 40 for 40."),
        (["run.nii.gz", "--low-pass", "0.3"], 1, "--low-pass"),
        (["run.nii.gz", "--detrend", "1", "--mask", "small.nii"], 1, "--mask"),
        (["run.nii.gz", "--detrend", "1", "--mask", "absent.nii"], 1, "absent.nii: no such file"),
        (["mask.nii.gz", "--detrend", "1"], 1, "4D"),
        (["absent.nii", "--detrend", "1"], 1, "absent.nii: no such file"),
        (["run.nii.gz", *TABLE, *TABLE[:2]], 2, "--confounds must be given once for each run, in their order. Got 2 for one run"),
        (["run.nii.gz", "--censored", "keep", "--sample-mask", "few.txt"], 2, "--censored keep keeps all volumes, and --sample-mask leaves some out"),
        (["short.nii.gz", "--detrend", "1"], 1, "short.nii.gz"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("columns", "short_run")
def test_wrong_options_and_inputs(refuses, folder, argv, code, message):
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4), "u1"), np.eye(4)), "small.nii")
    (folder / "few.txt").write_text("1\n2\n3\n")
    refuses("clean", *argv, "-o", "o.nii", code=code, message=message)


@pytest.mark.parametrize(
    ("place", "failure", "code"),
    [
        ("lazyvox.store.write.atomic.AtomicFile.write", OSError(errno.ENOSPC, "no space"), 1),
        ("lazyvox.array.spool.Spool.write_row", OSError(errno.ENOSPC, "no space"), 1),
        ("lazyvox.array.spool.Spool.write_row", KeyboardInterrupt(), 130),
    ],
    ids=["full disk", "full spool", "interrupt"],
)
def test_failed_work_leaves_nothing(lazyvox, folder, monkeypatch, place, failure, code):
    def fail(*args):
        raise failure

    monkeypatch.setattr(place, fail)
    before = sorted(folder.iterdir())
    done = lazyvox("clean", "run.nii.gz", "--detrend", "1", "-o", "o.nii")
    assert (done.code, done.out) == (code, "")
    assert "this should not happen" not in done.err
    assert sorted(folder.iterdir()) == before


def test_progress_counts_the_volumes_that_are_cleaned(lazyvox, folder):
    done = lazyvox("clean", "run.nii.gz", "--detrend", "1", "-o", "o.nii", "--progress")
    assert done.code == 0
    assert "lazyvox: clean run.nii.gz: 50 %, 40 of 80 volumes, " in done.err
    assert "lazyvox: clean run.nii.gz: 100 %, 80 of 80 volumes, " in done.err
    assert done.err.splitlines()[-1].startswith("lazyvox: o.nii: 100 %, 40 of 40 volumes, ")
