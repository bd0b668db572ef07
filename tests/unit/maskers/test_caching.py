"""Results that are kept are found again by content, and never stale."""

import os

import joblib
import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.lazyimage.fingerprint import fingerprint
from lazyvox.maskers import NiftiLabelsMasker, NiftiMasker
from lazyvox.maskers import base as base_module
from lazyvox.maskers.caching import open_memory

SHAPE = (5, 6, 4, 10)


def series(seed=0):
    values = np.random.default_rng(seed).normal(100, 5, SHAPE).astype(np.float32)
    return nib.Nifti1Image(values, np.eye(4))


def mask():
    return nib.Nifti1Image(np.ones(SHAPE[:3], np.uint8), np.eye(4))


@pytest.fixture
def passes(monkeypatch):
    """Count the passes that are made."""
    made = []
    real = base_module.do_work

    def counted(works, **options):
        made.append(len(works))
        return real(works, **options)

    monkeypatch.setattr(base_module, "do_work", counted)
    return made


def test_a_second_transform_reads_nothing(tmp_path, passes):
    lv.save(series(), tmp_path / "run.nii.gz")
    masker = NiftiMasker(mask(), standardize=None, memory=tmp_path / "cache").fit()
    first = masker.transform(tmp_path / "run.nii.gz")
    np.testing.assert_array_equal(masker.transform(tmp_path / "run.nii.gz"), first)
    assert len(passes) == 1


def test_an_overwritten_file_is_read_again_even_with_its_old_size_and_time(tmp_path, passes):
    run = tmp_path / "run.nii"
    lv.save(series(0), run)
    times = run.stat()
    masker = NiftiMasker(mask(), standardize=None, memory=tmp_path / "cache").fit()
    first = masker.transform(str(run))
    lv.save(series(1), run)
    os.utime(run, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert run.stat().st_size == times.st_size
    second = masker.transform(str(run))
    np.testing.assert_array_equal(second, np.asarray(series(1).dataobj).reshape(-1, 10).T)
    assert (first != second).any()
    assert len(passes) == 2


def test_other_parameters_images_masks_and_confounds_have_results_of_their_own(tmp_path, passes):
    img = series()
    kept = {"standardize": None, "memory": tmp_path / "cache"}
    half = np.ones(SHAPE[:3], np.uint8)
    half[:2] = 0
    masker = NiftiMasker(mask(), **kept).fit()
    masker.transform(img)
    masker.transform(series(5))
    masker.transform(img, confounds=np.arange(10.0)[:, None])
    masker.transform(img, sample_mask=np.arange(5))
    NiftiMasker(mask(), detrend=True, **kept).fit().transform(img)
    NiftiMasker(nib.Nifti1Image(half, np.eye(4)), **kept).fit().transform(img)
    assert len(passes) == 6
    masker.transform(series())
    assert len(passes) == 6


def test_results_out_of_the_cache_come_with_the_names_of_their_columns(tmp_path):
    labels = np.ones(SHAPE[:3], np.uint8)
    labels[0], labels[3:] = 0, 2
    img = nib.Nifti1Image(labels, np.eye(4))
    for _ in range(2):
        masker = NiftiLabelsMasker(img, standardize=None, memory=str(tmp_path / "cache"))
        masker.fit_transform(series())
        assert masker.region_names_ == {0: "1", 1: "2"}
        assert masker.region_atlas_.shape == SHAPE[:3]


def test_memory_may_be_a_joblib_memory_and_its_results_shelved(tmp_path):
    masker = NiftiMasker(mask(), standardize=None, memory=joblib.Memory(tmp_path, verbose=0))
    masker._shelving = True
    shelved = masker.fit_transform(series())
    assert not isinstance(shelved, np.ndarray)
    plain = NiftiMasker(mask(), standardize=None).fit_transform(series())
    np.testing.assert_array_equal(shelved.get(), plain)


def test_levels_and_places_that_do_not_go_together_are_said(tmp_path):
    masker = NiftiMasker(mask(), standardize=None, memory=tmp_path, memory_level=0).fit()
    with pytest.warns(UserWarning, match="`memory_level` should be at least 1"):
        masker.transform(series())
    masker = NiftiMasker(mask(), standardize=None, memory_level=2).fit()
    with pytest.warns(UserWarning, match="`memory` should be a folder"):
        masker.transform(series())
    with pytest.raises(ValueError, match="there is no folder"):
        open_memory(tmp_path / "missing" / "cache")


def test_fingerprints_tell_things_apart():
    a, b = np.arange(6), np.arange(6.0)
    assert fingerprint(a) == fingerprint(np.arange(6))
    assert fingerprint(a) != fingerprint(b)
    assert fingerprint(a.reshape(2, 3)) != fingerprint(a.reshape(3, 2))
    assert fingerprint({"x": [a, None]}) == fingerprint({"x": [a.copy(), None]})
    assert fingerprint(np.array(["a", None], object)) != fingerprint(np.array(["b", None], object))
