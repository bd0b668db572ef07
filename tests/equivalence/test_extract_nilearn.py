"""The same signals as nilearn gives, where nilearn is right."""

import nibabel
import numpy as np
import pytest

from lazyvox.extraction.api import extract
from lazyvox.extraction.labels import Labels
from lazyvox.extraction.reduction import STRATEGIES

# nilearn and scikit-learn warn of their own changes to come.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2"])
def test_every_strategy_of_regions(nilearn, example_files, tmp_path, strategy, dtype):
    from nilearn.maskers import NiftiLabelsMasker

    source = nibabel.load(example_files / "run.nii.gz")
    run = nibabel.Nifti1Image(np.asarray(source.dataobj).astype(dtype), source.affine)
    run.to_filename(tmp_path / "run.nii")
    atlas = str(example_files / "atlas.nii.gz")
    masker = NiftiLabelsMasker(atlas, strategy=strategy, standardize=None)
    expected = masker.fit_transform(str(tmp_path / "run.nii"))
    found = extract(tmp_path / "run.nii", atlas, strategy=strategy)
    assert found.shape == expected.shape
    # nilearn computes float32 runs in float32 here and there.
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found.values, expected, rtol=1e-6, atol=1e-6 * scale)


def test_voxels_in_the_same_order(nilearn, example_files):
    from nilearn.masking import apply_mask

    run, mask = (str(example_files / f"{name}.nii.gz") for name in ("run", "left"))
    np.testing.assert_array_equal(extract(run, mask).values, apply_mask(run, mask))


def test_sample_mask_keeps_the_same_volumes(nilearn, example_files):
    from nilearn.maskers import NiftiLabelsMasker

    run, atlas = (str(example_files / f"{name}.nii.gz") for name in ("run", "atlas"))
    keep = np.array([0, 1, 5, 6, 30])
    masker = NiftiLabelsMasker(atlas, standardize=None)
    expected = masker.fit_transform(run, sample_mask=keep)
    np.testing.assert_allclose(extract(run, atlas, sample_mask=keep).values, expected, 1e-6)


def test_negative_labels_and_backgrounds_mean_the_same(nilearn, example_files):
    from nilearn.regions import img_to_signals_labels

    run = nibabel.load(example_files / "run.nii.gz")
    labels = np.asarray(nibabel.load(example_files / "atlas.nii.gz").dataobj).astype("i2") - 3
    atlas = nibabel.Nifti1Image(labels, run.affine)
    expected, order, _ = img_to_signals_labels(run, atlas, background_label=-3)
    found = extract(run, Labels(atlas, background_label=-3))
    assert list(found.labels) == [int(label) for label in order]
    np.testing.assert_allclose(found.values, expected, rtol=1e-6)


def test_image_of_regions_is_the_inverse_transform(nilearn, example_files):
    from nilearn.regions import signals_to_img_labels

    run, atlas = (str(example_files / f"{name}.nii.gz") for name in ("run", "atlas"))
    signals = extract(run, atlas)
    expected = signals_to_img_labels(signals.values, atlas)
    np.testing.assert_array_equal(signals.to_img().get_fdata(), expected.get_fdata())


def test_real_run(nilearn, real_data):
    from nilearn.masking import apply_mask

    run = str(real_data / "haxby2001_sub001_run001_25mm_bold.nii.gz")
    mask = str(real_data / "haxby2001_sub001_25mm_vt.nii.gz")
    expected = apply_mask(run, mask, dtype="f8")
    np.testing.assert_allclose(extract(run, mask).values, expected, rtol=1e-6)
