"""Functions on masks read each byte of a series once, and nothing where nothing is needed."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.masking import (
    apply_mask,
    compute_background_mask,
    compute_brain_mask,
    compute_epi_mask,
    compute_multi_brain_mask,
    unmask,
)
from lazyvox.testing import CountingSource, TripwireSource, image_over

SHAPE = (16, 17, 18, 19)
VALUES = np.asfortranarray(np.random.default_rng(0).normal(size=SHAPE).astype("<f4"))
MASK = nib.Nifti1Image(np.ones(SHAPE[:3], "u1"), np.eye(4))


PASSES = {
    "apply_mask": lambda img: apply_mask(img, MASK),
    "smoothed": lambda img: apply_mask(img, MASK, dtype="f8", smoothing_fwhm=2),
    "compute_epi_mask": lambda img: compute_epi_mask(img, opening=False),
    "compute_background_mask": compute_background_mask,
    "resampled": lambda img: compute_epi_mask(img, opening=0, target_affine=np.eye(3) * 2),
}


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("call", PASSES.values(), ids=PASSES)
def test_each_byte_is_read_once(call, compression):
    source, img = image_over(CountingSource, VALUES, compression=compression)
    call(img)
    source.assert_each_byte_once()
    assert source.bytes_read == VALUES.nbytes


@pytest.mark.parametrize("call", PASSES.values(), ids=PASSES)
def test_planning_reads_nothing(call):
    _, img = image_over(TripwireSource, VALUES)
    assert lv.plan(call, img).passes == 1


def test_the_template_needs_the_grid_alone():
    _, img = image_over(TripwireSource, VALUES)
    assert compute_brain_mask(img, opening=False).shape == SHAPE[:3]
    assert compute_multi_brain_mask([img, img], opening=False).shape == SHAPE[:3]


@pytest.mark.parametrize(
    "mask_img",
    [
        nib.Nifti1Image(np.zeros(SHAPE[:3], "u1"), np.eye(4)),
        nib.Nifti1Image(np.ones((3, 3, 3), "u1"), np.eye(4)),
    ],
    ids=["empty", "other grid"],
)
def test_masks_are_refused_before_the_series_is_read(mask_img):
    _, img = image_over(TripwireSource, VALUES)
    with pytest.raises(ValueError, match="mask"):
        apply_mask(img, mask_img)


def test_wrong_arguments_are_refused_before_the_series_is_read():
    _, img = image_over(TripwireSource, VALUES)
    for arguments in ({"opening": -1}, {"upper_cutoff": 2}, {"connected": "yes"}):
        with pytest.raises((ValueError, TypeError), match=next(iter(arguments))):
            compute_epi_mask(img, **arguments)
    with pytest.raises(ValueError, match="border_size"):
        compute_background_mask(img, border_size=0)


class CountedRows(np.ndarray):
    """Signals that count the rows that are looked at."""

    looked_at = 0

    def __getitem__(self, key):
        rows = np.asarray(super().__getitem__(key))
        CountedRows.looked_at += rows.size // self.shape[-1]
        return rows


def test_images_of_signals_hold_no_volume():
    rows = np.ones((50, MASK.dataobj.size), "f4")
    # What could be written to is copied.
    rows.flags.writeable = False
    signals = rows.view(CountedRows)
    CountedRows.looked_at = 0
    img = unmask(signals, MASK)
    assert img.slicer[..., 3:9].shape == (*SHAPE[:3], 6)
    assert CountedRows.looked_at == 0
    assert img.dataobj[..., 7].all()
    assert CountedRows.looked_at == 1
