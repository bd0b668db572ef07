"""Sessions on computed arrays that take part more than once: each is open once, and computes once.

An image such as ``c = smooth_img(c, 2) + c``, made again and again, takes part in its result in more
ways than can be counted. Each stage below is one session here, which keeps the last volumes for
whatever asks for them next.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self, TypeAlias

import numpy as np

from lazyvox.planning.indexing import axis_of, taken
from lazyvox.planning.memory import MemoryTerm

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from lazyvox._typing import Array, ExitInfo
    from lazyvox.array.computed_reader import ComputedReader
    from lazyvox.array.lazy_array import LazyArray
    from lazyvox.array.reader import ArrayReader, ArraySession
    from lazyvox.planning.indexing import Axis

__all__ = [
    "OpenMemory",
    "Sessions",
    "memory_below",
    "memory_of_sessions",
    "sources_of_stages",
    "stages_below",
]

#: Terms of the sessions that are open at a time, by the id of their readers, for each reader.
OpenMemory: TypeAlias = dict[int, dict[int, tuple[MemoryTerm, ...]]]

#: Groups of volumes that a shared stage keeps: the last that was computed, and the one before.
KEPT_GROUPS = 2


class Sessions:
    """The sessions below one session: stages that are used more than once are opened once.

    Parameters
    ----------
    sources : iterable of LazyArray
        Arrays that the session reads.
    """

    def __init__(self, sources: Iterable[LazyArray]) -> None:
        stages, uses = stages_below(sources)
        # Readers are kept, so that their ids stay their own.
        self._shared = {id(one): one for one in stages if uses[id(one)] > 1}
        groups = [one.group_volumes for one in stages if len(one.shape) == 4]
        #: Volumes that are asked for at a time, so that what is kept is what is asked for next.
        self.group_volumes: int | None = min(groups) if self._shared and groups else None
        self._lock = threading.Lock()
        self._open: dict[int, _Shared] = {}

    @property
    def kept_bytes(self) -> int:
        """Bytes of the volumes that shared stages keep."""
        total = 0
        for reader in self._shared.values():
            volume = math.prod(reader.shape[:3]) * reader.dtype.itemsize
            # A group that is computed anew is there besides those that are kept.
            n_volumes = (KEPT_GROUPS + 1) * (self.group_volumes or 1)
            total += volume * (n_volumes if len(reader.shape) == 4 else 1)
        return total

    def open(self, array: LazyArray) -> ArraySession:
        """Start a session on an array, or take part in that of its stage."""
        key = id(array.reader)
        if key not in self._shared:
            return array.reader.open_within(array.window.axes, self)
        with self._lock:
            if key not in self._open:
                session = array.reader.open_within(array.window.axes, self)
                n_kept = KEPT_GROUPS * (self.group_volumes or 1)
                self._open[key] = _Shared(array.reader, session, n_kept)
            return _Part(self._open[key])

    def around(self, session: ArraySession) -> ArraySession:
        """Return a session that ends those that are shared with it."""
        return _Whole(session, self) if self._shared else session

    def close(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """End the shared sessions."""
        stack = ExitStack()
        for shared in self._open.values():
            stack.push(shared.session.__exit__)
        self._open = {}
        stack.__exit__(kind, error, trace)


class _Shared:
    """A session on a stage, and the volumes that were computed last; for many threads."""

    def __init__(self, reader: ArrayReader, session: ArraySession, n_kept: int) -> None:
        self.reader = reader
        self.session = session.__enter__()
        self._n_kept = n_kept
        self._kept: dict[int, Array] = {}
        self._lock = threading.RLock()

    def read(self, axes: tuple[Axis, ...], out: Array) -> None:
        """Fill `out` with the values at `axes`, from whole volumes."""
        if not out.size:
            return
        with self._lock:
            *space, time = axes if len(axes) == 4 else (*axes, 0)
            positions = (time,) if isinstance(time, int) else tuple(time)
            self._compute([one for one in sorted(set(positions)) if one not in self._kept])
            target = out[..., None] if isinstance(time, int) else out
            for place, position in enumerate(positions):
                target[..., place] = taken(self._kept[position], tuple(space))
            for position in list(self._kept)[: max(len(self._kept) - self._n_kept, 0)]:
                del self._kept[position]

    def _compute(self, positions: list[int]) -> None:
        if not positions:
            return
        shape = self.reader.shape
        full: tuple[Axis, ...] = tuple(range(length) for length in shape[:3])
        values = np.empty((*shape[:3], len(positions)), self.reader.dtype, order="F")
        if len(shape) == 3:
            self.session.read(full, values[..., 0])
        else:
            self.session.read((*full, axis_of(positions)), values)
        for place, position in enumerate(positions):
            # What is asked for last is let go of last.
            self._kept[position] = values[..., place]


class _Part:
    """One of the uses of a shared session, which ends with the whole."""

    def __init__(self, shared: _Shared) -> None:
        self._shared = shared

    def __enter__(self) -> Self:
        """Return the part itself."""
        return self

    def __exit__(self, *exc: *ExitInfo) -> None:
        """Let others use the session."""

    def read(self, axes: tuple[Axis, ...], out: Array, /) -> None:
        """Fill `out` with the values at `axes`."""
        self._shared.read(axes, out)


class _Whole:
    """A session, and those below it that are shared."""

    def __init__(self, session: ArraySession, sessions: Sessions) -> None:
        self._session = session
        self._sessions = sessions

    def __enter__(self) -> Self:
        """Return the session itself."""
        self._session.__enter__()
        return self

    def __exit__(self, *exc: *ExitInfo) -> None:
        """End all of them."""
        try:
            self._session.__exit__(*exc)
        finally:
            self._sessions.close(*exc)

    def read(self, axes: tuple[Axis, ...], out: Array, /) -> None:
        """Fill `out` with the values at `axes`."""
        self._session.read(axes, out)


def stages_below(sources: Iterable[LazyArray]) -> tuple[list[ComputedReader], Counter[int]]:
    """Return the stages that arrays are made of, each once, and how often each is a source.

    Parameters
    ----------
    sources : iterable of LazyArray
        Any lazy arrays.

    Returns
    -------
    stages : list of ComputedReader
        Those of the arrays, and of the sources of these, as far as stage follows stage.
    uses : Counter
        Number of arrays that have each stage, by its id.
    """
    uses: Counter[int] = Counter()
    stages: list[ComputedReader] = []
    waiting = list(sources)
    while waiting:
        stage = waiting.pop().reader.stage
        if stage is None:
            continue
        uses[id(stage)] += 1
        if uses[id(stage)] == 1:
            stages.append(stage)
            waiting += stage.sources
    return stages, uses


def sources_of_stages(reader: ComputedReader) -> list[LazyArray]:
    """Return the arrays that a stage, and each stage below it, reads and that are no stages."""
    stages, _ = stages_below(reader.sources)
    return [
        one for stage in (reader, *stages) for one in stage.sources if one.reader.stage is None
    ]


def memory_below(
    sources: Iterable[LazyArray], found: OpenMemory
) -> dict[int, tuple[MemoryTerm, ...]]:
    """Return the terms of the sessions that are open at a time below one on these sources.

    Parameters
    ----------
    sources : iterable of LazyArray
        Arrays that the session reads.
    found : dict
        Results by the id of the reader, to be added to.

    Returns
    -------
    dict of int to tuple of MemoryTerm
        Terms of each session by itself, by the id of its reader: those that are shared, once.
    """
    together: dict[int, tuple[MemoryTerm, ...]] = {}
    for source in sources:
        key = id(source.reader)
        if key not in found:
            found[key] = source.reader.open_memory(found)
        together |= found[key]
    return together


def memory_of_sessions(
    held: dict[int, tuple[MemoryTerm, ...]], sources: Iterable[LazyArray]
) -> tuple[MemoryTerm, ...]:
    """Return the terms of sessions, and of the volumes that shared stages below them keep.

    Parameters
    ----------
    held : dict of int to tuple of MemoryTerm
        From `memory_below`, or from a reader's `open_memory`.
    sources : iterable of LazyArray
        Arrays that the outermost session reads.

    Returns
    -------
    tuple of MemoryTerm
        The terms.
    """
    kept = MemoryTerm("volumes", Sessions(sources).kept_bytes, "of stages used more than once")
    terms = tuple(term for each in held.values() for term in each)
    return (*terms, kept) if kept.nbytes else terms
