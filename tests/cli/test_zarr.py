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


@pytest.mark.parametrize(
    ("argv", "chunks"),
    [
        (["convert", "run.nii.gz", "o.zarr", "--chunks", "space"], (12, 14, 1, 40)),
        (["convert", "run.nii.gz", "o.zarr", "--chunks", "5,6,7,-1"], (5, 6, 7, 40)),
        (["smooth", "run.nii.gz", "--fwhm", 6, "-o", "o.zarr", "--chunks", "time"], (12, 14, 10, 1)),
        (["slice", "run.nii.gz", "..., :8", "-o", "o.zarr", "--chunks", "4,4,4,4"], (4, 4, 4, 4)),
        (["concat", "run.nii.gz", "run.nii.gz", "-o", "o.zarr", "--chunks", "space"], (12, 14, 1, 80)),
        (["calc", "a + 1", "-v", "a=run.nii.gz", "-o", "o.zarr", "--chunks", "6,7,5,9"], (6, 7, 5, 9)),
        (["clean", "run.nii.gz", "--detrend", 1, "-o", "o.zarr", "--chunks", "space"], (12, 14, 1, 40)),
        (["resample", "run.nii.gz", "--zooms", 6, "-o", "o.zarr", "--chunks", "3,3,3,1"], (3, 3, 3, 1)),
        (["split", "run.nii.gz", "-o", "o{}.zarr", "--chunks", "4,5,6"], (4, 5, 6)),
    ],
)  # fmt: skip
def test_chunks_of_stores(argv, chunks, example_folder, lazyvox):
    done = lazyvox(*argv)
    assert (done.code, done.err) == (0, "")
    name = "o0.zarr" if argv[0] == "split" else "o.zarr"
    assert lv.load(example_folder / name).dataobj.reader.chunks == chunks
    other = [str(one).replace(".zarr", ".nii") for one in argv]
    refused = lazyvox(*other)
    assert refused.code == 2
    assert (
        "--chunks concerns Zarr stores, whose names end in .zarr. Got the output o" in refused.err
    )
    assert not list(example_folder.glob("o*.nii"))


@pytest.mark.parametrize(
    ("chunks", "code", "message"),
    [
        (
            "slices",
            2,
            "--chunks must be time, space or a length for each axis, such as 16,16,8,-1",
        ),
        ("4,4", 1, "--chunks must have a length from 1 on, or -1 for all, for each of 4 axes"),
        ("0,4,4,4", 1, "--chunks must have a length from 1 on"),
    ],
)
def test_chunks_that_cannot_be(chunks, code, message, example_folder, lazyvox):
    done = lazyvox("convert", "run.nii.gz", "o.zarr", "--chunks", chunks)
    assert (done.code, message in done.err) == (code, True), done.err
    assert not (example_folder / "o.zarr").exists()
