"""Reads of arrays: none for a description, and no more than each slice needs."""

import pickle

import numpy as np
import pytest

from lazyvox.array import Conversion, FileReader, LazyArray
from lazyvox.planning.spec import ArraySpec
from lazyvox.testing import (
    CountingSource,
    FlakySource,
    MemorySource,
    TripwireSource,
    random_values,
    write_lazy_array,
)

SHAPE = (16, 17, 18, 19)
VALUES = random_values(SHAPE, "<i2")
OFFSET = 352
KIB = 1024


def over(wrap, values=VALUES, *, compression="none", conversion=None):
    payload = bytes(OFFSET) + values.tobytes(order="F")
    source = wrap(MemorySource(payload, compression=compression))
    return source, LazyArray.over(
        FileReader(source, ArraySpec(values.shape, values.dtype, OFFSET)), conversion
    )


DESCRIPTIONS = {
    "repr": repr,
    "str": str,
    "len": len,
    "pickle": pickle.dumps,
    "shape": lambda lazy: (lazy.shape, np.shape(lazy)),
    "sizes": lambda lazy: (lazy.ndim, lazy.size, lazy.nbytes, lazy.dtype, lazy.ondisk_dtype),
    "header": lambda lazy: (lazy.slope, lazy.inter, lazy.offset, lazy.is_proxy),
    "view": lambda lazy: lazy.view((slice(2, 9), ..., [0, 3])),
    "view of a view": lambda lazy: lazy.view(3).view((..., None)).view(slice(None, None, -1)),
    "reshape": lambda lazy: lazy.reshape(-1, 19),
    "astype": lambda lazy: lazy.astype(np.float32),
    "empty slice": lambda lazy: lazy[5:5],
    "empty list": lambda lazy: lazy[[]],
    "empty mask": lambda lazy: lazy[np.zeros(SHAPE[:3], bool)],
    "iter": iter,
}


@pytest.mark.parametrize("use", DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_descriptions_read_nothing(use):
    source, lazy = over(CountingSource)
    use(lazy)
    assert source.bytes_read == 0


@pytest.mark.parametrize("key", [99, (0, 99), ([0, 99],), "R", (..., ...), np.ones(3, bool)])
def test_a_wrong_index_is_refused_before_anything_is_read(key):
    _, lazy = over(TripwireSource)
    with pytest.raises(IndexError, match=r"ind|mask|ellipsis"):
        lazy[key]


def test_a_search_is_refused_rather_than_reading_everything():
    _, lazy = over(TripwireSource)
    with pytest.raises(TypeError, match="would read the whole image"):
        assert 3 in lazy


def test_a_volume_is_one_read_of_its_bytes():
    source, lazy = over(CountingSource)
    volume = VALUES[..., 0].nbytes
    assert np.array_equal(lazy[..., 7], VALUES[..., 7])
    assert source.reads == [(OFFSET + 7 * volume, volume)]


def test_neighbouring_volumes_are_one_read():
    source, lazy = over(CountingSource)
    volume = VALUES[..., 0].nbytes
    for key in (slice(3, 9), slice(8, 2, -1), [3, 4, 5, 6, 7, 8]):
        source.clear()
        assert np.array_equal(lazy[..., key], VALUES[..., key])
        assert source.reads == [(OFFSET + 3 * volume, 6 * volume)]


def test_pieces_up_to_64_kib_apart_are_one_read_and_farther_ones_are_not():
    values = random_values((64 * KIB + 8, 4), "u1")
    source, lazy = over(CountingSource, values)
    assert np.array_equal(lazy[:8, :], values[:8, :])
    assert len(source.reads) == 1
    source.clear()
    assert np.array_equal(lazy[:7, :], values[:7, :])
    assert [nbytes for _, nbytes in source.reads] == [7] * 4


def test_a_voxel_of_all_large_volumes_reads_a_few_bytes_of_each():
    values = random_values((64, 64, 20, 6), "<i2")
    source, lazy = over(CountingSource, values)
    assert np.array_equal(lazy[1, 2, 3], values[1, 2, 3])
    assert source.reads == [
        (lazy.offset + (1 + 64 * 2 + 4096 * 3 + 81920 * t) * 2, 2) for t in range(6)
    ]


def test_volumes_far_apart_in_any_order_are_read_once_each_in_file_order():
    values = random_values((64, 64, 20, 9), "<i2")
    source, lazy = over(CountingSource, values)
    picked = [8, 0, 4, 0, 8]
    assert np.array_equal(lazy[..., picked], values[..., picked])
    source.assert_each_byte_once()
    assert source.reads == sorted(source.reads)
    assert source.bytes_read == 3 * values[..., 0].nbytes


@pytest.mark.parametrize(
    "key", [np.s_[..., ::-1], np.s_[..., [5, 2, 8, 2]], np.s_[:, ::-2, :, ::-3]]
)
@pytest.mark.parametrize(
    "values", [VALUES, random_values((70, 60, 50, 9), "<i2")], ids=["small", "large"]
)
def test_a_scaled_stream_is_read_forwards_only(key, values):
    source, lazy = over(
        CountingSource, values, compression="gzip", conversion=Conversion(2.0, 1.0)
    )
    lazy.view(key).read()
    assert source.reads == sorted(source.reads)
    source.assert_each_byte_once()


STREAMED = random_values((32, 32, 16, 30), "<i2", seed=1)


def volume_by_volume(lazy):
    for t in range(lazy.shape[-1]):
        assert np.array_equal(lazy[..., t], STREAMED[..., t])


def slice_by_slice(lazy):
    for t in range(lazy.shape[-1]):
        for k in range(lazy.shape[2]):
            assert np.array_equal(lazy[:, :, k, t], STREAMED[:, :, k, t])


def every_third_volume(lazy):
    for t in range(0, lazy.shape[-1], 3):
        lazy[..., t]


def views(lazy):
    for t in range(lazy.shape[-1]):
        np.asarray(lazy.view((..., t)), dtype=np.float64)


def some_voxels(lazy):
    lazy[STREAMED[..., 0] > 20_000]


@pytest.mark.parametrize(
    "walk", [volume_by_volume, slice_by_slice, every_third_volume, views, some_voxels, np.asarray]
)
@pytest.mark.parametrize("compression", ["gzip", "bzip2", "zstd"])
def test_walking_forward_decodes_a_stream_once(tmp_path, watch_reads, compression, walk):
    path = tmp_path / "file"
    lazy = write_lazy_array(path, STREAMED, compression=compression)
    counts = []
    watch_reads(counts.append)
    walk(lazy)
    assert 0.9 * path.stat().st_size <= sum(counts) <= path.stat().st_size


def test_two_arrays_over_one_file_walk_side_by_side(tmp_path, watch_reads):
    path = tmp_path / "file"
    lazy = write_lazy_array(path, STREAMED, compression="gzip")
    counts = []
    watch_reads(counts.append)
    for t in range(20):
        lazy[..., t]
        lazy[..., t + 10]
    assert sum(counts) <= 2 * path.stat().st_size


def test_a_failed_read_leaves_no_state():
    for fail_at in range(1, 4):
        _, lazy = over(lambda inner, n=fail_at: FlakySource(inner, n))
        for _ in range(fail_at - 1):
            assert np.array_equal(lazy[..., 1], VALUES[..., 1])
        with pytest.raises(OSError, match="fails on purpose"):
            lazy[..., 1]
        assert np.array_equal(np.asarray(lazy), VALUES)


def test_writing_to_a_result_changes_nothing_but_the_result():
    _, lazy = over(lambda source: source)
    for key in (..., np.s_[2:5], np.s_[..., [1, 2]], VALUES[..., 0] > 0):
        lazy[key][...] = 0
        assert np.array_equal(np.asarray(lazy), VALUES)


def test_a_result_is_as_large_as_itself():
    _, lazy = over(lambda source: source)
    for key in (np.s_[::3, ::2, 5, ::7], np.s_[..., [0, 18]], np.s_[:, 4:5]):
        values = lazy[key]
        assert values.flags.owndata or values.base.nbytes == values.nbytes
