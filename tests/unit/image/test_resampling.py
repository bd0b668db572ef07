"""Resampling as an image function: routes, types, what is copied, faults, warnings."""

import pickle
import warnings

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import affine_transform

import lazyvox as lv
from lazyvox.array.transformed import staging_of
from lazyvox.image import BoundingBoxError, resample_img, resample_to_img
from lazyvox.image.resampling import BinaryImageWarning, NonFiniteWarning, ResampleTransform
from lazyvox.stream.transformed_consumers import Through

AFFINE = np.array([[3.0, 0, 0, -10], [0, 3, 0, -20], [0, 0, 4, 5], [0, 0, 0, 1]])
FINE = np.array([[2.0, 0, 0, -9], [0, 2, 0, -19], [0, 0, 2, 6], [0, 0, 0, 1]])
SHAPE = (9, 8, 7)
COS, SIN = np.cos(0.3), np.sin(0.3)
TURNED = np.array([[COS, -SIN, 0, -9], [SIN, COS, 0, -15], [0, 0, 1, 6], [0, 0, 0, 1]])


def image(dtype="f4", shape=(*SHAPE, 5), seed=0):
    values = (np.random.default_rng(seed).normal(size=shape) * 50).astype(dtype)
    return nib.Nifti1Image(values, AFFINE, dtype=dtype)


def name_of(img):
    return img.dataobj.reader.transform.name


def shifted(voxels):
    affine = AFFINE.copy()
    affine[:3, 3] += AFFINE[:3, :3] @ np.array(voxels)
    return affine


@pytest.mark.parametrize(
    ("target", "interpolation", "route"),
    [
        (FINE, "continuous", "2 mm, separable continuous"),
        (FINE, "linear", "2 mm, separable linear"),
        (FINE[[1, 0, 2, 3]], "linear", "2 mm, separable linear"),
        (FINE, "nearest", "2 mm, voxel by voxel"),
        (shifted([1, -1, 2]), "continuous", "3 x 3 x 4 mm, voxel by voxel"),
        (TURNED, "linear", "1 mm, linear by scipy"),
    ],
)
def test_the_route_has_a_name_in_the_plan(target, interpolation, route):
    resampled = resample_img(image(), target, (5, 6, 7), interpolation)
    assert name_of(resampled) == f"resample to 5 x 6 x 7 voxels of {route}"
    assert staging_of(resampled.dataobj) is not None
    affine = np.linalg.inv(AFFINE) @ target
    expected = affine_transform(
        np.asarray(image().dataobj)[..., 2],
        affine[:3, :3],
        affine[:3, 3],
        output_shape=(5, 6, 7),
        order={"continuous": 3, "linear": 1, "nearest": 0}[interpolation],
    )
    np.testing.assert_allclose(resampled.dataobj[..., 2], expected, atol=2e-4)


@pytest.mark.parametrize(
    ("dtype", "interpolation", "result"),
    [
        ("f4", "continuous", "f4"),
        ("f8", "linear", "f8"),
        ("i2", "nearest", "i2"),
        ("i2", "linear", "i2"),
        ("u1", "continuous", "u1"),
        (">i4", "nearest", "i4"),
    ],
)
def test_types(dtype, interpolation, result):
    resampled = resample_img(image(dtype), FINE, (5, 6, 7), interpolation)
    assert resampled.dataobj.dtype == result
    assert np.asarray(resampled.dataobj).dtype == result
    assert resampled.get_data_dtype() == result


@pytest.mark.parametrize(("dtype", "result"), [("i1", "f4"), ("i2", "f4"), ("i8", "f8")])
def test_splines_between_signed_integers_are_floats(dtype, result):
    with pytest.warns(lv.LazyvoxWarning, match="splines between its values"):
        resampled = resample_img(image(dtype), FINE, (5, 6, 7))
    assert np.asarray(resampled.dataobj).dtype == result


@pytest.mark.parametrize("dtype", ["u1", "i2"])
def test_integers_are_rounded_and_kept_in_range(dtype):
    info = np.iinfo(dtype)
    values = np.full((4, 4, 4), info.min, dtype)
    values[2:] = info.max
    img = nib.Nifti1Image(values, np.eye(4))
    target = np.diag([0.25, 1, 1, 1])
    line = np.asarray(resample_img(img, target, (13, 4, 4), "linear").dataobj)[:, 0, 0]
    exact = np.interp(np.arange(13) / 4, np.arange(4), values[:, 0, 0].astype(float))
    np.testing.assert_array_equal(line, np.trunc(exact + np.copysign(0.5, exact)))


def test_overshoots_are_clipped_to_the_whole_image(tmp_path):
    values = np.zeros((6, 6, 6, 3), "f4")
    values[2:4, 2:4, 2:4, 0], values[3:, ..., 1] = 10, 3
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "run.nii.gz")
    half = np.diag([0.5, 0.5, 0.5, 1])
    free = np.asarray(resample_to_img(tmp_path / "run.nii.gz", image_on(half)).dataobj)
    assert free.max() > 10
    assert free.min() < 0
    kept = resample_to_img(tmp_path / "run.nii.gz", image_on(half), clip=True)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(kept)).get_fdata(), kept.get_fdata())
    # The second volume overshoots 3, but not the 10 of the first.
    np.testing.assert_array_equal(np.asarray(kept.dataobj), free.clip(0, 10))
    assert np.asarray(kept.dataobj)[..., 1].max() > 3


def image_on(affine, shape=(11, 11, 11)):
    return nib.Nifti1Image(np.zeros(shape, "f4"), affine)


def test_extremes_do_not_count_nan():
    img = image()
    img.dataobj[0, 0, 0] = np.nan
    with pytest.warns(NonFiniteWarning, match="has NaN or infinite voxels"):
        resampled = resample_img(img, FINE, (5, 6, 7))
    got = np.asarray(resampled.dataobj)
    assert np.nanmax(got) <= np.nanmax(img.dataobj)


def test_the_grid_of_the_image_is_not_resampled():
    img = image()
    assert resample_img(img, copy=False) is img
    assert resample_img(img, AFFINE, SHAPE, copy=False) is img
    copied = resample_to_img(img, img)
    img.dataobj[...] = 0
    assert copied.get_fdata().any()


def test_a_file_on_the_grid_is_not_copied(tmp_path):
    nib.save(image(), tmp_path / "run.nii")
    resampled = resample_to_img(tmp_path / "run.nii", image())
    assert not resampled.in_memory
    assert resampled.get_filename() == str(tmp_path / "run.nii")


@pytest.mark.parametrize("shift", [(2, 1, 0), (-2, 3, 1), (-20, 0, 0)])
def test_a_shift_by_whole_voxels_is_exact(shift):
    # nilearn begins in the wrong place where the grid cuts the image off at its start.
    img = nib.Nifti1Image(image().dataobj, np.diag([2.0, 2, 4, 1]))
    target = img.affine.copy()
    target[:3, 3] = img.affine[:3, :3] @ np.array(shift)
    got = np.asarray(
        resample_img(img, target, (8, 8, 8), force_resample=False, fill_value=5).dataobj
    )
    expected = np.zeros((8, 8, 8, 5), "f4")
    for place in np.ndindex(8, 8, 8):
        source = np.array(place) + shift
        if (source >= 0).all() and (source < SHAPE).all():
            expected[place] = img.dataobj[tuple(source)]
    np.testing.assert_array_equal(got, expected)


def test_other_values_outside():
    resampled = resample_img(image(), shifted((-2, 0, 0)), (5, 5, 5), "linear", fill_value=-3)
    np.testing.assert_array_equal(np.asarray(resampled.dataobj)[:2], -3)
    # Kept within the image, as nilearn does: 500 is more than its largest value.
    clipped = resample_img(image(), shifted((-2, 0, 0)), (5, 5, 5), "linear", fill_value=500)
    np.testing.assert_array_equal(np.asarray(clipped.dataobj)[0], image().dataobj.max())


def test_headers():
    img = image()
    img.header["descrip"] = "kept"
    img.header.set_zooms((3, 3, 4, 2.5))
    copied = resample_img(img, FINE, (5, 6, 7))
    assert bytes(copied.header["descrip"]).startswith(b"kept")
    assert copied.header.get_zooms() == (2, 2, 2, 2.5)
    fresh = resample_img(img, FINE, (5, 6, 7), copy_header=False)
    assert not bytes(fresh.header["descrip"]).strip(b"\x00")
    np.testing.assert_array_equal(fresh.affine, FINE)


FAULTS = {
    "interpolation": ({"interpolation": "cubic"}, ValueError, "one of 'continuous', 'linear'"),
    "order": ({"order": "A"}, ValueError, "`order` must be one of 'F', 'C'"),
    "shape alone": ({"target_shape": (3, 3, 3)}, ValueError, "`target_shape` needs"),
    "singular": ({"target_affine": np.zeros((3, 3))}, np.linalg.LinAlgError, "invertible"),
    "no overlap": (
        {"target_affine": shifted((99, 0, 0))},
        BoundingBoxError,
        "reach into the image",
    ),
    "copy_header": ({"copy_header": 1}, TypeError, "`copy_header` must be True or False"),
    "force_resample": ({"force_resample": None}, TypeError, "`force_resample` must be"),
}


@pytest.mark.parametrize(("options", "error", "message"), FAULTS.values(), ids=FAULTS)
def test_faults(options, error, message):
    with pytest.raises(error, match=message):
        resample_img(image(), **options)


def test_images_of_other_dimensions_are_refused():
    img = nib.Nifti1Image(np.zeros((2, 2, 2, 2, 2), "f4"), AFFINE)
    with pytest.raises(lv.ParameterError, match="must be 3D or 4D"):
        resample_img(img, FINE)


def test_an_image_without_sform_is_noted():
    img = image()
    img.set_sform(None)
    with pytest.warns(lv.LazyvoxWarning, match="has no sform in its header"):
        resample_img(img, FINE, (5, 6, 7))


def test_zeros_and_ones_are_noted_once_where_values_lie_in_between(tmp_path):
    img = nib.Nifti1Image((np.asarray(image().dataobj) > 0).astype("u1"), AFFINE)
    with pytest.warns(BinaryImageWarning, match="zeros and ones is interpolated") as seen:
        resample_img(img, FINE, (5, 6, 7), "linear").get_fdata()
    assert len(seen) == 1
    nib.save(img, tmp_path / "mask.nii.gz")
    from_file = resample_img(tmp_path / "mask.nii.gz", FINE, (5, 6, 7), "linear")
    with pytest.warns(BinaryImageWarning, match="zeros and ones is interpolated") as seen:
        from_file.get_fdata()
    assert len(seen) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resample_img(img, FINE, (5, 6, 7), "nearest").get_fdata()


def test_the_transform_serves_a_shared_pass():
    img = image()
    transform = ResampleTransform.of(SHAPE, AFFINE, (5, 6, 7), FINE, "linear")
    scan = lv.Scan(img)
    scan.add(lv.Mean())
    through = scan.add(Through(transform, [lv.Mean()], affine=FINE))
    scan.run()
    (mean,) = through.result()
    expected = resample_img(img, FINE, (5, 6, 7), "linear").get_fdata().mean(axis=3)
    np.testing.assert_allclose(mean.get_fdata(), expected, atol=1e-4)
    np.testing.assert_array_equal(mean.affine, FINE)
