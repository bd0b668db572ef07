"""Several arrays read as one series along the last axis."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Self

import numpy as np

from lazyvox._typing import Array, DType, ExitInfo, Shape, override
from lazyvox.array.computed_reader import GROUP_BYTES, ComputedReader, volume_bytes
from lazyvox.array.concat_ahead import AheadLayout, AheadSession, ahead_layout
from lazyvox.array.converted_reads import read_into
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.reader import ArraySession
from lazyvox.array.shared_sessions import OpenMemory, Sessions, memory_below, memory_of_sessions
from lazyvox.planning.indexing import Axis, View, as_key, axis_of
from lazyvox.planning.memory import MemoryTerm, sum_terms

__all__ = ["ConcatReader", "concatenated"]


def concatenated(arrays: Sequence[LazyArray]) -> LazyArray:
    """Return 3D and 4D arrays of one grid as one series; reads nothing.

    Parameters
    ----------
    arrays : sequence of LazyArray
        At least one. Those that are parts of such a series count as the parts of that, so that a
        series that is made longer again and again stays a flat list.

    Returns
    -------
    LazyArray
        4D, of the type that holds the values of all.
    """
    parts: list[LazyArray] = []
    for array in arrays:
        inner = None
        if not array.conversion.changes(array.reader.dtype):
            inner = array.reader.parts_in(array.window)
        parts += (array,) if inner is None else inner
    return LazyArray.over(ConcatReader(tuple(parts)))


@dataclass(frozen=True, slots=True, eq=False)
class ConcatReader(ComputedReader):
    """Reads 3D volumes and 4D runs on one grid as a single 4D series.

    The values are those of the parts, in the type that holds all of their types.
    """

    parts: tuple[LazyArray, ...]

    @property
    @override
    def path(self) -> str:
        """Paths of the first and the last part."""
        first, last = self.parts[0].reader.path, self.parts[-1].reader.path
        return first if len(self.parts) == 1 else f"{first} ... {last}"

    @property
    @override
    def shape(self) -> Shape:
        """Grid of the parts, and the number of all volumes."""
        return (*self.parts[0].shape[:3], sum(n_volumes(part) for part in self.parts))

    @property
    @override
    def dtype(self) -> DType:
        """Type that holds the values of all parts, in native byte order."""
        joint: DType = np.result_type(*[part.dtype.newbyteorder("=") for part in self.parts])
        return joint

    @property
    @override
    def sources(self) -> tuple[LazyArray, ...]:
        """The parts."""
        return self.parts

    @property
    @override
    def session_memory(self) -> tuple[MemoryTerm, ...]:
        """Terms of the part that takes most: one is read at a time."""
        return memory_of_sessions(self.open_memory({}), self.parts)

    @property
    @override
    def step(self) -> str:
        """Nothing is computed."""
        return ""

    @override
    def open(
        self, axes: tuple[Axis, ...], memory: int | None = None, n_jobs: int = 1
    ) -> ArraySession:
        """Start a session; with `n_jobs` above 1, the next files are decoded meanwhile."""
        layout = self._ahead_layout(axes, memory or 0, n_jobs)
        if layout is None:
            return self._alone()
        return AheadSession(self._alone, axes, self.dtype, layout)

    def _alone(self) -> ArraySession:
        sessions = Sessions(self.parts)
        return sessions.around(ConcatSession(self, sessions))

    @override
    def open_within(self, axes: tuple[Axis, ...], sessions: Sessions) -> ArraySession:
        """Start a session that shares those of its parts with others."""
        return ConcatSession(self, sessions)

    @override
    def open_memory(self, found: OpenMemory) -> dict[int, tuple[MemoryTerm, ...]]:
        """Return the terms of the sessions of the part that takes most."""
        each = (memory_below((part,), found) for part in self.parts)
        return max(each, key=lambda held: sum(map(sum_terms, held.values())))

    @override
    def ahead_bytes(self, axes: tuple[Axis, ...], memory: int, n_jobs: int) -> int:
        """Return the part of `memory` that files take which are decoded ahead."""
        layout = self._ahead_layout(axes, memory, n_jobs)
        return 0 if layout is None else layout.nbytes

    @property
    @override
    def is_in_memory(self) -> bool:
        """True if all parts are in memory."""
        return all(part.reader.is_in_memory for part in self.parts)

    @property
    @override
    def content_key(self) -> tuple[Any, ...]:
        """The parts."""
        return ("joined", *self.parts)

    @property
    @override
    def stage(self) -> "ConcatReader | None":
        """The reader itself, if a part is computed when it is read."""
        return self if any(part.reader.stage is not None for part in self.parts) else None

    @property
    @override
    def group_volumes(self) -> int:
        """Volumes that are read at a time where a stage reads them."""
        return max(GROUP_BYTES // max(volume_bytes(self.shape, self.dtype), 1), 1)

    @override
    def parts_in(self, window: View) -> tuple[LazyArray, ...] | None:
        """Return the parts of neighbouring whole volumes, where all have the type of the series."""
        full = tuple(range(length) for length in self.shape[:3])
        time = window.axes[3]
        if window.axes[:3] != full or window.dims != (0, 1, 2, 3) or not isinstance(time, range):
            return None
        types = {part.dtype.newbyteorder("=") for part in self.parts}
        if time.step != 1 or not time or len(types) > 1:
            return None
        found: list[LazyArray] = []
        start = 0
        for part in self.parts:
            stop = start + n_volumes(part)
            first, last = max(time.start, start), min(time.stop, stop)
            if first < last:
                is_cut = (first, last) != (start, stop)
                found.append(
                    part.view((..., slice(first - start, last - start))) if is_cut else part
                )
            start = stop
        return tuple(found)

    def _ahead_layout(
        self, axes: tuple[Axis, ...], memory: int, n_jobs: int
    ) -> AheadLayout | None:
        if self.is_random_access or n_jobs < 2:
            return None
        return ahead_layout(
            [n_volumes(part) for part in self.parts],
            axes,
            self.dtype,
            decoder_bytes=self.session_bytes,
            memory=memory,
            n_jobs=n_jobs,
        )


class ConcatSession:
    """One reading session on a series of files: one file is open at a time."""

    def __init__(self, reader: ConcatReader, below: Sessions) -> None:
        self._below = below
        self._parts = reader.parts
        self._dtype = reader.dtype
        self._starts = [0, *accumulate(n_volumes(part) for part in reader.parts)]
        self._stack = ExitStack()
        self._current: tuple[int, ArraySession] | None = None

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(self, *exc: *ExitInfo) -> None:
        """End the session of the file that is open."""
        self._stack.__exit__(*exc)

    def read(self, axes: tuple[Axis, ...], out: Array, /) -> None:
        """Fill `out` with the volumes at ``axes[3]``, file by file."""
        last = axes[3]
        positions = [last] if isinstance(last, int) else list(last)
        place = 0
        while place < len(positions):
            part = int(np.searchsorted(self._starts, positions[place], side="right")) - 1
            start, stop = self._starts[part], self._starts[part + 1]
            end = place
            while end < len(positions) and start <= positions[end] < stop:
                end += 1
            local = tuple(position - start for position in positions[place:end])
            target = out if isinstance(last, int) else out[..., place:end]
            self._read_part(part, axes[:3], local, target, drop=isinstance(last, int))
            place = end

    def _read_part(
        self,
        number: int,
        grid_axes: tuple[Axis, ...],
        volumes: tuple[int, ...],
        out: Array,
        *,
        drop: bool,
    ) -> None:
        part = self._parts[number]
        time: Axis = volumes[0] if drop else axis_of(volumes)
        if part.ndim == 3:
            window = part.view(as_key(grid_axes)).window.axes
            out = out if drop else out[..., 0]
        else:
            window = part.view((*as_key(grid_axes), as_key((time,))[0])).window.axes
        conversion = part.conversion.then(self._dtype)
        read_into(self._session(number), window, out, conversion, part.reader.dtype)

    def _session(self, number: int) -> ArraySession:
        if self._current is None or self._current[0] != number:
            self._stack.close()
            session = self._stack.enter_context(self._below.open(self._parts[number]))
            self._current = (number, session)
        return self._current[1]


def n_volumes(part: LazyArray) -> int:
    """Return the number of volumes of a 3D or 4D array."""
    return part.shape[3] if part.ndim > 3 else 1
