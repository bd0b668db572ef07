"""Memory and time of a process tree, measured from outside."""

import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lazyvox.runtime.cgroup import PROC_ROOT, read_text
from lazyvox.runtime.resident import tree_usage

__all__ = ["SEEN", "WORKED", "Tree", "run_tree"]

#: Files by which a program and its watcher wait for each other.
WORKED, SEEN = "worked", "seen"

_INTERVAL_S = 0.01
# Reading smaps_rollup walks the page tables and holds off page faults meanwhile: a tree of 10 GiB
# takes 0.1 s. Sampling stays below a tenth of the time of one core.
_PAUSE_PER_COST = 9.0
_PATIENCE_S = 3.0
_HIGH_WATER = re.compile(r"^VmHWM:\s*(\d+) kB", re.MULTILINE)
_MOST_SAID_BYTES = 4000


@dataclass(frozen=True, slots=True)
class Tree:
    """Costs of one process and its descendants.

    Attributes
    ----------
    seconds : float
        From the start of the process to its end.
    peak_bytes : int
        The highest sample of the proportional set sizes of all processes together, or the kernel's
        mark of the first process where that is higher.
    high_water_bytes : int
        Sum of what each process had resident at most, as the kernel counts: pages that are shared
        count in each, and no two processes need have been at their mark simultaneously.
    n_processes : int
        How many processes were seen.
    code : int
        Exit code; the negative number of a signal.
    said : str
        The end of what was printed.
    """

    seconds: float
    peak_bytes: int
    high_water_bytes: int
    n_processes: int
    code: int
    said: str


class _Watcher:
    """Samples a process tree in a thread, until its work is over or `stop` is called."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._pid = pid
        self._folder = folder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lazyvox-compare", daemon=True)
        self.peak = 0
        self.marks: dict[int, int] = {}
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        pause, is_over = 0.0, False
        while not is_over and not self._stop.wait(pause):
            began = time.perf_counter()
            # Asked first, so that the last look is one at the end of the work.
            is_over = (self._folder / WORKED).exists()
            self._look()
            pause = max(_INTERVAL_S, _PAUSE_PER_COST * (time.perf_counter() - began))
        if is_over:
            (self._folder / SEEN).touch()

    def _look(self) -> None:
        own, total = tree_usage(self._pid)
        for pid in _tree(self._pid):
            mark = _high_water(pid)
            if mark:
                self.marks[pid] = max(self.marks.get(pid, 0), mark)
        # A spike of the first process between two looks is in its mark; what it shares with
        # others, such as libraries, is not its own.
        spike = self.marks.get(self._pid, 0) - (own.rss - own.pss) if own.rss else 0
        self.peak = max(self.peak, total.pss, spike)


def run_tree(command: Sequence[str], folder: Path) -> Tree:
    """Run a command in a session of its own and watch all of its processes.

    Parameters
    ----------
    command : sequence of str
        Program and arguments.
    folder : Path
        Where it runs. The program may make a file `WORKED` there when what counts is over, and
        wait for a file `SEEN`: a last look has been taken then, and there are no more.

    Returns
    -------
    Tree
        What it took. All of its processes have ended, also when an exception comes from here.
    """
    # Installed packages have their byte code; without this, a source tree of lazyvox would not.
    environment = {**os.environ}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        watcher = None
        try:
            _volunteer(process.pid)
            watcher = _Watcher(process.pid, folder)
            code = process.wait()
            seconds = time.perf_counter() - began
        finally:
            _end(process)
            if watcher is not None:
                watcher.close()
        said.seek(max(0, said.seek(0, os.SEEK_END) - _MOST_SAID_BYTES))
        text = said.read().decode(errors="replace")
    marks = watcher.marks
    return Tree(seconds, watcher.peak, sum(marks.values()), len(marks), code, text)


def _volunteer(pid: int) -> None:
    """Have the kernel kill this process first when memory runs out, not the measuring one."""
    with suppress(OSError):
        (PROC_ROOT / str(pid) / "oom_score_adj").write_text("1000", encoding="ascii")


def _tree(root: int) -> list[int]:
    """Return the processes of a tree that run now."""
    found, waiting = [root], [root]
    while waiting:
        for task in _tasks(waiting.pop()):
            children = [int(pid) for pid in read_text(task / "children").split()]
            found += children
            waiting += children
    return found


def _tasks(pid: int) -> list[Path]:
    with suppress(OSError):
        return list((PROC_ROOT / str(pid) / "task").iterdir())
    return []


def _high_water(pid: int) -> int:
    match = _HIGH_WATER.search(read_text(PROC_ROOT / str(pid) / "status"))
    return int(match[1]) * 1024 if match else 0


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End all processes of the session; those that clean up after others get time for it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        # The trackers of shared memory ignore SIGTERM, and unlink when the others have gone.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            if process.poll() is not None and not _has_members(process.pid):
                return
            time.sleep(_INTERVAL_S)


def _has_members(group: int) -> bool:
    """Return whether a process of the group still runs."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    import psutil

    # A process that nobody waits for stays as a zombie, and holds nothing.
    for process in psutil.process_iter(["status"]):
        with suppress(OSError):
            if os.getpgid(process.pid) == group and process.info["status"] != "zombie":
                return True
    return False
