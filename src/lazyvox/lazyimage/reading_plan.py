"""The plan of passes over one array: how often it is read, in which blocks, in what memory."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lazyvox._typing import DType
from lazyvox.array.block_reading import buffered_itemsize
from lazyvox.array.computed_reader import steps_of
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.prerequisites import read_before
from lazyvox.array.spool import counting_spools_once
from lazyvox.planning.blocks import BlockLayout
from lazyvox.planning.memory import MemoryTerm
from lazyvox.planning.plan import Plan

__all__ = ["Reading", "plan_passes", "reading_of", "value_layout"]


@dataclass(frozen=True, slots=True)
class Reading:
    """Passes over an array, and the bytes that they read.

    Attributes
    ----------
    passes : int
        Passes over its file, those included that come before the first value.
    bytes_read : int
        Bytes from disk.
    bytes_decoded : int
        Bytes of stored values.
    """

    passes: int
    bytes_read: int
    bytes_decoded: int


def reading_of(array: LazyArray, passes: int) -> Reading:
    """Return the reading of so many passes over an array, and of those that come before them."""
    before = read_before(array)
    # Parts of a series may each need a pass of their own: the plan counts those over its source.
    passes_before = sum(one.reader.path == array.reader.path for one in before)
    return Reading(
        passes + passes_before,
        passes * _read_bytes(array) + sum(_read_bytes(one) for one in before),
        passes * _decoded_bytes(array) + sum(_decoded_bytes(one) for one in before),
    )


def _read_bytes(array: LazyArray) -> int:
    with counting_spools_once():
        stored = array.reader.stored_bytes
    return min(_decoded_bytes(array), stored) if array.reader.is_random_access else stored


def _decoded_bytes(array: LazyArray) -> int:
    with counting_spools_once():
        return array.reader.decoded_bytes(array.window)


def value_layout(
    array: LazyArray, n_values: int, memory: Iterable[MemoryTerm] = ()
) -> BlockLayout:
    """Return the blocks of `iter_blocks`, of so many values, and the other memory terms."""
    block_bytes = n_values * array.dtype.itemsize
    buffer_bytes = n_values * buffered_itemsize(array)
    volume_bytes = math.prod(array.shape[:3]) * array.dtype.itemsize
    return BlockLayout(
        max(block_bytes // max(volume_bytes, 1), 1),
        array.shape[2] if array.ndim > 2 else 1,
        block_bytes,
        buffer_bytes,
        (MemoryTerm("block buffers", buffer_bytes), *memory),
    )


def plan_passes(
    array: LazyArray,
    n_passes: int,
    layout: BlockLayout,
    budget: int,
    *,
    dtype: DType | None = None,
    consumers: Sequence[tuple[str, int]] = (),
    files_bytes: int = 0,
    steps: Sequence[str] = (),
) -> Plan:
    """Return the plan of passes over an array, which follow each other.

    Parameters
    ----------
    array : LazyArray
        What is read.
    n_passes : int
        Passes, besides those that come before the first value.
    layout : BlockLayout
        The blocks, and the memory of the pass that takes most.
    budget : int
        The memory budget that they were fitted to.
    dtype : numpy.dtype, optional
        Type of the blocks; by default that of the array.
    consumers : sequence of (str, int), optional
        Name, and bytes of state and result, of each consumer.
    files_bytes : int, default=0
        Temporary or written disk space besides the temporary files of the array.
    steps : sequence of str, optional
        Names of the steps of the consumers.

    Returns
    -------
    Plan
        The plan.
    """
    reading = reading_of(array, n_passes)
    return Plan(
        source=array.reader.path,
        shape=array.shape,
        dtype=str(array.dtype if dtype is None else dtype),
        passes=reading.passes,
        bytes_read=reading.bytes_read,
        bytes_decoded=reading.bytes_decoded,
        block_volumes=layout.block_volumes,
        slab_slices=layout.slab_slices,
        n_buffers=layout.n_buffers,
        buffer_bytes=layout.buffer_bytes,
        block_bytes=layout.block_bytes,
        consumer_bytes=tuple(consumers),
        memory=layout.memory,
        scratch_bytes=array.reader.scratch_bytes + files_bytes,
        budget=budget,
        steps=tuple(dict.fromkeys((*steps_of(array), *steps))),
    )
