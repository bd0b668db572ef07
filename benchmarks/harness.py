"""Run a command in a fresh process, and know what it took: seconds, and the peak of its tree."""

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Result", "python", "repeat"]

#: Seconds between two looks at the memory of the process tree.
SAMPLE_INTERVAL_S = 0.004


@dataclass(frozen=True)
class Result:
    """What one or several runs of a command took."""

    seconds: float
    peak_mib: float
    output: str


def repeat(command: list[str], n_runs: int, *, is_watched: bool = True) -> Result:
    """Run a command several times for its seconds, and, unless told not to, once for its peak.

    Looking at the memory of a process slows it down, the larger it is the more: the runs that
    are timed are not looked at.
    """
    timed = [_run(command, is_watched=False) for _ in range(n_runs)]
    watched = _run(command, is_watched=True) if is_watched else timed[-1]
    seconds = statistics.median(result.seconds for result in timed or [watched])
    return Result(seconds, watched.peak_mib, watched.output)


def _run(command: list[str], *, is_watched: bool) -> Result:
    """Run a command to its end; its peak is the sampled PSS of its process tree."""
    environment = {**os.environ}
    # Installed packages have their byte code; without this an editable install would not.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    peak = 0
    start = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        while is_watched and process.poll() is None:
            peak = max(peak, _tree_pss(process.pid))
            time.sleep(SAMPLE_INTERVAL_S)
        output, errors = process.communicate()
        seconds = time.perf_counter() - start
    if process.returncode:
        msg = f"{' '.join(command[:6])} ... failed with {process.returncode}:\n{errors}"
        raise RuntimeError(msg)
    return Result(seconds, peak / 2**20, output)


def python(code: str, *arguments: str) -> list[str]:
    """Return the command that runs a piece of Python in a fresh interpreter."""
    return [sys.executable, "-c", code, *arguments]


def _tree_pss(pid: int) -> int:
    """Return the PSS in bytes of a process and its descendants, as far as they live still."""
    total = 0
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                total += _tree_pss(int(child))
    except (FileNotFoundError, ProcessLookupError):
        return total
    return total
