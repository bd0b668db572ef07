"""Ctrl-C, the end of the interpreter, and event loops, in the middle of a pass or a save."""

import asyncio
import gc
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.stream.consumer import Consumer
from lazyvox.testing import assert_no_thread_is_left, n_descriptors, write_nifti

SHAPE = (40, 40, 20, 60)

# An interrupt within a destructor, or before a file of the kernel is closed, is Python's affair.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)


class Interrupt(KeyboardInterrupt):
    """Exception of a simulated Ctrl-C, distinct from a real one."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interrupts")
    values = np.random.default_rng(0).integers(0, 900, SHAPE).astype("<i2")
    for name in ("run.nii", "run.nii.gz"):
        write_nifti(folder / name, values, slope=0.5)
    write_nifti(folder / "mask.nii", np.ones(SHAPE[:3], "u1"))
    return folder


@contextmanager
def interrupted_after(seconds):
    def interrupt(number, frame):
        raise Interrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    keyboard = signal.getsignal(signal.SIGINT)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)
        # What raises in the middle of a change of handlers, as no SIGINT does, leaves it undone.
        signal.signal(signal.SIGINT, keyboard)


def scan_of(path, folder, out):
    scan = lv.Scan(path)
    scan.add(lv.Mean())
    scan.add(lv.Voxels(folder / "mask.nii", out=out / "voxels.npy", overwrite=True))
    return scan, lambda: scan.run(memory="16MiB", n_jobs=2)


def save_of(path, folder, out):
    img = lv.load(path)
    return img, lambda: lv.save(img, out / "copy.nii.gz", compresslevel=1, n_jobs=2)


def series_of(path, folder, out):
    img = lv.load(path)
    return img, lambda: [np.sum(img.dataobj[..., t]) for t in range(SHAPE[3])]


def assert_interruptible(make, path, folder, out, n_times):
    """Interrupt one object again and again; each time it must stop soon, clean and usable."""
    subject, work = make(path, folder, out)
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    complete = {entry.name: entry.read_bytes() for entry in out.iterdir()}
    descriptors, moments, n_stopped = n_descriptors(), random.Random(path.name), 0
    for _ in range(n_times):
        start = time.perf_counter()
        delay = moments.uniform(0, seconds)
        try:
            with interrupted_after(delay):
                work()
        except Interrupt:
            n_stopped += 1
            assert time.perf_counter() - start - delay < 1
        assert_no_thread_is_left()
        assert {entry.name: entry.read_bytes() for entry in out.iterdir()} == complete
    del subject
    work()
    gc.collect()
    # An interrupt may come when the system has opened a file and Python does not know it yet.
    assert n_descriptors() <= descriptors + max(3, n_stopped // 10)
    assert n_stopped


@pytest.mark.parametrize("make", [scan_of, save_of, series_of])
@pytest.mark.parametrize("name", ["run.nii", "run.nii.gz"])
def test_ctrl_c_at_random_moments(folder, tmp_path, make, name):
    assert_interruptible(make, folder / name, folder, tmp_path, 12)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("make", [scan_of, save_of, series_of])
@pytest.mark.parametrize("name", ["run.nii", "run.nii.gz"])
def test_ctrl_c_at_many_random_moments(folder, tmp_path, make, name):
    assert_interruptible(make, folder / name, folder, tmp_path, 200)


ENDS = {
    "a scan in a daemon thread": """
        import threading
        began = threading.Event()
        scan = lv.Scan(path)
        scan.add(lv.Std())
        def work():
            for _ in range(1000):
                scan.run(progress=lambda done, total: began.set())
        threading.Thread(target=work, daemon=True).start()
        began.wait(30)
    """,
    "a save in a daemon thread": """
        import threading, pathlib
        began = threading.Event()
        def work():
            for _ in range(1000):
                lv.save(img, out, n_jobs=2, progress=lambda done, total: began.set())
        threading.Thread(target=work, daemon=True).start()
        began.wait(30)
    """,
    "a loop over volumes left half-way": """
        volumes = iter(img.dataobj)
        next(volumes), next(volumes)
        kept = [img.dataobj[..., 2], volumes]
    """,
    "reading ahead left half-way": """
        from lazyvox.runtime.prefetch import read_ahead
        ahead = read_ahead(range(100), lambda t: img.dataobj[..., t % 9], n_ahead=2)
        iterator = iter(ahead)
        next(iterator)
    """,
    "a scan left by an error of the user": """
        class Failing(lv.Consumer):
            def init(self, grid): pass
            def update(self, block, start): raise SystemExit(0)
            def merge(self, other): pass
            def finalize(self): pass
            def state_bytes(self, grid): return 0
        scan = lv.Scan(path)
        scan.add(Failing())
        scan.run()
    """,
    "images dropped while they are read by threads": """
        import threading
        def work(image):
            for t in range(20):
                image.dataobj[..., t]
        threads = [threading.Thread(target=work, args=(lv.load(path),)) for _ in range(4)]
        [thread.start() for thread in threads]
        del img
    """,
}


@pytest.mark.parametrize("program", ENDS.values(), ids=ENDS)
def test_the_interpreter_ends_silently_and_at_once(folder, tmp_path, program):
    head = "import sys\nimport lazyvox as lv\npath, out = sys.argv[1:]\nimg = lv.load(path)\n"
    arguments = [str(folder / "run.nii.gz"), str(tmp_path / "o.nii.gz")]
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", head + textwrap.dedent(program), *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


class Nested(Consumer):
    """Reads the file that is being scanned, and scans it, from within the scan."""

    def __init__(self, path):
        self.path = path
        self.means = []

    def init(self, grid):
        self.img = lv.load(self.path)

    def update(self, block, start):
        again = self.img.dataobj[..., start : start + block.shape[3]]
        assert np.array_equal(block, again)
        if not start:
            self.means.append(np.asarray(lv.mean_img(self.img).dataobj))

    def merge(self, other):
        self.means += other.means

    def finalize(self):
        return self.means

    def state_bytes(self, grid):
        return 0


@pytest.mark.parametrize("name", ["run.nii", "run.nii.gz"])
@pytest.mark.timeout(30)
def test_a_consumer_may_read_what_is_being_scanned(folder, name):
    scan = lv.Scan(folder / name)
    nested, mean = scan.add(Nested(folder / name)), scan.add(lv.Mean())
    scan.run(memory="24MiB", n_jobs=2)
    (inner,) = nested.result()
    assert np.array_equal(inner, np.asarray(mean.result().dataobj))


@pytest.mark.timeout(30)
def test_everything_works_inside_of_a_running_event_loop(folder, tmp_path):
    expected = np.asarray(lv.mean_img(folder / "run.nii").dataobj)

    async def work():
        mean = lv.mean_img(folder / "run.nii.gz")
        lv.save(mean, tmp_path / "mean.nii.gz", n_jobs=2)
        others = [asyncio.to_thread(lv.mean_img, folder / "run.nii.gz") for _ in range(3)]
        return [mean, *await asyncio.gather(*others), lv.load(tmp_path / "mean.nii.gz")]

    for found in asyncio.run(work()):
        assert np.array_equal(np.asarray(found.dataobj), expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_what_was_interrupted_by_a_signal_handler_that_returns_goes_on(folder):
    """System calls that a signal interrupts are repeated."""
    before = signal.signal(signal.SIGALRM, lambda number, frame: None)
    expected = np.asarray(lv.mean_img(folder / "run.nii").dataobj)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        found = np.asarray(lv.mean_img(folder / "run.nii.gz").dataobj)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert np.array_equal(found, expected)
