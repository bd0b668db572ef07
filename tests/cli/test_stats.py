"""`lazyvox stats`: its table on stdout and in files, its options, and what it refuses."""

import json

import nibabel as nib
import numpy as np
import pytest

from lazyvox.store.files import spool


def whole(path):
    return np.asarray(nib.load(path).dataobj).astype(float)


def rows_of(text):
    heading, *rows = (line.split("\t") for line in text.splitlines())
    return [dict(zip(heading, row, strict=True)) for row in rows]


def test_table_is_printed(lazyvox, monkeypatch):
    monkeypatch.setattr(spool, "SMALL_SPOOL_BYTES", 0)
    done = lazyvox("stats", "run.nii.gz", "--mask", "mask.nii.gz", "--percentile", "25,90")
    assert (done.code, done.err) == (0, "")
    (row,) = rows_of(done.out)
    inside = whole("run.nii.gz")[whole("mask.nii.gz") == 1]
    assert list(row) == [
        "image", "voxels", "mm3", "non_finite", "mean", "sd", "min", "max", "robust_min",
        "robust_max", "p25", "p90", "x", "y", "z",
    ]  # fmt: skip
    assert int(row["voxels"]) == inside.size
    np.testing.assert_allclose(float(row["mean"]), inside.mean())
    np.testing.assert_allclose(float(row["sd"]), inside.std(ddof=1))
    np.testing.assert_allclose(float(row["p90"]), np.percentile(inside, 90))


def test_regions_of_volumes_in_a_file(lazyvox, folder):
    done = lazyvox(
        "stats", "run.nii.gz", "--labels", "atlas.nii.gz", "--lut", "atlas.tsv", "--per-volume",
        "--nonzero", "--above", "600", "--below", "1400", "-o", "table.tsv",
    )  # fmt: skip
    assert (done.code, done.out, done.err) == (0, "table.tsv: 320 x 18, table\n", "")
    rows = rows_of((folder / "table.tsv").read_text())
    values, labels = whole("run.nii.gz"), whole("atlas.nii.gz")
    for row in rows[::37]:
        some = values[..., int(row["volume"])][labels == int(row["label"])]
        some = some[(some > 600) & (some < 1400)]
        assert int(row["voxels"]) == len(some)
        np.testing.assert_allclose(float(row["mean"]), some.mean())
    assert rows[0]["region"] == "LeftFront"


def test_printed_floats_have_ten_digits_and_files_all(lazyvox, folder):
    affine = np.diag([-3.3, 3.3, 3.3, 1]).astype("f4")  # Its determinant has digits of rounding.
    nib.save(
        nib.Nifti1Image(np.arange(24.0).reshape(2, 3, 4) / 7, affine), folder / "sevenths.nii"
    )
    (printed,) = rows_of(lazyvox("stats", "sevenths.nii", "-o", "-").out)
    assert (printed["mm3"], printed["mean"]) == ("862.4879626", "1.642857143")
    lazyvox("stats", "sevenths.nii", "-o", "table.tsv")
    (written,) = rows_of((folder / "table.tsv").read_text())
    assert float(written["mean"]) == np.float64(23) / 14


def test_json_has_plan_and_rows(lazyvox):
    done = lazyvox("stats", "run.nii.gz", "mask.nii.gz", "--json")
    said = json.loads(done.out)
    assert said["plan"]["source"].endswith("run.nii.gz and 1 more")
    assert [row["voxels"] for row in said["outputs"][0]["rows"]] == [67200, 1680]


@pytest.mark.filterwarnings("always::lazyvox.LazyvoxWarning")
def test_what_is_not_finite_is_said(lazyvox, folder):
    values = np.ones((3, 3, 3))
    values[0, 0, 0] = np.nan
    nib.save(nib.Nifti1Image(values, np.eye(4)), folder / "nan.nii")
    done = lazyvox("stats", "nan.nii")
    assert done.err == "lazyvox: warning: 1 values that are not finite were left out.\n"
    assert rows_of(done.out)[0]["non_finite"] == "1"


def test_explain_reads_nothing(lazyvox, folder):
    before = sorted(folder.iterdir())
    done = lazyvox("stats", "run.nii.gz", "--explain")
    assert "passes     1" in done.out
    assert "state and result: statistics" in done.out
    assert sorted(folder.iterdir()) == before


FAILING = [
    (["--percentile", "a"], 2, "--percentile must be numbers with commas between them, such as 2,98. Got 'a'"),
    (["--percentile", "200"], 1, "--percentile must be from 0 to 100, each once. Got [200.0]."),
    (["--above", "nan"], 1, "--above must be a number. Got nan."),
    (["--above", "9", "--below", "9"], 1, "--above must be smaller than --below: values between them count. Got 9 and 9."),
    (["--lut", "atlas.tsv"], 1, "--lut names the regions of --labels, which is missing."),
    (["-o", "t.xlsx"], 2, "--output t.xlsx: the name must end in .tsv, .csv, .json"),
    (["-o", "old.tsv"], 2, "--output old.tsv: the file exists. Pass --overwrite to replace it"),
    (["--mask", "absent.nii"], 1, "absent.nii: no such file"),
    (["--mask", "atlas.nii.gz"], 1, "It looks like labels: pass it as --labels to lazyvox extract"),
    (["--memory", "1MB"], 1, "Pass --memory "),
    (["--ddof", "-1"], 2, "Invalid value for '--ddof'"),
]  # fmt: skip


@pytest.mark.parametrize(("argv", "code", "message"), FAILING)
def test_failed_work_is_one_line_and_leaves_nothing(refuses, folder, argv, code, message):
    (folder / "old.tsv").write_text("old")
    refuses("stats", "run.nii.gz", *argv, code=code, message=message)


def test_a_truncated_run_leaves_nothing(refuses, short_run):
    refuses("stats", short_run, "-o", "t.tsv", message=short_run)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_nothing(refuses):
    argv = ("stats", "run.nii.gz", "-o", "t.tsv")
    refuses(*argv, message="the folder of temporary files")
