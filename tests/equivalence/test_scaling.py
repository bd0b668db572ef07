"""Scaled values are those that nibabel gives, bit by bit."""

import nibabel
import numpy as np
import pytest
from nibabel.arrayproxy import ArrayProxy

from lazyvox.array import Conversion, FileReader, LazyArray
from lazyvox.planning.spec import ArraySpec
from lazyvox.store import open_source
from lazyvox.testing import random_values, write_lazy_array, write_nifti

INTEGERS = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"]
FLOATS = ["f4", "f8", "c8", "c16"]
SHAPE = (3, 4, 5, 2)
SCALINGS = {
    "none": (1.0, 0.0),
    "slope": (2.5, 0.0),
    "inter": (1.0, 3.0),
    "both": (0.1, -7.25),
    "negative": (-1.0, 0.0),
    "huge": (float(np.float32(1e38)), 0.0),
    "denormal": (float(np.float32(1e-45)), 0.0),
}

pytestmark = [
    pytest.mark.filterwarnings("ignore:overflow|invalid:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:integers must be at most:lazyvox.LazyvoxWarning"),
]


def bits(values):
    return values.dtype.str, values.shape, values.tobytes()


def same_numbers(got, wanted):
    """Equal in type and value; a NaN equals any NaN, as arithmetic chooses its payload."""
    return got.dtype == wanted.dtype and np.array_equal(got, wanted, equal_nan=True)


@pytest.mark.parametrize("scaling", SCALINGS.values(), ids=SCALINGS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", INTEGERS + FLOATS)
def test_every_type_and_scaling(tmp_path, kind, order, scaling):
    stored = random_values(SHAPE, order + kind)
    path = tmp_path / "file"
    lazy = write_lazy_array(path, stored, conversion=Conversion(*scaling))
    proxy = ArrayProxy(str(path), (SHAPE, stored.dtype, 352, *scaling))
    assert same_numbers(np.asarray(lazy), np.asarray(proxy))
    assert same_numbers(lazy[1, ::-1, :, 1], proxy[1, ::-1, :, 1])
    assert bits(lazy.get_unscaled()) == bits(proxy.get_unscaled())
    with np.errstate(all="ignore"):
        for dtype in (None, np.float32, np.float64):
            if kind in ("c8", "c16") and dtype is not None:
                continue
            assert same_numbers(lazy.get_scaled(dtype), proxy._get_scaled(dtype, ()))
            if dtype is not None:
                wanted = np.asarray(proxy, dtype=dtype)
                assert same_numbers(np.asarray(lazy, dtype=dtype), wanted)


@pytest.mark.parametrize("kind", FLOATS)
def test_unscaled_floats_keep_every_bit(tmp_path, kind):
    stored = random_values((4096,), kind)
    special = np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324], stored.dtype)
    stored[:5] = special
    assert bits(np.asarray(write_lazy_array(tmp_path / "file", stored))) == bits(stored)


def test_integers_beyond_the_precision_of_float64_are_exact_without_scaling(tmp_path):
    for values in (
        np.array([2**63 + 1, 2**64 - 1], "<u8"),
        np.array([2**53 + 1, -(2**63)], ">i8"),
    ):
        path = tmp_path / values.dtype.str[1:]
        assert np.asarray(write_lazy_array(path, values)).tolist() == values.tolist()


def test_scaling_does_not_warn_about_what_is_in_the_file(tmp_path):
    stored = np.array([np.inf, np.nan, 3e38, -3e38], "<f4")
    lazy = write_lazy_array(tmp_path / "file", stored, conversion=Conversion(1e300, np.inf))
    with np.errstate(all="ignore"):
        wanted = stored * np.float64(1e300) + np.inf
    assert np.array_equal(np.asarray(lazy), wanted, equal_nan=True)
    assert np.isinf(np.asarray(lazy.astype(np.float32))).any()


@pytest.mark.parametrize(("slope", "inter"), [(0.1, -7.25), (3e-5, 1.0), (-2.0, 1e6), (1.0, 0.3)])
@pytest.mark.parametrize("kind", ["<i2", ">u2", "<u1", ">i4", "<f4", ">f4"])
def test_float32_is_within_the_stated_bound(tmp_path, kind, slope, inter):
    if kind.endswith("f4"):
        stored = np.random.default_rng(0).normal(0, 1000, (4, 5, 6)).astype(kind)
    else:
        stored = random_values((4, 5, 6), kind)
    lazy = write_lazy_array(tmp_path / "file", stored, conversion=Conversion(slope, inter))
    values = np.asarray(lazy.astype(np.float32))
    exact = stored.astype(np.float64) * slope + inter
    larger = np.maximum(np.abs(stored * np.float64(slope)), abs(inter))
    bound = 2 * np.spacing(larger.astype(np.float32)).astype(np.float64)
    if stored.dtype.itemsize == 4 and stored.dtype.kind in "iu":
        bound += np.abs(stored * np.float64(slope)) * 2.0**-24
    assert values.dtype == np.float32
    assert np.all(np.abs(values - exact) <= bound)


def test_float32_of_scaled_integers_is_the_same_whole_or_in_parts(tmp_path):
    stored = random_values((80, 90, 60, 3), "<i2")
    conversion = Conversion(0.1, 3.0)
    lazy = write_lazy_array(tmp_path / "file", stored, conversion=conversion).astype("f4")
    whole = np.asarray(lazy)
    assert np.array_equal(whole[..., 1], lazy[..., 1])
    assert np.array_equal(whole[3, ::2, 5:9, 1:], lazy[3, ::2, 5:9, 1:])


@pytest.mark.parametrize("kind", ["u1", "i2", "f4", "f8"])
@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "f4", "f8", ">f8", "c8"])
def test_casting_is_numpys(tmp_path, kind, dtype):
    stored = random_values((5, 6, 7), kind)
    if stored.dtype.kind == "f":
        stored = np.random.default_rng(0).normal(0, 50, (5, 6, 7)).astype(kind)
    lazy = write_lazy_array(tmp_path / "file", stored)
    with np.errstate(all="ignore"):
        wanted = stored.astype(dtype)
    assert bits(np.asarray(lazy, dtype=dtype)) == bits(np.asarray(wanted, order="C"))
    assert np.array_equal(np.asarray(lazy.astype(dtype)), wanted)


def test_files_written_by_nibabel(tmp_path):
    values = np.random.default_rng(0).normal(1000, 200, (6, 5, 4, 3))
    for dtype in ("<i2", ">i2", "u1"):
        img = nibabel.Nifti1Image(values, np.eye(4))
        img.header.set_data_dtype(dtype)
        path = tmp_path / f"{dtype[1:]}.nii.gz"
        img.to_filename(path)
        proxy = nibabel.load(path).dataobj
        spec = ArraySpec(proxy.shape, proxy.dtype, int(proxy.offset))
        conversion = Conversion(float(proxy.slope), float(proxy.inter))
        lazy = LazyArray.over(FileReader(open_source(path), spec), conversion)
        assert bits(np.asarray(lazy)) == bits(np.asarray(proxy))


def test_the_kit_writes_stored_values_and_scaling_as_given(tmp_path):
    stored = random_values((3, 4, 5), ">i2")
    for name in ("a.nii", "a.nii.gz", "a.nii.bz2"):
        img = nibabel.load(write_nifti(tmp_path / name, stored, slope=2.5, inter=-1.0))
        assert np.array_equal(img.dataobj.get_unscaled(), stored)
        assert (img.dataobj.slope, img.dataobj.inter) == (2.5, -1.0)
