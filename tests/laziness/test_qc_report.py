"""Reports of quality: planning reads no voxel of the run, a pass each byte once."""

import numpy as np

import lazyvox as lv
from lazyvox.testing import CountingSource, TripwireSource, image_of, image_over

RNG = np.random.default_rng(0)
VALUES = RNG.normal(1000, 10, (7, 8, 6, 12)).astype("<f4")
OPTIONS = {
    "mask_img": image_of((VALUES[..., 0] > 1000).astype("u1"), np.eye(4)),
    "labels_img": image_of(RNG.integers(0, 4, VALUES.shape[:3]).astype("i2"), np.eye(4)),
}


def test_planning_reads_no_voxel_of_the_run():
    _, run = image_over(TripwireSource, VALUES)
    plan = lv.plan(lv.qc_report, run, **OPTIONS)
    assert plan.passes == 1
    assert "checks, and room for figures" in dict(plan.consumer_bytes)


def test_a_report_reads_each_byte_once():
    source, run = image_over(CountingSource, VALUES, compression="gzip")
    lv.qc_report(run, **OPTIONS)
    source.assert_each_byte_once()
    assert source.bytes_read == VALUES.nbytes
