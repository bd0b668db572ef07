"""Run one method in this process, which was started for nothing else, and report its costs.

``python -P start.py FOLDER``: the folder holds ``job.json``. Results go there as ``0.npy``,
``1.npy``, ..., then ``measured.json``; or ``failure.txt``. Nothing of lazyvox is imported here,
or other packages would pay for it.
"""

import importlib
import json
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Any

__all__ = ["main"]

_SET_PARENT_DEATH_SIGNAL = 1
_SIGTERM = 15
# A look at tens of GiB takes a second, and the next one then waits for ten.
_PATIENCE_S, _POLL_S = 60.0, 0.005


def main(folder: str) -> int:
    """Do the work that a folder describes, and return the exit code."""
    place = Path(folder)
    job = json.loads((place / "job.json").read_text(encoding="utf-8"))
    _end_with_parent()
    # Workers find the ways by name, and lazyvox where it is not installed; installed packages
    # come first.
    sys.path += [str(Path(__file__).parent), job["package_folder"]]
    try:
        _work(job, place)
    # Whatever a package raises is an answer to what is asked here.
    except Exception as error:  # noqa: BLE001
        traceback.print_exc()
        text = f"{type(error).__name__}: {error}"
        (place / "failure.txt").write_text(text, encoding="utf-8", errors="backslashreplace")
        return 1
    return 0


def _work(job: dict[str, Any], place: Path) -> None:
    import numpy as np

    for name in job["modules"]:
        importlib.import_module(name)
    ways = importlib.import_module(job["module"])
    work = getattr(ways, job["function"])
    began, read_began = time.monotonic(), _read_bytes()
    results = work(job)
    ended = time.monotonic()
    _show(place)
    # The kernel adds what a worker used to its parent when it has ended.
    if job["has_workers"]:
        _end_workers()
    cpu_seconds, read = _cpu_seconds(), _read_bytes()
    for number, values in enumerate(ways.summarise(results, job)):
        np.save(place / f"{number}.npy", values)
    # The clock is that of the system: it was read by the process that started this one.
    measured: dict[str, Any] = {
        "seconds": ended - job["began"],
        "work_seconds": ended - began,
        "cpu_seconds": cpu_seconds,
    }
    for name, count in read.items():
        measured[name] = count - read_began[name]
    (place / "measured.json").write_text(json.dumps(measured), encoding="utf-8")


def _show(place: Path) -> None:
    """Keep results and workers until the measuring process has looked at them once more."""
    (place / "worked").touch()
    deadline = time.monotonic() + _PATIENCE_S
    while not (place / "seen").exists() and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def _cpu_seconds() -> float:
    """Return processor seconds of this process and of the children that have ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


def _read_bytes() -> dict[str, int]:
    """Return the bytes read by this process and its ended children; None outside of Linux."""
    try:
        text = Path("/proc/self/io").read_text(encoding="ascii")
    except OSError:
        return {}
    fields = dict(line.split(": ") for line in text.splitlines())
    return {"bytes_read": int(fields["rchar"]), "storage_bytes": int(fields["read_bytes"])}


def _end_workers() -> None:
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor(reuse=True).shutdown(wait=True)


def _end_with_parent() -> None:
    """Have the kernel end this process when the measuring process is killed."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, _SIGTERM)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
