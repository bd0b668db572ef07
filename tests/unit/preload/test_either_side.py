"""Lazy readers on either side of images, arrays and numbers, with the values in files."""

import operator

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv

SHAPE = (5, 6, 7)
ONE, OTHER = np.random.default_rng(0).integers(1, 90, (2, *SHAPE)).astype(np.int16)
OPERATIONS = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.pow,
]


@pytest.fixture
def paths(tmp_path):
    paths = [tmp_path / "one.nii.gz", tmp_path / "other.nii.gz"]
    for path, values in zip(paths, (ONE, OTHER), strict=True):
        nib.save(nib.Nifti1Image(values, np.diag([2, 2, 2, 1])), path)
    return paths


#: What stands beside a lazy reader, made of a file's path.
BESIDE = {
    "lazy image": lv.load,
    "expression": lambda path: lv.load(path) + 0,
    "image of nibabel": nib.load,
    "image in memory": lambda path: nib.Nifti1Image(ONE, np.diag([2, 2, 2, 1])),
    "lazy array": lambda path: lv.load(path).dataobj,
    "array": lambda path: ONE,
    "number": lambda path: 7,
    "number of NumPy": lambda path: np.int16(7),
}


def values_of(found):
    assert isinstance(found, lv.LazyReadData)
    data = found.data
    assert isinstance(data.dataobj, np.ndarray)
    assert np.array_equal(data.affine, np.diag([2, 2, 2, 1]))
    return data.dataobj


@pytest.mark.parametrize("nops", [0, 1, "auto"])
@pytest.mark.parametrize("kind", list(BESIDE))
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.__name__)
def test_either_side(paths, operation, kind, nops):
    beside = BESIDE[kind](paths[0])
    plain = beside if "number" in kind else ONE
    with np.errstate(all="ignore"):
        for found, expected in (
            (operation(beside, lv.LazyReadData(paths[1], nops)), operation(plain, OTHER)),
            (operation(lv.LazyReadData(paths[1], nops), beside), operation(OTHER, plain)),
        ):
            values = values_of(found)
            np.testing.assert_array_equal(values, expected)
            assert values.dtype == expected.dtype


@pytest.mark.parametrize("kind", list(BESIDE))
def test_functions_of_numpy_take_them_in_any_order(paths, kind):
    beside = BESIDE[kind](paths[0])
    plain = beside if "number" in kind else ONE
    for ufunc in (np.maximum, np.add, np.hypot):
        expected = ufunc(plain, OTHER)
        np.testing.assert_array_equal(
            values_of(ufunc(beside, lv.LazyReadData(paths[1], 1))), expected
        )
        np.testing.assert_array_equal(
            values_of(ufunc(lv.LazyReadData(paths[1], 1), beside)), ufunc(OTHER, plain)
        )


def test_the_file_is_let_go_of_on_either_side(paths):
    img = lv.load(paths[0])
    lazy = lv.LazyReadData(paths[1], 2)
    _ = img + lazy
    assert lazy.preloading()
    _ = ONE + lazy
    assert not lazy.preloading()


def test_what_does_not_fit_is_refused_on_either_side(paths):
    other_grid = nib.Nifti1Image(ONE, np.eye(4))
    for pair in ((other_grid, lv.LazyReadData(paths[1])), (lv.LazyReadData(paths[1]), other_grid)):
        with pytest.raises(lv.GridMismatchError, match="must share one voxel grid"):
            operator.add(*pair)
    for pair in (("text", lv.LazyReadData(paths[1])), (lv.LazyReadData(paths[1]), "text")):
        with pytest.raises(
            TypeError, match="needs images, textures, CIFTI data, arrays or numbers"
        ):
            operator.add(*pair)


def test_in_place_operators_of_images_and_arrays(paths):
    img = lv.load(paths[0])
    img += lv.LazyReadData(paths[1], 1)
    np.testing.assert_array_equal(values_of(img), ONE + OTHER)
    array = ONE.astype(float)
    array += lv.LazyReadData(paths[1], 1)
    np.testing.assert_array_equal(array, ONE + OTHER)
