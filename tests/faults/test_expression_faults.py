"""Files of an expression that vanish or end early, and Ctrl-C while it is computed."""

import gc
import random
import signal
import threading

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.testing import n_descriptors

GRID = (40, 40, 30)


@pytest.fixture
def paths(tmp_path):
    values = np.random.default_rng(0).integers(0, 900, GRID).astype("i2")
    paths = [tmp_path / f"v{number}.nii.gz" for number in range(12)]
    for path in paths:
        nib.save(nib.Nifti1Image(values, np.eye(4)), path)
    return paths


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("number", [0, 5, 11])
def test_a_file_that_disappeared_is_named(paths, number):
    total = sum(lv.load(path) for path in paths)
    paths[number].unlink()
    with pytest.raises(lv.ImageFileError, match=f"v{number}.nii.gz"):
        np.asarray(total.dataobj)


@pytest.mark.parametrize("number", [0, 11])
def test_a_truncated_file_is_named_and_nothing_is_saved(paths, number, tmp_path):
    content = paths[number].read_bytes()
    paths[number].write_bytes(content[: len(content) // 2])
    total = sum(lv.load(path) for path in paths)
    with pytest.raises(lv.ImageFileError, match=f"v{number}.nii.gz"):
        lv.save(total, tmp_path / "out.nii")
    assert not (tmp_path / "out.nii").exists()
    paths[number].write_bytes(content)
    assert sum(lv.load(path) for path in paths).dataobj[0, 0, 0] is not None


def test_a_reduction_that_fails_can_be_tried_again(paths, tmp_path):
    run = nib.Nifti1Image(np.random.default_rng(1).normal(size=(9, 9, 9, 20)), np.eye(4))
    nib.save(run, tmp_path / "run.nii.gz")
    img = lv.load(tmp_path / "run.nii.gz")
    z = (img - img.mean(axis=-1)) / img.std(axis=-1)
    (tmp_path / "run.nii.gz").rename(tmp_path / "away.nii.gz")
    with pytest.raises(lv.ImageFileError, match=r"run.nii.gz"):
        np.asarray(z.dataobj)
    (tmp_path / "away.nii.gz").rename(tmp_path / "run.nii.gz")
    assert np.isfinite(np.asarray(z.dataobj)).all()


def read_for_ever(img):
    while True:
        np.asarray(img.dataobj)


@pytest.mark.parametrize("seconds", [0.002, 0.01, 0.03])
def test_ctrl_c_leaves_no_thread(paths, seconds):
    def interrupt(number, frame):
        signal.raise_signal(signal.SIGINT)

    total = sum(lv.load(path, dtype=np.float32) for path in paths * 3)
    before = signal.signal(signal.SIGALRM, interrupt)
    keyboard = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        # Again and again: one that comes while an object is deleted is lost, as Python has it.
        signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            read_for_ever(total)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.signal(signal.SIGINT, keyboard)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("n_times", [5, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["volumes", "series"])
def test_interrupts_at_random_moments_leave_right_values(paths, tmp_path, kind, n_times):
    if kind == "series":
        values = np.random.default_rng(1).integers(0, 900, (40, 40, 30, 12)).astype("i2")
        paths = [tmp_path / f"run{number}.nii.gz" for number in range(40)]
        nib.save(nib.Nifti1Image(values, np.eye(4)), paths[0])
        for path in paths[1:]:
            path.hardlink_to(paths[0])
    total = sum(lv.load(path, dtype=np.float32) for path in paths)
    found = expected = np.asarray(total.dataobj)
    n_open = n_descriptors()
    moments = random.Random(0)
    before = signal.signal(
        signal.SIGALRM, lambda number, frame: signal.raise_signal(signal.SIGINT)
    )
    try:
        for _ in range(n_times):
            try:
                signal.setitimer(signal.ITIMER_REAL, moments.uniform(1e-4, 0.1))
                found = np.asarray(total.dataobj)
                signal.setitimer(signal.ITIMER_REAL, 0)
                np.testing.assert_array_equal(found, expected)
            except KeyboardInterrupt:
                # What an interrupted pass leaves in a cycle of references ends with it.
                gc.collect()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    np.testing.assert_array_equal(np.asarray(total.dataobj), expected)
    del found
    gc.collect()
    # An interrupt right behind the system call that opens a file loses its descriptor.
    assert n_descriptors() <= n_open + 2 + n_times // 40


def test_threads_share_an_expression(paths):
    total = sum(lv.load(path) for path in paths)
    expected = 12 * lv.load(paths[0]).dataobj.read()
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(np.asarray(total.dataobj))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    for one in found:
        np.testing.assert_array_equal(one, expected)
