"""Masks that are none, in the functions that have nilearn's names: its outcome, our words."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.maskers import NiftiMasker
from lazyvox.masking import apply_mask, intersect_masks, load_mask_img, unmask
from lazyvox.testing.images import image_of as image

SHAPE = (5, 6, 7)
RUN = nib.Nifti1Image(np.random.default_rng(0).normal(size=(*SHAPE, 4)).astype("f4"), np.eye(4))


def with_values(*values, dtype="f4"):
    filled = np.zeros(SHAPE, dtype)
    filled.flat[: len(values)] = values
    return filled


def both(mask_img):
    """Yield the functions that read a mask."""
    yield lambda: apply_mask(RUN, mask_img)
    yield lambda: unmask(np.zeros((2, 3)), mask_img)
    yield lambda: load_mask_img(mask_img)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (with_values(), "at least one voxel. Got zeros only"),
        (with_values(1, 3), "zeros and one other value.*looks like labels"),
        (with_values(0.25, 0.5), "looks like probabilities"),
        (np.where(with_values(1) == 1, 1, 2).astype("u1"), "background must be 0"),
        (with_values(1, 2) + 3, "Got the values 3, 4, 5"),
    ],
    ids=["empty", "labels", "probabilities", "no background", "three"],
)
def test_images_that_are_no_masks(values, text):
    for call in both(image(values)):
        with pytest.raises(lv.RegionError, match=text):
            call()


@pytest.mark.parametrize("inside", [1, 255, 0.3, -1])
def test_the_value_inside_is_free(inside):
    mask, _ = load_mask_img(image(with_values(inside, inside)))
    assert mask.dtype == bool
    assert mask.sum() == 2


def test_a_mask_of_everything():
    assert load_mask_img(image(np.full(SHAPE, 7, "i2")))[0].all()


def test_an_empty_mask_where_it_is_allowed():
    assert not load_mask_img(image(with_values()), allow_empty=True)[0].any()


def test_values_that_are_not_finite_are_outside():
    img = image(with_values(1, np.nan, np.inf, -np.inf, 1))
    with pytest.warns(lv.LazyvoxWarning, match="3 of 210 are NaN or infinite"):
        mask, _ = load_mask_img(img)
    assert mask.sum() == 2


def test_the_file_is_named(tmp_path):
    path = tmp_path / "labels.nii.gz"
    nib.save(image(with_values(1, 2, 3)), path)
    with pytest.raises(lv.RegionError, match=r"labels\.nii\.gz"):
        apply_mask(RUN, path)


def test_four_dimensions():
    with pytest.raises(TypeError, match="must be 3D"):
        apply_mask(RUN, image(np.ones((*SHAPE, 2)), np.eye(4)))
    assert apply_mask(RUN, image(np.ones((*SHAPE, 1)), np.eye(4))).shape == (4, 210)


@pytest.mark.parametrize("given", [3, np.ones(SHAPE), None, {}])
def test_what_is_no_image(given):
    with pytest.raises(TypeError, match="image"):
        apply_mask(RUN, given)
    with pytest.raises(TypeError, match="image"):
        apply_mask(given, image(with_values(1)))


@pytest.mark.parametrize(
    ("shape", "affine"),
    [
        (SHAPE, np.diag([1, 1, 1.01, 1])),
        (SHAPE, np.diag([-1, 1, 1, 1])),
        ((5, 6, 8), np.eye(4)),
        (SHAPE, nib.affines.from_matvec(np.eye(3), [500, 0, 0])),
    ],
    ids=["zoom", "flip", "shape", "far away"],
)
def test_another_grid(shape, affine):
    with pytest.raises(
        lv.GridMismatchError, match=r"share one voxel grid\. `mask_img` .*memory.*Resample one"
    ):
        apply_mask(RUN, image(np.ones(shape, "u1"), affine))


def test_rounding_of_an_affine_is_no_other_grid():
    affine = np.eye(4)
    affine[:3, 3] += 1e-9
    assert apply_mask(RUN, image(np.ones(SHAPE, "u1"), affine)).shape == (4, 210)


def test_five_dimensions():
    with pytest.raises(ValueError, match="must be 3D or 4D"):
        apply_mask(image(np.ones((*SHAPE, 2, 2))), image(np.ones(SHAPE)))
    with pytest.raises(ValueError, match=r"slicer\[:, :, :, 0, :\]\.$"):
        apply_mask(image(np.ones((*SHAPE, 1, 4))), image(np.ones(SHAPE)))


def test_masks_that_cannot_be_intersected():
    one = image(np.ones(SHAPE, "u1"))
    with pytest.raises(ValueError, match="at least one mask"):
        intersect_masks([])
    with pytest.raises(lv.GridMismatchError, match=r"Mask 1.*\(5, 6, 8\).*mask 0.*\(5, 6, 7\)"):
        intersect_masks([one, image(np.ones((5, 6, 8), "u1"))])
    with pytest.raises(lv.RegionError, match="looks like labels"):
        intersect_masks([one, image(with_values(1, 2, 3))])
    for threshold in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="from 0 to 1"):
            intersect_masks([one], threshold=threshold)
    for arguments in ({"threshold": "0.5"}, {"threshold": None}, {"connected": 1}):
        with pytest.raises(TypeError, match=next(iter(arguments))):
            intersect_masks([one], **arguments)
    for given in ("a.nii", one):
        with pytest.raises(TypeError, match="must be a list of masks"):
            intersect_masks(given)
    with pytest.raises(TypeError, match="image"):
        intersect_masks([one, 3])


@pytest.mark.filterwarnings("ignore:.*converted to float32")
def test_maskers_take_any_values_inside_in_all_volumes():
    volumes = np.stack([with_values(1, 2, np.nan, 4, 5), with_values(1, 2, 3, 0, 7)], axis=-1)
    masker = NiftiMasker(mask_img=image(volumes))
    with pytest.warns(lv.LazyvoxWarning, match="1 of 210 are NaN or infinite"):
        masker.fit()
    inside = np.asarray(masker.mask_img_.dataobj)
    assert inside.dtype == np.uint8
    assert np.flatnonzero(inside).tolist() == [0, 1, 4]
    with pytest.raises(lv.RegionError, match=r"`mask_img` .*Got zeros only"):
        NiftiMasker(mask_img=image(np.zeros((*SHAPE, 2), "f4"))).fit()
