"""Tiles of a Zarr store that is written, within a memory budget."""

import math
from typing import Any

from lazyvox.array.block_reading import buffered_itemsize
from lazyvox.array.lazy_array import LazyArray
from lazyvox.errors import MemoryBudgetError
from lazyvox.formats.output_spec import OutputSpec
from lazyvox.formats.writer import ENCODING_BYTES
from lazyvox.formats.zarr_sink import ZarrTarget, zarr_memory
from lazyvox.planning.blocks import DECODER, N_BUFFERS, TARGET_BLOCK_BYTES
from lazyvox.planning.chunks import ChunkTiles, choose_tiles, chunk_shape
from lazyvox.planning.memory import format_bytes

__all__ = ["must_be_kept", "short_of_memory", "zarr_target"]

#: Most bytes of a tile and its blocks, where the budget allows more.
_MOST_TILE_BYTES = 256 << 20

#: Bytes of the blocks that fill tiles of consecutive values, at least.
_BLOCK_BYTES = N_BUFFERS << 16


def zarr_target(
    values: LazyArray, output: OutputSpec, chunks: Any, store: Any, budget: int, n_threads: int
) -> ZarrTarget:
    """Return chunks and tiles of a store, as large as is useful, or as the budget allows.

    Raises `MemoryBudgetError` where not even a chunk fits.
    """
    itemsize = output.dtype.itemsize
    shape = chunk_shape(output.shape, itemsize, chunks)
    # A tile of no value: what all tiles hold besides.
    nothing = ZarrTarget(ChunkTiles(shape, (0,), is_consecutive=True))
    held = DECODER.nbytes + values.reader.session_bytes + ENCODING_BYTES + _BLOCK_BYTES
    held += zarr_memory(nothing, itemsize, n_threads)
    room = min(budget - held, _MOST_TILE_BYTES)
    # The values of a tile that is no run of the file come in blocks of its size.
    apart = itemsize + max(buffered_itemsize(values), N_BUFFERS * values.dtype.itemsize)
    tiles = choose_tiles(
        output.shape,
        shape,
        max(TARGET_BLOCK_BYTES // itemsize, n_threads * math.prod(shape)),
        max(room, 0) // itemsize,
        max(room, 0) // apart,
    )
    if tiles is None:
        raise short_of_memory(budget, held + math.prod(shape) * apart, n_threads)
    return ZarrTarget(tiles, store)


def short_of_memory(budget: int, least: int, n_threads: int) -> MemoryBudgetError:
    """Return the error for a budget that does not hold the buffers of writing."""
    msg = (
        f"the memory budget must hold the buffers of writing. Got {format_bytes(budget)}; "
        f"needed are {format_bytes(least)} ({least} bytes)."
    )
    return MemoryBudgetError(
        msg,
        parameter="memory",
        value=budget,
        hint=f"Pass memory={least} or more{', or n_jobs=1' * (n_threads > 1)}.",
    )


def must_be_kept(values: LazyArray, target: ZarrTarget) -> bool:
    """Return whether values must be in a temporary file first: tiles would read them many times.

    That is, where tiles are no runs of the file, and the file is compressed or the values are
    computed.
    """
    source = values.reader.byte_source
    is_plain = source is not None and source.compression == "none"
    return not (target.tiles.is_consecutive or is_plain or values.reader.is_in_memory)
