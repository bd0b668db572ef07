"""Expressions read nothing to be built, and of each file what is asked for, once."""

import pickle

import numpy as np

import lazyvox as lv
import lazyvox.testing
from lazyvox.testing import CountingSource, TripwireSource

GRID, N_VOLUMES = (6, 7, 8), 9
RUN = np.random.default_rng(0).integers(0, 99, (*GRID, N_VOLUMES)).astype("<i2")
VOLUME_BYTES = RUN[..., 0].nbytes


def image_over(wrap, values, name, compression="gzip"):
    return lazyvox.testing.image_over(wrap, values, path=name, compression=compression, offset=0)


def test_building_printing_slicing_and_explaining_read_nothing():
    _, run = image_over(TripwireSource, RUN, "run")
    _, volume = image_over(TripwireSource, RUN[..., 0], "volume")
    z = np.log(abs(run - run.mean(axis=-1)) + 1) / run.std(axis=-1) * (volume > 3) + run.max()
    repr(z), z.shape, z.slicer[1:, ..., 2], z.dataobj.dtype, pickle.dumps(z), lv.explain(z)
    assert "volume" in str(lv.explain(sum([volume] * 30)))
    assert "Write" in lv.plan(lv.save, z, "z.nii").explain()
    assert lv.plan(lv.mean_img, z).peak_bytes > 0


def test_a_slice_of_an_expression_reads_that_slice_of_each_leaf():
    one, first = image_over(CountingSource, RUN, "a")
    other, second = image_over(CountingSource, RUN, "b")
    found = ((first - second * 2) / 3).dataobj[..., 3]
    np.testing.assert_allclose(found, (RUN[..., 3] - RUN[..., 3] * 2) / 3)
    for source in (one, other):
        assert source.reads == [(3 * VOLUME_BYTES, VOLUME_BYTES)]


def test_a_part_of_a_volume_is_read_where_the_file_allows_it():
    source, run = image_over(CountingSource, RUN, "run", compression="none")
    found = (run * 2).dataobj[:, :, 5, 4]
    np.testing.assert_array_equal(found, RUN[:, :, 5, 4] * 2)
    assert source.bytes_read == 6 * 7 * 2
    source.clear()
    np.testing.assert_array_equal((run * 2).slicer[2:4].dataobj[..., 1], RUN[2:4, ..., 1] * 2)
    assert source.bytes_read <= VOLUME_BYTES
    volume_source, volume = image_over(CountingSource, RUN[..., 0], "volume", compression="none")
    np.testing.assert_array_equal((volume + 1).dataobj[..., 2], RUN[..., 2, 0] + 1)
    assert volume_source.bytes_read == 6 * 7 * 2


def test_an_image_that_takes_part_often_is_read_once():
    source, run = image_over(CountingSource, RUN, "run")
    np.asarray((run * run + run / (run + 1)).dataobj)
    source.assert_each_byte_once()


def test_volumes_are_read_once_whatever_their_number():
    pairs = [image_over(CountingSource, RUN[..., i % 9], f"v{i}") for i in range(40)]
    total = sum(img for _, img in pairs)
    expected = sum(RUN[..., i % 9] for i in range(40))
    np.testing.assert_array_equal(np.asarray(total.dataobj), expected)
    for source, _ in pairs:
        assert source.bytes_read == VOLUME_BYTES
        source.clear()
    scan = lv.Scan(total * 2)
    mean = scan.add(lv.Mean())
    scan.run()
    np.testing.assert_array_equal(np.asarray(mean.result().dataobj), 2 * expected)
    for source, _ in pairs:
        assert source.bytes_read == VOLUME_BYTES


def test_volumes_of_one_run_are_decoded_one_after_the_other():
    source, run = image_over(CountingSource, RUN, "run")
    total = sum(run.slicer[..., t] for t in range(N_VOLUMES))
    np.testing.assert_array_equal(np.asarray(total.dataobj), RUN.sum(axis=-1))
    assert [offset for offset, _ in source.reads] == sorted(o for o, _ in source.reads)
    source.assert_each_byte_once()
