"""Shared memory and mapped images survive whatever happens to a process, and leave nothing."""

import concurrent.futures
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.lazyimage import shared_room, sharing
from lazyvox.store.files.shared_files import SharedFile, sweep_shared
from lazyvox.testing import own_threads

RUN = np.random.default_rng(3).normal(size=(5, 6, 7, 8)).astype(np.float32)

JOBS = """
import os, signal
import numpy as np

def total(given):
    opened = given.open() if hasattr(given, "open") else given
    array = np.asarray(getattr(opened, "dataobj", opened))
    return float(array.sum(dtype=float)), array.flags.writeable, type(opened).__name__

def loaded_total(given):
    import lazyvox as lv
    img = given if hasattr(given, "dataobj") else lv.load(given)
    return float(np.asarray(img.dataobj).sum(dtype=float))

def volume(given):
    img, number = given
    return np.asarray(img.dataobj[..., number])

def die(handle):
    opened = handle.open()
    os.kill(os.getpid(), signal.SIGKILL)

def hold(path, text):
    import lazyvox as lv
    from lazyvox.lazyimage import shared_room
    from pathlib import Path
    shared_room.MEMORY_FOLDER = Path(text)
    with lv.shared(path) as handle:
        print("ready", flush=True)
        signal.pause()
"""


pytestmark = pytest.mark.usefixtures("memory")


@pytest.fixture
def path(tmp_path):
    nib.save(nib.Nifti1Image(RUN, np.eye(4)), tmp_path / "run.nii.gz")
    return str(tmp_path / "run.nii.gz")


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """Return a module that other processes can import too."""
    (tmp_path / "shared_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    # Workers of loky are started with the variables of this process, not with its path.
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.delitem(sys.modules, "shared_jobs", raising=False)
    import shared_jobs

    yield shared_jobs
    del sys.modules["shared_jobs"]


def answers(done):
    """Check what `total` returned and return the kinds of what was opened."""
    expected = float(RUN.sum(dtype=float))
    assert [one[0] for one in done] == pytest.approx([expected] * len(done))
    assert not any(one[1] for one in done)
    return [one[2] for one in done]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("context", ["fork", "forkserver", "spawn"])
def test_every_way_of_starting_processes_opens_the_same_memory(context, path, jobs, memory):
    made = multiprocessing.get_context(context)
    with (
        lv.shared(path) as handle,
        lv.shared(RUN) as array,
        concurrent.futures.ProcessPoolExecutor(2, mp_context=made) as pool,
    ):
        given = [handle, array, handle.open(), array.open()]
        kinds = answers(list(pool.map(jobs.total, given)))
        assert kinds == ["LazyNifti1Image", "SharedArray", "LazyNifti1Image", "SharedArray"]
        assert len(list(memory.iterdir())) == 2
    assert list(memory.iterdir()) == []


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_children_of_a_process_that_has_read_and_reads_ahead(path, jobs):
    img = lv.load(path)
    np.testing.assert_array_equal(img.dataobj[..., 4], RUN[..., 4])
    loaded = lv.prefetch(range(8), lambda number: img.dataobj[..., number], n=2)
    np.testing.assert_array_equal(next(loaded), RUN[..., 0])
    made = multiprocessing.get_context("fork")
    with loaded, concurrent.futures.ProcessPoolExecutor(4, mp_context=made) as pool:
        order = [5, 2, 7, 0, 4, 1, 6, 3]
        found = list(pool.map(jobs.volume, [(img, number) for number in order]))
        for number, values in zip(order, found, strict=True):
            np.testing.assert_array_equal(values, RUN[..., number])
        np.testing.assert_array_equal(next(loaded), RUN[..., 1])


def test_workers_of_joblib_open_handles_images_and_paths(path, jobs):
    joblib = pytest.importorskip("joblib")
    from joblib.externals.loky import get_reusable_executor

    # Workers of an earlier test do not know where the jobs of this one are.
    get_reusable_executor().shutdown(wait=True)
    try:
        with lv.shared(path) as handle, joblib.Parallel(n_jobs=2) as parallel:
            given = [handle, handle.open(), handle.open().dataobj]
            answers(parallel(joblib.delayed(jobs.total)(one) for one in given))
            found = parallel(
                joblib.delayed(jobs.loaded_total)(one) for one in (path, lv.load(path))
            )
            assert found == pytest.approx([float(RUN.sum(dtype=float))] * 2)
    finally:
        get_reusable_executor().shutdown(wait=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_that_ends_leaves_the_memory_of_its_parent(path, memory):
    handle = lv.shared(path)
    pid = os.fork()
    if pid == 0:
        # The child goes through what every owner does at its end.
        handle.close()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert len(list(memory.iterdir())) == 1
    handle.close()
    assert list(memory.iterdir()) == []


def test_killed_worker_leaves_the_memory_to_its_owner(path, jobs, memory):
    with lv.shared(path) as handle:
        process = multiprocessing.get_context("spawn").Process(target=jobs.die, args=(handle,))
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        np.testing.assert_array_equal(handle.open().dataobj, RUN)
    assert list(memory.iterdir()) == []


def start_holder(tmp_path, path, memory):
    code = f"import shared_jobs; shared_jobs.hold({path!r}, {str(memory)!r})"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout.readline() == b"ready\n", process.communicate()
    assert len(list(memory.iterdir())) == 1
    return process


def test_what_a_killed_parent_left_is_removed_at_the_next_start(path, jobs, tmp_path, memory):
    killed = start_holder(tmp_path, path, memory)
    living = SharedFile(memory, 1)
    killed.kill()
    killed.communicate(timeout=60)
    assert len(list(memory.iterdir())) == 2
    with lv.shared(RUN):
        assert len(list(memory.iterdir())) == 2
        assert Path(living.path).exists()
    living.close()
    assert list(memory.iterdir()) == []


def test_interrupted_process_leaves_nothing(path, jobs, tmp_path, memory):
    process = start_holder(tmp_path, path, memory)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert b"KeyboardInterrupt" in errors
    assert b"leaked" not in errors
    assert list(memory.iterdir()) == []


def test_only_files_of_dead_processes_of_this_host_are_removed(memory):
    living = SharedFile(memory, 1)
    name = Path(living.path).name
    _, pid, start, tag = name.removesuffix(".shared").split("-")
    kept = [
        # Of another host, of somebody else, and of this process.
        f"lazyvox-{2**22 + 5}-{start}-{'0' * 16}.shared",
        f"other-{2**22 + 5}-{start}-{tag}.shared",
        name,
    ]
    # A dead process, and one that has the id of another since.
    left = [f"lazyvox-{2**22 + 5}-{start}-{tag}.shared"]
    if start:
        left.append(f"lazyvox-{pid}-{int(start) + 1}-{tag}.shared")
    for one in (*kept, *left):
        (memory / one).touch()
    sweep_shared(memory)
    assert sorted(one.name for one in memory.iterdir()) == sorted(kept)


def test_interrupt_while_memory_is_filled_leaves_nothing(path, memory, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt("in the midst")

    monkeypatch.setattr(sharing, "fill_shared", interrupted)
    with pytest.raises(KeyboardInterrupt, match="in the midst"):
        lv.shared(path)
    assert list(memory.iterdir()) == []


def test_memory_that_fills_up_meanwhile_falls_back(path, tmp_path, memory, monkeypatch):
    monkeypatch.setattr(shared_room.tempfile, "tempdir", str(tmp_path))
    real = os.posix_fallocate

    def full(fd, offset, nbytes):
        if Path(f"/proc/self/fd/{fd}").resolve().parent == memory:
            raise OSError(28, "No space left on device")
        real(fd, offset, nbytes)

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.warns(lv.LazyvoxWarning, match="No space left on device"):
        handle = lv.shared(path)
    with handle:
        assert list(memory.iterdir()) == []
        np.testing.assert_array_equal(handle.open().dataobj, RUN)


def test_real_memory_file_system_that_is_too_small(tmp_path, memory, monkeypatch):
    monkeypatch.setattr(shared_room.tempfile, "tempdir", str(tmp_path))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(memory)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("a small memory file system cannot be mounted here")
    try:
        with pytest.warns(lv.LazyvoxWarning, match="instead"):
            large = lv.shared(np.ones(40_000))
        with large:
            assert list(memory.iterdir()) == []
            assert large.open().sum() == 40_000
            # What still fits lies there.
            with lv.shared(np.ones(1000)) as small:
                assert len(list(memory.iterdir())) == 1
                assert small.open().sum() == 1000
    finally:
        subprocess.run(["umount", str(memory)], check=True)


def test_system_without_reserving_writes_zeros(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate")
    file = SharedFile(tmp_path, (1 << 20) + 5)
    assert Path(file.path).stat().st_size == (1 << 20) + 5
    assert Path(file.path).stat().st_blocks * 512 >= 1 << 20
    file.close()


def test_interrupt_ends_a_map_of_images_at_once_with_its_processes(tmp_path):
    code = (
        "import lazyvox as lv, sys, time, os\n"
        "from lazyvox.testing import own_threads\n"
        "import slow_jobs\n"
        "if __name__ == '__main__':\n"
        "    try:\n"
        "        lv.map_images(slow_jobs.sleep, [1, 2, 3, 4], n_jobs=2)\n"
        "    except KeyboardInterrupt:\n"
        "        print('interrupted', own_threads(), flush=True)\n"
    )
    (tmp_path / "slow_jobs.py").write_text(
        "import os, pathlib, time\n"
        "def sleep(number):\n"
        "    pathlib.Path(f'begun{os.getpid()}').touch()\n"
        "    time.sleep(300)\n"
    )
    (tmp_path / "script.py").write_text(code)
    process = subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    began = time.monotonic()
    while not list(tmp_path.glob("begun*")) and time.monotonic() - began < 60:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert printed == "interrupted []\n", errors
    for file in tmp_path.glob("begun*"):
        with pytest.raises(ProcessLookupError, match="No such process"):
            os.kill(int(file.name.removeprefix("begun")), 0)
    assert own_threads() == []
