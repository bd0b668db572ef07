"""The reader of an array that is stored in chunks, such as one of a Zarr store."""

import math
import warnings
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Protocol, Self

import numpy as np

from lazyvox._typing import Array, DType, IntArray, Shape, override
from lazyvox.array.reader import AbsentChunks, ArrayReader, FileReader
from lazyvox.errors import FileChangedError, ImageFileError, LazyvoxWarning, ReadError
from lazyvox.planning.blocks import iter_steps
from lazyvox.planning.chunks import grown_tile
from lazyvox.planning.indexing import Axis, View, axis_of
from lazyvox.planning.memory import MemoryTerm, counted
from lazyvox.planning.spec import ArraySpec
from lazyvox.store.files.byte_stores import StoreSource
from lazyvox.store.files.identity import SourceFile
from lazyvox.store.files.paths import printable
from lazyvox.store.files.spool import ByteStore, FileStore, MemoryStore

__all__ = ["ChunkedReader"]

#: Chunks in memory while the volumes that they share are read one after the other; more go to a
#: temporary file.
_KEPT_BYTES = 8 << 20

#: Copies of a chunk while it is read: compressed, decoded, in the order of the image.
_COPIES = 3


class ChunkObjects(Protocol):
    """Chunks as objects of a store, some of which may be absent."""

    @property
    def fill_value(self) -> Any:
        """Value of absent chunks."""

    @property
    def are_all_written(self) -> bool:
        """True if all chunks were written, so that an absent one was lost."""

    @property
    def n_objects(self) -> int:
        """Number of objects, present or not."""

    def is_absent(self, start: Shape, values: Array) -> bool:
        """Return whether the chunk with its first value at `start` is not in the store."""

    def count_absent(self) -> int:
        """Return the number of objects that the store does not hold."""


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
    objects : ChunkObjects or None
        Says which chunks the store holds; None where all are there.
    """

    stored: Any
    place: tuple[int | None, ...]
    path: str = field()
    mark: SourceFile | None = None
    stored_bytes: int = field(default=0)
    objects: ChunkObjects | None = None

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
    @override
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
        return math.prod(self.shape[:3]) * math.prod(self.chunks[3:]) * self.dtype.itemsize

    @property
    def tile(self) -> Shape:
        """Shape, along the axes of space, of the chunks that are decoded together to be kept."""
        most = _KEPT_BYTES // (math.prod(self.chunks[3:]) * self.dtype.itemsize)
        return grown_tile(self.chunks[:3], self.shape[:3], most)

    def chunk_lengths(self, number: tuple[int, ...]) -> Shape:
        """Return the lengths of the chunks of so many numbers along the last axes."""
        n = len(number)
        if not n:
            return ()
        trios = zip(number, self.chunks[-n:], self.shape[-n:], strict=True)
        return tuple(min(chunk, length - one * chunk) for one, chunk, length in trios)

    @property
    @override
    def session_memory(self) -> tuple[MemoryTerm, ...]:
        """Terms of a chunk, and of the chunks that are kept or decoded together."""
        tile_bytes = math.prod(self.tile) * math.prod(self.chunks[3:]) * self.dtype.itemsize
        kept = self.row_bytes if self.row_bytes <= _KEPT_BYTES else 0
        return (MemoryTerm("chunks", _COPIES * self.chunk_bytes + tile_bytes + kept),)

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
                self.mark.identity.check_at(self.mark.path)
            except OSError as error:
                if isinstance(error, ImageFileError):
                    raise
                msg = f"{printable(self.path)}: the store was deleted or moved. Load it again."
                raise FileChangedError(msg) from error

    @property
    @override
    def absent_chunks(self) -> AbsentChunks | None:
        """Chunks that the store does not hold, if any; asks it for each."""
        objects = self.objects
        n_absent = 0 if objects is None else objects.count_absent()
        if objects is None or not n_absent:
            return None
        fill, are_lost = str(objects.fill_value), objects.are_all_written
        return AbsentChunks(n_absent, objects.n_objects, fill, are_lost)

    def decode(self, number: tuple[int, ...], absent: set[tuple[int, ...]]) -> Array:
        """Return the values of a chunk, by its number along each axis; an absent one is noted."""
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
            start = tuple(part.start or 0 for part in stored)
            is_absent = self.objects is not None and self.objects.is_absent(start, values)
        except ImageFileError:
            # Of an object: it says which one.
            raise
        except (OSError, ValueError, RuntimeError) as error:
            msg = (
                f"{printable(self.path)}: the chunk at {tuple(one.start for one in parts)} could "
                f"not be read: {error}"
            )
            raise ReadError(msg) from error
        if is_absent:
            self._check_absent(start)
            absent.add(number)
        moved = values.transpose([self._place_of(axis) for axis in order])
        return moved.reshape([one.stop - one.start for one in parts], order="F")

    def _check_absent(self, start: Shape) -> None:
        """Refuse an absent chunk of a store that was written with all of its chunks."""
        if self.objects is not None and self.objects.are_all_written:
            msg = (
                f"{printable(self.path)}: the store must hold every chunk, as all were written. The "
                f"chunk of the array {self.stored.path!r} at {start} is missing, as after a copy that "
                f"stopped. Copy the store again; where a program left out chunks of zeros on "
                f"purpose, remove the attribute lazyvox of the array."
            )
            raise ReadError(msg)

    def warn_of_absent(self, n_absent: int) -> None:
        """Say how many chunks were not in the store."""
        fill = None if self.objects is None else self.objects.fill_value
        verb = "is" if n_absent == 1 else "are"
        msg = (
            f"{printable(self.path)}: {counted(n_absent, 'chunk')} {verb} not in the store, and read "
            f"as its fill value {fill}. Zarr leaves out chunks without other values; after a copy that "
            f"stopped, chunks are missing too."
        )
        hint = "Compare the number of files with that of the original."
        warnings.warn(LazyvoxWarning(msg, hint=hint), stacklevel=3)

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
        self._absent: set[tuple[int, ...]] = set()

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Give back what was kept; check that the store was not written anew meanwhile."""
        self._drop_row()
        if exc[0] is None:
            self._reader.check()
            if self._absent:
                self._reader.warn_of_absent(len(self._absent))

    def read(self, axes: tuple[Axis, ...], out: Array, /) -> None:
        """Fill `out` with the values at `axes`, chunk by chunk."""
        if not out.size:
            return
        target = out[tuple(np.newaxis if isinstance(axis, int) else slice(None) for axis in axes)]
        parts = [
            _parts_of(axis, chunk) for axis, chunk in zip(axes, self._reader.chunks, strict=True)
        ]
        is_last = all(
            part.n_different >= planned.get(part.number, 0)
            for along, planned in zip(parts, self._planned, strict=True)
            for part in along
        )
        if is_last:
            # Nothing else of these chunks is wanted later.
            for some in product(*parts):
                values = self._reader.decode(tuple(part.number for part in some), self._absent)
                inside = _index([part.inside for part in some])
                target[_index([part.places for part in some])] = values[inside]
            return
        # The chunks that share their volumes, then those of the next volumes.
        space = [np.atleast_1d(np.asarray(axis, np.intp)) for axis in axes[:3]]
        whole = [np.arange(len(one)) for one in space]
        for turned in product(*reversed(parts[3:])):
            some = turned[::-1]
            row = self._row_of(tuple(part.number for part in some))
            positions = [*space, *(part.inside for part in some)]
            places = _index([*whole, *(part.places for part in some)])
            if all(isinstance(place, slice) for place in places):
                row.read(positions, target[places])
                continue
            values = np.empty([len(one) for one in positions], out.dtype, order="F")
            row.read(positions, values)
            target[places] = values

    def _row_of(self, volumes: tuple[int, ...]) -> "_Row":
        if self._row is None or self._row.volumes != volumes:
            self._drop_row()
            self._row = _Row(self._reader, volumes, self._absent)
        return self._row

    def _drop_row(self) -> None:
        row, self._row = self._row, None
        if row is not None:
            row.close()


class _Row:
    """The chunks that share their volumes, kept in the order of a file while a pass is in these.

    They are decoded tile by tile: a tile is so large that the parts of it that lie together in the
    file are long.
    """

    def __init__(
        self, reader: ChunkedReader, volumes: tuple[int, ...], absent: set[tuple[int, ...]]
    ) -> None:
        self.volumes = volumes
        self._reader = reader
        self._absent = absent
        self._shape = (*reader.shape[:3], *reader.chunk_lengths(volumes))
        self._tile = reader.tile
        nbytes = math.prod(self._shape) * reader.dtype.itemsize
        self._store: ByteStore = (
            MemoryStore(nbytes) if nbytes <= _KEPT_BYTES else FileStore(nbytes)
        )
        # The file has its length from the beginning on: reads may touch what nobody asked for.
        self._store.write(nbytes - 1, memoryview(b"\0"))
        source = StoreSource(reader.path, self._store, nbytes, nbytes)
        self._kept = FileReader(source, ArraySpec(self._shape, reader.dtype))
        self._filled: set[tuple[int, ...]] = set()

    def read(self, positions: list[IntArray], out: Array) -> None:
        """Fill `out` with the values at positions along each axis, counted within the row."""
        numbers = [
            np.unique(one // edge).tolist()
            for one, edge in zip(positions, self._tile, strict=False)
        ]
        for number in product(*numbers):
            if number not in self._filled:
                self._fill(number)
                self._filled.add(number)
        axes = tuple(axis_of(one.tolist()) for one in positions)
        with self._kept.open(axes) as session:
            session.read(axes, out)

    def close(self) -> None:
        """Give the space back."""
        self._store.close()

    def _fill(self, number: tuple[int, ...]) -> None:
        """Decode the chunks of a tile, and write what lies together together."""
        n_space = len(number)
        pairs = zip(number, self._tile, self._shape, strict=False)
        parts = [slice(n * edge, min((n + 1) * edge, length)) for n, edge, length in pairs]
        lengths = [part.stop - part.start for part in parts]
        values: Array = np.empty((*lengths, *self._shape[n_space:]), self._reader.dtype, order="F")
        chunks = self._reader.chunks[:n_space]
        for inside in iter_steps(tuple(lengths), chunks):
            where = tuple(
                (part.start + one.start) // chunk
                for part, one, chunk in zip(parts, inside, chunks, strict=True)
            )
            values[inside] = self._reader.decode((*where, *self.volumes), self._absent)
        starts = [part.start for part in parts] + [0] * (values.ndim - n_space)
        whole = 0
        while whole < values.ndim - 1 and values.shape[whole] == self._shape[whole]:
            whole += 1
        for rest in np.ndindex(*values.shape[whole + 1 :]):
            run = values[(..., *rest)].reshape(-1, order="F")
            first = [
                *starts[: whole + 1],
                *(s + r for s, r in zip(starts[whole + 1 :], rest, strict=True)),
            ]
            offset = int(np.ravel_multi_index(first, self._shape, order="F"))
            self._store.write(offset * values.itemsize, run.view(np.uint8).data)


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
