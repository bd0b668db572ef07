"""Shared data are in memory once, however many processes use them."""

import importlib
import sys

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.testing import peak_of, scan_peaks

MIB = 1 << 20
SHAPE = (64, 64, 64, 64)
DECODED = 64**4 * 4
WORKER = 60 * MIB

JOBS = """
import numpy as np
import lazyvox as lv

def largest(img):
    return float(np.asarray(img.dataobj).max())

def share(path):
    with lv.shared(path):
        pass

def share_and_map(path, n_workers):
    import memory_jobs
    with lv.shared(path) as handle:
        return lv.map_images(memory_jobs.largest, [handle] * n_workers, n_jobs=n_workers)

def load():
    lv.load, lv.shared
"""


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """Return a module that other processes can import too."""
    (tmp_path / "memory_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "memory_jobs", raising=False)
    yield importlib.import_module("memory_jobs")
    del sys.modules["memory_jobs"]


@pytest.fixture
def path(tmp_path):
    values = np.zeros(SHAPE, np.float32)
    values[::7, ::5] = np.random.default_rng(0).normal(size=values[::7, ::5].shape)
    img = nib.Nifti1Image(values, np.eye(4))
    lv.save(img, tmp_path / "run.nii.gz", compresslevel=1)
    return str(tmp_path / "run.nii.gz")


def test_sharing_holds_the_decoded_data_and_buffers(jobs, path):
    imports = peak_of(jobs.load)
    assert peak_of(jobs.share, path) <= DECODED + imports + 16 * MIB


def test_workers_hold_little_beside_the_shared_data(jobs, path):
    # The process that shares imports too.
    n_workers = 3
    assert peak_of(jobs.share_and_map, path, n_workers) <= DECODED + (n_workers + 1) * WORKER


def test_files_that_are_decoded_at_a_time_keep_to_the_plan(path):
    predicted, measured = scan_peaks([path] * 3, [lv.Mean()], "160MiB", 2)
    one_file, _ = scan_peaks([path] * 3, [lv.Mean()], "160MiB", 1)
    assert one_file < predicted <= 160 * MIB
    assert measured <= predicted
