"""Functions on images give nilearn's voxels, affines and headers."""

import itertools
import warnings
from pathlib import Path

import nibabel as nib
import nilearn.image as theirs
import numpy as np
import pandas as pd
import pytest

import lazyvox as lv
import lazyvox.image as ours

DATA = Path(__file__).parents[2].parent / "shared" / "data"
RUN = DATA / "haxby2001_sub001_run001_25mm_bold.nii.gz"
AFFINE = np.array([[-3.0, 0, 0, 40], [0, 3, 0, -50], [0, 0, 4, -30], [0, 0, 0, 1]])
SHAPE = (7, 8, 6, 9)
DTYPES = ("float32", "float64", "int16", ">i2")
HEADER_FIELDS = ("dim", "pixdim", "qform_code", "sform_code", "xyzt_units", "intent_code")


def series(dtype="float32", shape=SHAPE, seed=0, affine=AFFINE):
    """Return an image in memory with zeros at its border and values of both signs."""
    rng = np.random.default_rng(seed)
    values = rng.normal(scale=40, size=shape)
    values[:2] = 0
    values[:, -1] = 0
    if np.dtype(dtype).kind == "u":
        values = np.abs(values)
    img = nib.Nifti1Image(values.astype(dtype), affine)
    img.header.set_xyzt_units("mm", "sec")
    img.header.set_zooms((3, 3, 4, 2)[: len(shape)])
    img.header.set_intent("t test", (3,))
    return img


@pytest.fixture(params=["memory", "lazy", "nibabel"])
def opened(request, tmp_path):
    """Return a function that hands an image over in one of three ways."""

    numbers = itertools.count()

    def give(img):
        if request.param == "memory":
            return img
        path = tmp_path / f"{next(numbers)}.nii.gz"
        nib.save(img, path)
        return lv.load(path) if request.param == "lazy" else nib.load(path)

    return give


def assert_same(found, expected, rtol=0.0):
    """Compare values, affine, and what the header says of the grid."""
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.affine, expected.affine, rtol=0, atol=1e-12)
    values, truth = np.asarray(found.dataobj), np.asarray(expected.dataobj)
    np.testing.assert_allclose(values, truth, rtol=rtol, atol=rtol)
    for field in HEADER_FIELDS:
        np.testing.assert_array_equal(found.header[field], expected.header[field], field)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "index",
    [0, -1, np.int64(4), slice(2, 7), slice(None, None, -1), [3, 1, 1], [], np.arange(9) % 2 == 0],
    ids=str,
)
def test_index_img(opened, dtype, index):
    img = opened(series(dtype))
    found, expected = ours.index_img(img, index), theirs.index_img(img, index)
    assert_same(found, expected)
    native = np.asarray(expected.dataobj).dtype.newbyteorder("=")
    assert np.asarray(found.dataobj).dtype.newbyteorder("=") == native


def test_index_img_by_a_table():
    img = series()
    column = pd.DataFrame({"keep": np.arange(9) > 4})
    assert_same(ours.index_img(img, column), theirs.index_img(img, column))


def test_every_second_volume_takes_twice_the_time():
    """A difference: nilearn keeps the repetition time of the series."""
    img = series()
    assert ours.index_img(img, slice(0, 9, 2)).header.get_zooms()[3] == 4
    assert theirs.index_img(img, slice(0, 9, 2)).header.get_zooms()[3] == 2


def test_iter_img(opened):
    img = opened(series("int16"))
    found, expected = list(ours.iter_img(img)), list(theirs.iter_img(img))
    assert len(found) == len(expected) == 9
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("dtype", [None, "auto", np.float32, np.float64, np.int32])
@pytest.mark.parametrize("stored", ["float64", "int16", "uint8"])
def test_check_niimg(opened, dtype, stored):
    img = opened(series(stored))
    found, expected = ours.check_niimg(img, dtype=dtype), theirs.check_niimg(img, dtype=dtype)
    assert_same(found, expected)
    assert np.asarray(found.dataobj).dtype == np.asarray(expected.dataobj).dtype
    assert found.get_data_dtype() == expected.get_data_dtype()


def test_check_niimg_changes_dimensions_as_nilearn_does(opened):
    flat, single = opened(series(shape=(7, 8, 6))), opened(series(shape=(7, 8, 6, 1)))
    assert_same(ours.check_niimg_3d(single), theirs.check_niimg_3d(single))
    assert_same(ours.check_niimg(flat, atleast_4d=True), theirs.check_niimg(flat, atleast_4d=True))
    assert_same(ours.check_niimg_4d([flat, flat]), theirs.check_niimg_4d([flat, flat]))
    for one, other in zip(
        ours.check_niimg_4d([flat, single], return_iterator=True),
        theirs.check_niimg_4d([flat, single], return_iterator=True),
        strict=True,
    ):
        assert_same(one, other)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, None])
@pytest.mark.parametrize("ensure_ndim", [None, 5])
def test_concat_4d(opened, dtype, ensure_ndim):
    imgs = [opened(series(seed=seed)) for seed in range(3)]
    options = {"dtype": dtype, "ensure_ndim": ensure_ndim}
    found = ours.concat_imgs(imgs, **options)
    expected = theirs.concat_imgs(imgs, **options)
    assert_same(found, expected)
    assert np.asarray(found.dataobj).dtype == np.asarray(expected.dataobj).dtype


def test_concat_3d_from_a_pattern(tmp_path):
    for i in range(3):
        nib.save(series(shape=(7, 8, 6), seed=i), tmp_path / f"vol_{2 - i}.nii")
    pattern = str(tmp_path / "vol_*.nii")
    assert_same(ours.concat_imgs(pattern), theirs.concat_imgs(pattern))
    assert_same(ours.load_img(pattern), theirs.load_img(pattern))


def test_concat_keeps_values_that_the_first_type_cannot_hold():
    """A difference: nilearn casts all to the type of the first, here to integers."""
    imgs = [series("int16"), series("float32")]
    np.testing.assert_array_equal(
        np.asarray(ours.concat_imgs(imgs, dtype=None).dataobj)[..., 9:], imgs[1].dataobj
    )
    assert np.asarray(theirs.concat_imgs(imgs, dtype=None).dataobj).dtype == np.int16


@pytest.mark.parametrize("copy_header", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "bool", "int64"])
@pytest.mark.filterwarnings("ignore:.*64-bit:UserWarning")
def test_new_img_like(copy_header, dtype):
    ref = series("float32")
    data = np.abs(np.asarray(series().dataobj)).astype(dtype)
    found = ours.new_img_like(ref, data, copy_header=copy_header)
    expected = theirs.new_img_like(ref, data, copy_header=copy_header)
    assert_same(found, expected)
    assert np.asarray(found.dataobj).dtype == np.asarray(expected.dataobj).dtype
    for field in ("cal_max", "cal_min", "glmax", "scl_slope"):
        np.testing.assert_array_equal(found.header[field], expected.header[field])


@pytest.mark.parametrize("dtype", ["float32", "int16", "uint8"])
@pytest.mark.parametrize("pad", [True, False])
@pytest.mark.parametrize("rtol", [1e-8, 0.5])
@pytest.mark.parametrize("shape", [SHAPE, SHAPE[:3]])
def test_crop_img(opened, dtype, pad, rtol, shape):
    img = opened(series(dtype, shape))
    found, offset = ours.crop_img(img, rtol=rtol, pad=pad, return_offset=True)
    expected, their_offset = theirs.crop_img(img, rtol=rtol, pad=pad, return_offset=True)
    assert_same(found, expected)
    assert offset == their_offset
    assert found.header["cal_max"] == expected.header["cal_max"]
    assert found.header["cal_min"] == expected.header["cal_min"]


def axes(order, signs, offset=(10, -20, 30)):
    affine = np.eye(4)
    affine[:3, :3] = 0
    for column, (row, sign) in enumerate(zip(order, signs, strict=True)):
        affine[row, column] = sign * (column + 2)
    affine[:3, 3] = offset
    return affine


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
@pytest.mark.parametrize("shape", [SHAPE, SHAPE[:3]])
def test_reorder_img(opened, order, signs, shape):
    img = opened(series("int16", shape, affine=axes(order, signs)))
    found, expected = ours.reorder_img(img), theirs.reorder_img(img)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.affine, expected.affine)
    np.testing.assert_array_equal(found.dataobj, expected.dataobj)
    np.testing.assert_allclose(found.header.get_zooms(), expected.header.get_zooms())


def test_swap_img_hemispheres(opened):
    img = opened(series("int16", SHAPE[:3]))
    assert_same(ours.swap_img_hemispheres(img), theirs.swap_img_hemispheres(img))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
@pytest.mark.parametrize("threshold", [0, 12.5, "0%", "17.3%", "100%"])
@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("cluster", [0, 4])
@pytest.mark.parametrize("shape", [SHAPE, SHAPE[:3]])
def test_threshold_img(dtype, threshold, two_sided, cluster, shape):
    img = series(dtype, shape)
    options = {"cluster_threshold": cluster, "two_sided": two_sided}
    found = ours.threshold_img(img, threshold, **options)
    expected = theirs.threshold_img(img, threshold, **options)
    assert_same(found, expected)
    assert np.asarray(found.dataobj).dtype == np.asarray(expected.dataobj).dtype


@pytest.mark.parametrize("threshold", [10, "60%", -10])
@pytest.mark.parametrize("function", ["threshold_img", "binarize_img"])
def test_thresholds_under_a_mask(opened, threshold, function):
    img = opened(series())
    mask = nib.Nifti1Image((np.asarray(series(seed=3).dataobj)[..., 0] > 5).astype("u1"), AFFINE)
    options = {"mask_img": mask, "two_sided": False}
    found = getattr(ours, function)(img, threshold, **options)
    assert_same(found, getattr(theirs, function)(img, threshold, **options))


def test_threshold_img_under_a_mask_on_another_grid():
    img = series()
    affine = np.diag([-6.0, 6, 8, 1])
    affine[:3, 3] = AFFINE[:3, 3]
    mask = nib.Nifti1Image(np.ones((2, 4, 2), "u1"), affine)
    found = ours.threshold_img(img, "50%", mask_img=mask)
    assert_same(found, theirs.threshold_img(img, "50%", mask_img=mask))


def test_threshold_img_takes_non_finite_voxels_as_zero():
    img = series()
    img.dataobj[3, 3, 3] = np.nan
    img.dataobj[4, 3, 3] = np.inf
    found = ours.threshold_img(img, "50%")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Non-finite", category=UserWarning)
        assert_same(found, theirs.threshold_img(img, "50%"))


@pytest.mark.parametrize("threshold", [0.0, 5, "30%"])
@pytest.mark.parametrize("two_sided", [True, False])
def test_binarize_img(opened, threshold, two_sided):
    img = opened(series("float32"))
    found = ours.binarize_img(img, threshold, two_sided=two_sided)
    expected = theirs.binarize_img(img, threshold, two_sided=two_sided)
    assert_same(found, expected)
    assert np.asarray(found.dataobj).dtype == np.int8
    assert found.header["cal_max"] == expected.header["cal_max"]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", ">f4"])
def test_largest_connected_component_img(opened, dtype):
    imgs = [opened(series(dtype, SHAPE[:3], seed)) for seed in range(2)]
    found = ours.largest_connected_component_img(imgs)
    expected = theirs.largest_connected_component_img(imgs)
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)
    assert_same(
        ours.largest_connected_component_img(imgs[0]),
        theirs.largest_connected_component_img(imgs[0]),
    )


def assert_same_courses(found, expected, atol):
    """Compare orthonormal columns up to their signs."""
    assert found.shape == expected.shape
    np.testing.assert_allclose(np.abs((found * expected).sum(axis=0)), 1, atol=atol)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("detrend", [True, False])
@pytest.mark.parametrize("masked", [True, False])
def test_high_variance_confounds(opened, dtype, detrend, masked):
    shape = (9, 8, 7, 30)
    rng = np.random.default_rng(5)
    courses = rng.normal(size=(4, 30)) * np.array([60, 40, 25, 15])[:, None]
    values = rng.normal(size=(*shape[:3], 4)) @ courses + rng.normal(size=shape) + 500
    img = opened(nib.Nifti1Image(values.astype(dtype), AFFINE))
    mask = nib.Nifti1Image((rng.random(shape[:3]) > 0.3).astype("u1"), AFFINE) if masked else None
    options = {"n_confounds": 3, "percentile": 20.0, "detrend": detrend, "mask_img": mask}
    found = ours.high_variance_confounds(img, **options)
    expected = theirs.high_variance_confounds(img, **options)
    assert_same_courses(found, expected, 1e-3 if dtype == "float32" or masked else 1e-6)


def test_high_variance_confounds_of_integers_do_not_overflow():
    """A difference: nilearn squares int16 in int16, so that other voxels are chosen."""
    values = np.random.default_rng(0).integers(300, 700, (6, 5, 4, 30))
    found, expected = (
        function(nib.Nifti1Image(values.astype(dtype), AFFINE), percentile=20, detrend=False)
        for function, dtype in (
            (ours.high_variance_confounds, "int16"),
            (theirs.high_variance_confounds, "float64"),
        )
    )
    assert_same_courses(found, expected, 1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint8"])
@pytest.mark.parametrize("copy_header", [True, False])
def test_mean_img(opened, dtype, copy_header):
    img = opened(series(dtype))
    found = ours.mean_img(img, copy_header=copy_header)
    expected = theirs.mean_img(img, copy_header=copy_header)
    assert_same(found, expected, rtol=1e-5 if dtype == "float32" else 1e-12)
    assert found.header["cal_max"] == pytest.approx(expected.header["cal_max"], rel=1e-5)


def test_mean_img_of_a_list_gives_each_image_the_same_weight(opened):
    imgs = [opened(series("float64", (*SHAPE[:3], n), n)) for n in (3, 9, 5)]
    assert_same(ours.mean_img(imgs), theirs.mean_img(imgs), rtol=1e-12)
    flat = [opened(series("float64", SHAPE[:3], n)) for n in range(4)]
    assert_same(ours.mean_img(flat), theirs.mean_img(flat), rtol=1e-12)
    assert_same(ours.mean_img(iter(flat)), theirs.mean_img(flat), rtol=1e-12)


def test_mean_img_on_other_grids(opened):
    moved = AFFINE @ np.diag([1, 1.1, 0.9, 1])
    imgs = [opened(series("float64")), opened(series("float64", affine=moved, seed=2))]
    assert_same(ours.mean_img(imgs), theirs.mean_img(imgs), rtol=1e-5)
    target = {"target_affine": np.diag([4.0, 4, 4])}
    assert_same(ours.mean_img(imgs, **target), theirs.mean_img(imgs, **target), rtol=1e-5)
    assert_same(ours.mean_img(imgs[0], **target), theirs.mean_img(imgs[0], **target), rtol=1e-5)


def test_concat_on_other_grids(opened):
    moved = AFFINE @ np.diag([1, 1.1, 0.9, 1])
    imgs = [opened(series()), opened(series(affine=moved, seed=2))]
    with pytest.warns(UserWarning, match="image 1 .* is not on the grid of image 0"):
        found = ours.concat_imgs(imgs, auto_resample=True)
    with pytest.warns(UserWarning, match="Affine is different"):
        expected = theirs.concat_imgs(imgs, auto_resample=True)
    assert_same(found, expected, rtol=1e-3)


@pytest.mark.parametrize("resample", ["continuous", "linear", "nearest"])
def test_reorder_img_with_rotated_axes(opened, resample):
    affine = AFFINE.copy()
    affine[:2, :2] = np.array([[0.8, -0.6], [0.6, 0.8]]) * 3
    img = opened(series("float32", affine=affine))
    found = ours.reorder_img(img, resample=resample)
    assert_same(found, theirs.reorder_img(img, resample=resample), rtol=1e-3)


@pytest.mark.parametrize("points", [(1, 2.5, 3), (np.arange(6.0),) * 3, (np.ones((2, 3)),) * 3])
def test_coord_transform(points):
    found = ours.coord_transform(*points, AFFINE)
    expected = theirs.coord_transform(*points, AFFINE)
    for one, other in zip(found, expected, strict=True):
        assert type(one) is type(other)
        np.testing.assert_allclose(one, other)


@pytest.mark.skipif(not RUN.exists(), reason="the real images are not beside the checkout")
class TestRealImages:
    """A short run of 2.5 cm voxels in int16, or as stored, and its atlas."""

    def test_chain(self):
        brain = DATA / "haxby2001_sub001_25mm_brain.nii.gz"
        found = ours.threshold_img(ours.index_img(RUN, slice(0, 20)), "40%", mask_img=brain)
        expected = theirs.threshold_img(theirs.index_img(RUN, slice(0, 20)), "40%", mask_img=brain)
        assert_same(found, expected)

    @pytest.mark.parametrize("function", ["mean_img", "crop_img", "reorder_img"])
    def test_one_image(self, function):
        found, expected = getattr(ours, function)(RUN), getattr(theirs, function)(RUN)
        assert_same(found, expected, rtol=1e-5)

    def test_components_of_the_grey_matter(self):
        gray = DATA / "haxby2001_sub001_25mm_gray.nii.gz"
        found = ours.largest_connected_component_img(ours.binarize_img(gray, "80%"))
        expected = theirs.largest_connected_component_img(theirs.binarize_img(gray, "80%"))
        assert_same(found, expected)

    def test_confounds(self):
        found = ours.high_variance_confounds(RUN)
        assert_same_courses(found, theirs.high_variance_confounds(RUN), 1e-6)
