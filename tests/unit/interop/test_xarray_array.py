"""Images as labelled arrays."""

import json
import pickle

import nibabel as nib
import numpy as np
import pytest
import xarray as xr

import lazyvox as lv
from lazyvox import image
from lazyvox.errors import MissingDependencyError
from lazyvox.interop import to_xarray
from lazyvox.testing import CountingSource, image_over, run_like


def test_parts_of_a_run(example_folder):
    img = nib.load(example_folder / "run.nii.gz")
    run = to_xarray(example_folder / "run.nii.gz")
    assert run.dims == ("x", "y", "z", "time")
    assert run.name == "run"
    assert run.dtype == np.float32
    np.testing.assert_allclose(run.x, -16.5 + 3 * np.arange(12))
    np.testing.assert_allclose(run.time, 2.0 * np.arange(40))
    units = {name: run[name].attrs["units"] for name in run.dims}
    assert units == {"x": "mm", "y": "mm", "z": "mm", "time": "s"}
    np.testing.assert_array_equal(np.reshape(run.attrs["affine"], (4, 4)), img.affine)
    fields = json.loads(run.attrs["header"])
    for field in img.header:
        expected = img.header[field].tolist()
        text = expected.decode() if isinstance(expected, bytes) else expected
        np.testing.assert_equal(fields[field], text)
    np.testing.assert_array_equal(run.values, np.asarray(img.dataobj))


def test_selecting_reads_what_was_selected():
    source, img = image_over(CountingSource, run_like((8, 8, 8, 40)))
    run = to_xarray(img)
    part = run.isel(time=[7, 3], x=slice(None, None, -1)).sel(y=4.0)
    assert source.bytes_read == 0
    values = part.values
    # A plain file: two of eight rows of each of five volumes, and gaps that are cheaper to read.
    assert source.bytes_read <= 5 * 8 * 8 * 8 * 4
    expected = np.asarray(img.dataobj)[::-1, 4][..., [7, 3]]
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize(
    "key",
    [
        {"x": [3, 1], "time": [5, 2, 2]},
        {"x": 2, "y": [0, 4], "z": slice(1, 5, 2), "time": -1},
        {"x": [5], "y": slice(6, 1, -2), "z": [1, 0]},
        {"time": slice(0, 0)},
        {},
    ],
)
def test_indices_are_those_of_an_array_in_memory(key):
    values = run_like((6, 7, 5, 8))
    plain = xr.DataArray(values, dims=("x", "y", "z", "time"))
    found = to_xarray(nib.Nifti1Image(values, np.eye(4))).isel(**key)
    np.testing.assert_array_equal(found.values, plain.isel(**key).values)
    assert found.dims == plain.isel(**key).dims


def test_points_are_selected_together():
    values = run_like((6, 7, 5, 8))
    img = nib.Nifti1Image(values, np.diag([2.0, 2, 2, 1]))
    points = {name: xr.DataArray([2.0, 8.0], dims="point") for name in "xyz"}
    np.testing.assert_array_equal(
        to_xarray(img).sel(points).values.T, values[[1, 4], [1, 4], [1, 4]].T
    )


@pytest.mark.parametrize(
    ("affine", "unit"),
    [
        (np.diag([-2.0, 3, 4, 1]), "mm"),
        ([[2, 0, 0, 1], [0, 2, 1e-7, 2], [0, 0, 2, 3], [0, 0, 0, 1]], "mm"),
        ([[2, 0.1, 0, 1], [0, 2, 0, 2], [0, 0, 2, 3], [0, 0, 0, 1]], "voxel"),
        ([[0, 2, 0, 1], [2, 0, 0, 2], [0, 0, 2, 3], [0, 0, 0, 1]], "voxel"),
        ([[0, 0, 0, 1], [0, 2, 0, 2], [0, 0, 2, 3], [0, 0, 0, 1]], "voxel"),
        ([[np.nan, 0, 0, 1], [0, 2, 0, 2], [0, 0, 2, 3], [0, 0, 0, 1]], "voxel"),
    ],
)
def test_coordinates_in_mm_where_the_axes_lie_along_those_of_the_world(affine, unit):
    img = nib.Nifti1Image(run_like((3, 4, 5)), None)
    img._affine = np.array(affine, float)
    found = to_xarray(img)
    assert {found[name].attrs["units"] for name in "xyz"} == {unit}
    corner = np.array([2, 3, 4, 1])
    expected = (np.array(affine) @ corner)[:3] if unit == "mm" else corner[:3]
    np.testing.assert_allclose([found[name].values[-1] for name in "xyz"], expected, atol=1e-5)


def test_time_without_a_repetition_time_is_counted_in_volumes():
    img = nib.Nifti1Image(run_like((3, 4, 5, 6)), np.eye(4))
    img.header["pixdim"][4] = 0
    found = to_xarray(img)
    assert found.time.attrs["units"] == "volume"
    assert found.time.values.tolist() == list(range(6))


def test_other_numbers_of_axes():
    assert to_xarray(nib.Nifti1Image(run_like((3, 4)), np.eye(4))).dims == ("x", "y")
    five = to_xarray(nib.Nifti1Image(run_like((3, 4, 5, 2, 6)), np.eye(4)))
    assert five.dims == ("x", "y", "z", "time", "dim_4")
    assert five.name is None


def test_computed_images_pickles_and_chunks(example_folder):
    smooth = image.smooth_img(lv.load(example_folder / "run.nii.gz"), 6)
    run = to_xarray(smooth)
    expected = np.asarray(smooth.dataobj)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(run)).isel(time=3), expected[..., 3])
    chunked = run.chunk(time=10)
    assert chunked.chunks[3] == (10, 10, 10, 10)
    np.testing.assert_allclose(
        chunked.mean("time").compute(scheduler="synchronous"), expected.mean(-1), rtol=1e-5
    )


def test_attributes_can_be_stored_as_zarr(example_folder, tmp_path):
    run = to_xarray(example_folder / "run.nii.gz").isel(time=slice(3))
    run.to_zarr(tmp_path / "run.zarr", consolidated=False)
    stored = xr.open_zarr(tmp_path / "run.zarr", consolidated=False)["run"]
    np.testing.assert_array_equal(stored.values, run.values)
    np.testing.assert_array_equal(stored.attrs["affine"], run.attrs["affine"])


@pytest.mark.parametrize("engine", ["scipy", "h5netcdf", "netcdf4"])
def test_netcdf_there_and_back(engine, example_folder, tmp_path):
    pytest.importorskip({"scipy": "scipy", "netcdf4": "netCDF4"}.get(engine, engine))
    img = nib.load(example_folder / "run.nii.gz")
    run = to_xarray(img).isel(time=slice(1, 4))
    run.to_netcdf(tmp_path / "run.nc", engine=engine)
    with xr.open_dataarray(tmp_path / "run.nc", engine=engine) as stored:
        np.testing.assert_array_equal(stored.values, img.dataobj[..., 1:4])
        np.testing.assert_array_equal(stored.time, [2, 4, 6])
        np.testing.assert_array_equal(np.reshape(stored.attrs["affine"], (4, 4)), img.affine)
        fields = json.loads(stored.attrs["header"])
    header = nib.Nifti1Header()
    for name, value in fields.items():
        header[name] = value
    assert header == img.header


@pytest.mark.parametrize("kind", [nib.MGHImage, nib.Nifti2Image, nib.AnalyzeImage])
def test_headers_of_other_formats_can_be_stored(kind, tmp_path):
    img = kind(np.ones((3, 4, 5), "f4"), np.eye(4))
    to_xarray(img).to_netcdf(tmp_path / "run.nc", engine="scipy")
    with xr.open_dataarray(tmp_path / "run.nc", engine="scipy") as stored:
        assert set(json.loads(stored.attrs["header"])) == set(img.header)


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("lazyvox.runtime.optional.find_spec", lambda name: None)
    with pytest.raises(
        MissingDependencyError, match=r"need the package xarray .*pip install xarray"
    ):
        to_xarray("run.nii.gz")
