"""A pass that fails, wherever and however, leaves no output, no thread, and a scan that works."""

import errno
import io
import os
import signal
import threading
import time

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.array import FileReader
from lazyvox.lazyimage.classes import lazy_image
from lazyvox.planning.spec import ArraySpec
from lazyvox.testing import FlakySource, MemorySource, nifti_bytes, write_nifti

SHAPE = (40, 40, 30, 24)
VALUES = np.random.default_rng(0).integers(0, 500, SHAPE).astype("f4")
N_INTERRUPTS = 30


def our_threads():
    """Return threads that do not end; one that was being started may need a moment to see it."""

    def names():
        return [one.name for one in threading.enumerate() if one.name.startswith("lazyvox")]

    patience = threading.Event()
    for _ in range(200):
        if not names():
            break
        patience.wait(0.01)
    return names()


def open_files():
    folder = "/proc/self/fd"
    return len(os.listdir(folder)) if os.path.isdir(folder) else 0  # noqa: PTH112, PTH208


@pytest.fixture(autouse=True)
def nothing_left(request):
    before = open_files()
    yield
    assert not our_threads()
    # A descriptor that was being handed over when an interrupt came may stay open.
    if "interrupt" not in request.node.name:
        assert open_files() <= before


def interrupted(work, after_s):
    """Do something, Ctrl-C coming after a while; return whether it came in time."""
    try:
        signal.setitimer(signal.ITIMER_REAL, float(after_s))
        work()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        return True
    return False


def full_scan(source, target):
    scan = lv.Scan(source)
    handles = [scan.add(one) for one in (lv.Mean(), lv.Std(), lv.Write(target))]
    return scan, handles


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_damaged_file_leaves_no_output(tmp_path, suffix):
    path = write_nifti(tmp_path / f"run{suffix}", VALUES)
    good = path.read_bytes()
    scan, (mean, *_) = full_scan(path, tmp_path / "copy.nii.gz")
    if suffix == ".nii":
        path.write_bytes(good[: len(good) * 2 // 3])
    else:
        path.write_bytes(good[:-200] + bytes(200))
    with pytest.raises(lv.ImageFileError, match="run"):
        scan.run()
    assert sorted(one.name for one in tmp_path.iterdir()) == [path.name]
    with pytest.raises(lv.LazyvoxError, match="the result of Mean exists after the scan has run"):
        mean.result()


@pytest.mark.parametrize("place", [0.01, 0.5, 0.999])
def test_damage_that_was_there_before_is_found(tmp_path, place):
    path = write_nifti(tmp_path / "run.nii.gz", VALUES)
    content = bytearray(path.read_bytes())
    content[int(len(content) * place) + 12] ^= 0x55
    path.write_bytes(content)
    (tmp_path / "copy.nii").write_bytes(b"old")

    def work():
        scan, _ = full_scan(path, tmp_path / "copy.nii")
        scan.run()

    with pytest.raises(lv.ImageFileError, match=r"run\.nii\.gz"):
        work()
    assert (tmp_path / "copy.nii").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2


class At:
    """Does something once, when the pass has come to a volume."""

    def __init__(self, volume, do):
        self.volume, self.do = volume, do

    def init(self, grid):
        self.done = False

    def update(self, block, start):
        if start >= self.volume and not self.done:
            self.done = True
            self.do()

    def merge(self, other):
        pass

    def finalize(self):
        return self.done

    def state_bytes(self, grid):
        return 0


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_file_rewritten_during_the_pass_is_noticed(tmp_path, suffix):
    path = write_nifti(tmp_path / f"run{suffix}", VALUES)
    old = path.stat()

    def rewrite():
        with path.open("r+b") as file:
            file.write(b"\0" * 4)
        os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns + 5_000_000_000))

    scan, _ = full_scan(path, tmp_path / "copy.nii")
    scan.add(At(3, rewrite))
    with pytest.raises(lv.FileChangedError, match="changed"):
        scan.run()
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_file_replaced_during_the_pass_gives_the_old_values_or_an_error(tmp_path, suffix):
    path = write_nifti(tmp_path / f"run{suffix}", VALUES)
    other = write_nifti(tmp_path / f"other{suffix}", VALUES + 1)
    scan, (mean, *_) = full_scan(path, tmp_path / "copy.nii")
    scan.add(At(3, lambda: other.replace(path)))
    try:
        scan.run()
    except lv.FileChangedError:
        assert not (tmp_path / "copy.nii").exists()
    else:
        np.testing.assert_allclose(mean.result().dataobj, VALUES.mean(axis=-1, dtype="f8"))
    # By its description the scan is of the file that is gone.
    with pytest.raises(lv.FileChangedError, match="Load it again"):
        scan.run()


def test_a_file_that_is_gone_is_named(tmp_path):
    path = write_nifti(tmp_path / "run.nii.gz", VALUES)
    scan, _ = full_scan(path, tmp_path / "copy.nii")
    path.unlink()
    assert scan.plan().bytes_read > 0
    with pytest.raises(lv.FileChangedError, match="deleted or moved"):
        scan.run()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fail_at", [1, 2])
def test_a_failing_read_appears_once_and_the_scan_works_again(tmp_path, fail_at):
    stored = nifti_bytes(VALUES)
    source = FlakySource(MemorySource(stored), fail_at)
    header = nib.Nifti1Header.from_fileobj(io.BytesIO(stored))
    reader = FileReader(source, ArraySpec(SHAPE, VALUES.dtype, 352))
    img = lazy_image(nib.Nifti1Image, lv.LazyArray.over(reader), np.eye(4), header)
    scan, (mean, *_) = full_scan(img, tmp_path / "copy.nii")
    with pytest.raises(OSError, match="fails on purpose"):
        scan.run("20MiB")
    assert not list(tmp_path.iterdir())
    scan.run("20MiB")
    np.testing.assert_allclose(mean.result().dataobj, VALUES.mean(axis=-1, dtype="f8"))


def test_a_full_disk_is_an_output_error(tmp_path, monkeypatch):

    img = nib.Nifti1Image(VALUES, np.eye(4))
    scan, _ = full_scan(img, tmp_path / "copy.nii")
    plain = os.write
    written = []

    def limited(fd, data):
        written.append(len(data))
        if sum(written) > VALUES.nbytes // 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return plain(fd, data)

    monkeypatch.setattr(os, "write", limited)
    with pytest.raises(lv.OutputError, match="No space left on device"):
        scan.run()
    monkeypatch.undo()
    assert not list(tmp_path.iterdir())
    scan.run()
    assert (tmp_path / "copy.nii").exists()


# A file object that was being made when the interrupt came is closed by the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("n_jobs", "suffix"), [(1, ".nii.gz"), (2, ".nii")])
def test_interrupts_at_any_moment_leave_nothing(tmp_path, n_jobs, suffix):
    path = write_nifti(tmp_path / f"run{suffix}", VALUES)
    target = tmp_path / "copy.nii"
    scan, (mean, *_) = full_scan(path, target)
    began = time.perf_counter()
    scan.run("20MiB", n_jobs)
    duration = time.perf_counter() - began
    target.unlink()
    moments = np.random.default_rng(n_jobs).uniform(0.0005, duration, N_INTERRUPTS // 2)
    n_interrupted = 0
    for moment in moments:
        n_interrupted += interrupted(lambda: scan.run("20MiB", n_jobs), moment)
        assert not our_threads()
        # Absent, or complete where the signal came after the very end.
        assert {one.name for one in tmp_path.iterdir()} - {path.name} <= {"copy.nii"}
        if target.exists():
            np.testing.assert_array_equal(np.asarray(lv.load(target).dataobj), VALUES)
            target.unlink()
    assert n_interrupted >= N_INTERRUPTS // 6
    scan.run("20MiB", n_jobs)
    np.testing.assert_allclose(mean.result().dataobj, VALUES.mean(axis=-1, dtype="f8"))


@pytest.fixture(autouse=True)
def alarm_means_interrupt():
    """Let the timer press Ctrl-C."""
    before = signal.signal(
        signal.SIGALRM, lambda number, frame: signal.raise_signal(signal.SIGINT)
    )
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


# A file object that was being made when the interrupt came is closed by the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_interrupts_while_saving_leave_nothing(tmp_path):
    img = nib.Nifti1Image(VALUES, np.eye(4))
    target = tmp_path / "copy.nii.gz"
    began = time.perf_counter()
    lv.save(img, target, n_jobs=2)
    duration = time.perf_counter() - began
    target.write_bytes(b"old")
    for moment in np.random.default_rng(5).uniform(0.0005, duration, N_INTERRUPTS // 2):
        interrupted(lambda: lv.save(img, target, n_jobs=2), moment)
        assert [one.name for one in tmp_path.iterdir()] == [target.name]
        assert not our_threads()
        if target.stat().st_size > 3:
            np.testing.assert_array_equal(np.asarray(lv.load(target).dataobj), VALUES)
            target.write_bytes(b"old")
