"""Cut an array of any number of axes into blocks that follow each other in the file. Pure."""

from collections.abc import Iterator
from itertools import product

from lazyvox._typing import Shape

__all__ = ["fortran_tiles", "tile_shape"]


def tile_shape(shape: Shape, max_values: int) -> Shape:
    """Return the shape of the largest block of at most `max_values` consecutive values.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array.
    max_values : int
        Most values of a block; at least 1.

    Returns
    -------
    tuple of int
        Whole leading axes, a part of one axis, and 1 for the axes behind it.

    Examples
    --------
    >>> tile_shape((10, 10, 4, 3), 250)
    (10, 10, 2, 1)
    """
    lengths: list[int] = []
    room = max(max_values, 1)
    for length in shape:
        taken = min(length, room) if length else 0
        lengths.append(taken)
        room = room // length if length and taken == length else 1
    return tuple(max(length, 1) for length in lengths)


def fortran_tiles(shape: Shape, max_values: int) -> Iterator[tuple[slice, ...]]:
    """Yield the index of each block of an array, in Fortran order.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array.
    max_values : int
        Most values of a block.

    Yields
    ------
    tuple of slice
        One slice for each axis.

    Examples
    --------
    >>> [tile[2:] for tile in fortran_tiles((10, 10, 3), 200)]
    [(slice(0, 2, None),), (slice(2, 3, None),)]
    """
    steps = tile_shape(shape, max_values)
    starts = [range(0, length, step) for length, step in zip(shape, steps, strict=True)]
    for corner in product(*reversed(starts)):
        yield tuple(
            slice(start, min(start + step, length))
            for start, step, length in zip(reversed(corner), steps, shape, strict=True)
        )
