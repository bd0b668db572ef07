"""Chunks that a Zarr store does not hold: zarr left them out, or a copy stopped."""

import warnings

import nibabel as nib
import numpy as np
import pytest
import zarr

import lazyvox as lv
from lazyvox.errors import LazyvoxWarning, ReadError
from lazyvox.interop import from_zarr, to_zarr

VALUES = np.random.default_rng(5).integers(1, 99, (5, 4, 3, 8)).astype("i2")


def ours(tmp_path, values=VALUES):
    path = tmp_path / "ours.zarr"
    to_zarr(nib.Nifti1Image(values, np.eye(4)), path)
    return path


def foreign(tmp_path, values=VALUES, fill_value=0, shards=None):
    """Write an OME-Zarr image as zarr does by default: without chunks of the fill value."""
    path = tmp_path / "foreign.zarr"
    group = zarr.create_group(path, zarr_format=3)
    axes = [{"name": name} for name in "tzyx"]
    group.attrs["ome"] = {"multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}]}
    stored = values.T
    array = group.create_array(
        "0",
        shape=stored.shape,
        dtype=stored.dtype,
        chunks=(1, 3, 4, 5),
        shards=shards,
        fill_value=fill_value,
    )
    array[:] = stored
    return path


@pytest.mark.parametrize("dtype", ["i2", "f4", "u1"])
def test_stores_of_lazyvox_have_every_chunk(dtype, tmp_path):
    values = np.zeros((5, 4, 3, 8), dtype)
    path = ours(tmp_path, values)
    assert zarr.open_group(path, mode="r")["0"].nchunks_initialized == 8
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(np.asarray(from_zarr(path).dataobj), values)


def test_chunk_that_was_lost_is_an_error(tmp_path):
    path = ours(tmp_path)
    (path / "0/c/5/0/0/0").unlink()
    img = lv.load(path)
    np.testing.assert_array_equal(img.dataobj[..., 4], VALUES[..., 4])
    with pytest.raises(ReadError, match=r"must hold every chunk.* at \(5, 0, 0, 0\) is missing"):
        lv.mean_img(img)


def test_chunks_that_zarr_left_out_are_counted_once_for_a_pass(tmp_path):
    values = VALUES.copy()
    values[..., 2:5] = 0
    values[..., 6] = values[0, 0, 0, 6]
    path = foreign(tmp_path, values)
    with pytest.warns(LazyvoxWarning, match=r"3 chunks are not in the store, .*value 0\.") as said:
        found = lv.mean_img(lv.load(path)).get_fdata()
    assert len(said) == 1
    np.testing.assert_allclose(found, values.mean(3), rtol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(lv.load(path).dataobj[..., 5:], values[..., 5:])


def test_chunks_of_many_volumes_that_are_kept_for_a_pass(tmp_path):
    path = tmp_path / "ours.zarr"
    to_zarr(nib.Nifti1Image(VALUES, np.eye(4)), path, chunks=(5, 4, 1, 4))
    del zarr.open_group(path, mode="a")["0"].attrs["lazyvox"]
    (path / "0/c/1/2/0/0").unlink()
    with pytest.warns(LazyvoxWarning, match="1 chunk is not in the store") as said:
        lv.mean_img(lv.load(path))
    assert len(said) == 1


def test_fill_value_that_is_no_number_and_shards(tmp_path):
    values = VALUES.astype("f4")
    values[..., :4] = np.nan
    path = foreign(tmp_path, values, np.nan, shards=(2, 3, 4, 5))
    with pytest.warns(LazyvoxWarning, match=r"4 chunks are not .* fill value nan"):
        found = np.asarray(from_zarr(path).dataobj)
    np.testing.assert_array_equal(found, values)
    absent = from_zarr(path).dataobj.reader.absent_chunks
    assert (absent.n, absent.of, absent.are_lost) == (2, 4, False)


def test_chunks_of_the_fill_value_that_are_there_are_no_matter(tmp_path):
    path = ours(tmp_path, VALUES * 0)
    del zarr.open_group(path, mode="a")["0"].attrs["lazyvox"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lv.mean_img(lv.load(path))
