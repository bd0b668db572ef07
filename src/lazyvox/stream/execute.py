"""The block loop: one thread decodes into recycled buffers, the others feed the consumers."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from lazyvox._threads import Workers
from lazyvox.array.transformed import staging_of
from lazyvox.errors import ScanCancelledError
from lazyvox.lazyimage.series import Series
from lazyvox.planning.blocks import N_BUFFERS, BlockLayout, iter_tiles
from lazyvox.runtime.progress import Progress
from lazyvox.runtime.readahead import ReadAhead
from lazyvox.stream.buffers import Buffers, StagedBuffers, StoredBuffers, Tile
from lazyvox.stream.consumer import Consumer

__all__ = ["run_pass"]


def run_pass(
    series: Series,
    layout: BlockLayout,
    consumers: Sequence[Consumer[Any]],
    *,
    n_jobs: int,
    progress: Progress,
    cancelled: threading.Event,
    spare: int = 0,
) -> None:
    """Feed every block of a series to every consumer, in order; each byte is decoded once.

    What the budget has to spare is for decoding ahead on several cores, where the file allows it.

    Consumers are spread over `n_jobs` threads, each always sees its blocks in order; as many files
    of a list are decoded at a time. An error,
    wherever it comes from, ends the pass; no thread is left.
    """
    with ExitStack() as stack:
        pool = None
        if n_jobs > 1:
            pool = stack.enter_context(Workers(n_jobs, "lazyvox-consumer"))
        staging = staging_of(series.array)
        buffers: Buffers = (
            StoredBuffers(series, layout, spare, n_jobs)
            if staging is None
            else StagedBuffers(series, layout, staging, pool, n_jobs)
        )
        stack.push(buffers.close)
        # Entered last, so left first: the thread ends before the session that it reads from.
        tiles = stack.enter_context(
            ReadAhead(
                enumerate(iter_tiles(layout, series.array.shape)),
                lambda task: buffers.fill(*task),
                n_ahead=N_BUFFERS,
            )
        )
        for stored in _until_cancelled(tiles, cancelled):
            tile = buffers.convert(stored)
            if pool is None or len(consumers) == 1:
                for consumer in consumers:
                    _update(consumer, tile, layout, series)
            else:
                jobs = [pool.submit(_update, one, tile, layout, series) for one in consumers]
                for job in jobs:
                    job.result()
            if tile.slices.stop >= series.grid.shape[2]:
                progress.advance(len(tile.volumes))


def _until_cancelled(
    tiles: ReadAhead[tuple[int, tuple[range, range]], Tile], cancelled: threading.Event
) -> Iterator[Tile]:
    for tile in tiles:
        if cancelled.is_set():
            msg = f"the scan was cancelled before volume {tile.volumes.start}."
            raise ScanCancelledError(msg)
        yield tile


def _update(consumer: Consumer[Any], tile: Tile, layout: BlockLayout, series: Series) -> None:
    try:
        if layout.slab_slices < series.grid.shape[2]:
            consumer.update_slab(tile.values, tile.volumes.start, tile.slices.start)
        else:
            consumer.update(tile.values, tile.volumes.start)
    except BaseException as error:
        last = tile.volumes.stop - 1
        error.add_note(f"while {consumer.describe()} took volumes {tile.volumes.start} to {last}")
        raise
