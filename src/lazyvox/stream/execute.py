"""The block loop: one thread decodes into recycled buffers, the others feed the consumers."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lazyvox._threads import Workers
from lazyvox._typing import Array
from lazyvox.array.reader import ArraySession
from lazyvox.errors import ScanCancelledError
from lazyvox.lazyimage.series import Series
from lazyvox.planning.blocks import N_BUFFERS, BlockLayout, iter_tiles
from lazyvox.runtime.progress import Progress
from lazyvox.runtime.readahead import ReadAhead
from lazyvox.stream.consumer import Consumer

__all__ = ["run_pass"]

#: Values converted at a time: they stay in the processor's cache between the steps.
_CONVERT_VALUES = 1 << 17


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
            pool = stack.enter_context(Workers(min(n_jobs, len(consumers)), "lazyvox-consumer"))
        # Entered last, so left first: the thread ends before the session that it reads from.
        tiles = stack.enter_context(
            ReadAhead(
                enumerate(iter_tiles(layout, series.array.shape)),
                lambda task: buffers.fill(session, *task),
                n_ahead=N_BUFFERS,
            )
        )
        for stored in _until_cancelled(tiles, cancelled):
            tile = buffers.convert(stored)
            if pool is None:
                for consumer in consumers:
                    _update(consumer, tile, layout, series)
            else:
                jobs = [pool.submit(_update, one, tile, layout, series) for one in consumers]
                for job in jobs:
                    job.result()
            if tile.slices.stop >= series.grid.shape[2]:
                progress.advance(len(tile.volumes))


class _Buffers:
    """Blocks in memory that are filled again and again.

    The reading thread fills them with stored values. Where these must be converted, the thread
    that feeds the consumers does so, into one more block: the two share the work.
    """

    def __init__(self, series: Series, layout: BlockLayout) -> None:
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

    def fill(self, session: ArraySession, number: int, tile: tuple[range, range]) -> _Tile:
        """Read the stored values of a tile into the buffer whose turn it is."""
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
        session.read(window.axes, values.reshape(kept, order="F"))
        return _Tile(values, slices, volumes)

    def convert(self, tile: _Tile) -> _Tile:
        """Return a tile with the values that consumers get; its memory is used again."""
        if self._conversion is None:
            return tile
        if self._converted is None:
            self._converted = np.empty(self._shape, self._dtype, order="F")
        values = _front(self._converted, len(tile.slices), len(tile.volumes))
        stored, target = (part.reshape(-1, order="F") for part in (tile.values, values))
        for start in range(0, stored.size, _CONVERT_VALUES):
            part = slice(start, start + _CONVERT_VALUES)
            self._conversion.apply(stored[part], target[part])
        return replace(tile, values=values)


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
