"""Signals of the voxels of a mask, against NumPy."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.masking import apply_mask
from lazyvox.masking.applying import mask_values, signal_dtype
from lazyvox.stream.gather import MaskedVoxels
from lazyvox.testing import write_nifti

SHAPE = (7, 8, 9)
N_VOLUMES = 11
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def mask(rng):
    return rng.random(SHAPE) > 0.6


@pytest.fixture
def mask_img(mask):
    return nib.Nifti1Image(mask.astype("u1"), AFFINE)


def run_of(values):
    return nib.Nifti1Image(values, AFFINE)


@pytest.mark.parametrize("memory", ["8.1MiB", "1GiB"])
@pytest.mark.parametrize(
    ("stored", "asked", "expected"),
    [
        ("<f4", "f", "f4"),
        (">f8", "f", "f8"),
        ("<i2", "f", "f4"),
        ("<f8", "f4", "f4"),
        ("<i2", None, "i2"),
        ("<f4", "i2", "i2"),
        ("<u1", "i8", "i8"),
    ],
)
def test_values_order_and_type(tmp_path, rng, mask, mask_img, stored, asked, expected, memory):
    values = rng.integers(0, 200, (*SHAPE, N_VOLUMES)).astype(stored)
    path = write_nifti(tmp_path / "run.nii.gz", values)
    with lv.memory_budget(memory):
        found = apply_mask(path, mask_img, dtype=asked)
    assert found.dtype == expected
    np.testing.assert_array_equal(found, values[mask].T)


def test_volumes_larger_than_the_budget_come_slice_by_slice(tmp_path):
    rng = np.random.default_rng(1)
    values = rng.normal(size=(64, 64, 80, 2)).astype("f4")
    values[3, 4, 5, 0] = np.nan
    mask = rng.random(values.shape[:3]) > 0.99
    mask[3, 4, 5] = True
    path = write_nifti(tmp_path / "run.nii", values)
    img = lv.load(path)
    for dtype in (np.float32, np.int16):
        whole = mask_values(img, mask, dtype=dtype, memory="1GiB")
        scan = lv.Scan(img)
        rows = scan.add(MaskedVoxels(mask, np.dtype(dtype), ensure_finite=True))
        assert scan.plan("9.5MiB").slab_slices
        scan.run("9.5MiB")
        np.testing.assert_array_equal(rows.result(), whole)
    np.testing.assert_array_equal(whole, np.nan_to_num(values[mask].T).astype("i2"))


def test_a_volume_gives_one_row(rng, mask, mask_img):
    values = rng.normal(size=SHAPE)
    found = apply_mask(run_of(values), mask_img)
    np.testing.assert_array_equal(found, values[mask])


def test_volumes_of_a_list_are_rows(rng, mask, mask_img):
    values = rng.normal(size=(*SHAPE, 3))
    found = apply_mask([run_of(values[..., i]) for i in range(3)], mask_img)
    np.testing.assert_array_equal(found, values[mask].T)


def test_non_finite_values(rng, mask, mask_img):
    values = rng.normal(size=(*SHAPE, 3)).astype("f4")
    values[mask, 1] = [np.nan, np.inf] * (mask.sum() // 2) + [-np.inf] * (mask.sum() % 2)
    img = run_of(values)
    assert not apply_mask(img, mask_img)[1].any()
    assert not np.isfinite(apply_mask(img, mask_img, ensure_finite=False)[1]).any()
    # What is not a number cannot become an integer.
    assert not apply_mask(img, mask_img, dtype="i4")[1].any()
    assert np.isfinite(apply_mask(img, mask_img, smoothing_fwhm=4, ensure_finite=False)).all()


def test_values_that_overflow_the_type_asked_for_become_zero(mask_img):
    found = apply_mask(run_of(np.full(SHAPE, 1e300)), mask_img, dtype="f4")
    assert not found.any()


def test_smoothing_of_integers_is_not_lost(rng, mask, mask_img):
    img = run_of(rng.integers(0, 1000, (*SHAPE, 2)).astype("i2"))
    exact = apply_mask(img, mask_img, smoothing_fwhm=4)
    found = apply_mask(img, mask_img, dtype="i4", smoothing_fwhm=4)
    np.testing.assert_array_equal(found, exact.astype("i4"))


def test_complex_voxels(rng, mask, mask_img):
    values = (rng.normal(size=(*SHAPE, 2)) + 1j).astype("c8")
    found = apply_mask(run_of(values), mask_img, dtype="c8")
    np.testing.assert_array_equal(found, values[mask].T)
    with pytest.raises(lv.ParameterTypeError, match="real part or the magnitude"):
        apply_mask(run_of(values), mask_img)


@pytest.mark.parametrize("dtype", ["S3", "M8[s]", object])
def test_types_that_are_no_numbers(dtype):
    with pytest.raises(lv.ParameterTypeError, match="must be a type of numbers"):
        signal_dtype(np.dtype("f4"), dtype)


@pytest.mark.parametrize("fwhm", ["fast", [4, 4, 4], True])
def test_widths_that_are_no_number(mask_img, fwhm):
    with pytest.raises(TypeError, match="smoothing_fwhm"):
        apply_mask(run_of(np.ones(SHAPE)), mask_img, smoothing_fwhm=fwhm)


def test_merging_takes_the_volumes_that_the_other_saw(rng, mask):
    values = np.asfortranarray(rng.normal(size=(*SHAPE, 4)))
    scan = lv.Scan(run_of(values))
    first, second = (MaskedVoxels(mask, np.dtype("f8"), ensure_finite=False) for _ in range(2))
    for consumer in (first, second):
        consumer.init(scan.grid)
    first.update(values[..., :1], 0)
    second.update(values[..., 1:], 1)
    first.merge(second)
    np.testing.assert_array_equal(first.finalize(), values[mask].T)


def test_the_plan_of_a_call(tmp_path, rng, mask_img):
    path = write_nifti(tmp_path / "run.nii.gz", rng.normal(size=(*SHAPE, 5)))
    plan = lv.plan(apply_mask, path, mask_img)
    assert plan.passes == 1
    assert "voxels of a mask" in plan.explain()
