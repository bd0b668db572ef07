"""Scans and saves of smoothed and resampled images take at most what their plans say."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.image import resample_img, smooth_img
from lazyvox.testing import assert_bounded, peak_of, scan_peaks

MIB = 1 << 20
GRID = (64, 64, 36)
AFFINE = np.diag([3.0, 3, 3, 1])
FINE = np.diag([2.0, 2, 2, 1])
TURNED = FINE @ np.array([[0.9, 0.1, 0, 0], [-0.1, 0.9, 0, 2], [0, 0, 1, 0], [0, 0, 0, 1]])


def write(path, dtype="f4", missing=False):
    few = np.random.default_rng(0).normal(size=(*GRID, 4)).astype("f4") * 100
    if missing:
        few[10:20, 10:20, 5] = np.nan
    lv.save(nib.Nifti1Image(np.tile(few, (1, 1, 1, 10)), AFFINE), path, **dtype_options(dtype))
    return str(path)


def dtype_options(dtype):
    return {} if dtype == "f4" else {"dtype": dtype, "scale": (0.5, 1.0)}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write(tmp_path_factory.mktemp("runs") / "run.nii.gz")


@pytest.fixture(scope="module")
def scaled(tmp_path_factory):
    return write(tmp_path_factory.mktemp("runs") / "scaled.nii.gz", "i2")


@pytest.fixture(scope="module")
def with_nan(tmp_path_factory):
    return write(tmp_path_factory.mktemp("runs") / "nan.nii.gz", missing=True)


IMAGES = {
    "smooth": lambda run: smooth_img(run, 6),
    "splines": lambda run: resample_img(run, FINE, clip=False),
    "clipped": lambda run: resample_img(run, FINE),
    "oblique": lambda run: resample_img(run, TURNED, (50, 50, 30), "linear"),
    "chain": lambda run: smooth_img(resample_img(run, FINE, interpolation="linear"), 6),
}


@pytest.mark.parametrize(("name", "n_jobs"), [("smooth", 1), ("clipped", 1), ("chain", 2)])
def test_a_scan_stays_within_its_plan(run, name, n_jobs):
    assert_bounded(*scan_peaks(IMAGES[name](run), [lv.Mean()], "512MiB", n_jobs))


def test_scaled_integers(scaled):
    assert_bounded(*scan_peaks(IMAGES["splines"](scaled), [lv.Mean()], "512MiB"))


@pytest.mark.filterwarnings("ignore:the image that is resampled has NaN")
def test_voxels_that_are_not_finite(with_nan):
    assert_bounded(*scan_peaks(IMAGES["splines"](with_nan), [lv.Mean()], "512MiB"))


@pytest.mark.parametrize("name", ["smooth", "clipped", "chain"])
def test_a_save_stays_within_its_plan(run, name, tmp_path):
    img = IMAGES[name](run)
    predicted = lv.plan(lv.save, img, tmp_path / "out.nii.gz").peak_bytes
    assert_bounded(predicted, peak_of(lv.save, img, tmp_path / "out.nii.gz"))


def test_an_oblique_grid_takes_scipy_and_its_plan(run):
    predicted, measured = scan_peaks(IMAGES["oblique"](run), [lv.Mean()], "512MiB")
    # What importing scipy.ndimage and scipy.linalg holds.
    assert measured <= predicted + 40 * MIB
