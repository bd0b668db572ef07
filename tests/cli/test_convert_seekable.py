"""`lazyvox convert --seekable` writes files of which any volume is read at once."""

import json

import nibabel as nib
import numpy as np
import pytest

from lazyvox.store.opening import open_source


@pytest.mark.parametrize("ending", ["nii.gz", "nii.zst"])
def test_convert_writes_a_file_with_a_table(lazyvox, ending):
    done = lazyvox("convert", "run.nii.gz", f"out.{ending}", "--seekable")
    assert (done.code, done.err) == (0, "")
    assert open_source(f"out.{ending}").access_points() is not None
    back = lazyvox("convert", f"out.{ending}", "back.nii")
    assert back.code == 0
    expected = np.asarray(nib.load("run.nii.gz").dataobj)
    assert np.array_equal(np.asarray(nib.load("back.nii").dataobj), expected)


def test_without_the_option_there_is_none(lazyvox):
    assert lazyvox("convert", "run.nii.gz", "out.nii.gz").code == 0
    assert open_source("out.nii.gz").access_points() is None


def test_bzip2_is_refused_in_one_line(lazyvox):
    done = lazyvox("convert", "run.nii.gz", "out.nii.bz2", "--seekable")
    assert done.code == 1
    assert "must be compressed with gzip or zstd, or not at all" in done.err
    assert done.err.count("\n") == 1


def test_the_plan_counts_what_the_members_take(lazyvox):
    peaks = []
    for options in ([], ["--seekable"]):
        done = lazyvox("convert", "run.nii.gz", "o.nii.gz", "--explain", "--json", *options)
        assert done.code == 0
        peaks.append(json.loads(done.out)["plan"]["peak_bytes"])
    assert peaks[1] > peaks[0]
