"""Chunks: the parts in which other packages read an image, and a Zarr store holds one. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from lazyvox._typing import Shape
from lazyvox.errors import ParameterError
from lazyvox.planning.blocks import TARGET_BLOCK_BYTES

__all__ = ["ChunkTiles", "choose_tiles", "chunk_shape", "grown_tile", "volume_runs"]

#: A volume of more bytes is cut into chunks of some slices each.
_MOST_CHUNK_BYTES = 16 << 20

#: Size of a chunk that holds all volumes of some voxels: read whole for the series of one.
_SERIES_CHUNK_BYTES = 1 << 20

#: Longest edge of the chunks of a single volume that is cut along space.
_LONGEST_EDGE = 64


def volume_runs(
    n_volumes: int, volume_bytes: int, offset: int = 0, points: Sequence[int] = ()
) -> tuple[int, ...]:
    """Return the lengths of runs of whole volumes, each of about 4 MiB, that cover a series.

    Where the file has access points, a run begins as near behind one as its length allows: what
    lies between the two is decoded in vain.

    Parameters
    ----------
    n_volumes : int
        Volumes of the series.
    volume_bytes : int
        Stored bytes of one.
    offset : int, default=0
        Decoded bytes before the first.
    points : sequence of int, optional
        Decoded bytes before each access point, ascending; the first is 0.

    Returns
    -------
    tuple of int
        They add up to `n_volumes`; each is one volume at least.

    Examples
    --------
    >>> volume_runs(10, 1 << 20)
    (4, 4, 2)
    >>> volume_runs(10, 1 << 20, points=[0, 5 << 20])
    (5, 4, 1)
    """
    usual = max(TARGET_BLOCK_BYTES // max(volume_bytes, 1), 1)
    starts = [0]
    places = np.asarray(points, np.int64)
    while n_volumes - starts[-1] > usual:
        first = starts[-1] + usual
        starts.append(first)
        if len(places):
            candidates = np.arange(first, min(first + usual, n_volumes))
            begins = offset + candidates * volume_bytes
            before = places[np.searchsorted(places, begins, side="right") - 1]
            starts[-1] = int(candidates[np.argmin(begins - before)])
    return tuple(stop - start for start, stop in pairwise([*starts, n_volumes]))


def chunk_shape(shape: Shape, itemsize: int, chunks: Any) -> Shape:
    """Return the shape of the chunks of an image in a chunked store.

    Parameters
    ----------
    shape : tuple of int
        Shape of the image.
    itemsize : int
        Bytes of a stored value.
    chunks : "time", "space" or tuple of int
        "time" cuts along time: one volume is a chunk, or a few of its slices where it has more
        than 16 MiB. "space" cuts along space: a chunk holds all volumes of a rectangle of a slice,
        about 1 MiB; of an image without a time axis it is a block of 64 voxels along each edge. A
        tuple has one length for each axis; -1 is the whole axis.

    Returns
    -------
    tuple of int
        Lengths from 1 to that of the axis.

    Raises
    ------
    ParameterError
        If `chunks` has no meaning, or not a length for each axis.

    Examples
    --------
    >>> chunk_shape((64, 64, 36, 200), 2, "time")
    (64, 64, 36, 1)
    >>> chunk_shape((64, 64, 36, 200), 2, "space")
    (32, 64, 1, 200)
    >>> chunk_shape((64, 64, 36, 200), 2, (16, 16, 16, -1))
    (16, 16, 16, 200)
    """
    whole = tuple(max(length, 1) for length in shape)
    if isinstance(chunks, str) and chunks == "time":
        return _chunks_along_time(whole, itemsize)
    if isinstance(chunks, str) and chunks == "space":
        return _chunks_along_space(whole, itemsize)
    is_tuple = isinstance(chunks, tuple | list)
    if not is_tuple or not all(isinstance(one, int | np.integer) for one in chunks):
        msg = (
            f'`chunks` must be "time", "space" or a tuple of one length for each axis. Got '
            f"{chunks!r}."
        )
        raise ParameterError(msg)
    if len(chunks) != len(shape) or any(one < 1 and one != -1 for one in chunks):
        msg = (
            f"`chunks` must have a length from 1 on, or -1 for all, for each of {len(shape)} axes. "
            f"Got {tuple(chunks)} for an image of shape {shape}."
        )
        raise ParameterError(msg)
    pairs = zip(chunks, whole, strict=True)
    return tuple(length if one == -1 else min(int(one), length) for one, length in pairs)


def _chunks_along_time(whole: Shape, itemsize: int) -> Shape:
    space = list(whole[:3])
    for axis in reversed(range(len(space))):
        space[axis] = _even(whole[axis], _MOST_CHUNK_BYTES // (math.prod(space[:axis]) * itemsize))
    return (*space, *(1,) * (len(whole) - 3))


def _chunks_along_space(whole: Shape, itemsize: int) -> Shape:
    if len(whole) < 4:
        return tuple(_even(length, _LONGEST_EDGE) for length in whole)
    n_voxels = max(_SERIES_CHUNK_BYTES // (whole[3] * itemsize), 1)
    first = _even(whole[0], math.isqrt(n_voxels))
    return (first, _even(whole[1], n_voxels // first), 1, whole[3], *(1,) * (len(whole) - 4))


def _even(length: int, most: int) -> int:
    """Return the length of the parts of an axis: at most `most`, all but the last alike."""
    return -(-length // -(-length // max(most, 1)))


@dataclass(frozen=True, slots=True)
class ChunkTiles:
    """The order in which the chunks of an image are made.

    Attributes
    ----------
    chunks : tuple of int
        Shape of a chunk.
    tile : tuple of int
        Shape of a tile, which holds whole chunks: the values that must be there at a time. Tiles
        follow each other in Fortran order.
    is_consecutive : bool
        Whether the tiles are consecutive values of the image.
    """

    chunks: Shape
    tile: Shape
    is_consecutive: bool

    @property
    def n_values(self) -> int:
        """Values of a tile."""
        return math.prod(self.tile)


def choose_tiles(
    shape: Shape, chunks: Shape, usual: int, most: int, most_apart: int
) -> ChunkTiles | None:
    """Return tiles of whole chunks: consecutive values of the image, where these are few enough.

    Parameters
    ----------
    shape : tuple of int
        Shape of the image.
    chunks : tuple of int
        Shape of a chunk.
    usual : int
        Values of a tile that are as good as more.
    most : int
        Most values of a tile, where they are consecutive.
    most_apart : int
        Most values of another tile.

    Returns
    -------
    ChunkTiles or None
        None where not even one chunk is small enough.

    Examples
    --------
    >>> choose_tiles((64, 64, 36, 200), (64, 64, 36, 1), 300_000, 10**6, 0).tile
    (64, 64, 36, 2)
    >>> choose_tiles((64, 64, 36, 200), (32, 64, 1, 200), 10**6, 10**6, 10**6)
    ChunkTiles(chunks=(32, 64, 1, 200), tile=(64, 64, 1, 200), is_consecutive=False)
    """
    last = max((axis for axis, length in enumerate(chunks) if length > 1), default=0)
    row = tuple(max(length, 1) for length in shape[:last]) + chunks[last:]
    if math.prod(row) <= most:
        return ChunkTiles(chunks, grown_tile(row, shape, usual), is_consecutive=True)
    if math.prod(chunks) <= most_apart:
        return ChunkTiles(chunks, grown_tile(chunks, shape, most_apart), is_consecutive=False)
    return None


def grown_tile(tile: Shape, shape: Shape, most: int) -> Shape:
    """Return a tile of as many whole tiles as `most` values are, along the first axes first.

    Examples
    --------
    >>> grown_tile((8, 8, 1), (64, 64, 30), 5000)
    (64, 64, 1)
    """
    lengths = list(tile)
    for axis, length in enumerate(shape):
        if lengths[axis] < length:
            lengths[axis] = min(lengths[axis] * max(most // math.prod(lengths), 1), length)
        if lengths[axis] < length:
            break
    return tuple(lengths)
