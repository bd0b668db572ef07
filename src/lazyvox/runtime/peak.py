"""The most memory that a block of code held."""

import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lazyvox.runtime.cgroup import PROC_ROOT, read_text
from lazyvox.runtime.resident import Usage, resident_usage, tree_usage

__all__ = ["PeakMemory", "peak_memory"]

_INTERVAL_S = 0.005
# Reading smaps_rollup walks the page tables and holds off page faults meanwhile: a sample that
# takes long is followed by a pause long enough that sampling stays below a fifth of the time.
_PAUSE_PER_COST = 4.0
_HIGH_WATER = re.compile(r"^VmHWM:\s*(\d+) kB", re.MULTILINE)


class PeakMemory:
    """Measurement of `peak_memory`, readable during the block and after it."""

    def __init__(self, *, with_children: bool = True) -> None:
        self._lock = threading.Lock()
        self._with_children = with_children
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lazyvox-peak", daemon=True)
        self._is_open = False
        self._entry = (Usage(0, 0), Usage(0, 0))
        self._growth = 0
        self._mapped_growth = 0
        self._mark_at_entry = 0
        self._mark = 0
        self.sampling_seconds = 0.0

    @property
    def bytes(self) -> int:
        """Peak PSS of this process and all its descendants since the block began."""
        return self._entry[1].pss + self.increment

    @property
    def increment(self) -> int:
        """Peak above the memory that the processes held when the block began."""
        if self._is_open:
            _MARKS.distribute()
            self._sample()
        with self._lock:
            return max(self._growth, self._mark - self._entry[0].rss - self._mapped_growth)

    def _usage(self) -> tuple[Usage, Usage]:
        """Return the memory of this process, and that of all that are measured."""
        if self._with_children:
            return tree_usage(os.getpid())
        own = resident_usage()
        return own, own

    def _sample(self) -> None:
        """Take one sample into account."""
        own, total = self._usage()
        with self._lock:
            self._growth = max(self._growth, total.growth_since(self._entry[1]))
            # Pages of files may be shared with strangers: the mark must not count them in full.
            mapped = own.mapped_rss - self._entry[0].mapped_rss
            self._mapped_growth = max(self._mapped_growth, mapped)

    def _watch(self) -> None:
        """Take samples until the block ends."""
        pause = _INTERVAL_S
        while not self._stop.wait(pause):
            # Of the processor: on a busy machine a sample takes long, and the next must not wait for it.
            began = time.thread_time()
            self._sample()
            pause = max(_INTERVAL_S, _PAUSE_PER_COST * (time.thread_time() - began))
        self.sampling_seconds = time.thread_time()

    def _start(self) -> None:
        """Begin to measure."""
        _MARKS.add(self)
        self._entry = self._usage()
        self._is_open = True
        if self._with_children:
            self._thread.start()

    def _finish(self) -> None:
        """Take the last sample and end the thread."""
        self._stop.set()
        if self._with_children:
            self._thread.join()
        self._sample()
        _MARKS.remove(self)
        self._is_open = False

    def _note_mark(self, mark: int) -> None:
        """Take the kernel's high-water mark into account.

        A mark that did not rise since the block began may be older than the block.
        """
        if mark > self._mark_at_entry:
            with self._lock:
                self._mark = max(self._mark, mark)


class _HighWaterMarks:
    """The kernel's one high-water mark of this process, shared out to all open blocks.

    Resetting it for one block erases it for all others, so each of them takes its value first. It is
    state of the process, which is why this object is one per process too.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[PeakMemory] = []

    def add(self, peak: PeakMemory) -> None:
        """Reset the mark for a new block."""
        with self._lock:
            self._tell()
            # Where it is not Linux, or not permitted, only a mark that rises says something.
            with suppress(OSError):
                (PROC_ROOT / "self" / "clear_refs").write_text("5", encoding="ascii")
            peak._mark_at_entry = _high_water()
            self._open.append(peak)

    def distribute(self) -> None:
        """Tell every open block the mark as it is now."""
        with self._lock:
            self._tell()

    def remove(self, peak: PeakMemory) -> None:
        """Tell a block its last mark and forget it."""
        with self._lock:
            self._tell()
            self._open.remove(peak)

    def _tell(self) -> None:
        mark = _high_water()
        for peak in self._open:
            peak._note_mark(mark)


_MARKS = _HighWaterMarks()


def _high_water() -> int:
    """Return the most that was resident in this process since the mark was reset, 0 if unknown."""
    match = _HIGH_WATER.search(read_text(PROC_ROOT / "self" / "status"))
    return int(match[1]) * 1024 if match else 0


@contextmanager
def peak_memory(*, with_children: bool = True) -> Iterator[PeakMemory]:
    """Measure the peak memory of a block of code, child processes included.

    Parameters
    ----------
    with_children : bool, default=True
        Whether samples are taken in between, which costs up to a fifth of a core. Without them the
        peak of this process is measured all the same where the kernel keeps a high-water mark
        (Linux); that of children is not, and pages that others share count in full.

    Yields
    ------
    PeakMemory
        ``.bytes`` is the peak of the proportional set sizes (PSS) of this process and all its
        descendants; ``.increment`` is how far that lies above the level on entry. Both are valid
        during the block and after it.

    Notes
    -----
    Samples are taken on entry, on exit, and every 5 ms between by a thread, less often where one
    sample takes long. What happens between two samples is seen in this process, through the
    kernel's high-water mark (Linux), less newly mapped files; it is not seen in
    children: a child that lives for less than a sampling interval, or its spike, can be missed,
    and so can the coincidence of a spike here with memory of children. Pages shared with strangers
    count by the share they had on entry, so that other programs do not move the result by starting
    or ending.

    Pages of memory-mapped files count while they are resident. The high-water mark of this
    process (``VmHWM``, and with it ``ru_maxrss``) is reset on entry.

    Examples
    --------
    >>> with peak_memory() as peak:
    ...     block = b"x" * 40_000_000
    >>> peak.increment > 39_000_000
    True
    """
    peak = PeakMemory(with_children=with_children)
    peak._start()
    try:
        yield peak
    finally:
        peak._finish()
