"""Run a command in a fresh process, and know what it took: seconds, and the peak of its tree."""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BARE_ISAL", "Result", "in_turns", "machine", "number", "python", "repeat"]

#: Seconds between two looks at the memory of the process tree.
SAMPLE_INTERVAL_S = 0.004

#: Prints the seconds that bare decompression of a file takes: D.
BARE_ISAL = """
import sys, time
from isal import igzip
buffer = memoryview(bytearray(8 << 20))
start = time.perf_counter()
with igzip.open(sys.argv[1]) as file:
    while file.readinto(buffer):
        pass
print(time.perf_counter() - start)
"""

#: nibabel reads every .gz by indexed_gzip where that is installed, several times slower than
#: without when a file is streamed. What is measured must not depend on that.
_HIDING = 'raise ImportError("hidden from this measurement")\n'


@dataclass(frozen=True)
class Result:
    """Costs of one or several runs of a command."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    output: str


def repeat(
    command: list[str],
    n_runs: int,
    *,
    is_watched: bool = True,
    cache: Path | None = None,
    with_indexed_gzip: bool = False,
) -> Result:
    """Run a command several times for its seconds, and, by default, once for its peak.

    Looking at the memory of a process slows it down, the larger it is the more: the runs that
    are timed are not looked at. Each finds an empty cache folder, and so no index, unless
    `cache` is given. nibabel has indexed_gzip only if that is asked for.
    """

    def run(*, is_watched: bool) -> Result:
        with tempfile.TemporaryDirectory(prefix="lazyvox-bench-") as scratch:
            environment = _environment(Path(scratch), cache, hides=not with_indexed_gzip)
            return _run(command, environment, is_watched=is_watched)

    timed = [run(is_watched=False) for _ in range(n_runs)]
    watched = run(is_watched=True) if is_watched else timed[-1]
    seconds, cpu_seconds = (
        statistics.median(getattr(result, field) for result in timed or [watched])
        for field in ("seconds", "cpu_seconds")
    )
    return Result(seconds, cpu_seconds, watched.peak_mib, watched.output)


def _environment(scratch: Path, cache: Path | None, *, hides: bool) -> dict[str, str]:
    environment = {**os.environ}
    # Installed packages have their byte code; without this an editable install would not.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["LAZYVOX_CACHE_DIR"] = str(cache or scratch / "cache")
    if hides:
        (scratch / "indexed_gzip.py").write_text(_HIDING)
        paths = [str(scratch), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return environment


def _run(command: list[str], environment: dict[str, str], *, is_watched: bool) -> Result:
    """Run a command to its end; its peak is the sampled PSS of its process tree."""
    peak = 0
    start, cpu_before = time.perf_counter(), _cpu_seconds()
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
    # The children of a child count once they have ended, and it has waited for them.
    return Result(seconds, _cpu_seconds() - cpu_before, peak / 2**20, output)


def _cpu_seconds() -> float:
    """Return the processor seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def python(code: str, *arguments: str) -> list[str]:
    """Return the command that runs a piece of Python in a fresh interpreter."""
    return [sys.executable, "-c", code, *arguments]


def number(command: list[str], *, is_watched: bool = False, cache: Path | None = None) -> float:
    """Run a command once and return the last number that it prints."""
    return float(repeat(command, 1, is_watched=is_watched, cache=cache).output.split()[-1])


def in_turns(
    command: list[str],
    reference: str,
    n_runs: int,
    *,
    cache: Path | None = None,
    tells_seconds: bool = False,
) -> tuple[float, float]:
    """Run a command and bare decompression of a file in turns; return the median of each.

    On a machine whose speed drifts, both drift together. The seconds are those of the process,
    or with `tells_seconds` the last that it prints.
    """
    taken, bare = [], []
    for _ in range(n_runs):
        bare.append(number(python(BARE_ISAL, reference)))
        result = repeat(command, 1, is_watched=False, cache=cache)
        taken.append(float(result.output.split()[-1]) if tells_seconds else result.seconds)
    return statistics.median(taken), statistics.median(bare)


def machine() -> str:
    """Return a line on what else the machine does: figures of a busy one are not worth much."""
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return f"{n_cores} cores, load of the last minute {load}"


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
