"""Volumes that are computed from volumes when they are read: smoothed, resampled, combined."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from textwrap import shorten
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from lazyvox._typing import Array, DType, ExitInfo, Shape, override
from lazyvox.array.computed_reader import GROUP_BYTES, ComputedReader, volume_bytes
from lazyvox.array.lazy_array import LazyArray, fill_block
from lazyvox.array.reader import ArraySession
from lazyvox.array.shared_sessions import (
    OpenMemory,
    Sessions,
    memory_below,
    memory_of_sessions,
    sources_of_stages,
)
from lazyvox.planning.indexing import Axis, View, as_key, axis_of, taken
from lazyvox.planning.memory import MemoryTerm

__all__ = [
    "ReadsBefore",
    "StagedReader",
    "Staging",
    "VolumeTransform",
    "staged",
    "staging_of",
]

#: Of many sources a group is smaller: what is held of all of them together is at most this.
ALL_SOURCES_BYTES = 32 << 20

#: Scratch of reading and converting the sources.
SCRATCH_BYTES = 2 << 20


@runtime_checkable
class VolumeTransform(Protocol):
    """A function of one volume at a time. Frozen, picklable, safe from many threads."""

    @property
    def name(self) -> str:
        """Name in plans and messages, such as "smooth"."""

    def out_shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the spatial shape of the result for sources of these spatial shapes."""

    def out_dtype(self, dtypes: tuple[DType, ...]) -> DType:
        """Return the native type of the result for sources of these types."""

    def work_bytes(self, shapes: tuple[Shape, ...], dtypes: tuple[DType, ...]) -> int:
        """Return the most bytes that `apply` allocates for its duration, per volume."""

    def apply(self, blocks: Sequence[Array], out: Array) -> None:
        """Fill `out`, of shape (I, J, K, n), from one block of n volumes of each source.

        Blocks are in native byte order and in Fortran order; that of a 3D source has one volume,
        used for all. They must not be changed. `out` is in Fortran order.
        """


@runtime_checkable
class ReadsBefore(Protocol):
    """A transform that has to read sources to their end before its first volume."""

    @property
    def reads_before(self) -> tuple[LazyArray, ...]:
        """Arrays that are still to be read; none after the first volume."""

    @property
    def before_bytes(self) -> int:
        """Most bytes that this reading allocates."""


def staged(transform: VolumeTransform, *sources: LazyArray) -> LazyArray:
    """Return the lazy array of transformed sources; reads nothing.

    Parameters
    ----------
    transform : VolumeTransform
        Function that is applied to each volume.
    *sources : LazyArray
        At least one, 3D or 4D. Those in 4D have the same number of volumes; one in 3D is used with
        each of them.

    Returns
    -------
    LazyArray
        4D if any source is, else 3D. Volumes are computed when they are read, in groups of about
        4 MiB; each is computed once in a pass.

    Notes
    -----
    A pass over the result is one pass over each source.
    """
    shapes = tuple(source.shape[:3] for source in sources)
    dtypes = tuple(_native(source.dtype) for source in sources)
    lengths = {source.shape[3] for source in sources if source.ndim == 4}
    assert all(source.ndim in {3, 4} for source in sources), "bug in lazyvox: not 3D or 4D"
    assert len(lengths) < 2, "bug in lazyvox: sources of different length"
    shape = (*transform.out_shape(shapes), *lengths)
    return LazyArray.over(StagedReader(sources, transform, shape, transform.out_dtype(dtypes)))


@dataclass(frozen=True, slots=True, eq=False)
class StagedReader(ComputedReader):
    """Reads volumes through a transform. Made by `staged`."""

    sources: tuple[LazyArray, ...] = field()
    transform: VolumeTransform = field()
    shape: Shape = field()
    dtype: DType = field()

    @property
    @override
    def group_volumes(self) -> int:
        """Volumes that are transformed at a time."""
        sizes = [volume_bytes(source.shape, source.dtype) for source in self.sources]
        largest = max(*sizes, volume_bytes(self.shape, self.dtype), 1)
        n_volumes = self.shape[3] if len(self.shape) == 4 else 1
        most = ALL_SOURCES_BYTES // max(self._series_bytes, 1)
        return max(min(GROUP_BYTES // largest, most, n_volumes), 1)

    @property
    def slab_slices(self) -> int:
        """Slices of a volume that are transformed at a time: all of them."""
        return self.shape[2]

    @property
    def _series_bytes(self) -> int:
        """Bytes of one volume of all 4D sources together."""
        each = (volume_bytes(one.shape, one.dtype) for one in self.sources if one.ndim == 4)
        return sum(each)

    @property
    @override
    def reads_before(self) -> tuple[LazyArray, ...]:
        """Arrays that the transform still has to read to their end."""
        transform = self.transform
        return transform.reads_before if isinstance(transform, ReadsBefore) else ()

    @property
    @override
    def stage(self) -> Self:
        """The reader itself."""
        return self

    @property
    @override
    def is_random_access(self) -> bool:
        """True if no source is compressed."""
        return all(source.reader.is_random_access for source in sources_of_stages(self))

    @property
    @override
    def can_be_entered(self) -> bool:
        """True if all sources can, and nothing is read before."""
        return not self.reads_before and all(
            source.reader.can_be_entered for source in sources_of_stages(self)
        )

    @property
    @override
    def session_memory(self) -> tuple[MemoryTerm, ...]:
        """Terms of the session, and of those of the sources."""
        return memory_of_sessions(self.open_memory({}), self.sources)

    @property
    def own_memory(self) -> tuple[MemoryTerm, ...]:
        """Terms of a group of volumes of the result and of each source, and of the scratch."""
        n_group = self.group_volumes
        volumes = n_group * volume_bytes(self.shape, self.dtype)
        for source in self.sources:
            n_volumes = n_group if source.ndim == 4 else 1
            volumes += n_volumes * volume_bytes(source.shape, source.dtype)
        scratch = self.work_bytes(n_group) + SCRATCH_BYTES + self.before_bytes
        return (
            MemoryTerm("volumes", volumes, self.step),
            MemoryTerm("scratch", scratch, self.step),
        )

    @property
    @override
    def step(self) -> str:
        """Name of the transform."""
        return self.transform.name

    @property
    def before_bytes(self) -> int:
        """Bytes that reading takes before the first volume."""
        transform = self.transform
        return transform.before_bytes if isinstance(transform, ReadsBefore) else 0

    @override
    def open_memory(self, found: OpenMemory) -> dict[int, tuple[MemoryTerm, ...]]:
        """Return the terms of the session by itself, and of those of the sources."""
        return {id(self): self.own_memory, **memory_below(self.sources, found)}

    def work_bytes(self, n_volumes: int) -> int:
        """Return the bytes that transforming so many volumes at a time allocates."""
        shapes = tuple(source.shape[:3] for source in self.sources)
        dtypes = tuple(_native(source.dtype) for source in self.sources)
        return n_volumes * self.transform.work_bytes(shapes, dtypes)

    @override
    def open(
        self, axes: tuple[Axis, ...], memory: int | None = None, n_jobs: int = 1
    ) -> ArraySession:
        """Start a reading session."""
        sessions = Sessions(self.sources)
        return sessions.around(self.open_within(axes, sessions))

    @override
    def open_within(self, axes: tuple[Axis, ...], sessions: Sessions) -> ArraySession:
        """Start a session that shares those of its sources with others."""
        return StagedSession(self, sessions)

    @override
    def staging(self, window: View, /) -> "Staging | None":
        """Return this stage, over sources cut to the volumes of `window`."""
        full = tuple(range(length) for length in self.shape[:3])
        if window.axes[:3] != full or window.dims != (0, 1, 2, 3) or len(self.shape) != 4:
            return None
        if self.slab_slices < self.shape[2]:
            # Its own session never holds volumes of all sources simultaneously.
            return None
        time = window.axes[3]
        assert not isinstance(time, int)
        sources = tuple(
            source.view((..., *as_key((time,)))) if source.ndim == 4 else source
            for source in self.sources
        )
        return Staging(self, sources)

    @override
    def decoded_bytes(self, window: View) -> int:
        """Return the bytes of the volumes of the sources, each of which is read as a whole."""
        each = ((one.reader, one.window) for one in sources_of_stages(self))
        whole = sum(reader.decoded_bytes(source_window) for reader, source_window in each)
        n_volumes = window.shape[3] if len(window.shape) > 3 else 1
        return whole * n_volumes // max(self.shape[3] if len(self.shape) > 3 else 1, 1)

    @property
    @override
    def is_in_memory(self) -> bool:
        """True if all sources are in memory."""
        return all(source.reader.is_in_memory for source in sources_of_stages(self))

    @property
    @override
    def stored_bytes(self) -> int:
        """Bytes of all files on disk, those that several stages read for each of them."""
        return sum(source.reader.stored_bytes for source in sources_of_stages(self))

    @property
    @override
    def content_key(self) -> tuple[Any, ...]:
        """The transform and the sources."""
        return ("staged", self.transform, self.sources)

    @override
    def describe(self) -> str:
        """Return the name of the transform, and its first source."""
        shown = shorten(self.transform.name, 40, placeholder="...")
        more = ", ..." * (len(self.sources) > 1)
        return f"({shown}) of {self.sources[0].reader.describe()}{more}"

    @override
    def reading_order(self) -> tuple[str, ...]:
        """Return that all sources are read in step."""
        unit = f"{self.group_volumes} volume{'s' * (self.group_volumes > 1)}"
        return (f"all inputs in step, {unit} at a time",)


class StagedSession:
    """One reading session: the sources are open, the last group of volumes is held."""

    def __init__(self, reader: StagedReader, sessions: Sessions) -> None:
        self._reader = reader
        self._blocks = SourceBlocks(reader.sources, sessions)
        self._held: tuple[tuple[int, ...], Array] | None = None

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(self, *exc: *ExitInfo) -> None:
        """End the sessions of the sources."""
        self._held = None
        self._blocks.close(*exc)

    def read(self, axes: tuple[Axis, ...], out: Array, /) -> None:
        """Fill `out` with the values at `axes`, computing each volume once."""
        if not out.size:
            return
        if len(axes) == 3:
            self._take((0,), axes, out[..., None])
            return
        *space, time = axes
        if isinstance(time, int):
            self._take((time,), tuple(space), out[..., None])
            return
        ascending = sorted(set(time))
        places: dict[int, list[int]] = {position: [] for position in ascending}
        for place, position in enumerate(time):
            places[position].append(place)
        n_group = self._reader.group_volumes
        for start in range(0, len(ascending), n_group):
            group = tuple(ascending[start : start + n_group])
            first = [places[position][0] for position in group]
            if first == list(range(first[0], first[0] + len(first))):
                self._take(group, tuple(space), out[..., first[0] : first[0] + len(first)])
            else:
                values = np.empty((*out.shape[:-1], len(group)), out.dtype, order="F")
                self._take(group, tuple(space), values)
                out[..., first] = values
            for position in group:
                for place in places[position][1:]:
                    out[..., place] = out[..., places[position][0]]

    def _take(self, group: tuple[int, ...], space: tuple[Axis, ...], out: Array) -> None:
        """Fill `out` with these volumes at the positions `space` of the grid."""
        shape = (*self._reader.shape[:3], len(group))
        is_whole = all(axis == range(length) for axis, length in zip(space, shape, strict=False))
        is_direct = is_whole and out.flags.f_contiguous and out.dtype == self._reader.dtype
        if is_direct and (self._held is None or self._held[0] != group):
            self._compute(group, out)
            return
        if self._held is None or not set(group) <= set(self._held[0]):
            values = np.empty(shape, self._reader.dtype, order="F")
            self._compute(group, values)
            self._held = (group, values)
        held, values = self._held
        where = [held.index(position) for position in group]
        out[...] = taken(values[(..., *as_key((axis_of(where),)))], space)

    def _compute(self, group: tuple[int, ...], out: Array) -> None:
        self._reader.transform.apply(self._blocks.read(group), out)


class SourceBlocks:
    """The sources of a stage, open for reading: blocks of 4D ones, the whole of 3D ones."""

    def __init__(self, sources: tuple[LazyArray, ...], sessions: Sessions | None = None) -> None:
        self._sources = sources
        self._stack = ExitStack()
        self._below = Sessions(sources) if sessions is None else sessions
        if sessions is None:
            # Those of another session end with that.
            self._stack.push(self._below.close)
        self._sessions: list[ArraySession] | None = None
        self._constants: dict[int, Array] = {}

    def close(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """End all sessions, and hand them the error of the pass, if any."""
        self._constants.clear()
        self._stack.__exit__(kind, error, trace)

    def read(
        self, volumes: Sequence[int], buffers: Sequence[Array | None] | None = None
    ) -> list[Array]:
        """Return a block of these volumes, ascending, of each source; 3D ones have one volume."""
        sessions = self._opened()
        blocks: list[Array] = []
        for number, (source, session) in enumerate(zip(self._sources, sessions, strict=True)):
            if source.ndim == 3:
                blocks.append(self._constant(number, source, session))
                continue
            shape = (*source.shape[:3], len(volumes))
            buffer = None if buffers is None else buffers[number]
            if buffer is None:
                buffer = np.empty(shape, _native(source.dtype), order="F")
            blocks.append(buffer)
        # What several stages read is asked for in groups, by one stage after the other.
        n_group = self._below.group_volumes or max(len(volumes), 1)
        for start in range(0, len(volumes), n_group):
            group = volumes[start : start + n_group]
            for source, session, block in zip(self._sources, sessions, blocks, strict=True):
                if source.ndim == 4:
                    view = source.view((..., *as_key((axis_of(group),))))
                    fill_block(view, session, block[..., start : start + len(group)])
        return blocks

    def read_part(
        self, volumes: Sequence[int], window: Sequence[Axis], shape: Shape
    ) -> list[Array]:
        """Return a block of these volumes, at the positions `window` of a grid, of each source."""
        blocks: list[Array] = []
        for source, session in zip(self._sources, self._opened(), strict=True):
            space = as_key(
                tuple(
                    range(1) if length == 1 and whole != 1 else axis
                    for axis, length, whole in zip(window, source.shape, shape, strict=False)
                )
            )
            view = source.view(
                space if source.ndim == 3 else (*space, *as_key((axis_of(volumes),)))
            )
            block = np.empty(view.shape, _native(source.dtype), order="F")
            fill_block(view, session, block)
            blocks.append(block if source.ndim == 4 else block[..., None])
        return blocks

    def read_slab(self, volumes: Sequence[int], slices: range, n_slices: int) -> list[Array]:
        """Return a block of these volumes and slices of each source; 3D ones are read once."""
        blocks: list[Array] = []
        for number, (source, session) in enumerate(
            zip(self._sources, self._opened(), strict=True)
        ):
            is_shared = source.shape[2] == 1 and n_slices != 1
            cut = slice(None) if is_shared else slice(slices.start, slices.stop)
            if source.ndim == 3:
                blocks.append(self._constant(number, source, session)[:, :, cut])
                continue
            view = source.view((slice(None), slice(None), cut, *as_key((axis_of(volumes),))))
            block = np.empty(view.shape, _native(source.dtype), order="F")
            fill_block(view, session, block)
            blocks.append(block)
        return blocks

    def _opened(self) -> list[ArraySession]:
        if self._sessions is None:
            self._sessions = [
                self._stack.enter_context(self._below.open(one)) for one in self._sources
            ]
        return self._sessions

    def _constant(self, number: int, source: LazyArray, session: ArraySession) -> Array:
        if number not in self._constants:
            values = np.empty(source.shape, _native(source.dtype), order="F")
            fill_block(source, session, values)
            self._constants[number] = values[..., None]
        return self._constants[number]


@dataclass(frozen=True, slots=True, eq=False)
class Staging:
    """A stage that a pass over whole volumes can apply itself, outside of the reading thread.

    Attributes
    ----------
    reader : StagedReader
        The stage.
    sources : tuple of LazyArray
        Its sources, cut to the volumes that are asked for.
    """

    reader: StagedReader
    sources: tuple[LazyArray, ...]

    @property
    def source_volume_bytes(self) -> int:
        """Bytes of one volume of all 4D sources together."""
        return sum(
            volume_bytes(source.shape, source.dtype) for source in self.sources if source.ndim == 4
        )

    @property
    def memory(self) -> tuple[MemoryTerm, ...]:
        """Memory terms that do not depend on the number of volumes read at a time."""
        constants = sum(source.nbytes for source in self.sources if source.ndim == 3)
        return (
            MemoryTerm("volumes", constants, self.reader.step),
            MemoryTerm("reading", SCRATCH_BYTES + self.reader.before_bytes),
            *memory_of_sessions(memory_below(self.sources, {}), self.sources),
        )


def staging_of(array: LazyArray) -> Staging | None:
    """Return the outermost stage of a 4D array, None if it has none or is cut through volumes."""
    reader = array.reader
    return None if array.conversion.changes(reader.dtype) else reader.staging(array.window)


def _native(dtype: DType) -> DType:
    return dtype.newbyteorder("=")
