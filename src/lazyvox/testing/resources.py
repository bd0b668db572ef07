"""Resources that tests count: peak memory of calls and scans, threads, file descriptors."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lazyvox.runtime.measure import measure
from lazyvox.stream.scan import Scan

__all__ = [
    "assert_bounded",
    "assert_no_thread_is_left",
    "n_descriptors",
    "own_threads",
    "peak_of",
    "scan_peaks",
]


def peak_of(func: Callable[..., Any], *args: Any) -> int:
    """Return the peak memory of a call above that of imports, measured in a fresh process.

    Parameters
    ----------
    func : callable
        Function defined at the top of a module.
    *args : Any
        Its arguments, picklable.

    Returns
    -------
    int
        Bytes of PSS of the process and its children, above what they held before the call.

    Examples
    --------
    >>> peak_of(list, range(5_000_000)) >= 40_000_000
    True
    """
    return measure(func, *args).increment_bytes


def scan_peaks(
    imgs: Any, consumers: Sequence[Any], memory: int | str | None = None, n_jobs: int = 1
) -> tuple[int, int]:
    """Return the predicted and the measured peak memory of a scan, run in a fresh process.

    Parameters
    ----------
    imgs : image, path, or list of them
        What to scan, picklable.
    consumers : sequence of Consumer
        What hangs on the scan, picklable. One whose `state_bytes` is too low shows here.
    memory : int or str, optional
        Memory budget.
    n_jobs : int, default=1
        Threads for the consumers.

    Returns
    -------
    tuple of int
        Predicted and measured bytes.

    Examples
    --------
    >>> from lazyvox.stream.voxelwise import Mean
    >>> predicted, measured = scan_peaks("run.nii.gz", [Mean()])
    >>> measured <= predicted
    True
    """
    predicted = _scan(imgs, consumers).plan(memory, n_jobs).peak_bytes
    return predicted, peak_of(_run, imgs, consumers, memory, n_jobs)


def assert_bounded(predicted: int, measured: int) -> None:
    """Raise `AssertionError` unless a measured peak is within the predicted one.

    Parameters
    ----------
    predicted, measured : int
        Bytes.

    Raises
    ------
    AssertionError
        If more was measured.

    Examples
    --------
    >>> assert_bounded(2 << 20, 1 << 20)
    """
    if measured > predicted:
        msg = f"{measured / 2**20:.1f} MiB measured, {predicted / 2**20:.1f} MiB predicted"
        raise AssertionError(msg)


def own_threads() -> list[str]:
    """Return the names of the running threads that lazyvox started.

    Other libraries of the process have threads that come and go as they like.
    """
    return [one.name for one in _own_threads()]


def assert_no_thread_is_left() -> None:
    """Raise `AssertionError` if a thread of lazyvox goes on; one that was asked to end may end."""
    for thread in _own_threads():
        thread.join(20)
        if thread.is_alive():
            raise AssertionError(thread)


def _own_threads() -> list[threading.Thread]:
    # One that was interrupted before it started is no thread, though Python lists it.
    started = [one for one in threading.enumerate() if one.ident is not None]
    return [one for one in started if one.name.startswith("lazyvox")]


def n_descriptors() -> int:
    """Return the number of open file descriptors."""
    return sum(1 for _ in Path("/dev/fd").iterdir())


def _scan(imgs: Any, consumers: Sequence[Any]) -> Scan:
    scan = Scan(imgs)
    for consumer in consumers:
        scan.add(consumer)
    return scan


def _run(imgs: Any, consumers: Sequence[Any], memory: int | str | None, n_jobs: int) -> None:
    _scan(imgs, consumers).run(memory, n_jobs)
