"""Passes over the run that give way: to requests for volumes, and to a page that went away."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lazyvox.errors import ScanCancelledError
from lazyvox.stream.scan import Scan

__all__ = ["Gate", "PassProgress", "pass_budget", "run_pass"]

#: For decoding ahead on several cores, where a file has access points.
_AHEAD_BYTES = 24 << 20

#: Requests that come one after the other shall slow a pass down, not stop it.
_LONGEST_WAIT_S = 0.25


class Gate:
    """Lets requests for volumes go before a pass: between two blocks it waits for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_inside = 0
        self._is_free = threading.Event()
        self._is_free.set()

    @contextmanager
    def first(self) -> Iterator[None]:
        """Go before passes, within a block of code."""
        with self._lock:
            self._n_inside += 1
            self._is_free.clear()
        try:
            yield
        finally:
            with self._lock:
                self._n_inside -= 1
                if not self._n_inside:
                    self._is_free.set()

    def give_way(self) -> None:
        """Wait until no request goes before, or for a moment."""
        self._is_free.wait(_LONGEST_WAIT_S)


class PassProgress:
    """Receiver of the progress of a pass, which it can stop.

    Parameters
    ----------
    cancelled : threading.Event
        Once set, the pass stops at its next block.
    gate : Gate, optional
        Whom the pass gives way to.

    Attributes
    ----------
    done, total : int
        Volumes.
    """

    def __init__(self, cancelled: threading.Event, gate: Gate | None = None) -> None:
        self._cancelled = cancelled
        self._gate = gate
        self.done = 0
        self.total = 0

    def start(self, total: int, unit: str, description: str) -> None:
        """Begin to count."""
        del unit, description
        self.done, self.total = 0, total

    def advance(self, n: int) -> None:
        """Count volumes; give way, or raise `ScanCancelledError`."""
        self.done += n
        if self._gate is not None:
            self._gate.give_way()
        if self._cancelled.is_set():
            msg = f"the pass was cancelled before volume {self.done}."
            raise ScanCancelledError(msg)

    def close(self) -> None:
        """Nothing is held."""


def run_pass(scan: Scan, progress: PassProgress) -> None:
    """Run a scan in little memory, whatever the budget.

    Parameters
    ----------
    scan : Scan
        The scan.
    progress : PassProgress
        Counts, and stops it.

    Raises
    ------
    ScanCancelledError
        If it was stopped.
    ImageFileError
        If the file is damaged or changed.
    MemoryBudgetError
        If the default budget is too little.
    """
    scan.run(pass_budget(scan), progress=progress)


def pass_budget(scan: Scan) -> int:
    """Return the bytes that a scan may take: what it needs, and some to decode ahead."""
    terms = scan.plan().memory
    return sum(one.nbytes for one in terms if one.name != "decoding ahead") + _AHEAD_BYTES
