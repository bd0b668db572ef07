"""Cleaned images: computed on first use, in one pass and a spool that leaves nothing behind."""

import copy
import gc
import os
import pickle
import re
import threading
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.array.spool import SpooledReader
from lazyvox.errors import LazyvoxWarning
from lazyvox.image import clean_img, cleaning, smooth_img
from lazyvox.image.cleaning import CleaningJob
from lazyvox.lazyimage.classes import lazy_image
from lazyvox.signal import clean
from lazyvox.store.files import spool as spool_module
from lazyvox.store.files.spool import FileStore, Spool
from lazyvox.testing import (
    CountingSource,
    FlakySource,
    TripwireSource,
    image_over,
    own_threads,
)

SHAPE = (8, 9, 7, 40)
VALUES = np.random.default_rng(0).normal(500, 9, SHAPE).astype("<f4")


def on_disk(img):
    """Return a cleaned image whose spool is a file, however small it is."""
    reader = SpooledReader(img.dataobj.reader.job, 0)
    return lazy_image(type(img), lv.LazyArray.over(reader), img.affine, img.header)


def expected():
    columns = VALUES.reshape(-1, SHAPE[3]).T
    return clean(columns, standardize="zscore_sample").T.reshape(SHAPE)


def cleaned(wrap=CountingSource, **options):
    source, img = image_over(wrap, VALUES, compression="gzip")
    return source, clean_img(img, standardize="zscore_sample", **options)


def open_files():
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def test_nothing_is_read_before_a_voxel_is():
    _, img = cleaned(TripwireSource)
    img = on_disk(img)
    assert img.shape == SHAPE
    assert "in memory: nothing" in repr(img)
    scan = lv.Scan(smooth_img(img, 2))
    scan.add(lv.Mean())
    plan = scan.plan("64MiB")
    assert plan.scratch_bytes == VALUES.nbytes
    assert pickle.loads(pickle.dumps(img)).shape == SHAPE


@pytest.mark.parametrize("place", [on_disk, lambda img: img], ids=["disk", "memory"])
def test_the_file_is_read_once_for_everything(place):
    source, img = cleaned()
    img = place(img)
    np.testing.assert_allclose(img.dataobj[..., 5], expected()[..., 5], atol=1e-5)
    np.testing.assert_allclose(img.get_fdata(), expected(), atol=1e-5)
    key = (2, slice(3, 5), slice(None, None, -1), [7, 3, 3])
    np.testing.assert_allclose(img.dataobj[key], expected()[key], atol=1e-5)
    assert copy.deepcopy(img).dataobj[..., 0].shape == SHAPE[:3]
    source.assert_each_byte_once()


def test_chains_are_one_pass_and_a_spool(tmp_path):
    source, img = image_over(CountingSource, VALUES, compression="gzip")
    result = smooth_img(on_disk(clean_img(smooth_img(img, 3), standardize=None)), 2)
    lv.save(result, tmp_path / "out.nii.gz")
    source.assert_each_byte_once()
    assert lv.plan(lv.save, result, tmp_path / "b.nii").scratch_bytes >= 2 * VALUES.nbytes


def test_a_mask_spools_its_voxels_only():
    inside = np.zeros(SHAPE[:3], "u1")
    inside[2:4, 3, 1:6] = 1
    _, img = cleaned(mask_img=nib.Nifti1Image(inside, np.eye(4)))
    assert img.dataobj.reader.spool_bytes == int(inside.sum()) * SHAPE[3] * 4
    values = on_disk(img).get_fdata()
    np.testing.assert_allclose(values, expected() * inside[..., None], atol=1e-5)


def test_a_file_or_memory_by_the_budget():
    with lv.memory_budget("1GiB"):
        _, img = cleaned()
    assert img.dataobj.reader.scratch_bytes == 0
    assert img.dataobj.reader.session_bytes > VALUES.nbytes


def test_another_process_makes_its_own_spool():
    img = on_disk(clean_img(nib.Nifti1Image(VALUES, np.eye(4)), standardize="zscore_sample"))
    img.dataobj[..., 0]
    again = pickle.loads(pickle.dumps(img))
    assert again.dataobj.reader._state.value is None
    np.testing.assert_array_equal(again.dataobj[..., 3], img.dataobj[..., 3])


def test_the_spool_goes_with_the_last_image(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    _, img = cleaned()
    gc.collect()
    before = open_files()
    img = on_disk(img)
    part = img.slicer[..., :3]
    img.dataobj[..., 0]
    assert open_files() == before + 1
    assert not list(tmp_path.iterdir())
    del img
    gc.collect()
    assert part.get_fdata().shape == (*SHAPE[:3], 3)
    del part
    gc.collect()
    assert open_files() == before


def test_many_threads_compute_once():
    source, img = cleaned()
    img = on_disk(img)
    found = []
    threads = [
        threading.Thread(target=lambda i=i: found.append((i, img.dataobj[..., i])))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    source.assert_each_byte_once()
    for number, values in found:
        np.testing.assert_allclose(values, expected()[..., number], atol=1e-5)


def test_a_folder_that_does_not_exist(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    source, img = cleaned()
    with pytest.raises(lv.OutputError, match=r"missing', must take .* No such file.* TMPDIR"):
        on_disk(img).get_fdata()
    assert source.bytes_read == 0


def test_too_little_space_is_seen_before_reading(monkeypatch):
    source, img = cleaned()
    usage = spool_module.shutil.disk_usage("/")
    monkeypatch.setattr(spool_module.shutil, "disk_usage", lambda folder: usage._replace(free=100))
    with pytest.raises(OSError, match=re.escape("100 B are free. Set the environment")):
        on_disk(img).get_fdata()
    assert source.bytes_read == 0


def test_a_disk_that_is_full_in_mid_pass_leaves_nothing_and_can_be_tried_again(monkeypatch):
    _, img = cleaned()
    img = on_disk(img)
    gc.collect()
    before = open_files()
    written = []

    def pwrite(descriptor, values, offset):
        written.append(offset)
        if len(written) > 9:
            raise OSError(28, "No space left on device")
        return os_pwrite(descriptor, values, offset)

    os_pwrite = os.pwrite
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", pwrite)
        with pytest.raises(lv.OutputError, match=r"It does not: No space left on device\. Set"):
            img.get_fdata()
    gc.collect()
    assert open_files() == before
    np.testing.assert_allclose(img.get_fdata(), expected(), atol=1e-5)


def test_a_failing_read_leaves_nothing_and_can_be_tried_again():
    _, img = cleaned(lambda source: FlakySource(source, 1))
    img = on_disk(img)
    gc.collect()
    before = open_files()
    with pytest.raises(OSError, match="fails on purpose"):
        img.get_fdata()
    gc.collect()
    assert open_files() == before
    np.testing.assert_allclose(img.get_fdata(), expected(), atol=1e-5)


@pytest.mark.parametrize("method", ["write_row", "read_columns", "write_columns"])
def test_an_interrupt_leaves_nothing_and_can_be_tried_again(monkeypatch, method):
    _, img = cleaned()
    img = on_disk(img)
    gc.collect()
    before, threads = open_files(), own_threads()

    def interrupted(*args):
        msg = "pressed on purpose"
        raise KeyboardInterrupt(msg)

    with monkeypatch.context() as patch:
        patch.setattr(Spool, method, interrupted)
        with pytest.raises(KeyboardInterrupt, match="pressed on purpose"):
            img.get_fdata()
    gc.collect()
    assert open_files() == before
    assert own_threads() == threads
    np.testing.assert_allclose(img.get_fdata(), expected(), atol=1e-5)


def test_short_writes_go_on(monkeypatch):
    store = FileStore(1000)
    values = np.random.default_rng(0).integers(0, 255, 1000).astype(np.uint8)
    os_pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, rest, offset: os_pwrite(fd, rest[:7], offset))
    store.write(0, values.data)
    found = np.empty_like(values)
    store.readinto(0, found.data)
    np.testing.assert_array_equal(found, values)
    store.close()


def test_voxels_that_are_not_finite():
    values = VALUES.copy()
    values[1, 2, 3, 4], values[2, 2, 2, 2] = np.nan, np.inf
    img = nib.Nifti1Image(values, np.eye(4))
    with pytest.warns(
        LazyvoxWarning, match=r"be finite\. 2 of \d+ hold NaN or infinity after clean"
    ):
        assert np.isnan(clean_img(img, standardize=None).get_fdata()).sum() >= 40
    finite = clean_img(img, standardize=None, ensure_finite=True).get_fdata()
    assert np.isfinite(finite).all()
    full = nib.Nifti1Image(np.ones(SHAPE[:3], "u1"), np.eye(4))
    masked = clean_img(img, standardize=None, mask_img=full).get_fdata()
    np.testing.assert_allclose(masked, finite)


def test_voxels_that_are_no_numbers():
    img = nib.Nifti1Image(VALUES.astype("c8"), np.eye(4))
    with pytest.raises(TypeError, match=r"must be real numbers to be cleaned\. Got complex64"):
        clean_img(img, standardize=None)


def test_blocks_of_columns_change_nothing(monkeypatch):
    _, img = cleaned()
    whole = img.get_fdata()
    job = img.dataobj.reader.job
    monkeypatch.setattr(CleaningJob, "_block_columns", 33)
    again = lv.LazyArray.over(SpooledReader(job, 0))
    np.testing.assert_allclose(np.asarray(again), whole, atol=1e-6)


def test_threads_change_no_bit(monkeypatch):
    monkeypatch.setattr(cleaning, "BLOCKS_BYTES", 1)
    _, img = cleaned()
    job = img.dataobj.reader.job
    found = [
        np.asarray(lv.LazyArray.over(SpooledReader(replace(job, n_jobs=n_jobs), 0)))
        for n_jobs in (1, 3)
    ]
    np.testing.assert_array_equal(*found)
    np.testing.assert_allclose(found[0], expected(), atol=1e-5)


def test_an_image_that_several_computations_share_is_planned_once(tmp_path):
    """Of `clean(c) + c` over and over, each spool is filled once: one reading of the file each."""
    lv.save(nib.Nifti1Image(VALUES, np.eye(4)), tmp_path / "run.nii.gz")
    plans, values = [], []
    img = lv.load(tmp_path / "run.nii.gz")
    for depth in range(12):
        img = clean_img(img, standardize=None) + img
        plans.append(lv.plan(lv.save, img, tmp_path / "out.nii"))
        if depth < 3:
            values.append(np.asarray(img.dataobj))
    read = [plan.bytes_read for plan in plans]
    assert np.diff(read).tolist() == [read[0] // 2] * 11
    first = VALUES.reshape(-1, SHAPE[3]).T
    for found in values:
        first = clean(first, standardize=None) + first
        np.testing.assert_allclose(found.reshape(-1, SHAPE[3]).T, first, rtol=1e-5, atol=1e-3)
    with lv.peak_memory() as peak:
        lv.save(img, tmp_path / "out.nii")
    assert peak.increment <= plans[-1].peak_bytes
