"""Images as stores of Zarr that are read when their chunks are asked for."""

import pickle

import nibabel as nib
import numpy as np
import pytest
import xarray as xr
import zarr

import lazyvox as lv
from lazyvox import image
from lazyvox.errors import MissingDependencyError, ParameterError
from lazyvox.interop import from_zarr, to_zarr, zarr_store
from lazyvox.testing import CountingSource, image_over, run_like


@pytest.mark.parametrize("chunks", ["time", "space", (5, 4, 3, 7)])
@pytest.mark.parametrize("slope", [1.0, 0.5])
def test_store_is_that_of_to_zarr(chunks, slope, tmp_path):
    run = nib.Nifti1Image(run_like((12, 10, 8, 9), ">i2"), np.diag([2.0, 3, 4, 1]))
    run.header.set_slope_inter(slope, 3.0)
    run.to_filename(tmp_path / "run.nii.gz")
    to_zarr(tmp_path / "run.nii.gz", tmp_path / "run.zarr", chunks=chunks)
    written = zarr.open_group(tmp_path / "run.zarr", mode="r")
    store = zarr_store(tmp_path / "run.nii.gz", chunks=chunks)
    for found in (store, pickle.loads(pickle.dumps(store))):
        group = zarr.open_group(found, mode="r")
        assert set(group) == {"0", "nifti"}
        assert group["0"].chunks == written["0"].chunks
        assert group["0"].metadata.dimension_names == written["0"].metadata.dimension_names
        for name in group:
            np.testing.assert_array_equal(group[name][...], written[name][...])
    img = from_zarr(store)
    np.testing.assert_array_equal(
        np.asarray(img.dataobj), np.asarray(lv.load(tmp_path / "run.nii.gz").dataobj)
    )


def test_chunk_reads_its_own_bytes():
    source, img = image_over(CountingSource, run_like((8, 8, 8, 40)))
    group = zarr.open_group(zarr_store(img), mode="r")
    assert source.bytes_read == 0
    np.testing.assert_array_equal(group["0"][25].T, np.asarray(img.dataobj[..., 25]))
    assert source.bytes_read == 2 * 8 * 8 * 8 * 4


def test_computed_and_cast_images_are_in_their_own_type(example_folder):
    run = lv.load(example_folder / "run.nii.gz")
    for img in (
        image.smooth_img(run, 6),
        lv.load(example_folder / "run.nii.gz", dtype="f8"),
        run.slicer[2:, ::-1, :, 3::2],
    ):
        found = from_zarr(zarr_store(img))
        assert found.get_data_dtype() == img.dataobj.dtype
        np.testing.assert_array_equal(np.asarray(found.dataobj), np.asarray(img.dataobj))
        np.testing.assert_allclose(found.affine, img.affine)


def test_xarray_opens_it(example_folder):
    found = xr.open_zarr(zarr_store(example_folder / "run.nii.gz"), consolidated=False)["0"]
    assert found.dims == ("t", "z", "y", "x")
    run = nib.load(example_folder / "run.nii.gz")
    np.testing.assert_array_equal(found.isel(t=7).values.T, np.asarray(run.dataobj[..., 7]))


def test_store_cannot_be_written_to(example_folder):
    store = zarr_store(example_folder / "run.nii.gz")
    assert str(store).endswith("run.nii.gz")
    assert store != zarr_store(example_folder / "run.nii.gz")
    with pytest.raises(ValueError, match=r"read[- ]only"):
        zarr.open_group(store, mode="r+")["0"][0] = 0
    with pytest.raises(ValueError, match="cannot be written to"):
        zarr.core.sync.sync(store.set("0/zarr.json", None))


def test_keys_that_are_none(example_folder):
    store = zarr_store(example_folder / "run.nii.gz")
    keys = ("0/c/40/0/0/0", "0/c/0/0/0", "0/c/a/0/0/0", "other", "0/c/-1/0/0/0")
    for key in keys:
        assert zarr.core.sync.sync(store.get(key)) is None
        assert not zarr.core.sync.sync(store.exists(key))


def test_what_a_store_cannot_hold_is_refused(monkeypatch):
    six = nib.Nifti1Image(np.zeros((2,) * 6, "f4"), np.eye(4))
    with pytest.raises(ParameterError, match="must have 2 to 5 axes"):
        zarr_store(six)
    monkeypatch.setattr("lazyvox.runtime.optional.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"package zarr .*pip install zarr"):
        zarr_store(six)
