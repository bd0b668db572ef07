"""Seed maps: planning reads no voxel of the run, a pass each byte once."""

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.testing import CountingSource, TripwireSource, image_of, image_over

SHAPE = (10, 11, 9, 40)
RNG = np.random.default_rng(0)
VALUES = RNG.normal(1000, 10, SHAPE).astype("<f4")
MASK = image_of((RNG.random(SHAPE[:3]) < 0.5).astype("u1"), np.eye(4))
TABLE = RNG.normal(size=(40, 3))
CALLS = {
    "spheres": {"seeds": [(3, 3, 3), (7, 7, 5)], "radius": 2},
    "band, confounds": {"seeds": MASK, "high_pass": 0.02, "low_pass": 0.1, "confounds": TABLE},
    "smoothed, some volumes": {"seeds": MASK, "smoothing_fwhm": 2, "sample_mask": range(5, 40)},
    "inside of a mask": {"seeds": (3, 3, 3), "mask_img": MASK, "measure": "t"},
    "Butterworth": {"seeds": (3, 3, 3), "high_pass": 0.02, "filter": "butterworth"},
}


@pytest.mark.parametrize("options", CALLS.values(), ids=CALLS)
def test_planning_reads_no_voxel_of_the_run(options):
    _, run = image_over(TripwireSource, VALUES)
    plan = lv.plan(lv.seed_map, run, t_r=2.0, **options)
    assert plan.passes == 1
    assert plan.steps


@pytest.mark.parametrize("options", CALLS.values(), ids=CALLS)
def test_a_pass_reads_each_byte_once(options):
    source, run = image_over(CountingSource, VALUES, compression="gzip")
    lv.seed_map(run, t_r=2.0, **options)
    source.assert_each_byte_once()
    assert source.bytes_read == VALUES.nbytes
