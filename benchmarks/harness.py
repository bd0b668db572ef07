"""Run a command in a fresh process, and know what it took: seconds, and the peak of its tree."""

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Result", "python", "repeat", "run"]

#: Seconds between two looks at the memory of the process tree.
SAMPLE_INTERVAL_S = 0.004


@dataclass(frozen=True)
class Result:
    """What one or several runs of a command took."""

    seconds: float
    peak_mib: float
    output: str


def run(command: list[str]) -> Result:
    """Run a command to its end; its peak is the sampled PSS of its process tree."""
    start = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, _tree_pss(process.pid))
            time.sleep(SAMPLE_INTERVAL_S)
        seconds = time.perf_counter() - start
        output, errors = process.communicate()
    if process.returncode:
        msg = f"{' '.join(command[:6])} ... failed with {process.returncode}:\n{errors}"
        raise RuntimeError(msg)
    return Result(seconds, peak / 2**20, output)


def repeat(command: list[str], n_runs: int) -> Result:
    """Run a command several times: the median of the seconds, the largest of the peaks."""
    results = [run(command) for _ in range(n_runs)]
    seconds = statistics.median(result.seconds for result in results)
    return Result(seconds, max(result.peak_mib for result in results), results[-1].output)


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
