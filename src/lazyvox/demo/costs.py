"""Wall time and peak memory of a command, in a fresh process seen from outside."""

import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lazyvox.errors import LazyvoxError
from lazyvox.runtime.resident import tree_usage

__all__ = ["CommandFailedError", "Cost", "run_command"]

_INTERVAL_S = 0.01


class CommandFailedError(LazyvoxError):
    """A command of the demo ended with an error."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took.

    Attributes
    ----------
    name : str
        What was done.
    seconds : float or None
        Wall time from the start of the process to its end; None where it was not run.
    peak_bytes : int
        Peak memory of the process and its children; an estimate where it was not run.
    """

    name: str
    seconds: float | None
    peak_bytes: int


def run_command(name: str, command: Sequence[str], folder: Path) -> Cost:
    """Run a command and return what it took.

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
    Memory is the resident size of the process and its children, sampled every 10 ms. Unlike the
    proportional size it does not fall where this process has loaded the same libraries.
    """
    peak = 0
    is_done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not is_done.wait(_INTERVAL_S):
            peak = max(peak, tree_usage(process.pid)[1].rss)

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
