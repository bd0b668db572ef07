"""The interface of array readers, and the reader of Fortran-ordered files."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from lazyvox._typing import ExitInfo, override
from lazyvox.planning.memory import MemoryTerm, sum_terms
from lazyvox.planning.runs import ascending, extent, plan_runs
from lazyvox.store.files.block_cache import CacheUse, shared_blocks
from lazyvox.store.files.identity import SourceFile
from lazyvox.store.files.source import PartSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from lazyvox._typing import Array, DType, Shape
    from lazyvox.array.computed_reader import ComputedReader
    from lazyvox.array.lazy_array import LazyArray
    from lazyvox.array.pointwise import ExpressionReader
    from lazyvox.array.reduction_reader import ReducedReader
    from lazyvox.array.shared_sessions import OpenMemory, Sessions
    from lazyvox.array.transformed import Staging, VolumeTransform
    from lazyvox.planning.indexing import Axis, View
    from lazyvox.planning.runs import Run
    from lazyvox.planning.spec import ArraySpec
    from lazyvox.store.files.source import ByteReader, ByteSource

__all__ = [
    "AbsentChunks",
    "ArrayReader",
    "ArraySession",
    "FileReader",
    "kept_shape",
]

#: Unwanted bytes that are read rather than skipped, in a plain file: reading them takes about as
#: long as one more system call with the Python around it (8-10 us, or 64 KiB at 7 GB/s).
MAX_GAP_BYTES = 64 * 1024

#: Scratch memory for values that have to be picked out of what was read.
MAX_RUN_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class AbsentChunks:
    """Chunks that a store does not hold.

    Attributes
    ----------
    n : int
        Their number.
    of : int
        Number of all chunks.
    fill_value : str
        Value that they are read as.
    are_lost : bool
        Whether all chunks were written, so that these were lost.
    """

    n: int
    of: int
    fill_value: str
    are_lost: bool


class ArraySession(Protocol):
    """One reading session on a stored array. Used by one thread at a time."""

    def read(self, axes: tuple[Axis, ...], out: Array, /) -> None:
        """Fill `out` with the stored values at `axes`; int axes are dropped in `out`."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...


class ArrayReader(ABC):
    """Base class of all readers: the source of the stored values of a `LazyArray`.

    Readers are frozen values that pickle; they hold no handle. A reader of one file says how it is
    opened, and what it is: everything else has a default here. A reader whose values are computed
    from other arrays names these as `sources`.

    Notes
    -----
    A dataclass field that has the name of a property here is declared with ``= field()``:
    otherwise `dataclasses` takes the property for its default.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def path(self) -> str:
        """File, or files, for messages."""

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """Shape of the stored array."""

    @property
    @abstractmethod
    def dtype(self) -> DType:
        """Type of the stored values, byte order included."""

    @property
    @abstractmethod
    def is_random_access(self) -> bool:
        """True if a later value can be read without the earlier ones."""

    @property
    def can_be_entered(self) -> bool:
        """True if a pass that begins in the middle reads and verifies no more than what it takes."""
        return False

    @abstractmethod
    def open(
        self, axes: tuple[Axis, ...], memory: int | None = None, n_jobs: int = 1
    ) -> ArraySession:
        """Start a session that is going to read values at `axes`, in the order of the file.

        `memory` is what decoding ahead may take: by default a part of the budget, with 0 nothing
        is decoded ahead. `n_jobs` is the number of files that may be decoded at a time; with more
        than one, whole volumes are read.
        """

    def open_within(self, axes: tuple[Axis, ...], sessions: Sessions) -> ArraySession:
        """Start a session as a part of one on an array that is computed from this one."""
        del sessions
        return self.open(axes, memory=0)

    @property
    def absent_chunks(self) -> AbsentChunks | None:
        """Chunks that the store does not hold, if any; may take a question for each chunk."""
        return None

    @property
    def sources(self) -> tuple[LazyArray, ...]:
        """Arrays that the values are computed from."""
        return ()

    @property
    def unread_sources(self) -> tuple[LazyArray, ...]:
        """Sources that the next session reads: none once a result is kept."""
        return self.sources

    @property
    def reads_before(self) -> tuple[LazyArray, ...]:
        """Arrays that are still to be read to their end before the first value is there."""
        return ()

    @property
    def pending(self) -> ReducedReader | None:
        """The reader itself, if it is a reduction that is still to be computed."""
        return None

    @property
    def transform(self) -> VolumeTransform | None:
        """The transform that computes each volume from one volume of each source."""
        return None

    @property
    def expression(self) -> ExpressionReader | None:
        """The reader itself, if it is one of an expression, which others can take over."""
        return None

    @property
    def stage(self) -> ComputedReader | None:
        """The reader itself, if it computes volumes whenever they are read."""
        return None

    def staging(self, window: View, /) -> Staging | None:
        """Return the last stage, if a pass can apply it to whole volumes of `window` itself."""
        del window
        return None

    def prepare(self) -> None:
        """Compute now, in this thread, the kept results that reading would compute first."""
        for reader in _readers_from(self, lambda one: one.unread_sources):
            reader.fill()

    def fill(self) -> bool:
        """Compute this reader's own cached result; return whether it has one."""
        return False

    def forget(self) -> None:
        """Drop kept values and decoded blocks, of the sources too."""
        for reader in _readers_from(self, lambda one: one.sources):
            reader.drop()

    def drop(self) -> bool:
        """Drop this reader's own cached result; return whether it has one."""
        return False

    @property
    def session_memory(self) -> tuple[MemoryTerm, ...]:
        """Terms of the memory that a session holds besides the values that it returns."""
        return ()

    @property
    def filling_memory(self) -> tuple[MemoryTerm, ...]:
        """Terms of computing this reader's own cached result; empty where it has none."""
        return ()

    @property
    def session_bytes(self) -> int:
        """Bytes of all terms of `session_memory`."""
        return sum_terms(self.session_memory)

    def open_memory(self, found: OpenMemory) -> dict[int, tuple[MemoryTerm, ...]]:
        """Return the terms of each session that is open at a time, as `memory_below` does."""
        del found
        return {id(self): self.session_memory}

    @property
    def preparing_memory(self) -> tuple[MemoryTerm, ...]:
        """Terms of the kept result, of this reader or those below, that takes most to compute."""
        readers = _readers_from(self, lambda one: one.unread_sources)
        return max((one.filling_memory for one in readers), key=sum_terms, default=())

    @property
    def scratch_bytes(self) -> int:
        """Bytes of temporary files that reading makes, those of the sources included."""
        readers = _readers_from(self, lambda one: one.unread_sources)
        return sum(reader.file_bytes for reader in readers)

    @property
    def file_bytes(self) -> int:
        """Bytes of the temporary file that this reader itself makes."""
        return 0

    def ahead_bytes(self, axes: tuple[Axis, ...], memory: int, n_jobs: int) -> int:
        """Return the part of `memory` that a session from `open` uses to decode ahead."""
        del axes, memory, n_jobs
        return 0

    @property
    def stored_bytes(self) -> int:
        """Bytes of all files on disk, as they were when opened."""
        return sum(source.reader.stored_bytes for source in self.sources)

    def decoded_bytes(self, window: View) -> int:
        """Return the bytes of stored values that reading `window` decodes."""
        return math.prod(window.shape) * self.dtype.itemsize

    @property
    def is_operator_result(self) -> bool:
        """True if the values are computed by an operator, a function of NumPy, or a reduction."""
        return False

    @property
    def is_in_memory(self) -> bool:
        """True if the values are in memory, so that reading all of them reads no file."""
        return False

    def mapped(self, axes: tuple[Axis, ...]) -> Array | None:
        """Return the values at `axes` as a view of a memory map, where that was asked for."""
        del axes
        return None

    @property
    def byte_source(self) -> ByteSource | None:
        """The one file that holds the values as they are."""
        return None

    @property
    def byte_sources(self) -> tuple[ByteSource, ...]:
        """The files that values are read from or computed of, each once."""
        readers = _readers_from(self, lambda one: one.unread_sources)
        found = (reader.byte_source for reader in readers)
        return tuple({one.path: one for one in found if one is not None}.values())

    @property
    def offset(self) -> int:
        """Bytes before the first stored value in the decoded file."""
        return 0

    def reshaped(self, shape: Shape) -> ArrayReader | None:
        """Return a reader of the same values in another shape, where they are one range."""
        del shape
        return None

    def parts_in(self, window: View) -> tuple[LazyArray, ...] | None:
        """Return the arrays that `window` joins along time, if it joins any."""
        del window
        return None

    @property
    def cache_use(self) -> CacheUse:
        """Counts of the cache of decoded blocks for this file."""
        return CacheUse()

    @property
    def content_key(self) -> tuple[Any, ...] | None:
        """A kind, then the paths, arrays and plain values that determine the values read.

        None where nothing but the values themselves tells them from others.
        """
        return None

    def describe(self) -> str:
        """Return a short text for plans: a file, and the computation on it."""
        return Path(self.path).name

    @property
    def step(self) -> str:
        """Name of the step that computes the values; empty for values of a file."""
        return ""

    @property
    def chunks(self) -> Shape | None:
        """Shape of the chunks that are stored, None where the values are not stored in chunks."""
        return None

    @property
    def computation(self) -> str:
        """Steps and files from which the values are computed; "" for those that are stored."""
        if not self.step:
            return ""
        # The step of an expression is its formula, with the names of files.
        return self.step if self.graph() else self.describe()

    def graph(self) -> tuple[str, ...]:
        """Return one line for each step of an expression."""
        return ()

    def reading_order(self) -> tuple[str, ...]:
        """Return lines that say in which order the sources are read."""
        return ()


def _readers_from(
    reader: ArrayReader, sources_of: Callable[[ArrayReader], tuple[LazyArray, ...]]
) -> Iterator[ArrayReader]:
    """Yield a reader and those below it, each once, in however many ways it takes part."""
    seen = {id(reader)}
    waiting = [reader]
    while waiting:
        one = waiting.pop()
        yield one
        for source in sources_of(one):
            if id(source.reader) not in seen:
                seen.add(id(source.reader))
                waiting.append(source.reader)


@dataclass(frozen=True, slots=True)
class FileReader(ArrayReader):
    """Reads an array that lies in Fortran order in one file."""

    source: ByteSource
    spec: ArraySpec

    @property
    @override
    def path(self) -> str:
        """Absolute path of the file."""
        return self.source.path

    @property
    @override
    def shape(self) -> Shape:
        """Shape of the stored array."""
        return self.spec.shape

    @property
    @override
    def dtype(self) -> DType:
        """Type of the stored values, byte order included."""
        return self.spec.dtype

    @property
    @override
    def is_random_access(self) -> bool:
        """True if the file is not compressed."""
        return self.source.compression == "none"

    @property
    @override
    def can_be_entered(self) -> bool:
        """True if the file is not compressed, or has access points with checksums."""
        if self.is_random_access:
            return True
        return isinstance(self.source, PartSource) and self.source.can_be_entered()

    @override
    def open(
        self, axes: tuple[Axis, ...], memory: int | None = None, n_jobs: int = 1
    ) -> ArraySession:
        """Start a session; a file with access points is decoded from the nearest on."""
        if memory == 0 or not isinstance(self.source, PartSource):
            return FileSession(self, self.source.open())
        return FileSession(self, self.source.open_part(*extent(axes, self.spec), memory))

    @override
    def ahead_bytes(self, axes: tuple[Axis, ...], memory: int, n_jobs: int) -> int:
        """Return the part of `memory` that segments take which are decoded ahead."""
        return self.source.ahead_bytes(memory) if isinstance(self.source, PartSource) else 0

    @property
    @override
    def stored_bytes(self) -> int:
        """Size of the file on disk."""
        return self.source.stored_size

    @property
    @override
    def session_memory(self) -> tuple[MemoryTerm, ...]:
        """Ranges of an object that are fetched over a network."""
        nbytes = self.source.fetch_bytes
        return (MemoryTerm("fetched ranges", nbytes),) if nbytes else ()

    @property
    @override
    def byte_source(self) -> ByteSource:
        """The file."""
        return self.source

    @property
    @override
    def offset(self) -> int:
        """Bytes before the first stored value in the decoded file."""
        return self.spec.offset

    @override
    def reshaped(self, shape: Shape) -> Self:
        """Return a reader of the same values in another shape."""
        return replace(self, spec=replace(self.spec, shape=shape))

    @property
    @override
    def cache_use(self) -> CacheUse:
        """Counts of the cache of decoded blocks for this file."""
        return shared_blocks().use_of(self.path)

    @override
    def drop(self) -> bool:
        """Drop the decoded blocks that are kept for the file."""
        shared_blocks().forget(self.path)
        return True

    @property
    @override
    def content_key(self) -> tuple[Any, ...]:
        """The file or object as it was found, and the place of the values in it."""
        found = self.source if isinstance(self.source, SourceFile) else Path(self.path)
        return ("file", found, self.spec)


class FileSession:
    """One reading session on an array in a file."""

    def __init__(self, reader: FileReader, bytes_: ByteReader) -> None:
        self._spec = reader.spec
        self._random_access = reader.is_random_access
        self._is_fetched = self._random_access and reader.source.fetch_bytes > 0
        self._bytes = bytes_
        self._scratch = bytearray()
        self._begin = reader.spec.end
        self._is_unverified = False

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(self, *exc: *ExitInfo) -> None:
        """Finish the verification, and end the session of the bytes below."""
        if exc[0] is None and self._is_unverified:
            with self._bytes:
                self._bytes.finish()
        else:
            self._bytes.__exit__(*exc)

    def read(self, axes: tuple[Axis, ...], out: Array, /) -> None:
        """Fill `out` with the stored values at `axes`.

        A read that reaches the last stored value of a compressed file goes on to the end of the
        stream, so that the checksums of everything decoded are verified. A session that read of
        the last item of the slowest axis and of items before it does so when it ends: a mask
        hardly ever holds the last voxel, and what is left is little.
        """
        if not out.size:
            if not self._spec.stored_bytes and not self._random_access:
                # Its header says that it has no voxel: only the checksum tells whether that is so.
                self._bytes.finish()
            return
        ordered, out = _in_file_order(axes, out)
        repeated = _repeats(axes)
        target = np.empty(kept_shape(ordered), out.dtype, order="F") if repeated else out
        gap = MAX_GAP_BYTES if self._random_access else self._spec.stored_bytes
        end = 0

        def runs() -> Iterator[Run]:
            return plan_runs(
                ordered,
                self._spec,
                max_gap_bytes=gap,
                max_run_bytes=MAX_RUN_BYTES,
                cut_dense=not target.flags.f_contiguous,
            )

        if self._is_fetched:
            self._bytes.expect((run.offset, run.offset + run.nbytes) for run in runs())
        for run in runs():
            self._fill(run, target)
            self._begin = min(self._begin, run.offset)
            end = run.offset + run.nbytes
        if repeated:
            _scatter(axes, ordered, target, out)
        if self._random_access:
            return
        if end == self._spec.end:
            self._bytes.finish()
            self._is_unverified = False
        elif self._begin < self._spec.end - _slowest_stride(self._spec) < end:
            self._is_unverified = True

    def _fill(self, run: Run, target: Array) -> None:
        block = target[run.target] if run.target else target
        if run.is_dense and isinstance(block, np.ndarray):
            self._bytes.readinto(run.offset, block.reshape(-1, order="F").view(np.uint8).data)
            return
        if len(self._scratch) < run.nbytes:
            self._scratch = bytearray(run.nbytes)
        view = memoryview(self._scratch)[: run.nbytes]
        self._bytes.readinto(run.offset, view)
        target[run.target] = _picked(run, view, self._spec.dtype).reshape(
            np.shape(target[run.target]), order="F"
        )


def _in_file_order(axes: tuple[Axis, ...], out: Array) -> tuple[tuple[Axis, ...], Array]:
    """Return ascending axes, and `out` turned round on the axes that were descending."""
    ordered: list[Axis] = []
    turns: list[slice] = []
    for axis in axes:
        if isinstance(axis, int):
            ordered.append(axis)
            continue
        ordered.append(ascending(axis))
        descending = isinstance(axis, range) and axis.step < 0
        turns.append(slice(None, None, -1 if descending else None))
    return tuple(ordered), out[tuple(turns)] if turns else out


def _slowest_stride(spec: ArraySpec) -> int:
    """Return the bytes between neighbours on the slowest axis that has more than one position."""
    slowest = max((i for i, length in enumerate(spec.shape) if length > 1), default=0)
    return spec.dtype.itemsize * math.prod(spec.shape[:slowest])


def _repeats(axes: tuple[Axis, ...]) -> bool:
    """Return whether a list of positions is out of order or names one twice."""
    return any(isinstance(axis, tuple) and tuple(sorted(set(axis))) != axis for axis in axes)


def kept_shape(axes: tuple[Axis, ...]) -> Shape:
    """Return the shape of the values at `axes`: ints drop theirs."""
    return tuple(len(axis) for axis in axes if not isinstance(axis, int))


def _scatter(axes: tuple[Axis, ...], ordered: tuple[Axis, ...], target: Array, out: Array) -> None:
    """Copy values that were read once, in file order, to all the places that ask for them."""
    places: list[Array] = []
    for axis, positions in zip(axes, ordered, strict=True):
        if isinstance(axis, int) or isinstance(positions, int):
            continue
        if isinstance(axis, tuple):
            places.append(np.searchsorted(np.array(positions), np.array(axis)))
        else:
            places.append(np.arange(len(axis)))
    out[...] = target[np.ix_(*places)]


def _picked(run: Run, buffer: memoryview, dtype: DType) -> Array:
    """Return the picked values of a run, as an array over the axes that it covers."""
    shape = tuple(len(pick) if isinstance(pick, range) else pick[-1] + 1 for pick in run.picks)
    strides = tuple(
        stride * (pick.step if isinstance(pick, range) else 1)
        for pick, stride in zip(run.picks, run.strides, strict=True)
    )
    values: Array = np.ndarray(shape, dtype, buffer, strides=strides)
    for axis, pick in enumerate(run.picks):
        if isinstance(pick, tuple):
            values = values.take(np.array(pick), axis=axis)
    return values
