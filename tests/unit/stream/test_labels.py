"""Labels that are integers but for rounding: extract, maskers and their atlases."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox import maskers
from lazyvox.stream.labels import as_labels, is_integral

A = np.diag([3.0, 3, 3, 1])
RUN = np.random.default_rng(0).normal(100, 10, (6, 6, 6, 10)).astype("f4")
ATLAS = np.zeros((6, 6, 6), "i2")
ATLAS[:2, 1:], ATLAS[2:4, 1:], ATLAS[4:, 1:] = 1, 2, 3


@pytest.fixture
def run(tmp_path):
    nib.Nifti1Image(RUN, A).to_filename(tmp_path / "run.nii")
    return tmp_path / "run.nii"


def scaled(path, factor: float):
    """Write the atlas as integers that a slope scales, so that it reads near `factor` times it."""
    img = nib.Nifti1Image(ATLAS * factor, A)
    img.set_data_dtype("i2")
    img.to_filename(path)
    return path


def test_labels_scaled_by_a_header_are_the_nearest_integers(run, tmp_path):
    near = scaled(tmp_path / "near.nii", 3.0)
    assert not np.isin(nib.load(near).get_fdata(), [0, 3, 6, 9]).all()
    signals = lv.extract(run, lv.Labels(near))
    assert list(signals.labels) == [3, 6, 9]
    by_path = lv.extract(run, near)
    exact = lv.extract(run, nib.Nifti1Image(ATLAS * 3, A))
    assert np.array_equal(signals.values, exact.values)
    assert np.array_equal(by_path.values, exact.values)


def test_a_labels_masker_keeps_names_and_regions_of_scaled_labels(run, tmp_path):
    near = scaled(tmp_path / "near.nii", 3.0)
    (tmp_path / "l.tsv").write_text("index\tname\n3\tA\n6\tB\n9\tC\n")
    masker = maskers.NiftiLabelsMasker(near, lut=tmp_path / "l.tsv", standardize=None)
    assert masker.fit_transform(run).shape == (10, 3)
    assert {"A", "B", "C"} <= set(masker.region_names_.values())
    assert np.unique(masker.region_atlas_.dataobj).tolist() == [0, 3, 6, 9]


def test_a_scale_neither_splits_regions_nor_makes_one_of_the_background(run):
    values = ATLAS.astype("f8")
    values[0, 1, 1], values[2, 1, 1], values[0, 0, 0] = 1.00003, 2.0000457, -2.3e-10
    atlas = nib.Nifti1Image(values, A)
    masker = maskers.NiftiLabelsMasker(atlas, standardize=None)
    signals = masker.fit_transform(run)
    assert signals.shape == (10, 3)
    np.testing.assert_allclose(lv.extract(run, atlas).values, signals, rtol=1e-6)


@pytest.mark.parametrize("maximum", [2**31 - 1, 2**31, 2**32 + 1])
def test_ids_beyond_32_bits_are_kept(run, maximum):
    values = ATLAS.astype("i8")
    values[values == 3] = maximum
    atlas = nib.Nifti1Image(values, A, dtype="i8")
    masker = maskers.NiftiLabelsMasker(atlas, standardize=None)
    masker.fit_transform(run)
    found = np.asarray(masker.region_atlas_.dataobj)
    assert np.array_equal(found, values)
    assert found.dtype == (np.int32 if maximum < 2**31 else np.int64)
    assert list(lv.extract(run, atlas).labels) == [1, 2, maximum]


def test_labels_two_per_cent_off_are_refused_with_digits_and_slope(run, tmp_path):
    path = scaled(tmp_path / "off.nii", 2.94)
    with pytest.raises(lv.RegionError, match=r"Got 2\.9\d*, 5\.8\d*.*\(scl_slope\)"):
        lv.extract(run, lv.Labels(path))
    with pytest.raises(lv.RegionError, match=r"fractions: .*2\.9\d*.*scl_slope"):
        lv.extract(run, path)


def test_masks_of_a_scaled_header_are_masks(run):
    values = np.where(ATLAS == 1, 0.99999994, -1e-9)
    signals = lv.extract(run, nib.Nifti1Image(values, A))
    assert np.array_equal(signals.values, RUN[ATLAS == 1].T)


def test_large_labels_may_be_rounded_relative_to_their_size():
    labels = np.array([2035, 14175])
    assert as_labels(labels * 255 * float(np.float32(1 / 255)), "x").tolist() == labels.tolist()
    assert not is_integral(np.array([14175.02]))


def test_labels_are_up_to_half_a_step_of_their_scale_away(run, tmp_path):
    exact = np.zeros(ATLAS.shape, "i2")
    exact[ATLAS > 0] = np.arange(1, (ATLAS > 0).sum() + 1)
    exact -= 7 * (exact == 100)
    img = nib.Nifti1Image(exact * 1.0, A)
    img.set_data_dtype("i2")
    img.to_filename(tmp_path / "many.nii")
    read = nib.load(tmp_path / "many.nii").get_fdata()
    assert 1e-4 < np.abs(read - exact).max() < 1e-2
    expected = lv.extract(run, lv.Labels(nib.Nifti1Image(exact, A)))
    for roi in (tmp_path / "many.nii", lv.Labels(tmp_path / "many.nii")):
        signals = lv.extract(run, roi)
        assert signals.labels == expected.labels
        assert np.array_equal(signals.values, expected.values)
    masker = maskers.NiftiLabelsMasker(tmp_path / "many.nii", standardize=None)
    assert masker.fit_transform(run).shape == expected.values.shape
    assert np.array_equal(masker.region_atlas_.dataobj, exact)


def test_a_background_that_a_scale_has_moved_is_no_region(run, tmp_path):
    values = np.select([ATLAS == 1, ATLAS == 2, ATLAS == 3], [-7.0, 10, 20])
    values[5, 5, 5] = 30
    img = nib.Nifti1Image(values, A)
    img.set_data_dtype("i2")
    img.to_filename(tmp_path / "moved.nii")
    assert 0 not in nib.load(tmp_path / "moved.nii").get_fdata()
    masker = maskers.NiftiLabelsMasker(tmp_path / "moved.nii", standardize=None)
    assert masker.fit_transform(run).shape == (10, 4)
    assert list(lv.extract(run, tmp_path / "moved.nii").labels) == [-7, 10, 20, 30]


def test_a_coarse_scale_makes_no_labels_of_fractions(run, tmp_path):
    img = nib.Nifti1Image(np.linspace(0, 1, ATLAS.size).reshape(ATLAS.shape), A)
    img.set_data_dtype("u1")
    img.to_filename(tmp_path / "p.nii")
    with pytest.raises(lv.RegionError, match="labels must be integers"):
        lv.extract(run, lv.Labels(tmp_path / "p.nii"))
