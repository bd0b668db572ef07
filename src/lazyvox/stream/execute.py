"""The block loop: one thread decodes into recycled buffers, the others feed the consumers."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from lazyvox._typing import Array
from lazyvox.array.lazy_array import read_into
from lazyvox.array.reader import ArraySession
from lazyvox.errors import ScanCancelledError
from lazyvox.lazyimage.series import Series
from lazyvox.planning.blocks import N_BUFFERS, BlockLayout, iter_tiles
from lazyvox.runtime.progress import Progress
from lazyvox.runtime.readahead import ReadAhead
from lazyvox.stream.consumer import Consumer

__all__ = ["run_pass"]


@dataclass(frozen=True, slots=True)
class _Tile:
    """A filled buffer and which slices of which volumes it holds."""

    values: Array
    slices: range
    volumes: range


def run_pass(
    series: Series,
    layout: BlockLayout,
    consumers: Sequence[Consumer[Any]],
    *,
    n_jobs: int,
    progress: Progress,
    cancelled: threading.Event,
) -> None:
    """Feed every block of a series to every consumer, in order; each byte is decoded once.

    Consumers are spread over `n_jobs` threads, each always sees its blocks in order. An error,
    wherever it comes from, ends the pass; no thread is left.
    """
    buffers = _Buffers(series, layout)
    with ExitStack() as stack:
        session = stack.enter_context(series.array.reader.open())
        pool = None
        if n_jobs > 1 and len(consumers) > 1:
            pool = stack.enter_context(ThreadPoolExecutor(min(n_jobs, len(consumers))))
        # Entered last, so left first: the thread ends before the session that it reads from.
        tiles = stack.enter_context(
            ReadAhead(
                enumerate(iter_tiles(layout, series.array.shape)),
                lambda task: buffers.fill(session, *task),
                n_ahead=N_BUFFERS,
            )
        )
        for tile in _until_cancelled(tiles, cancelled):
            if pool is None:
                for consumer in consumers:
                    _update(consumer, tile, layout, series)
            else:
                feed = partial(_update, tile=tile, layout=layout, series=series)
                list(pool.map(feed, consumers))
            if tile.slices.stop >= series.grid.shape[2]:
                progress.advance(len(tile.volumes))


class _Buffers:
    """Blocks in memory that are filled again and again."""

    def __init__(self, series: Series, layout: BlockLayout) -> None:
        self._array = series.array
        self._dtype = series.grid.dtype
        shape = (*series.grid.shape[:2], layout.slab_slices, layout.block_volumes)
        self._shape = shape
        self._blocks: list[Array | None] = [None] * N_BUFFERS

    def fill(self, session: ArraySession, number: int, tile: tuple[range, range]) -> _Tile:
        """Read a tile into the buffer whose turn it is."""
        place = number % N_BUFFERS
        block = self._blocks[place]
        if block is None:
            block = np.empty(self._shape, self._dtype, order="F")
            self._blocks[place] = block
        slices, volumes = tile
        values = _front(block, len(slices), len(volumes))
        window = self._array.view(
            (..., slice(slices.start, slices.stop), slice(volumes.start, volumes.stop))
        ).window
        # Axes that were dropped or added by slicing are none of the file.
        kept = tuple(len(axis) for axis in window.axes if not isinstance(axis, int))
        target = values.reshape(kept, order="F")
        conversion = self._array.conversion
        if self._dtype != self._array.dtype:
            conversion = conversion.then(self._dtype)
        read_into(session, window.axes, target, conversion, self._array.reader.dtype)
        return _Tile(values, slices, volumes)


def _front(block: Array, n_slices: int, n_volumes: int) -> Array:
    """Return the first part of a buffer as a contiguous block of so many slices and volumes."""
    shape = (*block.shape[:2], n_slices, n_volumes)
    if shape == block.shape:
        return block
    flat = block.reshape(-1, order="F")[: int(np.prod(shape))]
    return flat.reshape(shape, order="F")


def _until_cancelled(
    tiles: ReadAhead[tuple[int, tuple[range, range]], _Tile], cancelled: threading.Event
) -> Iterator[_Tile]:
    for tile in tiles:
        if cancelled.is_set():
            msg = f"the scan was cancelled before volume {tile.volumes.start}."
            raise ScanCancelledError(msg)
        yield tile


def _update(consumer: Consumer[Any], tile: _Tile, layout: BlockLayout, series: Series) -> None:
    try:
        if layout.slab_slices < series.grid.shape[2]:
            consumer.update_slab(tile.values, tile.volumes.start, tile.slices.start)
        else:
            consumer.update(tile.values, tile.volumes.start)
    except BaseException as error:
        last = tile.volumes.stop - 1
        error.add_note(f"while {consumer.describe()} took volumes {tile.volumes.start} to {last}")
        raise
