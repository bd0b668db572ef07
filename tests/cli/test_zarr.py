"""Folders of Zarr as outputs and inputs of commands."""

import json

import nibabel as nib
import numpy as np
import pytest
import zarr

import lazyvox as lv


def test_commands_write_and_read_stores(example_folder, lazyvox):
    done = lazyvox("convert", "run.nii.gz", "run.nii.zarr")
    assert (done.code, done.err) == (0, "")
    run = nib.load(example_folder / "run.nii.gz")
    stored = lv.load(example_folder / "run.nii.zarr")
    np.testing.assert_array_equal(np.asarray(stored.dataobj), np.asarray(run.dataobj))
    assert lazyvox("mean", "run.nii.zarr", "-o", "mean.zarr").code == 0
    assert lazyvox("mean", "run.nii.gz", "-o", "mean.nii").code == 0
    np.testing.assert_array_equal(
        np.asarray(lv.load(example_folder / "mean.zarr").dataobj),
        np.asarray(nib.load(example_folder / "mean.nii").dataobj),
    )


def test_facts_of_a_store(example_folder, lazyvox):
    lv.save(lv.load(example_folder / "run.nii.gz"), example_folder / "run.zarr")
    done = lazyvox("info", "run.zarr", "--check")
    assert done.code == 0
    assert "NIfTI-1 in a Zarr store, chunks of 12 x 14 x 10 x 1" in done.out
    assert "passed" in done.out


def test_store_that_exists_is_replaced_on_request_and_another_folder_never(
    example_folder, lazyvox
):
    assert lazyvox("mean", "run.nii.gz", "-o", "mean.zarr").code == 0
    refused = lazyvox("mean", "run.nii.gz", "-o", "mean.zarr")
    assert (refused.code, "Pass --overwrite to replace it" in refused.err) == (2, True)
    assert lazyvox("mean", "run.nii.gz", "-o", "mean.zarr", "--overwrite").code == 0
    (example_folder / "thesis.zarr").mkdir()
    refused = lazyvox("mean", "run.nii.gz", "-o", "thesis.zarr", "--overwrite")
    assert (refused.code, "this is a directory" in refused.err) == (2, True)


@pytest.mark.parametrize("level", ["10", "-1"])
def test_level_out_of_range_names_the_option(level, example_folder, lazyvox):
    done = lazyvox("convert", "run.nii.gz", "run.zarr", "--compresslevel", level)
    assert done.code != 0
    assert "--compresslevel must be from 0 to 9 for a Zarr store" in done.err


@pytest.mark.filterwarnings("default:.*not in the store:lazyvox.errors.LazyvoxWarning")
def test_check_counts_the_chunks_that_are_not_there(example_folder, lazyvox):
    lv.save(lv.load(example_folder / "run.nii.gz"), example_folder / "run.zarr")
    for number in (5, 7):
        (example_folder / f"run.zarr/0/c/{number}/0/0/0").unlink()
    done = lazyvox("info", "run.zarr", "--check")
    assert (done.code, "2 of 40 chunks missing, though all were written" in done.err) == (1, True)
    refused = lazyvox("mean", "run.zarr", "-o", "mean.nii")
    assert (refused.code, (example_folder / "mean.nii").exists()) == (1, False)
    assert "at (5, 0, 0, 0) is missing, as after a copy that stopped" in refused.err
    del zarr.open_group(example_folder / "run.zarr", mode="a")["0"].attrs["lazyvox"]
    done = lazyvox("info", "run.zarr", "--check")
    assert (done.code, done.err) == (0, "")
    assert "passed: size, finite values; 2 of 40 chunks not in the store" in done.out
    done = lazyvox("info", "run.zarr", "--check", "--json")
    assert json.loads(done.out)["images"][0]["check"]["absent_chunks"] == 2
    done = lazyvox("mean", "run.zarr", "-o", "mean.nii")
    assert (done.code, done.err.count("2 chunks are not in the store")) == (0, 1)
