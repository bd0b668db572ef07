"""Signals as labelled arrays."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import MissingDependencyError
from lazyvox.testing import run_like


def test_regions(example_folder):
    signals = lv.extract(
        example_folder / "run.nii.gz",
        example_folder / "atlas.nii.gz",
        lut=example_folder / "atlas.tsv",
        sample_mask=range(4, 40),
    )
    found = signals.to_xarray()
    assert found.dims == ("time", "region")
    assert found.name == "signals"
    assert found.attrs == {"t_r": 2.0}
    assert np.shares_memory(found.values, signals.values)
    assert found.region.values.tolist() == list(signals.names)
    assert found.label.values.tolist() == list(signals.labels)
    np.testing.assert_array_equal(found.coverage, signals.coverage)
    np.testing.assert_array_equal(found.time, 2.0 * np.arange(4, 40))
    assert found.time.attrs == {"units": "s"}
    np.testing.assert_array_equal(found.sel(region="LeftFront"), signals.values[:, 0])


def test_voxels_without_a_repetition_time(tmp_path):
    affine = np.array([[2.0, 0.5, 0, 1], [0, 3, 0, 2], [0, 0, 4, 3], [0, 0, 0, 1]])
    run = nib.Nifti1Image(run_like((3, 4, 5, 6)), affine)
    run.header["pixdim"][4] = 0
    mask = np.zeros((3, 4, 5), "u1")
    mask[1, 2, 3] = mask[2, 2, 3] = 1
    found = lv.extract(run, nib.Nifti1Image(mask, affine)).to_xarray()
    assert found.dims == ("time", "voxel")
    assert found.time.attrs == {"units": "volume"}
    assert found.attrs == {}
    assert found.voxel.values.tolist() == ["1_2_3", "2_2_3"]
    places = np.stack([found[name] for name in "xyz"])
    np.testing.assert_allclose(places.T, [affine[:3] @ [1, 2, 3, 1], affine[:3] @ [2, 2, 3, 1]])


def test_missing_package_is_named(example_folder, monkeypatch):
    signals = lv.extract(example_folder / "run.nii.gz", example_folder / "mask.nii.gz")
    monkeypatch.setattr("lazyvox.runtime.optional.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"package xarray .*pip install xarray"):
        signals.to_xarray()
