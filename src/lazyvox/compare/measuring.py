"""Try ways one after the other, each in a process tree of its own."""

import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lazyvox
from lazyvox.compare.agreement import judge
from lazyvox.compare.records import DONE, Record
from lazyvox.compare.trees import Tree, run_tree
from lazyvox.compare.ways import Way, missing_packages
from lazyvox.planning.memory import format_bytes
from lazyvox.runtime.limits import available_memory
from lazyvox.store.files.paths import printable

__all__ = ["Job", "Measured", "measure_ways", "warm"]

_MIB = 1 << 20
_PIECE_BYTES = 4 << 20
#: What of the available memory may be used by a way.
_SHARE = 0.9
_LONGEST_REASON = 300
#: Where semaphores of worker processes, and segments of shared memory, have their names.
_SHARED_ROOM = Path("/dev/shm")
_HINTS: dict[int, str] = {
    signal.SIGKILL: ", which is mostly the system's, out of memory",
    signal.SIGBUS: ", which is what a full /dev/shm gives",
}
# From the root, to the last folder: what is left is the name of the file.
_FOLDERS = re.compile(r"(?<![\w.])(?:/[^/\s'\":]+)*/(?=[^/\s'\":])")


@dataclass(frozen=True, slots=True)
class Job:
    """Task that every method performs.

    Attributes
    ----------
    facts : mapping
        Arguments of the programs: paths, number of workers, memory.
    decoded_bytes : int
        Size of all values, scaled.
    n_workers : int
        Number of worker processes where there are some.
    """

    facts: Mapping[str, Any]
    decoded_bytes: int
    n_workers: int = 1


@dataclass(frozen=True, slots=True)
class Measured:
    """Results and records of a measurement.

    Attributes
    ----------
    records : tuple of Record
        One for each way.
    references : tuple of str
        Names of the ways that the others were compared with.
    """

    records: tuple[Record, ...]
    references: tuple[str, ...]


def measure_ways(
    ways: Sequence[Way], job: Job, scratch: Path, *, tell: Callable[[int, Way], None]
) -> Measured:
    """Try every way, and compare results.

    Parameters
    ----------
    ways : sequence of Way
        What to try.
    job : Job
        What to do.
    scratch : Path
        Folder for results; each way gets one of its own in it.
    tell : callable
        Called with each way, and its number, before it starts.

    Returns
    -------
    Measured
        Records, in the order of `ways`.

    Notes
    -----
    Memory: that of the ways is in other processes; comparing takes some blocks of 8 MiB. A way
    that fails, or is killed, is a record as others are.
    """
    records, folders = [], []
    for number, way in enumerate(ways):
        tell(number, way)
        folder = scratch / way.name
        folder.mkdir()
        records.append(_try_way(way, job, folder))
        folders.append(folder)
    judged, references = judge(records, folders)
    return Measured(tuple(judged), tuple(references))


def warm(paths: Sequence[str]) -> None:
    """Read files once, so that no way pays for being the first; as far as memory allows."""
    for path in paths:
        if Path(path).stat().st_size < available_memory() // 2:
            for _ in _pieces(path):
                pass


def _pieces(path: str) -> Iterator[int]:
    piece = bytearray(_PIECE_BYTES)
    with Path(path).open("rb", buffering=0) as file:
        while n_bytes := file.readinto(piece):
            yield n_bytes


def _try_way(way: Way, job: Job, folder: Path) -> Record:
    absent = missing_packages(way)
    if absent:
        return Record(way, f"missing: {', '.join(absent)}")
    if lacking := _lacks_shared_memory(way, job):
        return Record(way, f"skipped: {lacking}")
    needed, left = way.estimate(job.decoded_bytes, job.n_workers), available_memory()
    if needed > _SHARE * left:
        reason = f"needs about {format_bytes(needed)}, {format_bytes(left)} are available"
        return Record(way, f"skipped: {reason}")
    described = {
        **job.facts,
        "scratch": str(folder),
        "module": way.module,
        "function": way.function,
        "modules": way.modules,
        "has_workers": way.has_workers,
        "package_folder": str(Path(lazyvox.__file__).parents[1]),
        "began": time.monotonic(),
    }
    (folder / "job.json").write_text(json.dumps(described), encoding="utf-8")
    program = Path(__file__).parent / "programs" / "start.py"
    command = [sys.executable, "-P", str(program), str(folder)]
    tree = run_tree(command, folder)
    return _record(way, tree, folder, _folders_of(job))


def _lacks_shared_memory(way: Way, job: Job) -> str:
    """Return why a way has not the shared memory that it needs; empty if it has."""
    # Elsewhere it is no folder.
    if sys.platform != "linux" or not way.has_workers:
        return ""
    if not os.access(_SHARED_ROOM, os.W_OK | os.X_OK):
        return f"its workers need {_SHARED_ROOM}, which is missing or cannot be written to"
    needed, left = int(way.shared_copies * job.decoded_bytes), shutil.disk_usage(_SHARED_ROOM).free
    if needed <= left:
        return ""
    return f"needs {format_bytes(needed)} in {_SHARED_ROOM}, {format_bytes(left)} are free"


def _folders_of(job: Job) -> list[str]:
    """Return the folders of all files that a job names, longest first."""
    values = [
        job.facts[name] for name in ("run", "masks", "images", "target") if name in job.facts
    ]
    paths = [path for value in values for path in ([value] if isinstance(value, str) else value)]
    return sorted({f"{Path(path).parent}/" for path in paths}, key=len, reverse=True)


def _record(way: Way, tree: Tree, folder: Path, folders: Sequence[str]) -> Record:
    answer = folder / "measured.json"
    known: dict[str, Any] = {}
    status = DONE
    if tree.code == 0 and answer.exists():
        known = json.loads(answer.read_text(encoding="utf-8"))
    else:
        status = f"failed: {_reason(tree, folder, folders)}"
    return Record(
        way,
        status,
        seconds=known.get("seconds"),
        work_seconds=known.get("work_seconds"),
        total_seconds=tree.seconds,
        cpu_seconds=known.get("cpu_seconds"),
        peak_mib=tree.peak_bytes / _MIB,
        high_water_mib=tree.high_water_bytes / _MIB,
        n_processes=tree.n_processes,
        bytes_read=known.get("bytes_read"),
        storage_bytes=known.get("storage_bytes"),
    )


def _reason(tree: Tree, folder: Path, folders: Sequence[str]) -> str:
    """Return why a way has no results, in one line, without the folders of this machine."""
    failure = folder / "failure.txt"
    if failure.exists():
        text = failure.read_text(encoding="utf-8")
    elif tree.code < 0:
        text = f"ended by signal {-tree.code}{_HINTS.get(-tree.code, '')}"
    else:
        lines = tree.said.strip().splitlines()
        text = f"exit code {tree.code}: {lines[-1] if lines else 'it said nothing'}"
    for known in folders:
        text = text.replace(known, "")
    line = printable(_FOLDERS.sub("", " ".join(text.split())))
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}..."
