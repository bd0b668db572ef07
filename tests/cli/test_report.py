"""`lazyvox report`: the file that it writes, its plan, and what it refuses."""

import json

import numpy as np
import pytest
from nibabel import load, save

from lazyvox.testing.pages import HtmlPage

MOTION = np.random.default_rng(0).normal(0, 0.01, (40, 6))


@pytest.fixture(autouse=True)
def tables(folder):
    """Write motion tables, and a file that is in the way."""
    np.savetxt(folder / "run_mcf.par", MOTION)
    np.savetxt(folder / "motion.txt", MOTION)
    (folder / "old.html").write_text("old")
    save(load("mask.nii.gz").slicer[:5], "thin.nii")


def test_page_is_written_and_described(lazyvox, folder):
    argv = ["report", "run.nii.gz", "--mask", "mask.nii.gz", "--confounds", "run_mcf.par"]
    more = ["--labels", "atlas.nii.gz", "--lut", "atlas.tsv", "--fd-threshold", "0.2"]
    done = lazyvox(*argv, *more, "--overwrite", "-o", "old.html")
    assert (done.code, done.out, done.err) == (0, "old.html: report of 1 run\n", "")
    page = HtmlPage((folder / "old.html").read_text(encoding="utf-8"))
    assert page.texts["h1"] == ["Quality of run.nii.gz"]
    assert "FD above 0.2 mm" in page.texts["dt"]


@pytest.mark.filterwarnings("always::lazyvox.LazyvoxWarning")
def test_json_and_plan(lazyvox, folder):
    before = sorted(folder.iterdir())
    argv = ["report", "run.nii.gz", "--mask", "mask.nii.gz"]
    done = lazyvox(*argv, "run.nii.gz", "--explain")
    assert "2 runs, one after the other" in done.out
    assert "room for figures" in done.out
    assert sorted(folder.iterdir()) == before
    said = json.loads(lazyvox(*argv, "-o", "r.html", "--json").out)
    assert said["plan"]["passes"] == 1
    assert said["outputs"][0]["n_runs"] == 1
    assert said["increment_bytes"] <= said["plan"]["peak_bytes"]


FAILING = [
    ([], 2, "missing option -o/--output"),
    (["-o", "old.html"], 2, "--output old.html: the file exists. Pass --overwrite to replace it"),
    (["-o", "r.pdf"], 2, "--output r.pdf: the name must end in .html, .htm"),
    (["-o", "absent/r.html"], 2, "there is no folder"),
    (["--radius", "50", "-o", "r.html"], 2, "--radius needs --motion, which is missing"),
    (["--fd-threshold", "0", "-o", "r.html"], 2, "Invalid value for '--fd-threshold'"),
    (["--motion-format", "fsl", "-o", "r.html"], 1, "--motion-format needs --motion (--confounds), which"),
    (["--motion", "motion.txt", "-o", "r.html"], 1, "pass --motion-format, one of"),
    (["--motion", "run_mcf.par", "--motion", "run_mcf.par", "-o", "r.html"], 1, "--motion (--confounds) must have a table for each run"),
    (["--lut", "atlas.tsv", "-o", "r.html"], 1, "--lut needs --labels, which is missing."),
    (["--resample", "-o", "r.html"], 1, "--resample needs --labels, which is missing."),
    (["--mask", "absent.nii", "-o", "r.html"], 1, "absent.nii: no such file"),
    (["--memory", "1MB", "-o", "r.html"], 1, "Pass --memory "),
    (["--mask", "thin.nii", "-o", "r.html"], 1, "Resample it first: lazyvox resample MASK --like RUN"),
]  # fmt: skip


@pytest.mark.parametrize(("argv", "code", "message"), FAILING)
def test_failed_work_is_one_line_and_leaves_nothing(refuses, argv, code, message):
    refuses("report", "run.nii.gz", *argv, code=code, message=message)


def test_truncated_run_leaves_nothing(refuses, short_run):
    refuses("report", short_run, "-o", "r.html", message=short_run)


def test_folder_without_permission_is_refused(lazyvox, folder, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    done = lazyvox("report", "run.nii.gz", "-o", "r.html")
    assert done.code == 2
    assert "this user may not write into" in done.err
