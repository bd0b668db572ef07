"""Blocks that are filled again and again: by the reading thread, then by whoever converts."""

from dataclasses import dataclass, replace
from itertools import pairwise
from types import TracebackType
from typing import Protocol

import numpy as np

from lazyvox._threads import Workers
from lazyvox._typing import Array
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.transformed import SourceBlocks, Staging
from lazyvox.lazyimage.series import Series
from lazyvox.planning.blocks import N_BUFFERS, BlockLayout

__all__ = ["Buffers", "StagedBuffers", "StoredBuffers", "Tile"]

#: Values converted at a time: they stay in the processor's cache between the steps.
_CONVERT_VALUES = 1 << 17


@dataclass(frozen=True, slots=True)
class Tile:
    """What was read, and which slices of which volumes it is.

    Attributes
    ----------
    blocks : list of ndarray
        One block of stored values; for a stage, one block of each of its sources.
    slices, volumes : range
        Slices along the third axis, and volumes, that the tile stands for.
    """

    blocks: list[Array]
    slices: range
    volumes: range

    @property
    def values(self) -> Array:
        """The only block."""
        return self.blocks[0]


class Buffers(Protocol):
    """Reads tiles in one thread, and makes of them what consumers get in another."""

    def fill(self, number: int, tile: tuple[range, range]) -> Tile:
        """Read a tile into the buffers whose turn it is; in the reading thread."""

    def convert(self, tile: Tile) -> Tile:
        """Return a tile with the values that consumers get; its memory is used again."""

    def close(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        """End the reading sessions."""


class StoredBuffers:
    """Blocks of stored values.

    Where these must be converted, the thread that feeds the consumers does so, into one more
    block: it shares the work with the reading thread.

    Parameters
    ----------
    series : Series
        What is read.
    layout : BlockLayout
        In which blocks.
    spare : int
        Bytes of the budget that nothing else needs: for decoding ahead.
    n_jobs : int
        Files of a list that may be decoded at a time.
    """

    def __init__(self, series: Series, layout: BlockLayout, spare: int, n_jobs: int) -> None:
        self._array = series.array
        self._dtype = series.grid.dtype
        self._stored = series.array.reader.dtype
        conversion = series.array.conversion
        if self._dtype != series.array.dtype:
            conversion = conversion.then(self._dtype)
        self._conversion = conversion if conversion.changes(self._stored) else None
        self._shape = (*series.grid.shape[:2], layout.slab_slices, layout.block_volumes)
        self._blocks: list[Array | None] = [None] * N_BUFFERS
        self._converted: Array | None = None
        n_files = n_jobs if layout.slab_slices == series.grid.shape[2] else 1
        self._session = series.array.open(spare, n_files).__enter__()

    def close(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        """End the reading session."""
        self._session.__exit__(kind, error, trace)

    def fill(self, number: int, tile: tuple[range, range]) -> Tile:
        """Read the stored values of a tile."""
        place = number % N_BUFFERS
        block = self._blocks[place]
        if block is None:
            block = np.empty(self._shape, self._stored, order="F")
            self._blocks[place] = block
        slices, volumes = tile
        values = _front(block, len(slices), len(volumes))
        window = self._array.view(
            (..., slice(slices.start, slices.stop), slice(volumes.start, volumes.stop))
        ).window
        # Axes that were dropped or added by slicing are none of the file.
        kept = tuple(len(axis) for axis in window.axes if not isinstance(axis, int))
        self._session.read(window.axes, values.reshape(kept, order="F"))
        return Tile([values], slices, volumes)

    def convert(self, tile: Tile) -> Tile:
        """Scale and cast the values, piece by piece."""
        if self._conversion is None:
            return tile
        if self._converted is None:
            self._converted = np.empty(self._shape, self._dtype, order="F")
        values = _front(self._converted, len(tile.slices), len(tile.volumes))
        stored, target = (part.reshape(-1, order="F") for part in (tile.values, values))
        for start in range(0, stored.size, _CONVERT_VALUES):
            part = slice(start, start + _CONVERT_VALUES)
            self._conversion.apply(stored[part], target[part])
        return replace(tile, blocks=[values])


class StagedBuffers:
    """Blocks of the sources of a stage, whose transform runs outside of the reading thread."""

    def __init__(
        self,
        series: Series,
        layout: BlockLayout,
        staging: Staging,
        pool: Workers | None,
        n_jobs: int,
    ) -> None:
        self._staging = staging
        self._n_volumes = layout.block_volumes
        self._pool = pool
        self._n_jobs = n_jobs
        self._blocks: list[list[Array | None] | None] = [None] * N_BUFFERS
        shape = (*series.grid.shape, layout.block_volumes)
        self._result: Array = np.empty(shape, series.grid.dtype, order="F")
        self._sources = SourceBlocks(staging.sources)

    def close(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        """End the reading sessions of the sources."""
        self._sources.close(kind, error, trace)

    def fill(self, number: int, tile: tuple[range, range]) -> Tile:
        """Read the volumes of a tile from each source."""
        place = number % N_BUFFERS
        buffers = self._blocks[place]
        if buffers is None:
            buffers = [self._new_block(source) for source in self._staging.sources]
            self._blocks[place] = buffers
        slices, volumes = tile
        parts = [None if one is None else one[..., : len(volumes)] for one in buffers]
        return Tile(self._sources.read(volumes, parts), slices, volumes)

    def convert(self, tile: Tile) -> Tile:
        """Apply the transform, to parts of the block in several threads where there are any."""
        n_volumes = len(tile.volumes)
        out = self._result[..., :n_volumes]
        n_parts = min(self._n_jobs, n_volumes)
        if self._pool is None or n_parts == 1:
            self._apply(tile.blocks, out, slice(0, n_volumes))
            return replace(tile, blocks=[out])
        edges = [n_volumes * part // n_parts for part in range(n_parts + 1)]
        jobs = [
            self._pool.submit(self._apply, tile.blocks, out, slice(start, stop))
            for start, stop in pairwise(edges)
        ]
        for job in jobs:
            job.result()
        return replace(tile, blocks=[out])

    def _apply(self, blocks: list[Array], out: Array, part: slice) -> None:
        pairs = zip(blocks, self._staging.sources, strict=True)
        cut = [block[..., part] if source.ndim == 4 else block for block, source in pairs]
        self._staging.reader.transform.apply(cut, out[..., part])

    def _new_block(self, source: LazyArray) -> Array | None:
        if source.ndim == 3:
            return None
        shape = (*source.shape[:3], self._n_volumes)
        return np.empty(shape, source.dtype.newbyteorder("="), order="F")


def _front(block: Array, n_slices: int, n_volumes: int) -> Array:
    """Return the first part of a buffer as a contiguous block of so many slices and volumes."""
    shape = (*block.shape[:2], n_slices, n_volumes)
    if shape == block.shape:
        return block
    flat = block.reshape(-1, order="F")[: int(np.prod(shape))]
    return flat.reshape(shape, order="F")
