"""Cleaned signals: those of nilearn's maskers with the same options."""

import nibabel
import numpy as np
import pytest

from lazyvox.extraction.api import extract

# nilearn and scikit-learn warn of their own changes to come.
pytestmark = pytest.mark.filterwarnings("ignore")

CONFOUNDS = np.random.default_rng(5).normal(size=(40, 3))
KEEP = np.r_[0:7, 9:20, 22:40]
OPTIONS = {
    "detrend": {"detrend": True},
    "zscore": {"standardize": "zscore_sample"},
    "psc": {"standardize": "psc", "detrend": True},
    "band": {"low_pass": 0.1, "high_pass": 0.02},
    "cosine": {"high_pass": 0.02, "detrend": True, "clean_args": {"filter": "cosine"}},
    "confounds": {"confounds": CONFOUNDS, "detrend": True, "standardize": "zscore_sample"},
    "raw confounds": {"confounds": CONFOUNDS, "standardize_confounds": False, "detrend": True},
    "volumes": {"sample_mask": KEEP, "detrend": True},
    "all": {
        "confounds": CONFOUNDS,
        "sample_mask": KEEP,
        "low_pass": 0.15,
        "high_pass": 0.01,
        "detrend": True,
        "standardize": "zscore_sample",
        "clean_args": {"extrapolate": True},
    },
}


@pytest.fixture(scope="module")
def files(example_files, tmp_path_factory):
    """Return paths; the run is in float64, so that nilearn computes in float64 too."""
    source = nibabel.load(example_files / "run.nii.gz")
    values = source.get_fdata()
    double = nibabel.Nifti1Image(values, source.affine)
    double.header.set_zooms((3.0, 3.0, 3.0, 2.0))
    double.header.set_xyzt_units("mm", "sec")
    path = tmp_path_factory.mktemp("cleaning") / "run.nii"
    double.to_filename(path)
    names = ("mask", "left", "atlas")
    return {"run": str(path)} | {one: str(example_files / f"{one}.nii.gz") for one in names}


def split(options):
    """Return the options of nilearn's masker, and those of its transform."""
    masker = {"standardize": None, "t_r": 2.0, "reports": False} | options
    transform = {name: masker.pop(name, None) for name in ("confounds", "sample_mask")}
    return masker, transform


def ours(options):
    """Return the options as `extract` names them: the filter is one of its own."""
    clean_args = dict(options.get("clean_args", {}))
    kind = {"filter": clean_args.pop("filter")} if "filter" in clean_args else {}
    return options | kind | {"clean_args": clean_args}


def assert_close(found, expected, tolerance=1e-6):
    assert found.shape == expected.shape
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_regions(nilearn, files, options):
    from nilearn.maskers import NiftiLabelsMasker

    masker, transform = split(options)
    expected = NiftiLabelsMasker(files["atlas"], **masker).fit_transform(files["run"], **transform)
    found = extract(files["run"], files["atlas"], **ours(options))
    assert_close(found.values, expected)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_voxels_alone_and_through_files(nilearn, files, tmp_path, options):
    from nilearn.maskers import NiftiMasker

    masker, transform = split(options)
    expected = NiftiMasker(files["left"], dtype="f8", **masker).fit_transform(
        files["run"], **transform
    )
    found = extract(files["run"], files["left"], **ours(options))
    assert_close(found.values, expected)
    stored = extract(files["run"], files["left"], out=tmp_path / "one.npy", **ours(options))
    np.testing.assert_array_equal(stored.values, found.values)


def test_smoothing_then_cleaning(nilearn, files):
    from nilearn.maskers import NiftiMasker

    masker = NiftiMasker(
        files["mask"],
        smoothing_fwhm=6,
        detrend=True,
        low_pass=0.1,
        high_pass=0.01,
        t_r=2.0,
        standardize="zscore_sample",
        dtype="f8",
    )
    expected = masker.fit_transform(files["run"])
    found = extract(
        files["run"],
        files["mask"],
        smoothing_fwhm=6,
        detrend=True,
        low_pass=0.1,
        high_pass=0.01,
        standardize="zscore_sample",
    )
    assert_close(found.values, expected, 1e-5)
