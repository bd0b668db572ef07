"""`math_img` and `clean_img` give what nilearn's give."""

import re

import nibabel as nib
import nilearn.image
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.image import clean_img, math_img

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
SHAPE = (4, 5, 6, 7)


def images():
    rng = np.random.default_rng(0)
    a = nib.Nifti1Image(rng.normal(size=SHAPE).astype("f4"), AFFINE)
    a.header.set_zooms((2, 2, 2, 1.5))
    b = nib.Nifti1Image(rng.integers(0, 200, SHAPE).astype("u1"), AFFINE)
    c = nib.Nifti1Image(rng.integers(-9, 9, SHAPE[:3]).astype("i2"), AFFINE)
    return {"a": a, "b": b, "c": c}


FORMULAS = """
a + b * 2
a - b / 3
b + b
b // 7 % 5
-c
a ** 2 + a ** 0.5 + b ** 2
a ** -1
2 ** b
c[:, :, :, None] * a
(a > 0) & (b < 100) | (b == 3) ^ ~(a > 1)
np.log(np.abs(a) + 1)
np.where(a > 0, a, b)
np.clip(a, -1, 1) + a.clip(0, 1)
a.astype('int16')
np.float32(b)
np.mean(a, axis=-1)
a.mean(axis=-1) - np.mean(b, axis=3)
(a - np.mean(a, axis=-1, keepdims=True)) / np.std(a, axis=-1, keepdims=True)
a / np.mean(a)
a - np.mean(a, axis=(0, 1, 2), keepdims=True)
np.std(b, axis=-1, ddof=1)
np.var(a)
np.std(a, axis=(0, 3))
np.sum(b > 100, axis=-1)
np.sum(a, axis=0)
np.any(a > 2, axis=-1)
np.all(b, axis=-1)
np.min(a, -1) + np.max(b, axis=-1)
a > np.percentile(a, 80)
np.percentile(a, 50, axis=(0, 1, 2))
np.median(a, axis=-1)
np.percentile(a, 30, axis=-1)
np.percentile(a, q=30.5, axis=3, keepdims=True)[..., 0]
np.sort(a, axis=-1)
a[..., 0]
a[..., 2:5]
a[1:3]
a[0, 0]
a[..., None]
a[a > 0]
a[..., [0, 2]]
a[..., ::-1]
a[:, :, 3]
a * 1j
np.nan_to_num(a / 0)
a < c[:, :, :, np.newaxis]
np.arctan2(a, b) * np.pi
b.astype('i8')
np.mean(a > 0, axis=-1)
np.mean(a, dtype='f8')
np.nanmean(a, axis=-1)
b - np.uint8(250) + b * np.float64(2)
np.float16(a).astype('f4') + np.float16(1)
""".strip().splitlines()


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore:Data array used:UserWarning")
@pytest.mark.filterwarnings("ignore::lazyvox.LazyvoxWarning")
@pytest.mark.parametrize("formula", FORMULAS)
def test_values_types_and_headers(formula):
    imgs = {name: img for name, img in images().items() if name in used_names(formula)}
    theirs, ours = nilearn.image.math_img(formula, **imgs), math_img(formula, **imgs)
    expected, found = np.asarray(theirs.dataobj), np.asarray(ours.dataobj)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-6)
    np.testing.assert_array_equal(ours.affine, theirs.affine)
    for field in theirs.header:
        np.testing.assert_array_equal(ours.header[field], theirs.header[field], err_msg=field)


def used_names(formula):
    return {name for name in "abc" if re.search(rf"\b{name}\b", formula)}


def test_a_copied_header():
    imgs = images()
    theirs = nilearn.image.math_img("a * 2", copy_header_from="a", a=imgs["a"])
    ours = math_img("a * 2", copy_header_from="a", a=imgs["a"])
    assert ours.header == theirs.header


ERRORS = ["(", "x + a", "np.toto(a)", "a.foo", "a and b", "1 < a < 2", "not a", "a + a[1:3]"]
ERRORS += ["~a", "np.mean(a, axis=9)", "np.mean(a, foo=1)", "c ** -1", "b + 300", "1 / 0", "1"]


def error_of(call, formula, imgs):
    """Return the type of the error that a call raises, None if it raises none."""
    try:
        call(formula, **imgs)
    except (ArithmeticError, AttributeError, NameError, SyntaxError, TypeError, ValueError) as one:
        return type(one)
    return None


@pytest.mark.filterwarnings("ignore:Some images:UserWarning", "ignore:every image:UserWarning")
@pytest.mark.parametrize("formula", ERRORS)
def test_errors_are_of_the_same_types(formula):
    imgs = {name: img for name, img in images().items() if name in used_names(formula)}
    imgs = imgs or {"a": images()["a"]}
    theirs = error_of(nilearn.image.math_img, formula, imgs)
    built_in = next(one for one in theirs.__mro__ if one.__module__ == "builtins")
    assert issubclass(error_of(math_img, formula, imgs), built_in)


def run_of(dtype):
    values = np.random.default_rng(3).normal(size=(6, 5, 4, 60)).cumsum(-1) * 5 + 500
    img = nib.Nifti1Image(values.astype(dtype), AFFINE)
    img.header.set_zooms((2, 2, 2, 1.5))
    return img


CLEANING = {
    "zscore": {"standardize": "zscore_sample"},
    "psc": {"standardize": "psc", "detrend": False},
    "band and confounds": {
        "standardize": None,
        "low_pass": 0.1,
        "high_pass": 0.01,
        "t_r": 2.0,
        "confounds": np.random.default_rng(4).normal(size=(60, 3)),
    },
    "sample mask": {
        "standardize": "zscore_sample",
        "clean__sample_mask": np.r_[2:20, 25:60],
    },
    "runs": {"standardize": None, "runs": np.repeat([0, 1], 30)},
    "cosine": {"standardize": None, "high_pass": 0.02, "t_r": 2.0, "clean__filter": "cosine"},
}


@pytest.mark.parametrize("has_mask", [False, True])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2"])
@pytest.mark.parametrize("options", CLEANING.values(), ids=CLEANING)
def test_cleaned_images(options, dtype, has_mask):
    img = run_of(dtype)
    inside = np.random.default_rng(5).random((6, 5, 4)) > 0.4
    mask = nib.Nifti1Image(inside.astype("u1"), AFFINE) if has_mask else None
    theirs = nilearn.image.clean_img(img, mask_img=mask, **options)
    ours = clean_img(img, mask_img=mask, **options)
    expected, found = np.asarray(theirs.dataobj), np.asarray(ours.dataobj)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_array_equal(ours.affine, theirs.affine)
    # The type is that of the values, and limits of display need all of them; the repetition time
    # is the one that was used, or that of the run, in seconds wherever it is written.
    spoken = {"datatype", "bitpix", "cal_max", "cal_min", "pixdim", "xyzt_units"}
    for field in set(theirs.header) - spoken:
        np.testing.assert_array_equal(ours.header[field], theirs.header[field], err_msg=field)
    sizes = np.delete(theirs.header["pixdim"], 4)
    np.testing.assert_array_equal(np.delete(ours.header["pixdim"], 4), sizes)
    assert ours.header["pixdim"][4] == options.get("t_r", 1.5)
    is_written = has_mask or "t_r" in options
    space, time = theirs.header.get_xyzt_units()
    assert ours.header.get_xyzt_units() == (space, "sec" if is_written else time)
    assert ours.get_data_dtype() == found.dtype


def test_errors_of_cleaning():
    img, volume = run_of("f4"), nib.Nifti1Image(np.ones((6, 5, 4), "u1"), AFFINE)
    moved = nib.Nifti1Image(np.ones((6, 5, 4), "u1"), AFFINE * 2)
    empty = nib.Nifti1Image(np.zeros((6, 5, 4), "u1"), AFFINE)
    with pytest.raises(TypeError, match="4D"):
        clean_img(volume)
    with pytest.raises(TypeError, match="3D"):
        clean_img(img, mask_img=img, standardize=None)
    with pytest.raises(ValueError, match="must share one voxel grid"):
        clean_img(img, mask_img=moved, standardize=None)
    with pytest.raises(ValueError, match="must hold at least one voxel"):
        clean_img(img, mask_img=empty, standardize=None)
    with pytest.raises(ValueError, match=r"must be given with `low_pass` .* says 1\.5"):
        clean_img(img, low_pass=0.1, standardize=None)
    with pytest.warns(lv.LazyvoxWarning, match=r"must begin with 'clean__'. Got \['smooth'\]"):
        clean_img(img, standardize=None, smooth=3)
