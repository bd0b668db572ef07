"""One pass over an array that feeds several reductions, over time, over space, or over both."""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazyvox._typing import Array, DType
from lazyvox.array.block_reading import reading_of_usual_size
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.reduction_states import State
from lazyvox.array.reductions import REDUCTIONS, Reduction
from lazyvox.planning.blocks import DECODER
from lazyvox.planning.memory import MemoryTerm
from lazyvox.runtime.logs import log_info

__all__ = ["Accumulator", "accumulator_of", "each_volume", "pass_memory", "run_reductions"]

#: Values that are reduced at a time where axes of space are: it decides how rounding errors add
#: up, and must not depend on the size of blocks.
PIECE_VALUES = 1 << 18


@dataclass(frozen=True, slots=True)
class Accumulator:
    """State of a pass for one or more reductions; its arrays are made with the first volume.

    Attributes
    ----------
    key : hashable
        Equal for reductions that can share it.
    nbytes : int
        Most bytes held, those of the result included.
    take : callable
        Takes the next volume, of four axes, and its number.
    result : callable
        Gives a reduction for its name and the number that it takes, all four axes kept.
    file_bytes : int
        Bytes of a temporary file.
    """

    key: Hashable
    nbytes: int
    take: Callable[[Array, int], None]
    result: Callable[[str, float], Array]
    file_bytes: int = 0


def accumulator_of(
    reduction: Reduction, axes: tuple[int, ...], ddof: float, source: LazyArray
) -> Accumulator:
    """Return the accumulator of a reduction before the first volume.

    Parameters
    ----------
    reduction : Reduction
        The reduction.
    axes : tuple of int
        The axes that are reduced, ascending.
    ddof : int
        "Delta degrees of freedom".
    source : LazyArray
        What is reduced, of four axes.

    Returns
    -------
    Accumulator
        A fresh one.
    """
    dtype = _native(source)
    if 3 in axes:
        is_per_voxel = len(axes) == 1 or not reduction.over_space
        make = _over_time if is_per_voxel else _over_both
        return make(reduction, axes, source)
    if reduction.over_space:
        merged, nbytes = _merging(reduction, axes, source, 1)

        def compute(volume: Array) -> Array:
            return reduction.finalize(merged(volume, None), ddof)
    else:
        function, axis = getattr(np, reduction.name), axes[0] if len(axes) == 1 else None
        nbytes = 2 * math.prod(source.shape[:3]) * dtype.itemsize

        def compute(volume: Array) -> Array:
            found: Array = function(volume, axis=axis, keepdims=True)
            return found

    key = (reduction.name, axes, ddof)
    return each_volume(key, compute, axes, source, reduction.result_dtype(dtype), nbytes)


def each_volume(
    key: Hashable,
    compute: Callable[[Array], Any],
    axes: tuple[int, ...],
    source: LazyArray,
    dtype: DType,
    work_bytes: int,
) -> Accumulator:
    """Return the accumulator of a function of every volume by itself.

    Parameters
    ----------
    key : hashable
        The function, its axes and options.
    compute : callable
        Gives the result for a volume of shape (i, j, k, 1), with all four axes.
    axes : tuple of int
        The axes that are reduced.
    source : LazyArray
        What is reduced, of four axes.
    dtype : numpy.dtype
        Type of the result.
    work_bytes : int
        Bytes that computing allocates.

    Returns
    -------
    Accumulator
        A fresh one.
    """
    shape = tuple(1 if i in axes else n for i, n in enumerate(source.shape))
    values: list[Array] = []

    def take(volume: Array, number: int) -> None:
        if not values:
            values.append(np.empty(shape, dtype, order="F"))
        values[0][..., number : number + 1] = compute(volume)

    nbytes = 2 * math.prod(shape) * dtype.itemsize + work_bytes
    return Accumulator(key, nbytes, take, lambda *_: values[0])


def _over_time(reduction: Reduction, axes: tuple[int, ...], source: LazyArray) -> Accumulator:
    """Return an accumulator with a state per voxel."""
    grid, n_volumes, dtype = source.shape[:3], source.shape[3], _native(source)
    state: Any = reduction.new_state(grid, dtype, n_volumes)

    def result(name: str, ddof: float) -> Array:
        values = REDUCTIONS[name].finalize(state, ddof) if len(axes) == 1 else state.flat()
        return values[..., None]

    return Accumulator(
        (reduction.family, axes),
        reduction.nbytes(grid, dtype, n_volumes),
        lambda volume, _: state.take(volume[..., 0], slice(0, grid[2])),
        result,
        state.file_bytes,
    )


def _over_both(reduction: Reduction, axes: tuple[int, ...], source: LazyArray) -> Accumulator:
    """Return an accumulator with a state per index that is left of space."""
    merged, nbytes = _merging(reduction, axes[:-1], source, source.shape[3])
    state: list[State | None] = [None]

    def take(volume: Array, _: int) -> None:
        state[0] = merged(volume, state[0])

    return Accumulator(
        (reduction.family, axes),
        nbytes,
        take,
        lambda name, ddof: REDUCTIONS[name].finalize(state[0], ddof),
    )


def _merging(
    reduction: Reduction, space: tuple[int, ...], source: LazyArray, n_volumes: int
) -> tuple[Callable[[Array, State | None], State], int]:
    """Return a function that merges a volume into a state over space, and the bytes it takes."""
    shape, dtype = source.shape, _native(source)
    n_values = math.prod(shape[axis] for axis in space) * n_volumes
    entries = tuple(1 if i in (*space, 3) else n for i, n in enumerate(shape))
    blank = reduction.new_state(entries, dtype, n_values)
    # Slabs where slices are reduced to one anyway; else the whole volume.
    step = max(PIECE_VALUES // math.prod(shape[:2]), 1) if 2 in space else shape[2]

    def merged(volume: Array, state: State | None) -> State:
        for k in range(0, shape[2], step):
            part = blank.over_space(volume[:, :, k : k + step], space)
            if state is None:
                state = part
            else:
                state.merge(part)
        assert state is not None, "bug in lazyvox: a volume of nothing"
        return state

    # Two states that are merged, and what the reduction of a part allocates.
    part_size = math.prod(shape[:2]) * min(step, shape[2])
    nbytes = 2 * reduction.nbytes(entries, dtype, n_values) + 24 * math.prod(entries)
    return merged, nbytes + 16 * part_size


def run_reductions(source: LazyArray, accumulators: Sequence[Accumulator]) -> None:
    """Show every volume of an array to accumulators, in one pass.

    Parameters
    ----------
    source : LazyArray
        Of four axes.
    accumulators : sequence of Accumulator
        Fresh ones.

    Notes
    -----
    Memory: that of the accumulators, and `pass_memory`. The next block is read in a thread while
    one is used.
    """
    log_info("pass over %s for %s reductions", source.reader.path, len(accumulators))
    with reading_of_usual_size(source).blocks() as blocks:
        for block in blocks:
            for place, number in enumerate(block.volumes):
                for one in accumulators:
                    one.take(block.values[..., place : place + 1], number)


def pass_memory(source: LazyArray) -> tuple[MemoryTerm, ...]:
    """Return the terms of reading an array of four axes, besides the accumulators."""
    # The pass in which a reduction takes part counts a decoder.
    return tuple(one for one in reading_of_usual_size(source).memory if one != DECODER)


def _native(source: LazyArray) -> DType:
    return source.dtype.newbyteorder("=")
