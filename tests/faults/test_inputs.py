"""Inputs of functions that take images: paths of every kind, and other objects."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import ParameterTypeError
from lazyvox.testing import random_values, write_nifti

VALUES = random_values((4, 5, 6, 7), "<i2")


@pytest.fixture
def run(tmp_path):
    return write_nifti(tmp_path / "run.nii.gz", VALUES)


OPEN = """
import sys
from lazyvox.store import open_source
from lazyvox.errors import ImagePermissionError
try:
    open_source(sys.argv[1])
except PermissionError as error:
    assert isinstance(error, ImagePermissionError)
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed, and only root becomes one")
@pytest.mark.parametrize("closed", ["file", "folder"])
def test_another_users_file_is_named(tmp_path, run, closed):
    """Neither a file that this user may not read, nor one in a folder that it may not enter."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("this needs the program setpriv")
    folder = tmp_path / "folder"
    folder.mkdir()
    path = Path(shutil.move(run, folder / "run.nii.gz"))
    # Without the capabilities, root is a user like any other, and can still read this Python.
    path.chmod(0 if closed == "file" else 0o644)
    folder.chmod(0o755 if closed == "file" else 0o600)
    drop = [setpriv, "--bounding-set", "-dac_override,-dac_read_search,-fowner"]
    if subprocess.run([*drop, "true"], capture_output=True, check=False).returncode:
        pytest.skip("setpriv may not drop capabilities here")
    job = [*drop, sys.executable, "-c", OPEN, path]
    done = subprocess.run(job, capture_output=True, text=True, check=False)
    folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert f"{path}: this user may not read the file" in done.stdout


class Reads:
    """An object with a `read` that must not be called."""

    def read(self, size=-1):
        raise AssertionError("it was read")


@pytest.mark.parametrize("make", [io.BytesIO, io.StringIO, Reads])
def test_file_objects_are_refused_with_the_way_out(run, make):
    given = make()
    for call in (lv.load, lambda one: lv.save(lv.load(run), one)):
        with pytest.raises(ParameterTypeError, match=r"Files are read by name.*pass the name"):
            call(given)
    for call in (lv.mean_img, lambda one: lv.extract(run, one)):
        with pytest.raises(ParameterTypeError, match=r"must be a path or a nibabel image"):
            call(given)


def test_an_open_file_is_refused_and_left_where_it_was(run):
    with run.open("rb") as file:
        with pytest.raises(ParameterTypeError, match="Got BufferedReader"):
            lv.load(file)
        assert file.tell() == 0


def test_a_folder_of_many_files_with_like_names(tmp_path):
    for i in range(3000):
        (tmp_path / f"sub-{i:04}.nii").touch()
    upper = write_nifti(tmp_path / "Run.nii", VALUES)
    lower = write_nifti(tmp_path / "run.nii", VALUES + 1)
    other = tmp_path / "other_name.nii"
    other.hardlink_to(upper)
    assert np.array_equal(np.asarray(lv.load(other).dataobj), VALUES)
    if not lower.samefile(upper):
        assert np.array_equal(np.asarray(lv.load(upper).dataobj), VALUES)
    assert np.array_equal(np.asarray(lv.load(lower).dataobj), VALUES + 1)
    with pytest.raises(FileNotFoundError, match="Did you mean sub-"):
        lv.load(tmp_path / "sub-99999.nii")


@pytest.mark.parametrize("seconds", [-(10**9), 0, 4 * 10**9, 4354819199])
def test_times_long_ago_and_far_ahead(run, seconds):
    """The clock may be wrong, or jump: a time is compared for equality only."""
    try:
        os.utime(run, (seconds, seconds))
    except (OverflowError, OSError):
        pytest.skip("this file system knows no such time")
    img = lv.load(run)
    assert np.array_equal(img.dataobj[..., 3], VALUES[..., 3])
    os.utime(run, (seconds - 5, seconds - 5))
    with pytest.raises(lv.FileChangedError, match="it changed on disk"):
        img.dataobj[..., 4]


def test_a_unit_code_that_no_unit_has_is_taken_as_seconds(tmp_path):
    path = tmp_path / "run.nii"
    nib.save(nib.Nifti1Image(np.ones((3, 3, 3, 4), np.int16), np.eye(4)), path)
    content = bytearray(path.read_bytes())
    content[123] = 255
    path.write_bytes(content)
    img = lv.load(path)
    assert "t_r: 1 s" in repr(img)
    assert lv.Scan(img).grid.t_r == 1.0
    assert lv.mean_img(img).shape == (3, 3, 3)
    lv.save(img, tmp_path / "run.mgz")
    assert lv.load(tmp_path / "run.mgz").shape == (3, 3, 3, 4)
