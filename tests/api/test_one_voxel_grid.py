"""One rule for voxel grids behind every public function that compares two of them."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox import image, maskers, masking

A = np.diag([3.0, 3, 3, 1])
VALUES = np.random.default_rng(0).normal(100, 10, (6, 6, 6, 12)).astype("f4")
INSIDE = np.zeros((6, 6, 6), "u1")
INSIDE[:, 1:] = 1


def save(path: Path, values: np.ndarray, affine: np.ndarray) -> Path:
    nib.Nifti1Image(values, affine).to_filename(path)
    return path


def placed(folder: Path, row: int, column: int, by: float) -> tuple[Path, Path, Path]:
    """Return a run, and a run and a mask whose affine differs in one entry."""
    other = A.copy()
    other[row, column] += by
    return (
        save(folder / "run.nii", VALUES, A),
        save(folder / "turned.nii", VALUES, other),
        save(folder / "mask.nii", INSIDE, other),
    )


COMPARISONS = {
    "mean_img": lambda run, turned, mask: image.mean_img([run, turned]).get_fdata(),
    "std_img": lambda run, turned, mask: lv.std_img([run, turned]).get_fdata(),
    "+": lambda run, turned, mask: (lv.load(run) + lv.load(turned)).get_fdata(),
    "math_img": lambda run, turned, mask: image.math_img("a + b", a=run, b=turned).get_fdata(),
    "concat_imgs": lambda run, turned, mask: image.concat_imgs([run, turned]).get_fdata(),
    "LazyReadData": lambda run, turned, mask: (
        (lv.LazyReadData(run) + lv.LazyReadData(turned)).data
    ),
    "extract": lambda run, turned, mask: lv.extract(run, mask),
    "maps": lambda run, turned, mask: lv.extract(run, lv.Maps(nib.load(mask).slicer[..., None])),
    "apply_mask": lambda run, turned, mask: masking.apply_mask(run, mask),
    "clean_img": lambda run, turned, mask: image.clean_img(run, mask_img=mask, standardize=None),
    "high_variance_confounds": lambda run, turned, mask: image.high_variance_confounds(
        run, mask_img=mask, percentile=20
    ),
    "intersect_masks": lambda run, turned, mask: masking.intersect_masks(
        [mask, nib.Nifti1Image(INSIDE, A)]
    ),
    "labels masker": lambda run, turned, mask: maskers.NiftiLabelsMasker(
        mask, resampling_target=None, standardize=None
    ).fit_transform(run),
}


@pytest.mark.parametrize("place", [(0, 1, 1e-7), (1, 3, 1.5e-5), (2, 3, 9e-4)])
@pytest.mark.parametrize("door", COMPARISONS)
def test_rounding_of_an_affine_is_accepted_by_every_function(door, place, tmp_path):
    found = COMPARISONS[door](*placed(tmp_path, *place))
    values = np.asarray(getattr(getattr(found, "values", found), "dataobj", found))
    assert values.size
    assert np.isfinite(values).all()


@pytest.mark.parametrize("door", sorted(set(COMPARISONS) - {"mean_img"}))
def test_a_shift_that_can_be_seen_is_refused_by_every_function(door, tmp_path):
    with pytest.raises(lv.GridMismatchError, match="must share one voxel grid"):
        COMPARISONS[door](*placed(tmp_path, 0, 3, 5e-3))


def test_maskers_take_the_very_values_of_a_run_on_their_grid(tmp_path):
    run, _, mask = placed(tmp_path, 0, 1, 1e-7)
    values = maskers.NiftiMasker(mask, standardize=None).fit().transform(run)
    assert np.array_equal(values, VALUES[INSIDE > 0].T)
    moved = image.resample_to_img(mask, run, interpolation="nearest")
    assert np.array_equal(moved.affine, nib.load(mask).affine)
