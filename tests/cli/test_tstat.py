"""`lazyvox tstat`: several statistics over time in one pass, its options, and what it refuses."""

import json

import nibabel as nib
import numpy as np
import pytest

from lazyvox.store.files import spool

MAPS = {
    "mean": lambda v: v.mean(-1),
    "std": lambda v: v.std(-1, ddof=1),
    "var": lambda v: v.var(-1, ddof=1),
    "min": lambda v: v.min(-1),
    "max": lambda v: v.max(-1),
    "sum": lambda v: v.sum(-1),
    "median": lambda v: np.median(v, -1),
    "ar1": lambda v: autocorrelation(v - v.mean(-1, keepdims=True)),
}


def autocorrelation(left):
    squares = (left**2).sum(-1)
    products = (left[..., 1:] * left[..., :-1]).sum(-1)
    return np.divide(products, squares, out=np.zeros_like(squares), where=squares > 0)


def whole(path):
    return np.asarray(nib.load(path).dataobj).astype(float)


def test_all_maps_come_of_one_pass(lazyvox, monkeypatch):
    monkeypatch.setattr(spool, "SMALL_SPOOL_BYTES", 0)
    asked = [text for name in MAPS for text in (f"--{name}", f"{name}.nii.gz")]
    done = lazyvox(
        "tstat", "run.nii.gz", *asked, "--percentile", "90=p90.nii", "--percentile", "2.5=low.nii",
        "--ddof", "1", "--dtype", "float64", "--json",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    said = json.loads(done.out)
    assert said["plan"]["passes"] == 1
    assert said["plan"]["scratch_bytes"] == whole("run.nii.gz").size * 4
    assert [one["path"] for one in said["outputs"]][-2:] == ["p90.nii", "low.nii"]
    values = whole("run.nii.gz")
    for name, oracle in MAPS.items():
        np.testing.assert_allclose(whole(f"{name}.nii.gz"), oracle(values), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(whole("p90.nii"), np.percentile(values, 90, axis=-1))
    np.testing.assert_allclose(whole("low.nii"), np.percentile(values, 2.5, axis=-1))


def test_a_mask_leaves_zeros_and_volumes_are_left_out_aloud(lazyvox):
    done = lazyvox(
        "tstat", "run.nii.gz", "--std", "sd.nii", "--tsnr", "tsnr.nii", "--detrend", "1",
        "--ddof", "1", "--mask", "mask.nii.gz", "--volumes", "4:20,30", "--dtype", "float64",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "sd.nii: 12 x 14 x 10, float64",
        "tsnr.nii: 12 x 14 x 10, float64",
        "23 of 40 volumes left out: 0-3, 20-29, 31-39",
    ]
    inside = whole("mask.nii.gz") == 1
    values = whole("run.nii.gz")[inside][:, [*range(4, 20), 30]]
    # The slope is that over the volumes that are taken, which count one after the other.
    times = np.arange(17)
    left = values - np.array([np.polyval(np.polyfit(times, one, 1), times) for one in values])
    sd = np.sqrt((left**2).sum(-1) / 16)
    np.testing.assert_allclose(whole("sd.nii")[inside], sd, rtol=1e-8)
    np.testing.assert_allclose(whole("tsnr.nii")[inside], values.mean(-1) / sd, rtol=1e-8)
    assert not whole("sd.nii")[~inside].any()
    assert not whole("tsnr.nii")[~inside].any()


def test_left_out_volumes_are_in_json(lazyvox):
    done = lazyvox("tstat", "run.nii.gz", "--mean", "m.nii", "--volumes", "2:", "--json")
    assert json.loads(done.out)["left_out_volumes"] == [0, 1]


def test_explain_reads_and_writes_nothing(lazyvox, folder):
    before = sorted(folder.iterdir())
    done = lazyvox("tstat", "run.nii.gz", "--median", "m.nii", "--ar1", "a.nii", "--explain")
    assert done.code == 0
    assert "passes     1" in done.out
    assert "state and result: Median" in done.out
    assert sorted(folder.iterdir()) == before


@pytest.mark.filterwarnings("always::lazyvox.LazyvoxWarning")
def test_voxels_that_are_not_finite_are_counted(lazyvox, folder):
    values = np.ones((3, 3, 3, 5))
    values[0, 0, 0, 2], values[1, 0, 0, 2] = np.nan, np.inf
    nib.save(nib.Nifti1Image(values, np.eye(4)), folder / "nan.nii")
    done = lazyvox("tstat", "nan.nii", "--std", "s.nii", "--ar1", "a.nii", "--median", "m.nii")
    said = "2 of 27 voxels are NaN or infinite in what is written: RUN has such values there"
    assert done.err == f"lazyvox: warning: {said}, or too few volumes.\n"


USAGE = [
    ([], "name at least one image to write, such as --mean mean.nii.gz"),
    (["--percentile", "90"], "--percentile must be Q=OUT, such as 90=p90.nii.gz, Q from 0 to 100. Got '90'"),
    (["--percentile", "101=p.nii"], "--percentile must be Q=OUT, such as 90=p90.nii.gz, Q from 0 to 100. Got '101=p.nii'"),
    (["--percentile", "x=p.nii"], "--percentile must be Q=OUT, such as 90=p90.nii.gz, Q from 0 to 100. Got 'x=p.nii'"),
    (["--percentile", "9="], "--percentile must be Q=OUT, such as 90=p90.nii.gz, Q from 0 to 100. Got '9='"),
    (["--mean", "m.txt"], "--mean m.txt: the name must end in .mgz, .zarr, or .nii, .hdr, .img or .mgh, each also with .gz, .bz2 or .zst behind it"),
    (["--mean", "old.nii"], "--mean old.nii: the file exists. Pass --overwrite to replace it"),
    (["--mean", "m.nii", "--std", "./m.nii"], "--std ./m.nii: another output has this file. Give each its own"),
    (["--mean", "m.hdr", "--std", "m.img"], "--std m.img: another output has this file. Give each its own"),
    (["--mean", "m.nii", "--ddof", "1"], "--ddof concerns --std, --tsnr, --var. Give one of them, or leave it out"),
    (["--median", "m.nii", "--detrend", "1"], "--detrend concerns --ar1, --std, --tsnr, --var. Give one of them, or leave it out"),
    (["--mean", "m.nii", "--mean", "n.nii"], "--mean must be given once. Got it twice"),
]  # fmt: skip


@pytest.mark.parametrize(("argv", "message"), USAGE, ids=[" ".join(case[0]) for case in USAGE])
def test_wrong_usage_is_told_before_the_run_is_opened(refuses, folder, argv, message):
    (folder / "old.nii").write_text("old")
    (folder / "run.nii.gz").write_bytes(b"no image")
    refuses("tstat", "run.nii.gz", *argv, code=2, message=f"error: {message}\n")


FAILING = [
    (["--volumes", "40"], 2, "--volumes must be among the 40 of the series. Got 40"),
    (["--volumes", "5,3"], 2, "--volumes must name at least one volume, in ascending order. Got '5,3'"),
    (["--volumes", "50:"], 2, "--volumes must name at least one volume"),
    (["--volumes", "..."], 2, "--volumes"),
    (["--mask", "atlas.nii.gz"], 1, "atlas.nii.gz): a mask must hold zeros and one other integer. Got the values 0, 1, 2, 3, 4, 5, ... (9 values).\n"),
    (["--mask", "absent.nii"], 1, "absent.nii: no such file"),
    (["--std", "s.nii", "--detrend", "40"], 1, "--detrend must be smaller than the number of volumes. Got --detrend 40 and 40 volumes."),
    (["--memory", "1MB"], 1, "Pass --memory "),
]  # fmt: skip


@pytest.mark.parametrize(("argv", "code", "message"), FAILING)
def test_failed_work_is_one_line_and_leaves_nothing(refuses, argv, code, message):
    refuses("tstat", "run.nii.gz", "--median", "m.nii", *argv, code=code, message=message)


def test_a_truncated_run_leaves_nothing(refuses, short_run):
    refuses("tstat", short_run, "--median", "m.nii", "--mean", "mean.nii", message=short_run)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_nothing(refuses):
    argv = ("tstat", "run.nii.gz", "--median", "m.nii")
    refuses(*argv, message="the folder of temporary files")
