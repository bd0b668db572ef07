"""Workers that share the memory of one process: where it is safe, and what ends them."""

import multiprocessing
import os
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest

from lazyvox.errors import LazyvoxError
from lazyvox.runtime.process_pool import Crew

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers begin afresh")

DEADLINE_S = 60


def origin(*_):
    return os.getpid(), os.getppid(), float(np.random.random()), os.environ["OMP_NUM_THREADS"]  # noqa: NPY002


def imported(name):
    return name in sys.modules, os.getppid()


def die(number):
    os.kill(os.getpid(), signal.SIGKILL if number else signal.SIGTERM)


def crew_of(func, **options):
    return Crew("f", func, context="forkserver", **{"n_workers": 2, "n_threads": 3} | options)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that writes a module and imports it, here and in other processes."""

    def write(code):
        (tmp_path / "threaded_module.py").write_text(code)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
        monkeypatch.delitem(sys.modules, "threaded_module", raising=False)
        return __import__("threaded_module")

    return write


def test_workers_have_one_parent_and_random_numbers_of_their_own():
    with crew_of(origin) as crew:
        pids, parents, numbers, threads = zip(*(crew.call("", n) for n in range(2)), strict=True)
        (server,) = multiprocessing.active_children()
        assert set(parents) == {server.pid}
        assert len(set(pids)) == len(set(numbers)) == 2
        assert set(threads) == {"3"}
    assert multiprocessing.active_children() == []
    for pid in pids:
        with pytest.raises(ProcessLookupError, match="No such process"):
            os.kill(pid, 0)


@pytest.mark.parametrize("number", [0, 1])
def test_the_end_of_a_worker_is_told_and_another_takes_its_place(number):
    kind = (signal.SIGTERM, signal.SIGKILL)[number]
    with crew_of(die, n_workers=1) as crew:
        for _ in range(2):
            with pytest.raises(
                LazyvoxError, match=rf"worker died \(signal {int(kind)}\) while it"
            ):
                crew.call("this", number)


@pytest.mark.parametrize("name", ["mailbox", "pandas"])
def test_modules_that_are_named_are_imported_once(name, monkeypatch):
    pytest.importorskip(name)
    monkeypatch.setenv("JE_ARROW_MALLOC_CONF", "narenas:1")
    with crew_of(imported, imports=[name]) as crew:
        (server,) = multiprocessing.active_children()
        assert {crew.call("", name) for _ in range(2)} == {(True, server.pid)}
    assert os.environ["JE_ARROW_MALLOC_CONF"] == "narenas:1"


def test_workers_begin_afresh_where_imports_begin_a_thread(module):
    code = (
        "import os, threading\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "def parent(*_):\n"
        "    return os.getppid()\n"
    )
    with crew_of(module(code).parent) as crew:
        assert {crew.call("", n) for n in range(2)} == {os.getpid()}


def test_a_server_that_dies_takes_no_call_with_it():
    with crew_of(origin, n_workers=1) as crew:
        first, *_ = crew.call("", 0)
        (server,) = multiprocessing.active_children()
        server.kill()
        server.join()
        _, parent, *_ = crew.call("", 1)
        assert parent == os.getpid()
    psutil.wait_procs([psutil.Process(first)] if psutil.pid_exists(first) else [], DEADLINE_S)
    assert not psutil.pid_exists(first) or psutil.Process(first).status() == "zombie"


@pytest.mark.parametrize("context", ["spawn", "forkserver"])
def test_a_script_without_a_guard_is_told_for_a_function_longer_than_a_pipe(tmp_path, context):
    script = tmp_path / "script.py"
    script.write_text(
        "import lazyvox\ncontent = bytes(1 << 20)\n"
        "lazyvox.map_images(lambda img: len(content), ['a.nii', 'b.nii'], n_jobs=2, "
        f"context={context!r})\n"
    )
    done = subprocess.run(
        [sys.executable, script], check=False, capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert done.returncode == 1
    assert "a script that calls map_images outside of `if __name__" in done.stderr
