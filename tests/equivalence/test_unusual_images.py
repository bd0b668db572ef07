"""Images that few files hold: other formats, surfaces, long series, types without a code."""

from itertools import product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.testing import data_path
from nilearn import image as nil

import lazyvox as lv
from lazyvox import image, maskers, masking

A = np.diag([3.0, 3, 3, 1])
RUN = np.random.default_rng(0).normal(100, 10, (6, 7, 8, 12)).astype("f4")
FOREIGN = ["example4d+orig.HEAD", "phantom_EPI_asc_CLEAR_2_1.PAR"]


def labels_on(img) -> nib.Nifti1Image:
    labels = np.zeros(img.shape[:3], "i2")
    labels[:3], labels[3:9] = 1, 2
    return nib.Nifti1Image(labels, img.affine)


FUNCTIONS = {
    "mean_img": lambda module, path: module.mean_img(path, copy_header=True),
    "smooth_img": lambda module, path: module.smooth_img(path, 6),
    "resample_img": lambda module, path: module.resample_img(
        path, target_affine=np.diag([4.0, 4, 4]), copy_header=True, force_resample=True
    ),
    "concat_imgs": lambda module, path: module.concat_imgs([path, path]),
    "index_img": lambda module, path: module.index_img(path, 1),
    "crop_img": lambda module, path: module.crop_img(path, copy_header=True),
    "clean_img": lambda module, path: module.clean_img(path, standardize=None),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("name", "function"),
    # nilearn copies headers in ways that fail for the mean of PAR/REC.
    sorted({*product(FOREIGN, FUNCTIONS)} - {(FOREIGN[1], "mean_img")}),
)
def test_afni_and_par_rec_work_as_in_nilearn(name, function):
    path = str(Path(data_path) / name)
    found = FUNCTIONS[function](image, path)
    wanted = FUNCTIONS[function](nil, path)
    assert isinstance(found, nib.Nifti1Image)
    np.testing.assert_allclose(found.affine, wanted.affine)
    largest = np.abs(wanted.get_fdata()).max()
    np.testing.assert_allclose(found.get_fdata(), wanted.get_fdata(), atol=2e-6 * largest)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", FOREIGN)
def test_afni_and_par_rec_work_where_nilearn_fails(name, tmp_path):
    path = str(Path(data_path) / name)
    run = nib.load(path)
    values = np.asarray(run.dataobj)
    np.testing.assert_allclose(image.mean_img(path).get_fdata(), values.mean(axis=-1), rtol=1e-5)
    np.testing.assert_array_equal(image.math_img("a * 2", a=path).get_fdata(), values * 2)
    assert image.binarize_img(path, 50).get_data_dtype() == np.int8
    assert image.copy_img(lv.load(path)).shape == run.shape
    assert image.new_img_like(path, np.ones(run.shape[:3])).affine.shape == (4, 4)
    masker = maskers.NiftiLabelsMasker(labels_on(run), standardize=None)
    signals = masker.fit_transform(path)
    np.testing.assert_allclose(signals[:, 0], values[:3].mean(axis=(0, 1, 2)), rtol=1e-5)
    assert masker.inverse_transform(signals).shape == run.shape
    lv.save(lv.load(path) + 1, tmp_path / "out.nii")
    zooms = nib.load(tmp_path / "out.nii").header.get_zooms()
    np.testing.assert_allclose(zooms, run.header.get_zooms())


@pytest.mark.filterwarnings("ignore:Using large vector Freesurfer hack")
def test_surfaces_of_freesurfer_in_nifti_are_images_like_others(tmp_path):
    path = tmp_path / "surface.nii"
    values = np.random.default_rng(1).normal(10, 1, (140_000, 1, 1, 3)).astype("f4")
    nib.Nifti1Image(values, A).to_filename(path)
    np.testing.assert_allclose(
        image.mean_img(path).get_fdata(), values.mean(axis=-1, dtype=float), rtol=1e-6
    )
    assert np.array_equal(image.index_img(path, 1).get_fdata(), values[..., 1])
    large = nil.threshold_img(path, 10.0).get_fdata()
    assert np.array_equal(image.threshold_img(path, 10.0).get_fdata(), large)
    assert image.clean_img(path, standardize=None).shape == values.shape
    assert image.crop_img(path).shape == values.shape
    smooth = nil.smooth_img(nib.Nifti1Image(values, A), 6).get_fdata()
    np.testing.assert_allclose(image.smooth_img(path, 6).get_fdata(), smooth, atol=1e-4)
    joined = image.concat_imgs([path, path])
    lv.save(joined, tmp_path / "joined.nii")
    assert lv.load(tmp_path / "joined.nii").shape == (140_000, 1, 1, 6)
    assert image.new_img_like(path, np.ones(values.shape[:3])).shape == values.shape[:3]


def test_series_too_long_for_nifti_1_become_nifti_2(tmp_path, caplog):
    path = tmp_path / "long.nii"
    nib.Nifti1Image(np.ones((2, 2, 2, 20_000), "u1"), A).to_filename(path)
    joined = image.concat_imgs([path, path])
    assert isinstance(joined, nib.Nifti2Image)
    lv.save(joined, tmp_path / "joined.nii")
    assert lv.load(tmp_path / "joined.nii").shape == (2, 2, 2, 40_000)
    mask = nib.Nifti1Image(np.ones((2, 2, 2), "u1"), A)
    signals = np.random.default_rng(2).normal(size=(40_000, 8))
    volumes = masking.unmask(signals, mask)
    assert isinstance(volumes, nib.Nifti2Image)
    assert np.array_equal(volumes.get_fdata()[0, 0, 1], signals[:, 1])
    masker = maskers.NiftiMasker(mask, standardize=None).fit()
    assert masker.inverse_transform(signals).shape == (2, 2, 2, 40_000)
    assert not caplog.messages, "nibabel found a header to mend"


@pytest.mark.parametrize("dtype", ["f4", "i2"])
def test_cleaning_of_long_nifti_2_is_nifti_2(dtype, tmp_path):
    path = tmp_path / "long.nii"
    values = np.random.default_rng(3).normal(100, 10, (2, 2, 2, 40_000)).astype(dtype)
    nib.Nifti2Image(values, A).to_filename(path)
    cleaned = image.clean_img(path, standardize=None)
    assert isinstance(cleaned, nib.Nifti2Image)
    wanted = nil.clean_img(path, standardize=None).get_fdata()
    np.testing.assert_allclose(cleaned.get_fdata(), wanted, atol=1e-2)
    mask = nib.Nifti1Image(np.ones((2, 2, 2), "u1"), A)
    masked = image.clean_img(path, standardize=None, mask_img=mask)
    assert isinstance(masked, nib.Nifti2Image)


BOOLEAN = {
    "crop_img": image.crop_img,
    "reorder_img": image.reorder_img,
    "threshold_img": lambda mask: image.threshold_img(mask, 0.5),
    "copy_img": image.copy_img,
    "concat_imgs": lambda mask: image.concat_imgs([mask, mask], dtype=None),
    "math_img": lambda mask: image.math_img("a & b", a=mask, b=mask),
}


@pytest.mark.parametrize("function", BOOLEAN)
def test_images_of_booleans_are_stored_as_uint8(function, tmp_path):
    inside = RUN[..., 0] > 100
    mask = nib.Nifti1Image(inside, A, nib.Nifti1Image(RUN, A).header)
    made = BOOLEAN[function](mask)
    assert made.get_data_dtype() == np.uint8
    lv.save(made, tmp_path / "made.nii")
    stored = nib.load(tmp_path / "made.nii")
    assert stored.get_data_dtype() == np.uint8
    assert np.array_equal(stored.get_fdata(), made.get_fdata())


def test_binarize_takes_booleans():
    mask = nib.Nifti1Image(RUN[..., 0] > 100, A, nib.Nifti1Image(RUN, A).header)
    assert np.array_equal(image.binarize_img(mask).get_fdata(), RUN[..., 0] > 100)


def test_masks_of_booleans_are_masks_of_maskers():
    inside = RUN[..., 0] > 100
    run = nib.Nifti1Image(RUN, A)
    mask = nib.Nifti1Image(inside, A, run.header)
    values = maskers.NiftiMasker(mask, standardize=None).fit().transform(run)
    assert np.array_equal(values, RUN[inside].T)
    labels = nib.Nifti1Image(
        np.where(np.arange(8) < 6, 1, np.zeros(inside.shape, "i2")).astype("i2"), A
    )
    masker = maskers.NiftiLabelsMasker(labels, mask_img=mask, standardize=None)
    np.testing.assert_allclose(
        masker.fit_transform(run)[:, 0], RUN[:, :, :6][inside[..., :6]].mean(axis=0), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("dtype", "stored"), [("f2", "f4"), (np.longdouble, "f8"), (np.clongdouble, "c16")]
)
def test_types_without_a_code_are_stored_in_the_next_one(dtype, stored, tmp_path):
    img = nib.Nifti1Image(RUN.astype(dtype), A, nib.Nifti1Image(RUN, A).header)
    for number, made in enumerate((image.index_img(img, slice(2, 5)), image.copy_img(img))):
        assert made.get_data_dtype() == stored
        lv.save(made, tmp_path / f"{number}.nii")
        assert nib.load(tmp_path / f"{number}.nii").get_data_dtype() == stored
    doubled = lv.load(tmp_path / "1.nii") * np.dtype(dtype).type(2)
    lv.save(doubled, tmp_path / "doubled.nii")
    expected = RUN.astype(dtype).astype(stored) * 2
    np.testing.assert_allclose(np.asarray(nib.load(tmp_path / "doubled.nii").dataobj), expected)
