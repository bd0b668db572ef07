"""`lazyvox qc`: its table, the motion that it is given, and what it refuses."""

import json

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.store.files import spool

MOTION = np.random.default_rng(0).normal(0, 0.01, (40, 6))


@pytest.fixture(autouse=True)
def tables(folder):
    """Write motion tables."""
    np.savetxt(folder / "run_mcf.par", MOTION)
    np.savetxt(folder / "motion.txt", MOTION)
    np.savetxt(folder / "short.par", MOTION[:7])
    (folder / "words.par").write_text("a b\n")


def rows_of(text):
    heading, *rows = (line.split("\t") for line in text.splitlines())
    return [dict(zip(heading, row, strict=True)) for row in rows]


def test_table_is_that_of_the_library(lazyvox, folder, monkeypatch):
    monkeypatch.setattr(spool, "SMALL_SPOOL_BYTES", 0)
    argv = ["qc", "run.nii.gz", "--mask", "mask.nii.gz", "--motion", "run_mcf.par"]
    done = lazyvox(*argv, "--radius", "80", "-o", "qc.tsv")
    assert (done.code, done.out, done.err) == (0, "qc.tsv: 40 x 6, table\n", "")
    rows = rows_of((folder / "qc.tsv").read_text())
    table = lv.qc("run.nii.gz", mask_img="mask.nii.gz", motion="run_mcf.par", radius=80)
    for name in table.names:
        found = [float(row[name].replace("n/a", "nan")) for row in rows]
        np.testing.assert_array_equal(found, table[name])
    assert rows[0]["framewise_displacement"] == rows[0]["std_dvars"] == "n/a"
    assert lazyvox(*argv, "-o", "qc.json").code == 0
    assert json.loads((folder / "qc.json").read_text())[0]["dvars"] is None


@pytest.mark.filterwarnings("always::lazyvox.LazyvoxWarning")
def test_what_is_left_out_is_said(lazyvox):
    done = lazyvox("qc", "run.nii.gz", "--json")
    assert "voxels that hardly vary were left out of DVARS." in done.err
    said = json.loads(done.out)
    assert said["plan"]["passes"] == 1
    assert len(said["outputs"][0]["rows"]) == 40


def test_explain_reads_and_writes_nothing(lazyvox, folder):
    before = sorted(folder.iterdir())
    done = lazyvox("qc", "run.nii.gz", "--mask", "mask.nii.gz", "--explain")
    assert "state and result: measures of quality" in done.out
    assert sorted(folder.iterdir()) == before


FAILING = [
    (["--motion", "motion.txt"], 1, "pass --motion-format, one of fmriprep, fsl, afni, spm."),
    (["--motion", "short.par"], 1, "short.par: --motion must have a row for each volume. Got 7 rows and 40 volumes."),
    (["--motion", "words.par"], 1, "words.par"),
    (["--motion", "absent.par"], 1, "absent.par: no such file"),
    (["--motion-format", "fsl"], 1, "--motion-format needs --motion, which is missing."),
    (["--radius", "50"], 2, "--radius needs --motion, which is missing"),
    (["--motion", "run_mcf.par", "--radius", "0"], 2, "Invalid value for '--radius'"),
    (["--motion", "run_mcf.par", "--motion-format", "x"], 2, "Invalid value for '--motion-format'"),
    (["--mask", "absent.nii"], 1, "absent.nii: no such file"),
    (["-o", "q.xlsx"], 2, "--output q.xlsx: the name must end in .tsv, .csv, .json"),
    (["-o", "old.tsv"], 2, "--output old.tsv: the file exists. Pass --overwrite to replace it"),
    (["--memory", "1MB"], 1, "Pass --memory "),
]  # fmt: skip


@pytest.mark.parametrize(("argv", "code", "message"), FAILING)
def test_failed_work_is_one_line_and_leaves_nothing(refuses, folder, argv, code, message):
    (folder / "old.tsv").write_text("old")
    refuses("qc", "run.nii.gz", *argv, code=code, message=message)


def test_a_truncated_run_leaves_nothing(refuses, short_run):
    refuses("qc", short_run, "-o", "q.tsv", message=short_run)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_nothing(refuses):
    argv = ("qc", "run.nii.gz", "-o", "q.tsv")
    refuses(*argv, message="the folder of temporary files")
