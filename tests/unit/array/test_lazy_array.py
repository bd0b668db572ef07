"""The manners of a lazy array: those of NumPy, and of nibabel's proxies."""

import pickle

import nibabel
import numpy as np
import pytest

from lazyvox.array import Conversion, FileReader, LazyArray
from lazyvox.errors import MaterializationError, ParameterError, ParameterTypeError
from lazyvox.planning.spec import ArraySpec
from lazyvox.testing import MemorySource, random_values, write_lazy_array

VALUES = random_values((4, 5, 6, 7), "<i2")


def over(values=VALUES, conversion=None):
    source = MemorySource(values.tobytes(order="F"))
    return LazyArray.over(FileReader(source, ArraySpec(values.shape, values.dtype)), conversion)


def test_describes_itself():
    lazy = over(conversion=Conversion(2.0, 1.0))
    assert (lazy.shape, lazy.ndim, lazy.size, len(lazy)) == ((4, 5, 6, 7), 4, 840, 4)
    assert (lazy.dtype, lazy.ondisk_dtype, lazy.nbytes) == (np.float64, np.int16, 6720)
    assert (lazy.slope, lazy.inter, lazy.is_proxy) == (2.0, 1.0, True)
    assert "shape=(4, 5, 6, 7)" in repr(lazy)
    assert nibabel.is_proxy(lazy)


def test_numpy_takes_it_for_an_array():
    lazy = over()
    assert np.array_equal(np.asarray(lazy), VALUES)
    assert np.array_equal(np.array(lazy, copy=True), VALUES)
    assert np.asarray(lazy, dtype="f4").dtype == np.float32
    assert np.mean(lazy) == np.mean(VALUES)
    with pytest.raises(ValueError, match="a copy cannot be avoided"):
        np.array(lazy, copy=False)
    assert issubclass(ParameterError, ValueError)


def test_iteration_ends():
    assert all(np.array_equal(a, b) for a, b in zip(over(), VALUES, strict=True))
    with pytest.raises(TypeError, match="unsized"):
        len(over().view((0, 0, 0, 0)))


def test_truth_is_numpys():
    assert bool(over().view((0, 0, 0, 0))) == bool(VALUES[0, 0, 0, 0])
    with pytest.raises(ValueError, match="ambiguous"):
        bool(over())


def test_reshape_keeps_the_order_of_the_file():
    lazy = over()
    wanted = VALUES.reshape((20, 42), order="F")
    for reshaped in (lazy.reshape((20, 42)), lazy.reshape(20, -1), lazy.reshape([20, 42])):
        assert np.array_equal(np.asarray(reshaped), wanted)
    assert lazy.reshape(np.int64(840)).shape == (840,)
    assert lazy.reshape(-1).shape == (840,)
    assert np.array_equal(lazy.reshape(840)[5:9], VALUES.ravel(order="F")[5:9])


@pytest.mark.parametrize("shape", [(3, 3), (-1, -1), (-1, 11), (-2, -420), (0,)])
def test_reshape_refuses_other_sizes(shape):
    with pytest.raises(ParameterError, match="must hold as many values"):
        over().reshape(shape)


def test_reshape_of_a_slice_is_refused_rather_than_read():
    with pytest.raises(MaterializationError, match="Reshape first"):
        over().view(slice(1, 3)).reshape(-1)


def test_axes_of_no_length():
    for shape in [(2, 3, 0), (0,), (2, 3, 4, 0), (0, 5)]:
        lazy = over(np.empty(shape, "<f4"))
        assert np.asarray(lazy).shape == shape
        assert lazy[..., :0].shape == np.empty(shape)[..., :0].shape


def test_an_array_of_no_axis():
    lazy = over(np.array(5, "<i2"))
    assert lazy[()] == 5
    assert lazy[...].shape == ()
    assert np.asarray(lazy).shape == ()


def test_two_arrays_in_one_index_are_explained():
    with pytest.raises(IndexError, match=r"Take two steps: part = array\[first\]; part\[second\]"):
        over()[[0, 1], [0, 1]]


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u4", "i8"])
def test_indices_of_small_types_reach_the_whole_of_a_long_axis(kind):
    values = random_values((700, 3), "<i2")
    index = np.array([0, 5, 127], kind)
    assert np.array_equal(over(values)[index], values[index])
    if index.dtype.kind == "i":
        assert np.array_equal(over(values)[-index], values[-index])


def test_whatever_converts_to_an_array_is_an_index():
    lazy = over()
    mask = VALUES[..., 0] > 0
    for key in (range(3), (slice(None), range(1, 4)), np.array(2), mask, mask.tolist()):
        assert np.array_equal(lazy[key], VALUES[key])
    lazy_mask = over(mask.astype(bool))
    assert np.array_equal(lazy[lazy_mask], VALUES[mask])


def test_colours_stay_colours():
    values = random_values((4, 5, 6), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    lazy = over(values)
    assert np.array_equal(np.asarray(lazy)["G"], values["G"])
    assert np.array_equal(lazy[..., ::-2], values[..., ::-2])
    assert lazy[1, 2, 3] == values[1, 2, 3]
    with pytest.raises(ParameterTypeError, match="RGB and RGBA voxels have no single number"):
        np.asarray(lazy, dtype=np.float32)


def test_complex_values_never_lose_a_part_unasked():
    lazy = over(random_values((3, 4), "<c8"))
    with pytest.raises(ParameterTypeError, match="imaginary part"):
        np.asarray(lazy, dtype=np.float64)
    assert np.asarray(lazy, dtype=np.complex128).dtype == np.complex128


def test_unscaled_and_scaled():
    lazy = over(conversion=Conversion(0.5, 10.0))
    assert np.array_equal(lazy.get_unscaled(), VALUES)
    assert np.array_equal(lazy.get_scaled(), VALUES * 0.5 + 10)
    assert lazy.view((..., 3)).get_unscaled().dtype == np.int16
    assert lazy.get_scaled(np.complex64).dtype == np.complex128


def test_results_belong_to_the_caller(tmp_path):
    lazy = write_lazy_array(tmp_path / "image", VALUES, compression="gzip")
    first = np.asarray(lazy)
    first[...] = 0
    assert np.array_equal(np.asarray(lazy), VALUES)
    lazy.view((..., 0)).read()[...] = 0
    assert np.array_equal(lazy[..., 0], VALUES[..., 0])


def test_pickles_keep_view_and_conversion():
    lazy = over(conversion=Conversion(2.0, 1.0)).view((..., slice(None, None, -2))).astype("f4")
    copy = pickle.loads(pickle.dumps(lazy))
    assert np.array_equal(copy, lazy)
    assert copy.dtype == np.float32
