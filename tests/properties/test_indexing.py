"""A lazy array indexes as NumPy does, whatever the index and wherever the bytes are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyvox.array import Conversion, FileReader, LazyArray
from lazyvox.planning.indexing import View, as_key
from lazyvox.planning.spec import ArraySpec
from lazyvox.store import open_source
from lazyvox.testing import CountingSource, MemorySource, random_values, write_lazy_array
from lazyvox.testing.strategies import basic_indices, dtypes, indices, masks, shapes


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("arrays")


def outcome(array, key):
    """The value of an index, or the exception that it raises."""
    try:
        return array[key]
    except (IndexError, ValueError, TypeError) as error:
        return error


def assert_same(got, wanted):
    if isinstance(wanted, Exception):
        assert isinstance(got, type(wanted)), (got, wanted)
        return
    assert not isinstance(got, Exception), got
    assert type(got) is type(wanted)
    assert got.shape == wanted.shape
    assert got.dtype == wanted.dtype
    assert got.tobytes() == wanted.tobytes()


def assert_pins_nothing(values):
    """A result keeps no more memory alive than its own."""
    owner = values
    while isinstance(owner, np.ndarray) and owner.base is not None:
        owner = owner.base
    assert memoryview(owner).nbytes <= values.nbytes


def in_memory(values, offset=7, conversion=None):
    source = CountingSource(MemorySource(b"H" * offset + values.tobytes(order="F")))
    spec = ArraySpec(values.shape, values.dtype, offset)
    return source, LazyArray.over(FileReader(source, spec), conversion)


@given(st.data(), shapes(), dtypes())
def test_any_index_of_any_array(data, shape, dtype):
    values = random_values(shape, dtype)
    _, lazy = in_memory(values)
    for _ in range(4):
        key = data.draw(indices(shape))
        got = outcome(lazy, key)
        assert_same(got, outcome(values, key))
        if isinstance(got, np.ndarray):
            assert_pins_nothing(got)


@pytest.mark.parametrize("compression", ["none", "gzip", "bzip2", "zstd"])
@given(data=st.data())
def test_any_index_of_any_file(folder, compression, data):
    values = random_values((4, 5, 3, 6), "<i2")
    path = folder / compression
    lazy = write_lazy_array(path, values, compression=compression) if not path.exists() else None
    if lazy is None:
        lazy = LazyArray.over(
            FileReader(open_source(path), ArraySpec(values.shape, values.dtype, 352))
        )
    for _ in range(4):
        key = data.draw(indices(values.shape))
        assert_same(outcome(lazy, key), outcome(values, key))


@given(st.data(), shapes(), st.sampled_from([(2.5, 3.0), (1.0, -4.0), (-0.5, 0.0)]))
def test_any_index_of_a_scaled_array(data, shape, scaling):
    stored = random_values(shape, "<i2")
    slope, inter = scaling
    _, lazy = in_memory(stored, conversion=Conversion(slope, inter))
    key = data.draw(indices(shape))
    assert_same(outcome(lazy, key), outcome(stored * np.float64(slope) + inter, key))


@given(st.data(), shapes(min_dims=2))
def test_views_of_views_are_one_index(data, shape):
    values = random_values(shape, "<i4")
    source, lazy = in_memory(values)
    for _ in range(4):
        key = data.draw(basic_indices(values.shape))
        wanted = outcome(values, key)
        if isinstance(wanted, Exception):
            with pytest.raises(
                IndexError, match=r"out of bounds|too many indices|single ellipsis"
            ):
                lazy.view(key)
            break
        values, lazy = np.asarray(wanted), lazy.view(key)
        assert lazy.shape == values.shape
    assert not source.reads
    assert_same(np.asarray(lazy), values)


@given(st.data(), shapes(min_dims=2), st.data())
def test_views_with_a_list_in_place_of_a_slice(data, shape, more):
    values = random_values(shape, "<i4")
    _, lazy = in_memory(values)
    for axis in range(len(shape)):
        if not shape[axis]:
            continue
        picked = data.draw(st.lists(st.integers(-shape[axis], shape[axis] - 1), max_size=5))
        key = (*[slice(None)] * axis, picked)
        lazy, values = lazy.view(key), np.take(values, np.array(picked, np.intp), axis=axis)
    assert_same(np.asarray(lazy), values)


@given(st.data(), shapes(min_dims=1, max_dims=3))
def test_a_mask_of_one_axis_in_a_view(data, shape):
    values = random_values(shape, "<i4")
    _, lazy = in_memory(values)
    mask = data.draw(masks(shape[:1]))
    assert_same(np.asarray(lazy.view(mask)), values[mask])


@given(st.data(), shapes())
def test_each_byte_is_read_at_most_once(data, shape):
    values = random_values(shape, "<i4")
    source, lazy = in_memory(values)
    outcome(lazy, data.draw(indices(shape)))
    source.assert_each_byte_once()
    assert source.bytes_read <= values.nbytes


@given(st.data(), shapes())
def test_the_axes_of_a_view_make_its_index(data, shape):
    values = random_values(shape, "u1")
    key = data.draw(basic_indices(shape))
    wanted = outcome(values, key)
    if not isinstance(wanted, Exception):
        view = View.full(shape).take(key)
        assert np.array_equal(values[as_key(view.axes)].reshape(view.shape), wanted)


LARGE = random_values((40, 50, 30, 9), "<i2")


@given(st.data())
def test_large_scaled_arrays_are_converted_piece_by_piece(data):
    _, lazy = in_memory(LARGE, conversion=Conversion(0.5, 1.0))
    wanted = LARGE * 0.5 + 1.0
    volumes = data.draw(st.lists(st.integers(0, 8), min_size=5, max_size=12))
    step = data.draw(st.sampled_from([1, -1, 2, -3]))
    assert np.array_equal(np.asarray(lazy.view((..., volumes))), wanted[..., volumes])
    assert np.array_equal(lazy[..., ::step], wanted[..., ::step])
    assert np.array_equal(lazy[::step, 1], wanted[::step, 1])


@given(st.data())
def test_masks_over_the_grid(data):
    _, lazy = in_memory(LARGE)
    mask = data.draw(masks(LARGE.shape[:3]))
    step = data.draw(st.sampled_from([1, -1, 2]))
    assert np.array_equal(lazy[mask], LARGE[mask])
    assert np.array_equal(lazy[mask, ::step], LARGE[mask, ::step])
    assert np.array_equal(lazy[mask, 3], LARGE[mask, 3])
