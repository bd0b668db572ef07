"""The reader of an array that is stored in chunks, such as one of a Zarr store."""

import math
import os
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Self

import numpy as np

from lazyvox._typing import Array, DType, IntArray, Shape, override
from lazyvox.array.reader import ArrayReader
from lazyvox.errors import FileChangedError, ImageFileError, ReadError
from lazyvox.planning.indexing import Axis, View
from lazyvox.planning.memory import MemoryTerm
from lazyvox.store.files.identity import SourceFile
from lazyvox.store.files.paths import printable
from lazyvox.store.files.spool import ByteStore, FileStore, MemoryStore

__all__ = ["ChunkedReader"]

#: Chunks in memory while the volumes that they share are read one after the other; more go to a
#: temporary file.
_KEPT_BYTES = 8 << 20

#: Copies of a chunk while it is read: compressed, decoded, in the order of the image.
_COPIES = 3


@dataclass(frozen=True, slots=True, eq=False)
class ChunkedReader(ArrayReader):
    """Reads from an array that is sliced by itself, chunk by chunk: one is decoded at a time.

    A pass over the volumes of chunks that hold many volumes decodes each of them once: they are
    kept while the pass is in their volumes, in memory or in a temporary file.

    Attributes
    ----------
    stored : object
        Array with `shape`, `dtype`, `chunks` and basic slicing; pickles. Safe for threads.
    place : tuple of int or None
        The axis of `stored` for each axis; None for an axis of length 1 that it does not have.
    path : str
        The store, for messages.
    mark : SourceFile or None
        A file of the store that every rewriting replaces.
    stored_bytes : int
        Bytes of the store on disk.
    """

    stored: Any
    place: tuple[int | None, ...]
    path: str = field()
    mark: SourceFile | None = None
    stored_bytes: int = field(default=0)

    @override
    def __eq__(self, other: object) -> bool:
        """Return whether another reader reads the same object."""
        return isinstance(other, ChunkedReader) and self.stored is other.stored

    @override
    def __hash__(self) -> int:
        """Return a hash of the identity of the array."""
        return id(self.stored)

    @property
    @override
    def shape(self) -> Shape:
        """Shape of the array."""
        return self._of_axes(self.stored.shape)

    @property
    def chunks(self) -> Shape:
        """Shape of a chunk, cut to that of the array."""
        pairs = zip(self._of_axes(self.stored.chunks), self.shape, strict=True)
        return tuple(max(min(chunk, length), 1) for chunk, length in pairs)

    @property
    @override
    def dtype(self) -> DType:
        """Type of the stored values."""
        dtype: DType = np.dtype(self.stored.dtype)
        return dtype

    @property
    @override
    def is_random_access(self) -> bool:
        """True: any chunk can be read alone."""
        return True

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a decoded chunk."""
        return math.prod(self.chunks) * self.dtype.itemsize

    @property
    def row_bytes(self) -> int:
        """Bytes of all chunks that share their volumes."""
        pairs = zip(self.shape[:3], self.chunks[:3], strict=True)
        return math.prod(-(-length // chunk) for length, chunk in pairs) * self.chunk_bytes

    @property
    @override
    def session_memory(self) -> tuple[MemoryTerm, ...]:
        """Terms of a chunk, and of the chunks that are kept."""
        kept = self.row_bytes if self.row_bytes <= _KEPT_BYTES else 0
        return (MemoryTerm("chunks", _COPIES * self.chunk_bytes + kept),)

    @property
    @override
    def file_bytes(self) -> int:
        """Bytes of the temporary file of a pass, at most."""
        return self.row_bytes if self.row_bytes > _KEPT_BYTES else 0

    @override
    def decoded_bytes(self, window: View) -> int:
        """Return the bytes of the chunks that hold some of the window."""
        n_chunks = 1
        for axis, chunk in zip(window.axes, self.chunks, strict=True):
            n_chunks *= len(_parts_of(axis, chunk))
        return n_chunks * self.chunk_bytes

    @override
    def open(
        self, axes: tuple[Axis, ...], memory: int | None = None, n_jobs: int = 1
    ) -> "ChunkedSession":
        """Start a reading session; checks that the store was not written anew."""
        self.check()
        return ChunkedSession(self, axes)

    def check(self) -> None:
        """Raise `FileChangedError` where the store is gone or written anew."""
        if self.mark is not None:
            try:
                self.mark.check(os.stat(self.mark.path))  # noqa: PTH116 - the path is a text
            except OSError as error:
                if isinstance(error, ImageFileError):
                    raise
                msg = f"{printable(self.path)}: the store was deleted or moved. Load it again."
                raise FileChangedError(msg) from error

    def decode(self, number: tuple[int, ...]) -> Array:
        """Return the values of a chunk, by its number along each axis."""
        pairs = zip(number, self.chunks, self.shape, strict=True)
        parts = [slice(n * chunk, min((n + 1) * chunk, length)) for n, chunk, length in pairs]
        order = [axis for axis, place in enumerate(self.place) if place is not None]
        stored: list[slice] = [slice(None)] * len(order)
        for axis in order:
            place = self.place[axis]
            assert place is not None
            stored[place] = parts[axis]
        try:
            values = np.asarray(self.stored[tuple(stored)])
        except (OSError, ValueError, RuntimeError) as error:
            msg = (
                f"{printable(self.path)}: the chunk at {tuple(one.start for one in parts)} could "
                f"not be read: {error}"
            )
            raise ReadError(msg) from error
        moved = values.transpose([self._place_of(axis) for axis in order])
        return moved.reshape([one.stop - one.start for one in parts], order="F")

    def _place_of(self, axis: int) -> int:
        place = self.place[axis]
        assert place is not None, "bug in lazyvox: an axis that is not stored"
        return place

    def _of_axes(self, lengths: Any) -> Shape:
        return tuple(1 if place is None else int(lengths[place]) for place in self.place)


class ChunkedSession:
    """One reading session on an array in chunks."""

    def __init__(self, reader: ChunkedReader, axes: tuple[Axis, ...]) -> None:
        self._reader = reader
        # Of each axis the positions that the session is going to read, in each chunk.
        self._planned = [
            {part.number: part.n_different for part in _parts_of(axis, chunk)}
            for axis, chunk in zip(axes, reader.chunks, strict=True)
        ]
        self._row: _Row | None = None

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Give back what was kept; check that the store was not written anew meanwhile."""
        self._drop_row()
        if exc[0] is None:
            self._reader.check()

    def read(self, axes: tuple[Axis, ...], out: Array, /) -> None:
        """Fill `out` with the values at `axes`, chunk by chunk."""
        if not out.size:
            return
        target = out[tuple(np.newaxis if isinstance(axis, int) else slice(None) for axis in axes)]
        parts = [
            _parts_of(axis, chunk) for axis, chunk in zip(axes, self._reader.chunks, strict=True)
        ]
        # Volume after volume: the chunks of the next ones follow when all of these are done.
        for turned in product(*reversed(parts)):
            some = turned[::-1]
            target[_index([part.places for part in some])] = self._values(some)

    def _values(self, parts: tuple["_Part", ...]) -> Array:
        number = tuple(part.number for part in parts)
        inside = [part.inside for part in parts]
        is_all = all(
            part.n_different >= planned.get(part.number, 0)
            for part, planned in zip(parts, self._planned, strict=True)
        )
        if is_all:
            # Nothing else of the chunk is wanted later.
            whole: Array = self._reader.decode(number)[_index(inside)]
            return whole
        if self._row is None or self._row.volumes != number[3:]:
            self._drop_row()
            self._row = _Row(self._reader, number[3:])
        return self._row.values(number, inside)

    def _drop_row(self) -> None:
        row, self._row = self._row, None
        if row is not None:
            row.close()


class _Row:
    """The decoded chunks that share their volumes, kept while a pass is in these."""

    def __init__(self, reader: ChunkedReader, volumes: tuple[int, ...]) -> None:
        self.volumes = volumes
        self._reader = reader
        pairs = zip(reader.shape[:3], reader.chunks[:3], strict=True)
        self._grid = tuple(-(-length // chunk) for length, chunk in pairs)
        make = MemoryStore if reader.row_bytes <= _KEPT_BYTES else FileStore
        self._store: ByteStore = make(reader.row_bytes)
        self._shapes: dict[int, Shape] = {}

    def values(self, number: tuple[int, ...], inside: list[IntArray]) -> Array:
        """Return some values of a chunk, which is decoded the first time."""
        slot = int(np.ravel_multi_index(number[:3], self._grid))
        start = slot * self._reader.chunk_bytes
        dtype = self._reader.dtype
        if slot not in self._shapes:
            decoded = np.asfortranarray(self._reader.decode(number))
            self._store.write(start, decoded.reshape(-1, order="F").view(np.uint8).data)
            self._shapes[slot] = decoded.shape
        shape = self._shapes[slot]
        # Of the slowest axis a range is read; what is before it lies together.
        slow = max((axis for axis, length in enumerate(shape) if length > 1), default=0)
        first, last = int(inside[slow].min()), int(inside[slow].max())
        lengths = (*shape[:slow], last + 1 - first, *shape[slow + 1 :])
        values: Array = np.empty(math.prod(lengths), dtype)
        skipped = first * math.prod(shape[:slow]) * dtype.itemsize
        self._store.readinto(start + skipped, values.view(np.uint8).data)
        near = [*inside[:slow], inside[slow] - first, *inside[slow + 1 :]]
        picked: Array = values.reshape(lengths, order="F")[_index(near)]
        return picked

    def close(self) -> None:
        """Give the space back."""
        self._store.close()


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The positions of one axis that lie in one chunk.

    Attributes
    ----------
    number : int
        Number of the chunk.
    inside : ndarray of int
        Positions in the chunk.
    places : ndarray of int
        Their places in the result.
    n_different : int
        Number of different positions.
    """

    number: int
    inside: IntArray
    places: IntArray
    n_different: int


def _parts_of(axis: Axis, chunk: int) -> list[_Part]:
    """Return the parts of the positions at an axis, by the chunks that they lie in."""
    positions = np.atleast_1d(np.asarray(axis, np.intp))
    numbers = positions // chunk
    parts = []
    for number in np.unique(numbers):
        places = np.flatnonzero(numbers == number)
        inside = positions[places] - number * chunk
        parts.append(_Part(int(number), inside, places, len(np.unique(inside))))
    return parts


def _index(positions: list[IntArray]) -> Any:
    """Return the index of positions along each axis: slices where they follow each other."""
    if all(len(one) and one[-1] - one[0] == len(one) - 1 and _is_rising(one) for one in positions):
        return tuple(slice(int(one[0]), int(one[-1]) + 1) for one in positions)
    return np.ix_(*positions)


def _is_rising(positions: IntArray) -> bool:
    return bool((np.diff(positions) == 1).all())
