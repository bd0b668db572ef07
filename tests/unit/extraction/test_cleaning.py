"""Cleaning behind the extraction: where tables wait, what is refused before anything is read."""

import nibabel
import numpy as np
import pytest

from lazyvox.errors import (
    ImageIndexError,
    LazyvoxError,
    LazyvoxWarning,
    OutputError,
    ParameterError,
    ParameterTypeError,
    TruncatedFileError,
)
from lazyvox.extraction import cleaning, table_stores
from lazyvox.extraction.api import extract
from lazyvox.extraction.labels import Labels
from lazyvox.extraction.voxels import Voxels
from lazyvox.runtime.dry_run import plan
from lazyvox.signal import clean

FILTERED = {"low_pass": 0.1, "high_pass": 0.02, "standardize": "zscore_sample"}
T_R = 2.0
GRID = (12, 14, 10)


@pytest.fixture
def spooled(monkeypatch):
    """Have every table that goes to a file wait on disk, in blocks of a few columns."""
    monkeypatch.setattr("lazyvox.extraction.api._HELD_PART", 1 << 40)
    monkeypatch.setattr(cleaning, "_BLOCK_BYTES", 40 * 4 * 33)


def expected_of(rois, **options):
    raw = extract("run.nii.gz", rois).values
    given = {"detrend": False, "standardize": None, "t_r": T_R} | options
    return clean(raw, **given)


@pytest.mark.parametrize("rois", ["mask.nii.gz", "atlas.nii.gz", [(0, 0, 0), (9, 0, 0)]])
def test_signals_are_cleaned(folder, rois):
    found = extract("run.nii.gz", rois, **FILTERED)
    np.testing.assert_allclose(found.values, expected_of(rois, **FILTERED), rtol=1e-6, atol=1e-6)
    assert found.t_r == T_R


@pytest.mark.parametrize("rois", ["mask.nii.gz", "atlas.nii.gz"])
def test_percent_of_voxels_without_a_mean(folder, rois):
    values = np.random.default_rng(0).normal(1000, 10, (*GRID, 40)).astype("f4")
    affine = nibabel.load("atlas.nii.gz").affine
    demeaned = nibabel.Nifti1Image(values - values.mean(axis=-1, keepdims=True), affine)
    with pytest.warns(LazyvoxWarning, match="with a mean of 0: they are set to 0"):
        assert not extract(demeaned, rois, standardize="psc").values.any()


def test_without_options_nothing_changes(folder):
    plain = extract("run.nii.gz", "mask.nii.gz")
    same = extract("run.nii.gz", "mask.nii.gz", detrend=False, standardize=None, t_r=3)
    np.testing.assert_array_equal(plain.values, same.values)


@pytest.mark.parametrize("ending", [".npy", ".tsv", ".csv", ".parquet"])
@pytest.mark.parametrize("rois", ["left.nii.gz", "atlas.nii.gz"])
def test_files_hold_what_memory_holds(folder, rois, ending):
    found = extract("run.nii.gz", rois, **FILTERED)
    stored = extract("run.nii.gz", rois, out=f"one{ending}", **FILTERED)
    np.testing.assert_array_equal(stored.values, found.values)
    assert stored.shape == found.shape
    assert stored.names == found.names


@pytest.mark.parametrize("options", [{}, {"sample_mask": np.r_[1:9, 12:38]}])
def test_tables_that_wait_on_disk(folder, spooled, options):
    memory = extract("run.nii.gz", "mask.nii.gz", **FILTERED, **options)
    planned = plan(extract, "run.nii.gz", "mask.nii.gz", out="v.npy", **FILTERED, **options)
    assert planned.scratch_bytes == 40 * 520 * 4
    stored = extract("run.nii.gz", "mask.nii.gz", out="v.npy", **FILTERED, **options)
    np.testing.assert_allclose(stored.values, memory.values, rtol=0, atol=1e-6)
    assert stored.shape == memory.shape


def test_full_disk_says_where_and_leaves_nothing(folder, spooled, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(table_stores.os, "pwrite", full)
    before = sorted(folder.iterdir())
    with pytest.raises(
        OutputError, match=r"temporary space.*No space left on device\. Set TMPDIR"
    ):
        extract("run.nii.gz", "mask.nii.gz", out="v.npy", detrend=True)
    assert sorted(folder.iterdir()) == before


def test_damaged_run_leaves_no_file(folder):
    content = (folder / "run.nii.gz").read_bytes()
    (folder / "cut.nii.gz").write_bytes(content[: len(content) // 2])
    before = sorted(folder.iterdir())
    with pytest.raises(TruncatedFileError, match=r"cut\.nii\.gz"):
        extract("cut.nii.gz", ["left.nii.gz", "atlas.nii.gz"], out="roi.tsv", detrend=True)
    assert sorted(folder.iterdir()) == before


def test_censored_volumes_are_interpolated_before_the_filter(folder):
    keep = np.setdiff1d(np.arange(40), [5, 6, 20])
    found = extract("run.nii.gz", "atlas.nii.gz", sample_mask=keep, **FILTERED)
    expected = expected_of("atlas.nii.gz", sample_mask=keep, **FILTERED)
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    cut_first = clean(
        extract("run.nii.gz", "atlas.nii.gz", sample_mask=keep).values,
        detrend=False,
        t_r=T_R,
        **FILTERED,
    )
    assert np.abs(found.values - cut_first).max() > 0.01
    # A boolean for every volume means the same.
    booleans = np.isin(np.arange(40), keep)
    again = extract("run.nii.gz", "atlas.nii.gz", sample_mask=booleans, **FILTERED)
    np.testing.assert_array_equal(again.values, found.values)


def test_runs_are_cleaned_on_their_own(folder):
    runs = np.repeat([0, 1], 40)
    joined = extract(
        ["run.nii.gz"] * 2, "atlas.nii.gz", detrend=True, clean_args={"runs": runs}
    ).values
    single = extract("run.nii.gz", "atlas.nii.gz", detrend=True).values
    np.testing.assert_allclose(joined, np.vstack([single, single]), atol=1e-9)


def test_explicit_consumers_lists_and_threads(folder):
    rois = {"v": Voxels(["left.nii.gz", "right.nii.gz"]), "l": Labels("atlas.nii.gz")}
    found = extract("run.nii.gz", rois, detrend=True, n_jobs=2)
    for one, name in zip(found["v"], ("left", "right"), strict=True):
        expected = extract("run.nii.gz", f"{name}.nii.gz", detrend=True).values
        np.testing.assert_array_equal(one.values, expected)
    extract("run.nii.gz", rois, detrend=True, out="all.npz")
    with np.load("all.npz") as archive:
        np.testing.assert_array_equal(archive["l"], found["l"].values)


def test_integers_become_floats(folder):
    source = nibabel.load("run.nii.gz")
    img = nibabel.Nifti1Image(np.asarray(source.dataobj).astype("i2"), source.affine)
    assert extract(img, "mask.nii.gz", detrend=True).dtype == np.float32
    assert extract(img, "mask.nii.gz").dtype == np.int16
    large = nibabel.Nifti1Image(np.asarray(source.dataobj).astype("i4"), source.affine)
    assert extract(large, "mask.nii.gz", detrend=True).dtype == np.float64


def test_smoothing_is_part_of_the_pass(folder):
    planned = plan(extract, "run.nii.gz", "atlas.nii.gz", smoothing_fwhm=5, detrend=True)
    assert planned.passes == 1
    found = extract(["run.nii.gz", "run.nii.gz"], "atlas.nii.gz", smoothing_fwhm=5)
    single = extract("run.nii.gz", "atlas.nii.gz", smoothing_fwhm=5)
    np.testing.assert_array_equal(found.values, np.vstack([single.values] * 2))
    assert np.abs(single.values - extract("run.nii.gz", "atlas.nii.gz").values).max() > 1


def test_constant_voxels_become_exactly_zero(folder):
    source = nibabel.load("run.nii.gz")
    values = np.full(source.shape, 1234.567, "f4")
    img = nibabel.Nifti1Image(values, source.affine)
    for rois in ("mask.nii.gz", "atlas.nii.gz"):
        found = extract(img, rois, detrend=True, standardize="zscore_sample")
        assert (found.values == 0).all()


class TestRefusedBeforeAnythingIsRead:
    """The run is no image beyond its header: reading it would be another error."""

    @pytest.fixture
    def cut(self, folder):
        source = nibabel.load("run.nii.gz")
        nibabel.Nifti1Image(np.asarray(source.dataobj), source.affine, source.header).to_filename(
            "whole.nii"
        )
        return "whole.nii"

    @pytest.mark.parametrize(
        ("options", "error", "match"),
        [
            ({"high_pass": 0.01, "t_r": 0}, ParameterError, "t_r.*must be above 0"),
            ({"high_pass": 0.01, "t_r": -2.0}, ParameterError, "t_r.*must be above 0"),
            ({"high_pass": 0.01, "t_r": "2"}, ParameterTypeError, "`t_r` must be a number"),
            ({"high_pass": 0.2, "low_pass": 0.1}, ParameterError, "high_pass"),
            ({"low_pass": 0.1, "filter": False}, ParameterError, "where there is a cutoff"),
            ({"filter": "wavelet"}, ParameterError, "filter must be 'butterworth'"),
            ({"filter": "cosine"}, ParameterError, "needs `t_r` and `high_pass`"),
            ({"standardize": "zscore"}, ParameterError, "standardize must be"),
            ({"detrend": "yes"}, ParameterTypeError, "`detrend` must be True or False"),
            ({"clean_args": {"order": 3}}, ParameterTypeError, "Got 'order'"),
            ({"confounds": np.ones((39, 2))}, LazyvoxError, "39"),
            ({"confounds": np.ones((2, 40))}, LazyvoxError, "40"),
            ({"confounds": np.full((40, 1), np.nan)}, LazyvoxError, "(?i)nan|finite"),
            ({"confounds": "none.tsv"}, LazyvoxError, r"none\.tsv"),
            ({"sample_mask": [3, 2], "detrend": True}, ParameterError, "must ascend"),
            ({"sample_mask": [], "detrend": True}, ParameterError, "at least one of 40 volumes"),
            ({"sample_mask": [40], "detrend": True}, ParameterError, "from 0 to 39"),
            ({"smoothing_fwhm": -1}, ParameterError, "fwhm"),
        ],
    )
    def test_options(self, cut, monkeypatch, options, error, match):
        def read(*args, **kwargs):
            pytest.fail("voxels of the run were read")

        monkeypatch.setattr("lazyvox.stream.prepared_pass.feed_consumers", read)
        with pytest.raises(error, match=match):
            extract(cut, "mask.nii.gz", **options)

    def test_filter_without_a_repetition_time(self, folder):
        source = nibabel.load("run.nii.gz")
        img = nibabel.Nifti1Image(np.asarray(source.dataobj), source.affine)
        img.header["pixdim"][4] = 0
        with pytest.raises(ParameterError, match="need `t_r`, the seconds between volumes"):
            extract(img, "mask.nii.gz", high_pass=0.01)
        assert extract(img, "mask.nii.gz", high_pass=0.02, t_r=2.0).shape == (40, 520)


def test_filter_longer_than_the_run(folder):
    with pytest.raises(ParameterError, match=r"(?i)volumes"):
        extract("run.nii.gz", "mask.nii.gz", sample_mask=range(4), high_pass=0.01)


def test_one_volume(folder):
    source = nibabel.load("run.nii.gz")
    img = nibabel.Nifti1Image(np.asarray(source.dataobj[..., :1]), source.affine)
    with pytest.warns(LazyvoxWarning, match="at least two volumes"):
        extract(img, "mask.nii.gz", detrend=True)


def test_index_errors_are_those_of_nilearn_in_runs(folder):
    with pytest.raises(ImageIndexError, match="volume"):
        extract(
            "run.nii.gz",
            "mask.nii.gz",
            sample_mask=[np.array([99])],
            detrend=True,
            clean_args={"runs": np.zeros(40, int)},
        )


def test_cleaned_halves_merge(folder):
    from lazyvox.extraction.cleaning import CleaningOptions
    from lazyvox.lazyimage.series import as_series

    series = as_series("run.nii.gz")
    prepared = CleaningOptions(detrend=True).prepare(series, None, n_jobs=1, largest_table=1 << 30)
    halves = [Voxels("mask.nii.gz").cleaned_by(prepared) for _ in range(2)]
    values = np.asfortranarray(series.array[...])
    for consumer, part in zip(halves, (slice(0, 25), slice(25, 40)), strict=True):
        consumer.init(series.grid)
        consumer.update(np.asfortranarray(values[..., part]), part.start)
    halves[0].merge(halves[1])
    expected = extract("run.nii.gz", "mask.nii.gz", detrend=True).values
    np.testing.assert_array_equal(halves[0].finalize().values, expected)


@pytest.mark.parametrize("name", ["low_pass", "high_pass"])
def test_cutoffs_beyond_half_of_the_sampling_rate_are_refused(example_folder, name):
    with pytest.raises(
        ParameterError,
        match=f"`{name}` must be below half of the sampling rate, 0.25 Hz for t_r=2",
    ):
        extract(example_folder / "run.nii.gz", example_folder / "mask.nii.gz", **{name: 0.3})
