"""Smoothing as an image function: types, forms of input, faults."""

import pickle

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

import lazyvox as lv
from lazyvox.array.transformed import staging_of
from lazyvox.image import smooth_img
from lazyvox.image.smooth_transform import SmoothTransform
from lazyvox.stream.transformed_consumers import Through

AFFINE = np.diag([2.0, 3, 2.5, 1])
SHAPE = (9, 8, 7)


def image(dtype="f4", shape=(*SHAPE, 6), seed=0):
    values = (np.random.default_rng(seed).normal(size=shape) * 50).astype(dtype)
    return nib.Nifti1Image(values, AFFINE, dtype=dtype)


def expected_of(values, fwhm):
    for axis, size in enumerate((2.0, 3.0, 2.5)):
        values = gaussian_filter1d(values, fwhm / (np.sqrt(8 * np.log(2)) * size), axis=axis)
    return values


def test_a_volume_is_smoothed_when_it_is_read():
    img = image()
    smoothed = smooth_img(img, 5)
    assert not smoothed.in_memory
    assert staging_of(smoothed.dataobj).reader.transform.name == "smooth, 5 mm"
    got = smoothed.dataobj[..., 3]
    np.testing.assert_allclose(got, expected_of(img.dataobj[..., 3], 5), atol=1e-4)


@pytest.mark.parametrize(
    ("dtype", "result", "stored"),
    [
        ("f4", "f4", "f4"),
        ("f8", "f8", "f8"),
        ("i2", "f4", "f4"),
        ("u1", "f4", "f4"),
        ("i8", "f8", "f8"),
        (">f4", "f4", "f4"),
    ],
)
def test_types(dtype, result, stored):
    smoothed = smooth_img(image(dtype), 4)
    assert smoothed.dataobj.dtype == result
    assert np.asarray(smoothed.dataobj).dtype == result
    assert smoothed.get_data_dtype() == stored


def test_scaled_integers_are_saved_as_what_was_computed_or_asked_for(tmp_path):
    lv.save(image(), tmp_path / "scaled.nii.gz", dtype="i2", scale=(0.5, 3.0))
    smoothed = smooth_img(tmp_path / "scaled.nii.gz", 4)
    values = np.asarray(smoothed.dataobj)
    for dtype, stored in ((None, np.float64), (np.float32, np.float32)):
        lv.save(smoothed, tmp_path / "smoothed.nii.gz", dtype=dtype, overwrite=True)
        again = nib.load(tmp_path / "smoothed.nii.gz")
        assert again.get_data_dtype() == stored
        np.testing.assert_allclose(again.get_fdata(), values, rtol=1e-6)


@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_counts_as_0(missing):
    img = image()
    img.dataobj[2, 3, 4, 1] = missing
    img.dataobj[5, 5, 5, 2] = np.nan
    kept = img.dataobj.copy()
    cleaned = np.where(np.isfinite(kept), kept, 0)
    got = np.asarray(smooth_img(img, 5).dataobj)
    np.testing.assert_allclose(got, expected_of(cleaned, 5), atol=1e-4)
    np.testing.assert_array_equal(img.dataobj, kept)


def test_a_list_gives_a_list_and_3d_gives_3d(tmp_path):
    nib.save(image(), tmp_path / "run.nii.gz")
    first, second = smooth_img((image(shape=SHAPE), str(tmp_path / "run.nii.gz")), 3)
    assert (first.shape, second.shape) == (SHAPE, (*SHAPE, 6))
    (only,) = smooth_img(iter([image(shape=SHAPE)]), 3)
    np.testing.assert_array_equal(only.get_fdata(), first.get_fdata())
    joined = smooth_img([[image(shape=SHAPE), image(shape=SHAPE, seed=1)]], 3)
    assert joined[0].shape == (*SHAPE, 2)


def test_zero_warns_and_leaves_the_values():
    img = image()
    with pytest.warns(lv.LazyvoxWarning, match="`fwhm` is 0: the image is not smoothed"):
        smoothed = smooth_img(img, 0)
    np.testing.assert_array_equal(np.asarray(smoothed.dataobj), img.dataobj)


@pytest.mark.parametrize("fwhm", [None, [0, 0, 0], [None, 0, None]])
def test_no_width_leaves_the_values(fwhm):
    img = image()
    smoothed = smooth_img(img, fwhm)
    np.testing.assert_array_equal(np.asarray(smoothed.dataobj), img.dataobj)
    assert staging_of(smoothed.dataobj).reader.transform.name == "smooth, 0 mm"


FAULTS = {
    "negative": (-2, ValueError, "not below 0. Got -2"),
    "NaN": (np.nan, ValueError, "finite"),
    "infinite": ([1, np.inf, 2], ValueError, "finite"),
    "two": ([1, 2], ValueError, r"Got 2 numbers: \[1.0, 2.0\]"),
    "none": ([], ValueError, "Got 0 numbers"),
    "word": ("slow", TypeError, "Got 'slow'"),
    "number as text": ("6", TypeError, "Got the text '6'"),
    "object": (object(), TypeError, "must be a width in mm"),
}


@pytest.mark.parametrize(("fwhm", "error", "message"), FAULTS.values(), ids=FAULTS)
def test_what_is_no_width(fwhm, error, message):
    with pytest.raises(error, match=message):
        smooth_img(image(), fwhm)


def test_images_of_other_dimensions_are_refused():
    with pytest.raises(lv.ParameterError, match="must be 3D or 4D"):
        smooth_img(nib.Nifti1Image(np.zeros((2, 2, 2, 2, 2), "f4"), AFFINE), 3)
    with pytest.raises(TypeError, match="an image must be a path"):
        smooth_img(3, 3)


def test_an_image_pickles():
    smoothed = smooth_img(image(), (1, 0, 5))
    again = pickle.loads(pickle.dumps(smoothed))
    np.testing.assert_array_equal(again.get_fdata(), smoothed.get_fdata())


def test_the_transform_serves_a_shared_pass():
    img = image()
    scan = lv.Scan(img)
    plain = scan.add(lv.Mean())
    smoothed = scan.add(Through(SmoothTransform.of(AFFINE, SHAPE, 5), [lv.Mean()]))
    assert "smooth, 5 mm > Mean" in scan.explain()
    scan.run(n_jobs=2)
    (mean,) = smoothed.result()
    expected = expected_of(plain.result().get_fdata(), 5)
    np.testing.assert_allclose(mean.get_fdata(), expected, atol=1e-5)
