"""Reader of expressions: sources are read in step, a few at a time, and no further than needed.

Series of volumes are read volume by volume. Volumes that are files of their own, a hundred of
them perhaps, are read in waves: a few files at a time are decoded in step, piece by piece, in as
many threads as there are cores, and each piece is added, say, to a volume that is held. So what is
held is a volume or two, whatever the number of files, and only the files of a wave are open.
`lazyvox.array.read_order` finds the order in which least is held.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np

from lazyvox._typing import Array, ExitInfo, Shape, override
from lazyvox.array.computed_reader import volume_bytes
from lazyvox.array.formula_text import formula_of
from lazyvox.array.kernels import (
    Buffers,
    Built,
    Constant,
    Expression,
    Source,
    Step,
    buffer_itemsize,
    compute,
    last_uses,
)
from lazyvox.array.lazy_array import LazyArray, fill_block
from lazyvox.array.prerequisites import fill_reductions
from lazyvox.array.read_order import Wave
from lazyvox.array.reader import ArraySession
from lazyvox.array.schedule import Program, program_of
from lazyvox.array.shared_sessions import OpenMemory, Sessions, memory_below, memory_of_sessions
from lazyvox.array.transformed import (
    ALL_SOURCES_BYTES,
    SCRATCH_BYTES,
    StagedReader,
    StagedSession,
)
from lazyvox.planning.blocks import fortran_tiles
from lazyvox.planning.indexing import Axis, as_key, taken
from lazyvox.planning.memory import MemoryTerm, format_bytes, sum_terms
from lazyvox.planning.runs import ascending
from lazyvox.runtime.cores import usable_cores
from lazyvox.runtime.prefetch import read_ahead

__all__ = [
    "ExpressionReader",
    "SeriesExpressionReader",
    "VolumeExpressionReader",
]

#: Values of a piece, and pieces of each file that exist at a time: one is used, one is filled.
#: Smaller pieces cost time for each, larger ones memory for each file.
PIECE_VALUES = 1 << 18
N_AHEAD = 2

#: What a decoder holds, measured with gzip.
DECODER_BYTES = 512 << 10

#: Series of which whole volumes are held, however large.
FEW_SERIES = 4

#: Threads that decode; more of them wait for the one that computes.
MOST_THREADS = 4


@dataclass(frozen=True, slots=True, eq=False)
class ExpressionReader(StagedReader):
    """Reader of an expression. A pickle holds its description only, not the cached state."""

    built: Built | None = None

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the description only."""
        return type(self), (self.sources, self.transform, self.shape, self.dtype)

    @property
    @override
    def expression(self) -> Self:
        """The reader itself."""
        return self

    @property
    @override
    def is_operator_result(self) -> bool:
        """True."""
        return True

    @property
    @override
    def step(self) -> str:
        """The formula."""
        assert isinstance(self.transform, Expression), "bug in lazyvox: no expression"
        return formula_of(self.transform.steps, [one.reader.describe() for one in self.sources])

    @override
    def graph(self) -> tuple[str, ...]:
        """Return the steps, in the order in which they are computed."""
        assert isinstance(self.transform, Expression), "bug in lazyvox: no expression"
        return tuple(_described(step, self.sources) for step in self.transform.steps)


@dataclass(frozen=True, slots=True, eq=False)
class SeriesExpressionReader(ExpressionReader):
    """Reads an expression of series of volumes.

    Of many large series a few slices at a time are held, not a volume of each.
    """

    @property
    @override
    def slab_slices(self) -> int:
        """Slices of a volume that are computed at a time."""
        n_series = sum(source.ndim == 4 for source in self.sources)
        if n_series <= FEW_SERIES or self._series_bytes <= 2 * ALL_SOURCES_BYTES:
            return self.shape[2]
        return max(self.shape[2] * ALL_SOURCES_BYTES // self._series_bytes, 1)

    @property
    @override
    def own_memory(self) -> tuple[MemoryTerm, ...]:
        """Terms of a group of volumes, or of slices, of the result and of each source."""
        n_group, n_slices = self.group_volumes, max(self.shape[2], 1)
        constants = sum(one.nbytes for one in self.sources if one.ndim == 3)
        series = n_group * self._series_bytes * self.slab_slices // n_slices
        n_decoders = sum(not one.reader.is_random_access for one in self.sources)
        own = n_group * volume_bytes(self.shape, self.dtype)
        # The pass itself counts one decoder.
        n_more = max(n_decoders - 1, 0)
        return (
            MemoryTerm("volumes", own + series + constants, self.step),
            MemoryTerm("scratch", self.work_bytes(n_group) + SCRATCH_BYTES, self.step),
            MemoryTerm("decoders", n_more * DECODER_BYTES, f"{n_more} more"),
        )

    @override
    def open_within(self, axes: tuple[Axis, ...], sessions: Sessions) -> ArraySession:
        """Start a reading session; computes the reductions that take part first."""
        fill_reductions(self.sources)
        return SeriesSession(self, sessions)


class SeriesSession(StagedSession):
    """A session that reads a part of a volume where the files allow it, or are too many."""

    @override
    def _compute(self, group: tuple[int, ...], out: Array) -> None:
        reader, n_slices = self._reader, self._reader.shape[2]
        if reader.slab_slices == n_slices:
            super()._compute(group, out)
            return
        for start in range(0, n_slices, reader.slab_slices):
            slices = range(start, min(start + reader.slab_slices, n_slices))
            blocks = self._blocks.read_slab(group, slices, n_slices)
            reader.transform.apply(blocks, out[:, :, slices.start : slices.stop])

    @override
    def _take(self, group: tuple[int, ...], space: tuple[Axis, ...], out: Array) -> None:
        reader = self._reader
        shape = reader.shape[:3]
        is_whole = all(axis == range(n) for axis, n in zip(space, shape, strict=True))
        if is_whole or not reader.is_random_access:
            super()._take(group, space, out)
            return
        window = _window(space)
        blocks = self._blocks.read_part(group, window, shape)
        reader.transform.apply(blocks, out[(*_expanded(space), ...)])


@dataclass(frozen=True, slots=True, eq=False)
class VolumeExpressionReader(ExpressionReader):
    """Reads an expression of volumes, which may be files of their own."""

    @property
    def program(self) -> Program:
        """Order of reading and computing."""
        assert isinstance(self.transform, Expression), "bug in lazyvox: no expression"
        return program_of(self.transform.steps, self.sources)

    @property
    @override
    def session_memory(self) -> tuple[MemoryTerm, ...]:
        """Terms of the wave that takes most."""
        return memory_of_sessions(self.open_memory({}), self.sources)

    @override
    def open_memory(self, found: OpenMemory) -> dict[int, tuple[MemoryTerm, ...]]:
        """Return the terms of the session by itself, and of those of the wave that takes most."""
        program = self.program
        waves: list[dict[int, tuple[MemoryTerm, ...]]] = []
        for wave, held in zip(program.waves, program.held_bytes(), strict=True):
            below = memory_below((self.sources[one] for one in wave.sources), found)
            waves.append({id(self): self._wave_memory(wave, held), **below})
        return max(waves, key=lambda wave: sum(map(sum_terms, wave.values())))

    @override
    def open_within(self, axes: tuple[Axis, ...], sessions: Sessions) -> ArraySession:
        """Start a reading session; computes the reductions that take part first."""
        fill_reductions(self.sources)
        return VolumeSession(self, sessions)

    @override
    def graph(self) -> tuple[str, ...]:
        """Return the steps, in the order in which they are computed."""
        return tuple(_described(step, self.sources) for step in self.program.steps)

    @override
    def reading_order(self) -> tuple[str, ...]:
        """Return the files read in step, wave after wave, and the results held between waves."""
        program = self.program
        lines: list[str] = []
        for wave, held in zip(program.waves, program.held_bytes(), strict=True):
            names = [self.sources[number].reader.describe() for number in wave.sources]
            lines.append(f"{', '.join(names) or 'nothing'} in step, {format_bytes(held)} held")
        return tuple(lines)

    def _wave_memory(self, wave: Wave, held: int) -> tuple[MemoryTerm, ...]:
        n_values = min(math.prod(self.shape), PIECE_VALUES)
        each = [self.sources[number] for number in wave.sources]
        pieces = n_values * sum(N_AHEAD * one.dtype.itemsize for one in each)
        work = n_values * buffer_itemsize(wave.steps)
        return (
            MemoryTerm("volumes", held, self.step),
            MemoryTerm("scratch", pieces + work + SCRATCH_BYTES, self.step),
            MemoryTerm("decoders", len(each) * DECODER_BYTES, f"{len(each)} files in step"),
        )


class VolumeSession:
    """One reading session on an expression of volumes.

    Where all files are read in one wave, they stay open and are read as far as is asked. Where
    there are more, the first read leaves behind what the last wave takes.
    """

    def __init__(self, reader: VolumeExpressionReader, below: Sessions) -> None:
        self._reader = reader
        self._below = below
        self._program = reader.program
        self._held: dict[int, Array] | None = None
        self._stack = ExitStack()
        self._sessions: dict[int, ArraySession] = {}

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(self, *exc: *ExitInfo) -> None:
        """End the sessions of the files that are open."""
        self._held = None
        self._sessions = {}
        self._stack.__exit__(*exc)

    def read(self, axes: tuple[Axis, ...], out: Array, /) -> None:
        """Fill `out` with the values at `axes`."""
        if not out.size:
            return
        window = _window(axes)
        target = out[_expanded(axes)]
        if all(_is_ascending(axis) for axis in window):
            self._fill(window, target)
            return
        ordered = tuple(ascending(axis) for axis in window)
        values = np.empty([len(axis) for axis in ordered], self._reader.dtype, order="F")
        self._fill(ordered, values)
        places = [np.searchsorted(*pair) for pair in zip(ordered, window, strict=True)]
        target[...] = values[np.ix_(*places)]

    def _fill(self, window: Sequence[Axis], target: Array) -> None:
        """Fill `target` with the values at ascending positions."""
        reader, program = self._reader, self._program
        last, final = program.waves[-1], len(program.steps) - 1
        full = tuple(range(length) for length in reader.shape)
        if len(program.waves) > 1 and self._held is None:
            is_direct = (
                tuple(window) == full
                and target.flags.f_contiguous
                and target.dtype == reader.dtype
            )
            # The result may take the place of what is held: it is the last that is computed.
            held = self._run_before_last(full, target if is_direct else None)
            if is_direct:
                self._run(last, full, held, {final: target}, self._sessions, self._stack)
                return
            self._held = held
        held = {
            number: taken(values, _within(window, values.shape, reader.shape))
            for number, values in (self._held or {}).items()
        }
        self._run(last, window, held, {final: target}, self._sessions, self._stack)

    def _run_before_last(self, full: tuple[range, ...], spare: Array | None) -> dict[int, Array]:
        """Return the held results of all waves but the last; `spare` may hold one."""
        program = self._program
        held: dict[int, Array] = {}
        for wave in program.waves[:-1]:
            replaced = program.replaced(wave)
            outputs: dict[int, Array] = {}
            for _, number in wave.leaves:
                shape, dtype = program.shapes[number], program.dtypes[number]
                if number in replaced:
                    outputs[number] = held[replaced[number]]
                elif spare is not None and (shape, dtype) == (spare.shape, spare.dtype):
                    outputs[number], spare = spare, None
                else:
                    outputs[number] = np.empty(shape, dtype, order="F")
            with ExitStack() as stack:
                self._run(wave, full, held, outputs, {}, stack)
            held |= outputs
            for number in wave.ends:
                del held[number]
        return held

    def _run(
        self,
        wave: Wave,
        window: Sequence[Axis],
        held: Mapping[int, Array],
        outputs: Mapping[int, Array],
        sessions: dict[int, ArraySession],
        stack: ExitStack,
    ) -> None:
        """Fill `outputs` with the values that a wave leaves, at the positions `window`."""
        arrays = {number: self._reader.sources[number] for number in wave.sources}
        for number, array in arrays.items():
            if number not in sessions:
                sessions[number] = stack.enter_context(self._below.open(array))
        leaves = _Leaves(self._reader, wave.sources, window, sessions)
        last = last_uses(wave.steps)
        buffers = Buffers()
        pieces = list(fortran_tiles(tuple(len(axis) for axis in window), PIECE_VALUES))  # type: ignore[arg-type]
        for piece, parts in zip(pieces, leaves.read(pieces), strict=True):
            taken = [_cut(held[number], piece) for number in wave.takes]
            targets = {local: _cut(outputs[number], piece) for local, number in wave.leaves}
            compute(wave.steps, last, [*parts, *taken], buffers, targets)


class _Leaves:
    """The files of a wave, at the positions of a window, read in step."""

    def __init__(
        self,
        reader: StagedReader,
        numbers: Sequence[int],
        window: Sequence[Axis],
        sessions: Mapping[int, ArraySession],
    ) -> None:
        self._sessions = [sessions[number] for number in numbers]
        self._views = [
            reader.sources[number].view(
                as_key(_within(window, reader.sources[number].shape, reader.shape))
            )
            for number in numbers
        ]
        self._buffers: list[list[Array | None]] = [[None] * N_AHEAD for _ in numbers]

    def read(self, pieces: Sequence[tuple[slice, ...]]) -> Iterator[list[Array]]:
        """Yield the values of all files for each piece; their memory is used again."""
        everything = range(len(self._views))
        if len(pieces) < 2:
            for task in enumerate(pieces):
                yield self._load(task, everything)
            return
        n_decoders = sum(not view.reader.is_random_access for view in self._views)
        n_threads = max(min(usable_cores(), MOST_THREADS, n_decoders), 1)
        with ExitStack() as stack:
            groups = [
                stack.enter_context(
                    read_ahead(
                        enumerate(pieces),
                        partial(self._load, numbers=everything[first::n_threads]),
                        n_ahead=N_AHEAD,
                    )
                )
                for first in range(n_threads)
            ]
            for parts in zip(*groups, strict=True):
                # The files were dealt out in turn.
                yield [parts[i % n_threads][i // n_threads] for i in everything]

    def _load(self, task: tuple[int, tuple[slice, ...]], numbers: range) -> list[Array]:
        turn, piece = task
        parts: list[Array] = []
        for number in numbers:
            view = self._views[number]
            part = view.view(_key(piece, view.shape))
            buffer = self._buffers[number][turn % N_AHEAD]
            if buffer is None:
                # The first pieces are the largest.
                buffer = np.empty(part.size, part.dtype.newbyteorder("="))
                self._buffers[number][turn % N_AHEAD] = buffer
            values = buffer[: part.size].reshape(part.shape, order="F")
            fill_block(part, self._sessions[number], values)
            parts.append(values)
        return parts


def _described(step: Step, sources: tuple[LazyArray, ...]) -> str:
    if isinstance(step, Source):
        array = sources[step.number]
        return f"{array.reader.describe()}, {array.dtype}, shape {array.shape}"
    if isinstance(step, Constant):
        return repr(step.value)
    options = [f"{name}={value!r}" for name, value in step.options]
    arguments = ", ".join([*map(str, step.arguments), *options])
    return f"{step.function.__name__}({arguments}), {step.dtype}"


def _window(axes: tuple[Axis, ...]) -> tuple[range | tuple[int, ...], ...]:
    """Return the requested axes, with an axis of length 1 for each single position."""
    return tuple(range(axis, axis + 1) if isinstance(axis, int) else axis for axis in axes)


def _expanded(axes: tuple[Axis, ...]) -> tuple[slice | None, ...]:
    """Return the index that gives an array the axes that single positions took away."""
    return tuple(None if isinstance(axis, int) else slice(None) for axis in axes)


def _is_ascending(axis: Axis) -> bool:
    if isinstance(axis, range):
        return axis.step > 0
    return not isinstance(axis, int) and axis == tuple(sorted(set(axis)))


def _within(window: Sequence[Axis], shape: Shape, full: Shape) -> tuple[Axis, ...]:
    """Return a window of the full shape in an array that broadcasts to it."""
    return tuple(
        range(1) if length == 1 and whole != 1 else axis
        for axis, length, whole in zip(window, shape, full, strict=True)
    )


def _key(piece: tuple[slice, ...], shape: Shape) -> tuple[slice, ...]:
    """Return a piece as an index of an array that broadcasts to the divided array."""
    return tuple(
        slice(None) if length == 1 else part for part, length in zip(piece, shape, strict=True)
    )


def _cut(values: Array, piece: tuple[slice, ...]) -> Array:
    return values[_key(piece, values.shape)]
