"""The block loop: an array read ahead in one thread, block after block, into recycled buffers."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from lazyvox._threads import Workers
from lazyvox._typing import Array, DType, ExitInfo, Shape, override
from lazyvox.array.conversion import Conversion
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.reader import ArraySession, kept_shape
from lazyvox.array.transformed import SourceBlocks, Staging, staging_of
from lazyvox.planning.blocks import (
    N_BUFFERS,
    BlockLayout,
    Costs,
    choose_layout,
    iter_steps,
    iter_tiles,
    tile_shape,
)
from lazyvox.planning.memory import MemoryTerm, sum_terms
from lazyvox.runtime.prefetch import read_ahead

__all__ = [
    "Block",
    "BlockReading",
    "block_values",
    "buffered_itemsize",
    "iter_blocks",
    "prepare_reading",
    "reading_of_usual_size",
]

#: Values converted at a time: they stay in the processor's cache between the steps.
_CONVERT_VALUES = 1 << 17

Index: TypeAlias = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Values of a part of an array.

    Attributes
    ----------
    index : tuple of slice
        The part, one slice for each axis.
    values : ndarray
        In Fortran order; the memory is used again for a later block.
    """

    index: Index
    values: Array

    @property
    def slices(self) -> range:
        """Positions along the third axis."""
        return range(self.index[2].start, self.index[2].stop)

    @property
    def volumes(self) -> range:
        """Positions along the fourth axis."""
        return range(self.index[3].start, self.index[3].stop)


@dataclass(frozen=True, slots=True, eq=False)
class BlockReading:
    """A pass over a 4D array that is prepared, not begun. Made by `prepare_reading`.

    Attributes
    ----------
    array : LazyArray
        What is read.
    dtype : numpy.dtype
        Type of the blocks.
    layout : BlockLayout
        The blocks.
    staging : Staging or None
        The outermost transform of the array, which runs outside of the reading thread.
    spare : int
        Bytes of the budget that nothing else needs: for decoding ahead on several cores.
    n_jobs : int
        Files of a list that may be decoded at a time, and threads that transform.
    """

    array: LazyArray
    dtype: DType
    layout: BlockLayout
    staging: Staging | None = None
    spare: int = 0
    n_jobs: int = 1

    @property
    def memory(self) -> tuple[MemoryTerm, ...]:
        """Terms of the predicted peak."""
        ahead = self._ahead_bytes()
        if not ahead:
            return self.layout.memory
        return (*self.layout.memory, MemoryTerm("decoding ahead", ahead))

    @property
    def is_in_slabs(self) -> bool:
        """True if blocks are parts of volumes."""
        return self.layout.slab_slices < self.array.shape[2]

    def part(self, volumes: range) -> "BlockReading":
        """Return the pass over some consecutive volumes, in blocks of the same size."""
        array = self.array.view((..., slice(volumes.start, volumes.stop)))
        return replace(
            self, array=array, staging=None if self.staging is None else staging_of(array)
        )

    @contextmanager
    def blocks(self, workers: Workers | None = None) -> Iterator[Iterator[Block]]:
        """Read the array; a context manager that gives the blocks, in the order of the file.

        Parameters
        ----------
        workers : Workers, optional
            Threads that transform parts of a block at a time.

        Yields
        ------
        iterator of Block
            Each byte of the file is decoded once. What was computed is in `values` until the next
            block is asked for.
        """
        buffers: _Buffers
        if self.staging is None:
            n_files = 1 if self.is_in_slabs else self.n_jobs
            n_values = self.array.shape[0] * self.array.shape[1]
            n_values *= self.layout.slab_slices * self.layout.block_volumes
            buffers = _StoredBuffers(
                self.array, self.dtype, n_values, self.array.open(self.spare, n_files)
            )
        else:
            buffers = _StagedBuffers(self, self.staging, workers)
        whole = (slice(0, self.array.shape[0]), slice(0, self.array.shape[1]))
        tiles = (
            (*whole, slice(slices.start, slices.stop), slice(volumes.start, volumes.stop))
            for slices, volumes in iter_tiles(self.layout, self.array.shape)
        )
        with _loop(buffers, tiles) as blocks:
            yield blocks

    def _ahead_bytes(self) -> int:
        """Return the bytes for decoding ahead, out of the spare budget."""
        if self.staging is not None:
            return 0
        n_files = 1 if self.is_in_slabs else self.n_jobs
        return self.array.reader.ahead_bytes(self.array.window.axes, self.spare, n_files)


def prepare_reading(
    array: LazyArray, costs: Costs, budget: int, *, dtype: DType | None = None, n_jobs: int = 1
) -> BlockReading:
    """Return a pass over an array in the largest blocks that fit a budget; reads nothing.

    Parameters
    ----------
    array : LazyArray
        Of shape (i, j, k, n_volumes).
    costs : Costs
        Memory besides the block buffers, and what reading the array holds.
    budget : int
        Bytes that may be allocated.
    dtype : numpy.dtype, optional
        Type of the blocks; by default that of the array, in native byte order.
    n_jobs : int, default=1
        Files of a list that may be decoded at a time, and threads that transform.

    Returns
    -------
    BlockReading
        The pass.

    Raises
    ------
    MemoryBudgetError
        If not even the smallest blocks fit; names the smallest budget that does.
    """
    native = array.dtype.newbyteorder("=") if dtype is None else dtype
    staging = staging_of(array)
    held = array.reader.session_memory if staging is None else staging.memory
    stored: float | None = None
    if staging is not None:
        n_voxels = int(np.prod(array.shape[:3], dtype=np.int64))
        stored = staging.source_volume_bytes / max(n_voxels, 1)
    elif array.conversion.changes(array.reader.dtype) or native != array.reader.dtype:
        stored = array.reader.dtype.itemsize

    def work(n_volumes: int) -> tuple[MemoryTerm, ...]:
        terms = costs.work(n_volumes)
        if staging is None:
            return terms
        # A stage has done its work before the consumers begin theirs.
        transform = staging.reader.transform.name
        staged = MemoryTerm("scratch", staging.reader.work_bytes(n_volumes), transform)
        return max(terms, (staged,), key=sum_terms)

    everything = Costs(
        (*held, *costs.held),
        work,
        takes_slabs=staging is None and costs.takes_slabs,
    )
    layout = choose_layout(
        array.shape, native.itemsize, everything, budget, stored_itemsize=stored
    )
    return BlockReading(array, native, layout, staging, budget - layout.peak_bytes, n_jobs)


def reading_of_usual_size(array: LazyArray) -> BlockReading:
    """Return a pass over an array in blocks of about 4 MiB, whatever the budget.

    Parameters
    ----------
    array : LazyArray
        Of shape (i, j, k, n_volumes).

    Returns
    -------
    BlockReading
        The pass; it decodes nothing ahead on several cores.
    """
    return replace(prepare_reading(array, Costs(), 1 << 62), spare=0)


@contextmanager
def iter_blocks(
    array: LazyArray,
    n_values: int,
    dtype: DType | None = None,
    *,
    ahead: int | None = 0,
    tile: Shape | None = None,
) -> Iterator[Iterator[Block]]:
    """Read an array of any number of axes; a context manager that gives its blocks.

    Parameters
    ----------
    array : LazyArray
        What is read.
    n_values : int
        Most values of a block.
    dtype : numpy.dtype, optional
        Type of the blocks; by default that of the array, byte order included.
    ahead : int or None, default=0
        Bytes for decoding ahead on several cores, as in `LazyArray.open`.
    tile : tuple of int, optional
        Shape of the blocks, of `n_values` values; by default these are consecutive.

    Yields
    ------
    iterator of Block
        Consecutive values, or tiles, in the order of the file.

    Notes
    -----
    Memory: `n_values` times `buffered_itemsize`.
    """
    size = max(min(n_values, array.size), 1)
    wanted = array.dtype if dtype is None else dtype
    buffers = _StoredBuffers(array, wanted, size, array.open(ahead))
    steps = tile_shape(array.shape, size) if tile is None else tile
    with _loop(buffers, iter_steps(array.shape, steps) if array.size else ()) as blocks:
        yield blocks


def buffered_itemsize(array: LazyArray, dtype: DType | None = None) -> int:
    """Return the bytes of all buffers of `iter_blocks` for each value of a block.

    Parameters
    ----------
    array : LazyArray
        What is read.
    dtype : numpy.dtype, optional
        Type of the blocks, as in `iter_blocks`.

    Returns
    -------
    int
        Bytes.
    """
    wanted, stored = array.dtype if dtype is None else dtype, array.reader.dtype
    is_converted = _conversion(array, wanted) is not None
    return N_BUFFERS * stored.itemsize + (wanted.itemsize if is_converted else 0)


def block_values(array: LazyArray, nbytes: int, dtype: DType | None = None) -> int:
    """Return how many values a block of `iter_blocks` may have.

    Parameters
    ----------
    array : LazyArray
        What is read.
    nbytes : int
        Bytes that all buffers may take together.
    dtype : numpy.dtype, optional
        Type of the blocks, as in `iter_blocks`.

    Returns
    -------
    int
        At least 1, at most as many as there are.
    """
    return max(min(nbytes // buffered_itemsize(array, dtype), array.size), 1)


@contextmanager
def _loop(buffers: "_Buffers", tiles: Iterable[Index]) -> Iterator[Iterator[Block]]:
    """Fill buffers in a thread, and convert their values in the thread that takes the blocks."""
    with ExitStack() as stack:
        stack.push(buffers.close)
        # Entered last, so left first: the thread ends before the session that it reads from.
        ahead = stack.enter_context(
            read_ahead(enumerate(tiles), lambda task: buffers.fill(*task), n_ahead=N_BUFFERS)
        )
        yield (Block(read.index, buffers.convert(read)) for read in ahead)


@dataclass(frozen=True, slots=True)
class _Read:
    """A part of an array as it was read: stored values, or one block of each source of a stage."""

    index: Index
    parts: list[Array]


class _Buffers(ABC):
    """Buffers that are filled in turn in one thread, and made into values in another."""

    def __init__(self) -> None:
        self._turns: list[list[Array | None] | None] = [None] * N_BUFFERS

    def fill(self, number: int, index: Index) -> _Read:
        """Read a part into the buffers whose turn it is; in the reading thread."""
        turn = number % N_BUFFERS
        buffers = self._turns[turn]
        if buffers is None:
            buffers = self._turns[turn] = self._new()
        return _Read(index, self._read(index, buffers))

    @abstractmethod
    def close(self, *info: *ExitInfo) -> None:
        """End the reading sessions; what an error of the pass was is handed on to them."""

    @abstractmethod
    def _new(self) -> list[Array | None]:
        """Return buffers for one part."""

    @abstractmethod
    def _read(self, index: Index, buffers: list[Array | None]) -> list[Array]:
        """Read a part; return what was read, in the buffers where there are any."""

    @abstractmethod
    def convert(self, read: _Read) -> Array:
        """Return the values of a block; their memory is used again."""


class _StoredBuffers(_Buffers):
    """Buffers of stored values.

    Where these must be converted, the thread that takes the blocks does so, into one more buffer:
    it shares the work with the reading thread.
    """

    def __init__(
        self, array: LazyArray, dtype: DType, n_values: int, session: ArraySession
    ) -> None:
        super().__init__()
        self._array = array
        self._dtype = dtype
        self._n_values = n_values
        self._conversion = _conversion(array, dtype)
        self._converted: Array | None = None
        self._session = session.__enter__()

    @override
    def close(self, *info: *ExitInfo) -> None:
        self._session.__exit__(*info)

    @override
    def _new(self) -> list[Array | None]:
        return [np.empty(self._n_values, self._array.reader.dtype)]

    @override
    def _read(self, index: Index, buffers: list[Array | None]) -> list[Array]:
        (buffer,) = buffers
        assert buffer is not None, "bug in lazyvox: stored values without a buffer"
        part = self._array.view(index)
        values = buffer[: part.size].reshape(part.shape, order="F")
        # Axes that were dropped or added by slicing are none of the file.
        target = values.reshape(kept_shape(part.window.axes), order="F")
        self._session.read(part.window.axes, target)
        return [values]

    @override
    def convert(self, read: _Read) -> Array:
        (values,) = read.parts
        if self._conversion is None:
            return values
        if self._converted is None:
            self._converted = np.empty(self._n_values, self._dtype)
        stored, target = values.reshape(-1, order="F"), self._converted[: values.size]
        for start in range(0, stored.size, _CONVERT_VALUES):
            piece = slice(start, start + _CONVERT_VALUES)
            self._conversion.apply(stored[piece], target[piece])
        return target.reshape(values.shape, order="F")


class _StagedBuffers(_Buffers):
    """Buffers for the sources of a stage, whose transform runs outside of the reading thread."""

    def __init__(self, reading: BlockReading, staging: Staging, workers: Workers | None) -> None:
        super().__init__()
        self._staging = staging
        self._n_volumes = reading.layout.block_volumes
        self._workers = workers
        self._n_jobs = reading.n_jobs
        shape = (*reading.array.shape[:3], self._n_volumes)
        self._result: Array = np.empty(shape, reading.dtype, order="F")
        self._sources = SourceBlocks(staging.sources)

    @override
    def close(self, *info: *ExitInfo) -> None:
        self._sources.close(*info)

    @override
    def _new(self) -> list[Array | None]:
        return [self._new_buffer(source) for source in self._staging.sources]

    @override
    def _read(self, index: Index, buffers: list[Array | None]) -> list[Array]:
        volumes = range(index[3].start, index[3].stop)
        parts = [None if one is None else one[..., : len(volumes)] for one in buffers]
        return self._sources.read(volumes, parts)

    @override
    def convert(self, read: _Read) -> Array:
        n_volumes = read.index[3].stop - read.index[3].start
        out = self._result[..., :n_volumes]
        n_parts = min(self._n_jobs, n_volumes)
        if self._workers is None or n_parts == 1:
            self._apply(read.parts, out, slice(0, n_volumes))
            return out
        edges = [n_volumes * part // n_parts for part in range(n_parts + 1)]
        jobs = [
            self._workers.submit(self._apply, read.parts, out, slice(start, stop))
            for start, stop in pairwise(edges)
        ]
        for job in jobs:
            job.result()
        return out

    def _apply(self, blocks: list[Array], out: Array, part: slice) -> None:
        pairs = zip(blocks, self._staging.sources, strict=True)
        cut = [block[..., part] if source.ndim == 4 else block for block, source in pairs]
        self._staging.reader.transform.apply(cut, out[..., part])

    def _new_buffer(self, source: LazyArray) -> Array | None:
        if source.ndim == 3:
            return None
        shape = (*source.shape[:3], self._n_volumes)
        return np.empty(shape, source.dtype.newbyteorder("="), order="F")


def _conversion(array: LazyArray, dtype: DType) -> Conversion | None:
    """Return the conversion from stored values to `dtype`, None where these are the same."""
    conversion = array.conversion if dtype == array.dtype else array.conversion.then(dtype)
    return conversion if conversion.changes(array.reader.dtype) else None
