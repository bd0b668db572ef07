"""Wall time and peak memory of a command, in a fresh process seen from outside."""

import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lazyvox.errors import LazyvoxError
from lazyvox.runtime.cgroup import PROC_ROOT, read_text

__all__ = ["CommandFailedError", "Cost", "run_command"]

_INTERVAL_S = 0.01
_HIGH_WATER = re.compile(r"^VmHWM:\s*(\d+) kB", re.MULTILINE)


class CommandFailedError(LazyvoxError):
    """A command of the demo ended with an error."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Time and memory of a command.

    Attributes
    ----------
    name : str
        What was done.
    seconds : float or None
        Wall time from the start of the process to its end; None where it was not run.
    peak_bytes : int
        Peak memory of the process; an estimate where it was not run.
    """

    name: str
    seconds: float | None
    peak_bytes: int


def run_command(name: str, command: Sequence[str], folder: Path) -> Cost:
    """Run a command and return its costs.

    Parameters
    ----------
    name : str
        What the command does.
    command : sequence of str
        Program and arguments.
    folder : Path
        Where it runs.

    Returns
    -------
    Cost
        Its time and memory, those of importing included.

    Raises
    ------
    CommandFailedError
        If it does not end with exit code 0; holds what it said last.

    Notes
    -----
    Memory is the resident size of the process, pages that it shares included; the kernel keeps
    its peak, which is looked at every 10 ms. Proportional sizes are not used: reading them walks
    the page tables of a process and would slow down the one that holds most.
    """
    peak = 0
    is_done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not is_done.wait(_INTERVAL_S):
            peak = max(peak, _resident_peak(process.pid))

    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        watcher = threading.Thread(target=watch, name="lazyvox-demo-peak", daemon=True)
        try:
            watcher.start()
            code = process.wait()
            seconds = time.perf_counter() - began
        finally:
            is_done.set()
            process.kill()
            process.wait()
            watcher.join()
        if code != 0:
            said.seek(0)
            raise CommandFailedError(_reason(name, code, said.read()))
    return Cost(name, seconds, peak)


def _resident_peak(pid: int) -> int:
    """Return the most that was resident in a process so far; 0 where it has ended."""
    match = _HIGH_WATER.search(read_text(PROC_ROOT / str(pid) / "status"))
    if match:
        return int(match[1]) * 1024
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _reason(name: str, code: int, said: bytes) -> str:
    """Return the error that the command itself printed, or how it ended."""
    lines = said.decode(errors="replace").strip().splitlines()
    if code < 0:
        return (
            f"{name} was ended by signal {-code}; signal 9 is mostly the system's, out of memory."
        )
    prefix = "lazyvox: error: "
    for line in lines:
        if line.startswith(prefix):
            return line.removeprefix(prefix)
    return f"{name} ended with exit code {code}: {lines[-1] if lines else 'it said nothing'}"
