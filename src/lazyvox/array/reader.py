"""Who fills arrays: the protocol below `LazyArray`, and the reader of Fortran-ordered files."""

import math
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from lazyvox._typing import Array, DType, Shape
from lazyvox.planning.indexing import Axis
from lazyvox.planning.runs import Run, ascending, extent, plan_runs
from lazyvox.planning.spec import ArraySpec
from lazyvox.store.files.block_cache import CacheUse, shared_blocks
from lazyvox.store.files.source import ByteReader, ByteSource, PartSource

__all__ = [
    "ArrayReader",
    "ArraySession",
    "FileReader",
    "ahead_bytes",
    "cache_use",
    "forget_blocks",
    "kept_shape",
    "open_part",
]

#: Unwanted bytes that are read rather than skipped, in a plain file: reading them takes about as
#: long as one more system call with the Python around it (8-10 us, or 64 KiB at 7 GB/s).
MAX_GAP_BYTES = 64 * 1024

#: Scratch memory for values that have to be picked out of what was read.
MAX_RUN_BYTES = 1 << 20


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


class ArrayReader(Protocol):
    """How the values of a stored array are read. Picklable, holds no handle and no value."""

    @property
    def path(self) -> str:
        """File, or files, for messages."""

    @property
    def shape(self) -> Shape:
        """Shape of the stored array."""

    @property
    def dtype(self) -> DType:
        """Type of the stored values, byte order included."""

    @property
    def is_random_access(self) -> bool:
        """Whether reading a later value costs nothing for the earlier ones."""

    def open(self) -> ArraySession:
        """Start a reading session."""


@dataclass(frozen=True, slots=True)
class FileReader:
    """Reads an array that lies in Fortran order in one file."""

    source: ByteSource
    spec: ArraySpec

    @property
    def path(self) -> str:
        """Absolute path of the file."""
        return self.source.path

    @property
    def shape(self) -> Shape:
        """Shape of the stored array."""
        return self.spec.shape

    @property
    def dtype(self) -> DType:
        """Type of the stored values, byte order included."""
        return self.spec.dtype

    @property
    def is_random_access(self) -> bool:
        """Whether the file is not compressed."""
        return self.source.compression == "none"

    def open(self) -> "FileSession":
        """Start a reading session."""
        return FileSession(self, self.source.open())

    def open_part(self, axes: tuple[Axis, ...], memory: int | None = None) -> "FileSession":
        """Start a session that is going to read the values at `axes`, in the order of the file.

        A file that can be decoded from several places on is, in `memory` bytes, by default a part
        of the budget.
        """
        if not isinstance(self.source, PartSource):
            return self.open()
        return FileSession(self, self.source.open_part(*extent(axes, self.spec), memory))

    def ahead_bytes(self, memory: int) -> int:
        """Return what a session from `open_part` takes of the memory that it is offered."""
        return self.source.ahead_bytes(memory) if isinstance(self.source, PartSource) else 0


class FileSession:
    """One reading session on an array in a file."""

    def __init__(self, reader: FileReader, bytes_: ByteReader) -> None:
        self._spec = reader.spec
        self._random_access = reader.is_random_access
        self._bytes = bytes_
        self._scratch = bytearray()
        self._begin = reader.spec.end
        self._is_unverified = False

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Verify what is still to be verified, and end the session of the bytes below."""
        if kind is None and self._is_unverified:
            with self._bytes:
                self._bytes.finish()
        else:
            self._bytes.__exit__(kind, error, trace)

    def read(self, axes: tuple[Axis, ...], out: Array, /) -> None:
        """Fill `out` with the stored values at `axes`.

        A read that reaches the last stored value of a compressed file goes on to the end of the
        stream, so that the checksums of everything decoded are verified. A session that read of
        the last item of the slowest axis and of items before it does so when it ends: a mask
        hardly ever holds the last voxel, and what is left is little.
        """
        if not out.size:
            return
        ordered, out = _in_file_order(axes, out)
        repeated = _repeats(axes)
        target = np.empty(kept_shape(ordered), out.dtype, order="F") if repeated else out
        gap = MAX_GAP_BYTES if self._random_access else self._spec.stored_bytes
        end = 0
        for run in plan_runs(
            ordered,
            self._spec,
            max_gap_bytes=gap,
            max_run_bytes=MAX_RUN_BYTES,
            cut_dense=not target.flags.f_contiguous,
        ):
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


def open_part(
    reader: ArrayReader, axes: tuple[Axis, ...], memory: int | None = None
) -> ArraySession:
    """Start a session that is going to read the values at `axes`; see `FileReader.open_part`."""
    return reader.open_part(axes, memory) if isinstance(reader, FileReader) else reader.open()


def ahead_bytes(reader: ArrayReader, memory: int) -> int:
    """Return what a session from `open_part` takes of the memory that it is offered."""
    return reader.ahead_bytes(memory) if isinstance(reader, FileReader) else 0


def cache_use(reader: ArrayReader) -> CacheUse:
    """Return what the cache of decoded blocks did and keeps for the file of a reader."""
    return shared_blocks().use_of(reader.path) if isinstance(reader, FileReader) else CacheUse()


def forget_blocks(reader: ArrayReader) -> None:
    """Drop the decoded blocks that are kept for the file of a reader."""
    if isinstance(reader, FileReader):
        shared_blocks().forget(reader.path)


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
    """Return the shape of what is read at `axes`: ints drop theirs."""
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
