"""Features that nilearn's maskers do not have, and shared work."""

import re
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.maskers import (
    MultiNiftiLabelsMasker,
    MultiNiftiMasker,
    NiftiLabelsMasker,
    NiftiMapsMasker,
    NiftiMasker,
    NiftiSpheresMasker,
    transform_all,
)
from lazyvox.runtime.budget_shares import side_by_side

SHAPE = (6, 7, 5, 24)


def series(dtype=np.float32, seed=0, n_volumes=24):
    values = np.random.default_rng(seed).normal(100, 5, (*SHAPE[:3], n_volumes)).astype(dtype)
    return nib.Nifti1Image(values, np.eye(4))


def ones():
    return nib.Nifti1Image(np.ones(SHAPE[:3], np.uint8), np.eye(4))


def labels():
    values = np.zeros(SHAPE[:3], np.int32)
    values[1:3, 1:6], values[3:5, 1:6] = -2, 1_000_000
    return nib.Nifti1Image(values, np.eye(4))


class TestMemmapDir:
    def test_results_are_read_only_maps_of_files(self, tmp_path):
        masker = NiftiMasker(ones(), standardize=None, memmap_dir=tmp_path).fit()
        found = masker.transform(series())
        assert isinstance(found, np.memmap)
        assert not found.flags.writeable
        assert Path(found.filename).parent == tmp_path
        np.testing.assert_array_equal(found, np.asarray(series().dataobj).reshape(-1, 24).T)

    @pytest.mark.parametrize("dtype", [None, "float64", "auto"])
    def test_cleaned_and_cast_they_equal_those_in_memory(self, tmp_path, dtype):
        parameters = {"standardize": "zscore_sample", "detrend": True, "dtype": dtype}
        plain = NiftiMasker(ones(), **parameters).fit_transform(series())
        masker = NiftiMasker(ones(), memmap_dir=tmp_path, **parameters)
        found = masker.fit_transform(series(), sample_mask=np.arange(24))
        assert found.dtype == plain.dtype
        np.testing.assert_allclose(found, plain, atol=1e-5)
        assert len(list(tmp_path.iterdir())) == 1

    def test_every_result_has_a_file_of_its_own(self, tmp_path):
        masker = NiftiLabelsMasker(labels(), standardize=None, memmap_dir=tmp_path).fit()
        first, second = masker.transform(series()), masker.transform(series(seed=1))
        assert (np.asarray(first) != np.asarray(second)).any()
        assert len(list(tmp_path.iterdir())) == 2


class TestTransformAll:
    def test_results_are_those_of_each_masker(self):
        maskers = [
            NiftiMasker(ones(), standardize="zscore_sample").fit(),
            NiftiLabelsMasker(labels(), standardize=None, smoothing_fwhm=2).fit(),
            NiftiSpheresMasker([(2, 3, 2)], radius=1, standardize=None).fit(),
        ]
        confounds = np.random.default_rng(2).normal(size=(24, 2))
        found = transform_all(series(), maskers, confounds=confounds, n_jobs=2)
        for masker, signals in zip(maskers, found, strict=True):
            alone = masker.transform(series(), confounds=confounds)
            np.testing.assert_allclose(signals, alone, rtol=1e-6)

    def test_columns_have_names_afterwards(self):
        masker = NiftiLabelsMasker(labels(), standardize=None).fit()
        transform_all(series(), [masker])
        assert masker.region_atlas_.shape == SHAPE[:3]

    def test_a_volume_gives_one_axis(self):
        volume = nib.Nifti1Image(np.asarray(series().dataobj)[..., 0], np.eye(4))
        masker = NiftiLabelsMasker(labels(), standardize=None).fit()
        assert transform_all(volume, [masker])[0].shape == (2,)

    def test_what_is_no_masker_is_refused(self):
        with pytest.raises(ValueError, match="at least one masker"):
            transform_all(series(), [])
        with pytest.raises(TypeError, match="Got str at place 0"):
            transform_all(series(), ["mask.nii"])

    def test_a_budget_that_is_too_small_is_refused(self):
        with pytest.raises(lv.MemoryBudgetError, match="Pass memory="):
            transform_all(series(), [NiftiMasker(ones(), standardize=None).fit()], memory=1000)


class TestLabels:
    def test_labels_of_any_size_and_sign(self):
        masker = NiftiLabelsMasker(labels(), standardize=None)
        found = masker.fit_transform(series())
        values = np.asarray(series().dataobj)
        atlas = np.asarray(labels().dataobj)
        expected = [values[atlas == label].mean(axis=0) for label in (-2, atlas.max())]
        np.testing.assert_allclose(found, np.transpose(expected), rtol=1e-6)

    def test_another_background_stays_background_when_labels_are_resampled(self):
        values = np.full((4, 4, 4), 9, np.int16)
        values[1:3, 1:3, 1:3] = 1
        img = nib.Nifti1Image(values, np.eye(4))
        masker = NiftiLabelsMasker(img, background_label=9, standardize=None)
        assert masker.fit_transform(series()).shape == (24, 1)
        assert masker.region_ids_ == {"background": 9, 0: 1}

    def test_columns_of_masked_labels_go_back_to_their_own_region(self):
        # nilearn puts the signal of a label that the mask took away into the next region.
        inside = np.zeros(SHAPE[:3], np.uint8)
        inside[3:5] = 1
        masker = NiftiLabelsMasker(
            labels(),
            mask_img=nib.Nifti1Image(inside, np.eye(4)),
            keep_masked_labels=True,
            standardize=None,
        ).fit()
        with pytest.warns(FutureWarning, match="keep_masked_labels"):
            assert (masker.transform(series())[:, 0] == 0).all()
        back = masker.inverse_transform(np.array([5.0, 7.0]))
        assert set(np.unique(np.asarray(back.dataobj))) == {0, 7}


class TestMulti:
    def test_as_many_files_at_once_as_the_budget_allows(self):
        imgs = [series(seed=seed, n_volumes=10 + seed) for seed in range(5)]
        masker = MultiNiftiMasker(ones(), standardize=None, n_jobs=4, memory_budget="20MB")
        found = masker.fit_transform(imgs)
        for img, signals in zip(imgs, found, strict=True):
            np.testing.assert_array_equal(signals, np.asarray(img.dataobj).reshape(210, -1).T)

    def test_what_does_not_fit_its_share_gets_a_larger_one(self):
        seen = []

        def call(budget):
            seen.append(budget)
            if budget is not None and budget < 60:
                msg = "too little"
                raise lv.MemoryBudgetError(msg)
            return budget

        assert side_by_side([call] * 3, 100, 4) == [100, 100, 100]
        assert sorted(set(seen)) == [33, 100]

    def test_one_image_gives_one_result(self):
        masker = MultiNiftiLabelsMasker(labels(), standardize=None).fit()
        assert masker.transform(series()).shape == (24, 2)

    def test_lists_that_do_not_go_together(self):
        masker = MultiNiftiMasker(ones(), standardize=None).fit()
        with pytest.raises(ValueError, match="number of confounds is unequal to the number of im"):
            masker.transform([series()], confounds=[None, None])
        with pytest.raises(TypeError, match="`sample_mask` must be a list"):
            masker.transform([series()], sample_mask=np.arange(3))
        volume = nib.Nifti1Image(np.ones(SHAPE[:3]), np.eye(4))
        with pytest.raises(TypeError, match="must all be 3D, or all 4D"):
            masker.transform([series(), volume])
        with pytest.raises(ValueError, match="at least one image"):
            masker.transform([])

    def test_images_on_other_grids_are_moved_by_the_voxel_masker_and_refused_by_the_others(self):
        other = nib.Nifti1Image(np.full((4, 4, 4, 3), 5, np.float32), np.diag([2.0, 2, 2, 1]))
        with pytest.warns(UserWarning, match="resampled to that"):
            MultiNiftiMasker(ones(), standardize=None).fit().transform([series(), other])
        with pytest.raises(lv.GridMismatchError, match="Image 1"):
            MultiNiftiLabelsMasker(labels(), standardize=None).fit().transform([series(), other])

    def test_a_mask_is_computed_from_all(self):
        img = series()
        values = np.asarray(img.dataobj)
        values[0] = values[-1] = values[:, 0] = values[:, -1] = 0
        masker = MultiNiftiMasker(standardize=None, mask_args={"opening": 0})
        masker.fit([img, img])
        np.testing.assert_array_equal(
            np.asarray(masker.mask_img_.dataobj), (values[..., 0] != 0).astype(np.uint8)
        )


PARAMETERS = {
    "detrend": ("yes", TypeError, "`detrend` must be a boolean"),
    "t_r": ("2", TypeError, "`t_r` must be a number or None"),
    "smoothing_fwhm": (True, TypeError, "`smoothing_fwhm` must be a number or None"),
    "standardize": ("zscore", ValueError, "`standardize` must be one of"),
    "dtype": (bool, TypeError, "`dtype` must be a type of numbers"),
    "memory": (3, TypeError, "`memory` must be a folder"),
    "memory_level": (1.5, TypeError, "`memory_level` must be an integer"),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_of_a_wrong_type_are_refused_when_fitted(name):
    value, kind, text = PARAMETERS[name]
    with pytest.raises(kind, match=re.escape(text)):
        NiftiMasker(ones(), **{name: value}).fit()


def test_standardize_true_warns_as_in_nilearn():
    masker = NiftiMasker(ones(), standardize=True).fit()
    with pytest.warns(FutureWarning, match="zscore_sample"):
        masker.transform(series())


def test_the_default_of_standardize_does_not_warn():
    # nilearn warns at every transform of a masker with default options.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        NiftiMasker(ones()).fit().transform(series())
    assert not caught


def test_steps_are_told_where_verbose_asks(capsys):
    masker = NiftiMasker(standardize=None, verbose=1, mask_args={"opening": 0})
    masker.inverse_transform(masker.fit_transform(series()))
    told = capsys.readouterr().out
    for line in (
        "Loading data from",
        "Computing mask",
        "Finished fit",
        "Cleaning",
        "Computing im",
    ):
        assert told.count(f"[NiftiMasker] {line}") >= 1
    NiftiMasker(ones(), standardize=None).fit_transform(series())
    assert capsys.readouterr().out == ""


def test_paths_patterns_and_homes(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for number in range(3):
        volume = nib.Nifti1Image(np.asarray(series().dataobj)[..., number], np.eye(4))
        lv.save(volume, tmp_path / f"vol_{number}.nii")
    lv.save(ones(), tmp_path / "mask.nii")
    masker = NiftiMasker("~/mask.nii", standardize=None).fit()
    expected = np.asarray(series().dataobj)[..., :3].reshape(-1, 3).T
    np.testing.assert_array_equal(masker.transform("~/vol_*.nii"), expected)
    np.testing.assert_array_equal(
        masker.transform(img for img in sorted(tmp_path.glob("vol_*"))), expected
    )


def test_masks_of_a_strategy_and_arguments_that_it_has_not():
    with pytest.raises(ValueError, match="`mask_strategy` must be one of"):
        NiftiMasker(mask_strategy="other").fit(series())
    with pytest.warns(UserWarning, match="Got nothing, which it has not"):
        NiftiMasker(mask_args={"nothing": 1, "opening": 0}).fit(series())
    with pytest.raises(ValueError, match="must be given a mask, or images"):
        NiftiMasker().fit()


def test_a_mask_in_4d_holds_the_voxels_of_all_volumes():
    values = np.ones((*SHAPE[:3], 2), np.uint8)
    values[0, ..., 0] = values[1, ..., 1] = 0
    masker = NiftiMasker(nib.Nifti1Image(values, np.eye(4)), standardize=None).fit()
    assert masker.n_elements_ == 4 * 7 * 5


@pytest.mark.parametrize(
    ("seeds", "text"),
    [
        (3, "Got int"),
        ([1, 2], "Got int as seed 0"),
        ([(1, 2)], "Got 2 coordinates in seed 0"),
        ([], "Got none"),
    ],
)
def test_seeds_that_are_none(seeds, text):
    with pytest.raises(ValueError, match=text):
        NiftiSpheresMasker(seeds).fit()


def test_maps_go_back_as_their_weighted_sum():
    weights = np.random.default_rng(4).random((*SHAPE[:3], 2))
    masker = NiftiMapsMasker(nib.Nifti1Image(weights, np.eye(4)), standardize=None).fit()
    signals = np.random.default_rng(5).normal(size=(3, 2))
    back = masker.inverse_transform(signals)
    np.testing.assert_allclose(np.asarray(back.dataobj), weights @ signals.T, rtol=1e-12)


@pytest.mark.parametrize(
    "masker",
    [
        NiftiMasker(ones(), standardize=None),
        NiftiLabelsMasker(labels(), standardize=None),
        NiftiSpheresMasker([(1, 2, 3)], radius=1, mask_img=ones(), standardize=None),
    ],
    ids=["voxels", "labels", "spheres"],
)
def test_images_do_not_follow_their_signals(masker):
    masker.fit()
    buffer = np.empty((3, masker.n_elements_))
    imgs = []
    for value in range(3):
        buffer[:] = value
        imgs.append(masker.inverse_transform(buffer))
    assert [float(img.get_fdata().max()) for img in imgs] == [0, 1, 2]
