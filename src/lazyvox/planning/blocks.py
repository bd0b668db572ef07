"""Division of images into pieces that follow each other in the file.

A pass reads blocks of volumes, or of volumes in slabs, within a memory budget. Arrays of any number
of axes are cut into tiles, and compressed files into members that can be decoded alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from math import ceil

from lazyvox._typing import Shape
from lazyvox.errors import MemoryBudgetError
from lazyvox.planning.memory import MemoryTerm, format_bytes, sum_terms

__all__ = [
    "MOST_MEMBER_BYTES",
    "BlockLayout",
    "Costs",
    "choose_layout",
    "fortran_tiles",
    "iter_steps",
    "iter_tiles",
    "member_lengths",
    "tile_shape",
]

#: Blocks that exist at a time: one is filled, one waits, one is used.
N_BUFFERS = 3

#: Size of a block where the budget leaves the choice: large enough that the cost of starting an
#: update vanishes, small enough to stay near the processor between decoding and use.
TARGET_BLOCK_BYTES = 4 << 20

#: Decoder, its input and its output piece, scratch of reading, thread stacks, the bookkeeping of
#: the pass and what the allocator keeps: measured at 3 to 5 MiB.
DECODER = MemoryTerm("decoder and threads", 8 << 20)

#: A part takes about 2 ms to decode, and what it costs to begin anew is some 0.1 % of it.
MOST_MEMBER_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class Costs:
    """Memory of a pass besides its block buffers.

    Attributes
    ----------
    held : tuple of MemoryTerm
        States and results of all consumers; anything that is held during the whole pass.
    work : callable
        Terms of what updates allocate for their duration, given the number of volumes of a block.
    takes_slabs : bool
        Whether every consumer can take parts of volumes.
    """

    held: tuple[MemoryTerm, ...] = ()
    work: Callable[[int], tuple[MemoryTerm, ...]] = lambda _: ()
    takes_slabs: bool = False


@dataclass(frozen=True, slots=True)
class BlockLayout:
    """The unit of work of a pass.

    Attributes
    ----------
    block_volumes : int
        Volumes in a block.
    slab_slices : int
        Slices along the third axis in a block: all of them, unless one volume is too large.
    block_bytes : int
        Size of one block.
    buffer_bytes : int
        Size of all blocks together.
    memory : tuple of MemoryTerm
        Everything that the pass allocates.
    n_buffers : int
        Blocks that exist at a time.
    """

    block_volumes: int
    slab_slices: int
    block_bytes: int = 0
    buffer_bytes: int = 0
    memory: tuple[MemoryTerm, ...] = ()
    n_buffers: int = N_BUFFERS

    @property
    def peak_bytes(self) -> int:
        """Predicted peak of everything that the pass allocates."""
        return sum_terms(self.memory)


def choose_layout(
    shape: tuple[int, ...],
    itemsize: int,
    costs: Costs,
    budget: int,
    *,
    stored_itemsize: float | None = None,
) -> BlockLayout:
    """Return the largest blocks, up to about 4 MiB, with which a pass fits the budget.

    Parameters
    ----------
    shape : tuple of int of length 4
        Grid and number of volumes.
    itemsize : int
        Bytes of a value as consumers get it.
    costs : Costs
        What the pass needs besides its blocks.
    budget : int
        Bytes that may be allocated.
    stored_itemsize : float, optional
        Bytes read for each value, where values must be converted or computed from volumes of
        another size: buffers then hold what is read, and one more block takes the values.

    Returns
    -------
    BlockLayout
        The layout; its predicted peak is at most the budget.

    Raises
    ------
    MemoryBudgetError
        If not even the smallest blocks fit; names the smallest budget that does.
    """
    slice_bytes = max(shape[0] * shape[1] * itemsize, 1)
    n_slices, n_volumes = max(shape[2], 1), max(shape[3], 1)
    volume_bytes = slice_bytes * n_slices
    buffered: float = N_BUFFERS * itemsize
    largest = volume_bytes
    if stored_itemsize is not None:
        buffered = N_BUFFERS * stored_itemsize + itemsize
        largest = max(volume_bytes, ceil(volume_bytes / itemsize * stored_itemsize))
    wanted = min(max(TARGET_BLOCK_BYTES // largest, 1), n_volumes)
    for volumes in _halvings(wanted):
        block_bytes = volumes * volume_bytes
        buffer_bytes = ceil(block_bytes // itemsize * buffered)
        layout = _layout(volumes, n_slices, block_bytes, buffer_bytes, costs)
        if layout.peak_bytes <= budget:
            return layout
    if not costs.takes_slabs:
        raise _refusal(budget, layout.peak_bytes, "whole volumes, as its consumers ask,")
    for slices in _halvings(n_slices):
        block_bytes = slices * slice_bytes
        buffer_bytes = ceil(block_bytes // itemsize * buffered)
        layout = _layout(1, slices, block_bytes, buffer_bytes, costs)
        if layout.peak_bytes <= budget:
            return layout
    raise _refusal(budget, layout.peak_bytes, "single slices")


def iter_tiles(layout: BlockLayout, shape: tuple[int, ...]) -> Iterator[tuple[range, range]]:
    """Yield (slices, volumes) of each block of a pass, in the order of the file.

    Examples
    --------
    >>> layout = BlockLayout(block_volumes=2, slab_slices=9)
    >>> [(len(slices), volumes) for slices, volumes in iter_tiles(layout, (4, 5, 9, 5))]
    [(9, range(0, 2)), (9, range(2, 4)), (9, range(4, 5))]
    """
    n_slices, n_volumes = shape[2], shape[3]
    for start in range(0, n_volumes, layout.block_volumes):
        volumes = range(start, min(start + layout.block_volumes, n_volumes))
        for k in range(0, max(n_slices, 1), layout.slab_slices):
            yield range(k, min(k + layout.slab_slices, n_slices)), volumes


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
    return iter_steps(shape, tile_shape(shape, max_values))


def iter_steps(shape: Shape, steps: Shape) -> Iterator[tuple[slice, ...]]:
    """Yield the index of each part of an array that is cut every so often along each axis.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array.
    steps : tuple of int
        Shape of a part.

    Yields
    ------
    tuple of slice
        One slice for each axis; in Fortran order.

    Examples
    --------
    >>> list(iter_steps((4, 3), (4, 2)))
    [(slice(0, 4, None), slice(0, 2, None)), (slice(0, 4, None), slice(2, 3, None))]
    """
    starts = [range(0, length, step) for length, step in zip(shape, steps, strict=True)]
    for corner in product(*reversed(starts)):
        yield tuple(
            slice(start, min(start + step, length))
            for start, step, length in zip(reversed(corner), steps, shape, strict=True)
        )


def member_lengths(header_bytes: int, volume_bytes: int) -> Iterator[int]:
    """Yield the lengths of the parts, for ever: the last one is cut short by the end of the image.

    The header is a part of its own. Then come as many whole volumes as fit into a part, or each
    volume in parts of equal length.

    Parameters
    ----------
    header_bytes : int
        Bytes before the first value.
    volume_bytes : int
        Bytes of one volume.

    Yields
    ------
    int
        Decoded bytes of the next part.

    Examples
    --------
    >>> from itertools import islice
    >>> list(islice(member_lengths(352, 700_000), 3))
    [352, 1400000, 1400000]
    >>> list(islice(member_lengths(0, 5_000_000), 4))
    [1666667, 1666667, 1666666, 1666667]
    """
    for start in range(0, header_bytes, MOST_MEMBER_BYTES):
        yield min(MOST_MEMBER_BYTES, header_bytes - start)
    volume_bytes = max(volume_bytes, 1)
    if volume_bytes <= MOST_MEMBER_BYTES:
        while True:
            yield MOST_MEMBER_BYTES // volume_bytes * volume_bytes
    n_parts = -(-volume_bytes // MOST_MEMBER_BYTES)
    longest = -(-volume_bytes // n_parts)
    while True:
        for start in range(0, volume_bytes, longest):
            yield min(longest, volume_bytes - start)


def _layout(
    volumes: int, slices: int, block_bytes: int, buffer_bytes: int, costs: Costs
) -> BlockLayout:
    memory = (
        DECODER,
        MemoryTerm("block buffers", buffer_bytes),
        *costs.held,
        *costs.work(volumes),
    )
    return BlockLayout(volumes, slices, block_bytes, buffer_bytes, memory)


def _halvings(start: int) -> Iterator[int]:
    while start > 1:
        yield start
        start = (start + 1) // 2
    yield 1


def _refusal(budget: int, smallest: int, unit: str) -> MemoryBudgetError:
    msg = (
        f"the memory budget must hold the buffers and the results of the pass. Got "
        f"{format_bytes(budget)}; reading in {unit} needs {format_bytes(smallest)} "
        f"({smallest} bytes). Pass memory={smallest} or more, or ask for fewer results at a time."
    )
    return MemoryBudgetError(msg)
