"""Smoothing and resampling give nilearn's values, types, grids, warnings and errors."""

import warnings

import nibabel as nib
import numpy as np
import pytest
from nibabel.eulerangles import euler2mat

from lazyvox.image import resample_img, resample_to_img, smooth_img

nilearn_image = pytest.importorskip("nilearn.image")

#: Largest difference in float32, of the largest magnitude of the image.
ROUNDING = 2e-6


def random_image(rng, dtypes=("f4", "f8", "i2", "u1", "i4", "u2", ">f4")):
    """Return an image of some type on some grid; of floats, some are not finite."""
    dtype = str(rng.choice(dtypes))
    shape = tuple(int(n) for n in rng.integers(3, 12, 3))
    shape += (int(rng.integers(1, 4)),) * int(rng.random() < 0.7)
    values = rng.normal(size=shape) * 60
    values = (np.abs(values) if "u" in dtype else values).astype(dtype)
    if "f" in dtype and rng.random() < 0.3:
        values[tuple(rng.integers(0, 3, len(shape))[:3])] = rng.choice([np.nan, np.inf])
        values[:2, :2, :2] = np.nan
    affine = np.eye(4)
    affine[:3, :3] = np.diag(rng.choice([2, 3, -3, 2.5], 3))
    affine[:3, 3] = rng.normal(size=3) * 9
    way = rng.integers(0, 4)
    if way == 0:
        affine[:3, :3] = euler2mat(0.3) @ affine[:3, :3]
    elif way == 1:
        affine[:3, :3] = affine[rng.permutation(3), :3]
    return nib.Nifti1Image(values, affine)


def random_target(rng, affine):
    """Return target affine and shape: axes only, finer, shifted by voxels, or another grid."""
    shape = tuple(int(n) for n in rng.integers(3, 14, 3))
    way = rng.integers(0, 4)
    if way == 0:
        return np.diag(rng.choice([1.5, 2.0, 4.0], 3)), None
    target = affine.copy()
    if way == 1:
        target[:3, :3] *= 2 / 3
        return target, None
    if way == 2:
        target[:3, 3] += affine[:3, :3] @ rng.integers(-2, 2, 3)
        return target, shape
    target = np.diag([2.0, 2, 2, 1])
    target[:3, 3] = affine[:3, 3] - 5
    return target, shape


def outcome(function, *args, **options):
    """Return what a function returns, or the error that it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            img = function(*args, **options)
            return img, np.asarray(img.dataobj)
        except ValueError as error:
            return None, error


def assert_same(ours, theirs, original):
    (img, values), (reference, expected) = ours, theirs
    if reference is None:
        assert type(values).__name__ == type(expected).__name__
        return
    assert img is not None, values
    assert values.shape == expected.shape
    assert values.dtype == expected.dtype.newbyteorder("=")
    np.testing.assert_array_equal(img.affine, reference.affine)
    np.testing.assert_array_equal(img.header.get_zooms(), reference.header.get_zooms())
    finite = original[np.isfinite(original)].astype(np.float64)
    scale = np.abs(finite).max(initial=1)
    is_integer = values.dtype.kind in "iu"
    # Half-way between two integers the last bit of a sum decides.
    tolerance = 1 if is_integer else scale * (ROUNDING if values.dtype == "f4" else 1e-11)
    np.testing.assert_allclose(
        values.astype(np.float64), expected.astype(np.float64), rtol=0, atol=tolerance
    )
    if is_integer:
        assert (values != expected).mean() < 0.02


@pytest.mark.parametrize("seed", range(150))
def test_resample_img(seed):
    rng = np.random.default_rng(seed)
    img = random_image(rng)
    target_affine, target_shape = random_target(rng, img.affine)
    options = {
        "target_affine": target_affine,
        "target_shape": target_shape,
        "interpolation": ("continuous", "linear", "nearest")[seed % 3],
        "clip": bool(rng.random() < 0.5),
        "fill_value": float(rng.choice([0, 0, 5])),
        "copy_header": bool(rng.random() < 0.7),
    }
    ours = outcome(resample_img, img, **options)
    assert_same(ours, outcome(nilearn_image.resample_img, img, **options), img.dataobj)


@pytest.mark.parametrize("fwhm", [6, 2.5, None, "fast", (1, 0, 9), [3.0], 0.1, 40])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "u1", "i4", "i8", ">f4"])
def test_smooth_img(dtype, fwhm):
    rng = np.random.default_rng(4)
    values = (rng.normal(size=(13, 15, 11, 3)) * 60).astype(dtype)
    if "f" in dtype:
        values[3:5, 2, 4, 1], values[0, 0, 0, 2] = np.nan, np.inf
    img = nib.Nifti1Image(values, np.diag([2.0, 3, -2.5, 1]), dtype=np.dtype(dtype))
    ours, theirs = (outcome(one, img, fwhm) for one in (smooth_img, nilearn_image.smooth_img))
    assert_same(ours, theirs, values)


def test_the_zero_width_warns_in_both():
    img = nib.Nifti1Image(np.ones((3, 3, 3), "f4"), np.eye(4))
    for function in (smooth_img, nilearn_image.smooth_img):
        with pytest.warns(UserWarning, match="fwhm"):
            function(img, 0)


def test_real_scans(real_data):
    bold = nib.load(real_data / "haxby2001_sub001_run001_25mm_bold.nii.gz").slicer[..., :3]
    asl = nib.load(real_data / "multi_delay_asl_64x64x24x25_float32.nii.gz").slicer[..., :2]
    for img, other in ((bold, asl), (asl, bold)):
        values = np.asarray(img.dataobj)
        ours, theirs = (outcome(one, img, 6) for one in (smooth_img, nilearn_image.smooth_img))
        assert_same(ours, theirs, values)
        for interpolation in ("linear", "nearest", "continuous"):
            ours, theirs = (
                outcome(one, img, other, interpolation=interpolation)
                for one in (resample_to_img, nilearn_image.resample_to_img)
            )
            assert_same(ours, theirs, values)
