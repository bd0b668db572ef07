"""Maskers keep to their budget, and hold little besides their results."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.maskers import NiftiLabelsMasker, NiftiMasker
from lazyvox.testing import peak_of

MIB = 1 << 20
SHAPE = (60, 60, 36, 64)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """32 MB decoded."""
    few = np.random.default_rng(0).integers(0, 200, (*SHAPE[:3], 4)).astype(np.float32)
    values = np.broadcast_to(few[..., None, :], (*SHAPE[:3], SHAPE[3] // 4, 4))
    path = tmp_path_factory.mktemp("runs") / "run.nii.gz"
    lv.save(nib.Nifti1Image(values.reshape(SHAPE, order="F"), np.eye(4)), path)
    return str(path)


def mask():
    values = np.zeros(SHAPE[:3], np.uint8)
    values[5:-5, 5:-5, 5:-5] = 1
    return nib.Nifti1Image(values, np.eye(4))


def test_voxels_take_their_result_and_a_little(run):
    masker = NiftiMasker(mask(), standardize="zscore_sample", detrend=True).fit()
    result = masker.n_elements_ * SHAPE[3] * 4
    plan = lv.plan(masker.transform, run)
    measured = peak_of(masker.transform, run)
    assert measured <= plan.peak_bytes
    assert measured <= result + 60 * MIB


def test_regions_do_not_grow_with_the_run(run):
    labels = np.zeros(SHAPE[:3], np.int16)
    labels[5:30, 5:-5, 5:-5], labels[30:-5, 5:-5, 5:-5] = 1, 2
    masker = NiftiLabelsMasker(nib.Nifti1Image(labels, np.eye(4)), standardize=None).fit()
    assert peak_of(masker.transform, run) <= lv.plan(masker.transform, run).peak_bytes


def test_a_result_on_disk_takes_less_than_itself(run, tmp_path):
    parameters = {"standardize": "zscore_sample", "memmap_dir": tmp_path, "memory_budget": "24MiB"}
    masker = NiftiMasker(nib.Nifti1Image(np.ones(SHAPE[:3], np.uint8), np.eye(4)), **parameters)
    masker.fit()
    assert masker.n_elements_ * SHAPE[3] * 4 > 30 * MIB
    assert peak_of(masker.transform, run) <= 28 * MIB


def test_a_budget_that_is_too_small_is_refused_before_anything_is_read(run):
    masker = NiftiMasker(mask(), standardize=None, memory_budget="1MB").fit()
    with pytest.raises(lv.MemoryBudgetError, match="Pass memory="):
        masker.transform(run)
