"""Extraction of maps and spheres, smoothed and cleaned: planning reads no voxel, a pass each once."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.testing import CountingSource, TripwireSource, image_over

SHAPE = (10, 11, 9, 30)
RNG = np.random.default_rng(0)
VALUES = RNG.normal(1000, 10, SHAPE).astype("<f4")
MAPS = nib.Nifti1Image(RNG.random((*SHAPE[:3], 4)), np.eye(4))
CALLS = {
    "maps": {"rois": MAPS},
    "spheres": {"rois": [(3, 3, 3), (7, 7, 5)], "radius": 2},
    "cleaned": {"rois": MAPS, "detrend": True, "high_pass": 0.02, "t_r": 2.0},
    "smoothed and cleaned": {"rois": MAPS, "smoothing_fwhm": 2, "detrend": True},
    "some volumes": {"rois": [(3, 3, 3)], "detrend": True, "sample_mask": range(0, 30, 2)},
    "sets": {"rois": {"maps": MAPS, "seeds": [(3, 3, 3)]}, "standardize": "psc"},
}


@pytest.mark.parametrize("options", CALLS.values(), ids=CALLS)
def test_planning_reads_no_voxel_of_the_run(options):
    _, run = image_over(TripwireSource, VALUES)
    assert lv.plan(lv.extract, run, **options).passes == 1


@pytest.mark.parametrize("options", CALLS.values(), ids=CALLS)
def test_a_pass_reads_each_byte_once(options):
    source, run = image_over(CountingSource, VALUES)
    lv.extract(run, **options)
    source.assert_each_byte_once()
    assert source.bytes_read == VALUES.nbytes


@pytest.mark.parametrize("rois", [MAPS, [(3, 3, 3)]])
def test_image_of_signals_is_lazy(rois):
    _, run = image_over(CountingSource, VALUES)
    img = lv.extract(run, rois).to_img()
    assert not img.in_memory
    assert img.dataobj[..., 3].shape == SHAPE[:3]
