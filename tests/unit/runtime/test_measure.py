"""Measured memory is what was really held, by this process and by its children."""

import importlib
import mmap
import subprocess
import sys
import threading

import numpy as np
import pytest

from lazyvox.errors import LazyvoxError, ParameterTypeError
from lazyvox.runtime.measure import measure, peak_memory, tree_pss
from lazyvox.testing import own_threads

# Arrays here are larger than 32 MiB: the allocator may keep smaller ones when they are freed, and
# a later one of that size then takes no new memory.
MB = 1_000_000

JOBS = """
import os, signal, subprocess, sys

BALLAST = b"b" * 30_000_000

def allocate(nbytes):
    return len(b"x" * nbytes)

def fail(text):
    raise KeyError(text)

class Stubborn(Exception):
    def __init__(self, first, second):
        super().__init__("no way back")

def fail_stubbornly():
    raise Stubborn(1, 2)

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def leave():
    os._exit(7)

def leave_grandchild_and_die():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(5)"], close_fds=False)
    die()

def unpicklable():
    return lambda: None
"""


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """Return a module that a fresh process can import too."""
    (tmp_path / "measured_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "measured_jobs", raising=False)
    yield importlib.import_module("measured_jobs")
    del sys.modules["measured_jobs"]


def fresh_pages(n_bytes):
    """Return touched memory of the kernel: an allocator may hand out pages that it kept resident."""
    pages = mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    values = np.frombuffer(pages, np.uint8)
    values[:] = 1
    return values


def test_resident_memory_grows_with_what_is_held():
    # In a process of its own: in this one, memory that was let go of may be taken up again.
    code = (
        "import numpy as np; from lazyvox.runtime.resident import process_memory as memory; "
        "before = memory(); held = np.ones(40_000_000, np.uint8); print(memory() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 38 * MB < int(done.stdout) < 45 * MB


def test_the_tree_counts_the_memory_of_children():
    code = "held = b'x' * 50_000_000; print('ready', flush=True); input()"
    alone = tree_pss()
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        together, of_child = tree_pss(), tree_pss(child.pid)
        child.communicate(b"\n", timeout=10)
    assert together - alone > 50 * MB
    assert 50 * MB < of_child < 80 * MB


def test_a_process_that_is_not_there_holds_nothing():
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait(10)
    assert tree_pss(child.pid) == 0


def test_a_spike_between_two_samples_is_seen():
    with peak_memory() as peak:
        fresh_pages(60 * MB)
    assert 58 * MB < peak.increment < 70 * MB
    assert peak.bytes > peak.increment


def test_without_children_a_spike_is_seen_and_no_thread_is_there():
    with peak_memory(with_children=False) as peak:
        assert own_threads() == []
        fresh_pages(60 * MB)
        assert 58 * MB < peak.increment < 70 * MB
    assert 58 * MB < peak.increment < 70 * MB


def test_a_peak_before_the_block_does_not_count():
    fresh_pages(90 * MB)
    with peak_memory() as peak:
        pass
    assert peak.increment < 5 * MB


def test_the_peak_can_be_read_during_the_block_and_never_falls():
    with peak_memory() as peak:
        held = fresh_pages(40 * MB)
        during = peak.increment
        del held
        afterwards = peak.increment
    assert 38 * MB < during <= afterwards <= peak.increment < 50 * MB


def test_nested_blocks_each_have_their_own_peak():
    with peak_memory() as outer:
        fresh_pages(70 * MB)
        with peak_memory() as inner:
            fresh_pages(40 * MB)
        fresh_pages(35 * MB)
    assert 38 * MB < inner.increment < 55 * MB
    assert 68 * MB < outer.increment < 85 * MB


def test_a_spike_inside_of_an_inner_block_counts_for_the_outer():
    with peak_memory() as outer, peak_memory() as inner:
        fresh_pages(50 * MB)
    assert inner.increment > 48 * MB
    assert outer.increment > 48 * MB


def test_children_count_in_the_peak():
    code = "held = b'x' * 50_000_000; print('ready', flush=True); input()"
    with (
        peak_memory() as peak,
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child,
    ):
        child.stdout.readline()
        assert peak.increment > 50 * MB
        child.communicate(b"\n", timeout=10)
    assert 50 * MB < peak.increment < 90 * MB


def test_starting_programs_does_not_seem_to_double_the_process_that_starts_them():
    code = """if True:
        import subprocess, sys
        held = b"x" * 100_000_000
        for _ in range(60):
            subprocess.run([sys.executable, "--version"], stdout=subprocess.DEVNULL)
    """
    with peak_memory() as peak:
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert 100 * MB < peak.increment < 150 * MB


def test_no_thread_is_left_after_an_error():
    before = own_threads()
    with pytest.raises(KeyError, match="inside"), peak_memory() as peak:
        raise KeyError("inside")
    assert own_threads() == before
    assert peak.bytes > 0


def test_a_measured_call_reports_its_peak_above_the_imports(jobs):
    taken = measure(jobs.allocate, 50 * MB)
    assert taken.result == 50 * MB
    assert 49 * MB < taken.increment_bytes < 56 * MB
    assert taken.peak_bytes > taken.increment_bytes + 30 * MB
    assert 0 <= taken.cpu_seconds < 10
    assert 0 < taken.seconds < 10


def test_memory_of_the_parent_does_not_count(jobs):
    held = np.ones(150 * MB, np.uint8)
    assert measure(jobs.allocate, 1).peak_bytes < 120 * MB
    assert held[0] == 1


def test_what_the_call_raises_is_raised_here_with_its_traceback(jobs):
    with pytest.raises(KeyError, match="lost") as caught:
        measure(jobs.fail, "lost")
    assert "measured_jobs.py" in caught.value.__notes__[0]


def test_an_exception_that_cannot_be_pickled_is_still_told(jobs):
    with pytest.raises(LazyvoxError, match="Stubborn: no way back") as caught:
        measure(jobs.fail_stubbornly)
    assert "fail_stubbornly" in caught.value.__notes__[0]


def test_a_killed_process_is_named(jobs):
    with pytest.raises(LazyvoxError, match=r"worker died \(signal 9\)"):
        measure(jobs.die)


def test_a_killed_process_with_a_living_child_does_not_hang(jobs):
    with pytest.raises(LazyvoxError, match=r"worker died \(signal 9\)"):
        measure(jobs.leave_grandchild_and_die)


def test_a_process_that_leaves_early_is_named(jobs):
    with pytest.raises(LazyvoxError, match="exit code 7 before it returned"):
        measure(jobs.leave)


def test_a_function_that_cannot_travel_is_refused():
    lock = threading.Lock()
    with pytest.raises(ParameterTypeError, match="no open file, lock or connection"):
        measure(lambda: lock.locked() or 1)


def test_functions_of_a_notebook_travel():
    number = 7
    assert measure(lambda: number).result == 7


def test_a_result_that_cannot_travel_is_told(jobs):
    with pytest.raises((AttributeError, TypeError), match=r"[Cc]an't (get|pickle) local object"):
        measure(jobs.unpicklable)


PROGRAM = """
import lazyvox as lv
def double(number):
    return 2 * number
print(lv.measure(double, 21).result)
"""


def test_programs_from_standard_input_have_processes_too():
    command = [sys.executable, "-"]
    done = subprocess.run(command, input=PROGRAM, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("42\n", "")


@pytest.mark.parametrize("n_bytes", [1, 1 << 20], ids=["short", "longer than a pipe"])
def test_a_script_without_a_guard_is_told(tmp_path, n_bytes):
    script = tmp_path / "script.py"
    script.write_text(f"import lazyvox\nprint(lazyvox.measure(len, bytes({n_bytes})))\n")
    done = subprocess.run(
        [sys.executable, script], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "a script that calls measure outside of `if __name__" in done.stderr
