"""Images whose place in space is unknown, or whose axes are in another order."""

import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.testing import data_path
from nilearn import image as nil

import lazyvox as lv
from lazyvox import image, maskers

A = np.diag([3.0, 3, 3, 1])
RUN = np.random.default_rng(0).normal(100, 10, (6, 6, 6, 12)).astype("f4")
INSIDE = RUN[..., 0] > 100


@pytest.fixture
def write(tmp_path):
    """Return a function that writes the run with some bytes of its header replaced."""

    def write(*changes) -> Path:
        img = nib.Nifti1Image(RUN, A)
        img.set_qform(A, 1)
        content = bytearray(img.to_bytes())
        for offset, layout, *values in changes:
            struct.pack_into(layout, content, offset, *values)
        (tmp_path / "odd.nii").write_bytes(bytes(content))
        return tmp_path / "odd.nii"

    return write


ZERO = (280, "<12f", *[0.0] * 12)
NAN = (280, "<12f", *[np.nan] * 12)
SFORM_ALONE = (252, "<2h", 0, 1)
UNKNOWN = {
    "zeros": [SFORM_ALONE, ZERO],
    "NaN": [SFORM_ALONE, NAN],
    "NaN pixdim": [(252, "<2h", 0, 0), (80, "<f", np.nan)],
    "NaN quaternion": [(252, "<2h", 1, 0), (256, "<f", np.nan)],
    "infinite pixdim": [(252, "<2h", 0, 0), (80, "<f", np.inf)],
}


@pytest.mark.parametrize("broken", [ZERO, NAN], ids=["zeros", "NaN"])
def test_an_sform_without_an_inverse_gives_way_to_a_good_qform(write, broken, tmp_path):
    path = write((254, "<h", 1), broken)
    with pytest.warns(lv.LazyvoxWarning, match="the qform is used"):
        img = lv.load(path)
    np.testing.assert_array_equal(img.affine, A)
    smooth = nil.smooth_img(nib.Nifti1Image(RUN, A), 6).get_fdata()
    np.testing.assert_allclose(image.smooth_img(img, 6).get_fdata(), smooth, atol=1e-4)
    lv.save(img, tmp_path / "mended.nii")
    np.testing.assert_array_equal(nib.load(tmp_path / "mended.nii").affine, A)


@pytest.mark.filterwarnings("ignore::lazyvox.LazyvoxWarning")
@pytest.mark.parametrize("kind", UNKNOWN)
def test_voxels_need_no_millimetres(write, kind, tmp_path):
    path = write(*UNKNOWN[kind])
    np.testing.assert_allclose(image.mean_img(path).get_fdata(), RUN.mean(axis=-1), rtol=1e-5)
    assert image.concat_imgs([path, path]).shape == (6, 6, 6, 24)
    assert np.array_equal((lv.load(path) + lv.load(path)).get_fdata(), RUN * 2)
    assert np.array_equal(lv.load(path).slicer[1:, :, :, ::2].get_fdata(), RUN[1:, :, :, ::2])
    mask = image.index_img(path, 0) > 100
    assert np.array_equal(lv.extract(path, mask).values, RUN[INSIDE].T)
    for number, img in enumerate((lv.load(path), lv.load(path) * 2)):
        lv.save(img, tmp_path / f"{number}.nii")
        assert np.array_equal(nib.load(tmp_path / f"{number}.nii").get_fdata(), RUN * (number + 1))
    assert "odd.nii" in repr(lv.load(path))


@pytest.mark.filterwarnings("ignore::lazyvox.LazyvoxWarning")
@pytest.mark.parametrize("kind", UNKNOWN)
def test_millimetres_of_an_unknown_space_are_one_error_with_the_file(write, kind):
    path = write(*UNKNOWN[kind])
    for call in (
        lambda: image.smooth_img(path, 6),
        lambda: image.resample_img(path, target_affine=np.diag([2.0, 2, 2])),
        lambda: lv.extract(path, lv.Spheres([(9, 9, 9)], 5)),
    ):
        with pytest.raises(lv.LazyvoxError, match=r"affine of .*odd\.nii.*must be invertible"):
            call()


@pytest.mark.parametrize("layout", ["<3f"])
def test_half_turns_that_rounding_made_longer_than_1_are_read(write, layout, tmp_path):
    path = write((252, "<2h", 1, 0), (256, layout, 0, 1.0000002384185791, 0))
    img = lv.load(path)
    np.testing.assert_allclose(img.affine[:3, :3], np.diag([-3, 3, -3]), atol=1e-6)
    lv.save(img * 2, tmp_path / "out.nii")
    np.testing.assert_allclose(nib.load(tmp_path / "out.nii").affine, img.affine, atol=1e-6)


TIME_IN_FRONT = str(Path(data_path) / "minc1_4d.mnc")
ALONG_TIME = {
    "index_img": lambda: image.index_img(TIME_IN_FRONT, 0),
    "concat_imgs": lambda: image.concat_imgs([TIME_IN_FRONT, TIME_IN_FRONT]),
    "math_img": lambda: image.math_img("a + 1", a=TIME_IN_FRONT),
    "clean_img": lambda: image.clean_img(TIME_IN_FRONT, standardize=None),
    "copy_img": lambda: image.copy_img(lv.load(TIME_IN_FRONT)),
    "reorder_img": lambda: image.reorder_img(TIME_IN_FRONT),
    "+": lambda: lv.load(TIME_IN_FRONT) + 1,
    "mean_img": lambda: image.mean_img(TIME_IN_FRONT),
    "new_img_like": lambda: image.new_img_like(TIME_IN_FRONT, np.zeros((2, 10, 20, 20), "f4")),
    "Maps": lambda: lv.extract(lv.load(TIME_IN_FRONT), lv.Maps(TIME_IN_FRONT)),
}


@pytest.mark.parametrize("function", ALONG_TIME)
def test_time_in_front_is_refused_by_every_function(function):
    with pytest.raises(lv.ParameterError, match=r"minc1_4d.*time must be the last axis"):
        ALONG_TIME[function]()


def test_time_in_front_is_no_axis_of_maps_on_the_grid_of_its_first_axes():
    run = image.new_img_like(TIME_IN_FRONT, RUN[:2, ..., :5])
    grid = nib.Nifti1Image(np.ones((2, 10, 20, 5), "f4"), run.affine)
    with pytest.raises(lv.ParameterError, match=r"minc1_4d.*time must be the last axis"):
        lv.extract(grid, lv.Maps(TIME_IN_FRONT))


def test_volumes_and_moved_axes_are_made_like_an_image_with_time_in_front():
    values = np.moveaxis(lv.load(TIME_IN_FRONT).get_fdata(), 0, -1)
    assert image.new_img_like(TIME_IN_FRONT, values).shape == (10, 20, 20, 2)
    assert image.new_img_like(TIME_IN_FRONT, values[..., 0]).shape == (10, 20, 20)


def test_time_in_front_is_refused_by_saving(tmp_path):
    with pytest.raises(lv.ParameterError, match="time must be the last axis"):
        lv.save(lv.load(TIME_IN_FRONT), tmp_path / "m.nii")
    assert not list(tmp_path.iterdir())


class Subclass(nib.Nifti1Image):
    """An image class of another package."""


def test_subclasses_of_nifti_have_time_last():
    run = Subclass(RUN, A)
    np.testing.assert_allclose(image.mean_img(run).get_fdata(), RUN.mean(axis=-1), rtol=1e-5)
    mask = nib.Nifti1Image(INSIDE.astype("u1"), A)
    assert np.array_equal(lv.extract(run, mask).values, RUN[INSIDE].T)
    values = maskers.NiftiMasker(mask, standardize=None).fit().transform(run)
    assert np.array_equal(values, RUN[INSIDE].T)


@pytest.mark.parametrize(
    ("shape", "index"),
    [
        ((6, 6, 6, 1, 12), r"slicer\[:, :, :, 0, :\]\."),
        ((6, 6, 6, 12, 1), r"slicer\[:, :, :, :, 0\]\."),
        ((6, 6, 6, 4, 3), r"slicer\[:, :, :, :, 0\], or img.slicer\[:, :, :, 0, :\]\."),
    ],
)
def test_advice_for_five_axes_keeps_the_series(shape, index):
    img = nib.Nifti1Image(RUN.reshape(shape), A)
    mask = nib.Nifti1Image(INSIDE.astype("u1"), A)
    with pytest.raises(lv.ParameterError, match=rf"first: img\.{index}"):
        lv.extract(img, mask)
    for call in (lambda: image.index_img(img, 0), lambda: image.clean_img(img)):
        with pytest.raises(lv.errors.DimensionError, match=rf"first: img\.{index}"):
            call()


def test_integers_near_the_limit_of_64_bits_are_resampled():
    largest = np.uint64(2**64 - 1)
    img = nib.Nifti1Image(INSIDE.astype("u8") * largest, A, dtype="u8")
    for interpolation in ("linear", "continuous", "nearest"):
        values = np.asarray(
            image.resample_img(
                img, target_affine=np.diag([2.0, 2, 2]), interpolation=interpolation
            ).dataobj
        )
        assert values.dtype == np.uint64
        assert values[0, 0, 0] == INSIDE[0, 0, 0] * largest


@pytest.mark.parametrize(
    ("dtype", "fill"), [("i2", np.nan), ("u1", -1), ("u1", 256), ("i2", np.inf)]
)
def test_fill_values_that_the_type_cannot_hold_are_refused_at_once(dtype, fill):
    img = nib.Nifti1Image(RUN.astype(dtype), A)
    with pytest.raises(lv.ParameterError, match="`fill_value` must be one of the values"):
        image.resample_img(
            img, target_affine=np.diag([2.0, 2, 2]), interpolation="nearest", fill_value=fill
        )


@pytest.mark.parametrize("fill", [7.5, -7.5, 6.4])
@pytest.mark.parametrize("interpolation", ["nearest", "linear"])
def test_fill_values_of_integers_are_rounded_as_in_nilearn(fill, interpolation):
    img = nib.Nifti1Image(RUN.astype("i2"), A)
    target = nib.affines.from_matvec(np.eye(3) * 3.0, [-9, 0, 0])
    found, wanted = (
        module.resample_img(
            img,
            target_affine=target,
            target_shape=(8, 6, 6),
            interpolation=interpolation,
            fill_value=fill,
            copy_header=True,
            force_resample=True,
        ).get_fdata()
        for module in (image, nil)
    )
    np.testing.assert_array_equal(found, wanted)
