"""Files of an expression that vanish or end early, and Ctrl-C while it is computed."""

import signal
import threading

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv

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
