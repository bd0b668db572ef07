"""One pass over an array that feeds several reductions, over time, over space, or over both."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import numpy as np

from lazyvox._typing import Array, DType, Shape, override
from lazyvox.array.block_reading import reading_of_usual_size
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.reduction_states import State
from lazyvox.array.reductions import REDUCTIONS, Reduction
from lazyvox.planning.memory import MemoryTerm

__all__ = ["Accumulator", "EachVolume", "accumulator_of", "pass_memory", "run_reductions"]

#: Values that are reduced at a time where axes of space are: it decides how rounding errors add
#: up, and must not depend on the size of blocks.
PIECE_VALUES = 1 << 18


class Accumulator(ABC):
    """Takes the volumes of an array one after the other, for one state or one result.

    Attributes
    ----------
    key : hashable
        Equal for reductions that can share it.
    """

    key: Hashable

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Most bytes held, those of the result included."""

    @abstractmethod
    def take(self, volume: Array, number: int) -> None:
        """Take the next volume, of four axes."""

    @abstractmethod
    def result(self, name: str, ddof: int) -> Array:
        """Return the reduction of a name, all four axes kept."""


class _OverTime(Accumulator):
    """A state per voxel."""

    def __init__(
        self, reduction: Reduction, axes: tuple[int, ...], shape: Shape, dtype: DType
    ) -> None:
        self.key = (reduction.family, axes)
        self._is_flat = len(axes) > 1
        self._state = reduction.new_state(shape[:3], dtype, shape[3])
        self._nbytes = reduction.nbytes(shape[:3], dtype, shape[3])

    @property
    @override
    def nbytes(self) -> int:
        return self._nbytes

    @override
    def take(self, volume: Array, number: int) -> None:
        self._state.take(volume[..., 0], slice(0, volume.shape[2]))

    @override
    def result(self, name: str, ddof: int) -> Array:
        if self._is_flat:
            state: Any = self._state
            flat: Array = state.flat()[..., None]
            return flat
        return REDUCTIONS[name].finalize(self._state, ddof)[..., None]


class _OverBoth(Accumulator):
    """A state per index that is left over of space."""

    def __init__(
        self, reduction: Reduction, axes: tuple[int, ...], shape: Shape, dtype: DType
    ) -> None:
        self.key = (reduction.family, axes)
        self._merger = _Merger(reduction, axes[:-1], shape, dtype, n_volumes=shape[3])
        self._state: State | None = None

    @property
    @override
    def nbytes(self) -> int:
        return self._merger.nbytes

    @override
    def take(self, volume: Array, number: int) -> None:
        self._state = self._merger.merged(volume, self._state)

    @override
    def result(self, name: str, ddof: int) -> Array:
        assert self._state is not None, "bug in lazyvox: a reduction of nothing"
        return REDUCTIONS[name].finalize(self._state, ddof)


class EachVolume(Accumulator):
    """A result per volume.

    Parameters
    ----------
    key : hashable
        The function, its axes and options.
    compute : callable
        Gives the result for a volume of shape (i, j, k, 1), with all four axes.
    axes : tuple of int
        The axes that are reduced.
    shape : tuple of int of length 4
        Shape of the array.
    dtype : numpy.dtype
        Type of the result.
    work_bytes : int
        Bytes that computing allocates.
    """

    def __init__(
        self,
        key: Hashable,
        compute: Callable[[Array], Any],
        axes: tuple[int, ...],
        shape: Shape,
        dtype: DType,
        work_bytes: int,
    ) -> None:
        self.key = key
        self._compute = compute
        shape = tuple(1 if i in axes else n for i, n in enumerate(shape))
        self._nbytes = 2 * math.prod(shape) * dtype.itemsize + work_bytes
        self._shape, self._dtype = shape, dtype
        self._values: Array | None = None

    @property
    @override
    def nbytes(self) -> int:
        return self._nbytes

    @override
    def take(self, volume: Array, number: int) -> None:
        if self._values is None:
            self._values = np.empty(self._shape, self._dtype, order="F")
        self._values[..., number : number + 1] = self._compute(volume)

    @override
    def result(self, name: str, ddof: int) -> Array:
        assert self._values is not None, "bug in lazyvox: a reduction of nothing"
        return self._values


class _Merger:
    """Merges the states of parts of volumes, over axes of space."""

    def __init__(
        self,
        reduction: Reduction,
        space: tuple[int, ...],
        shape: Shape,
        dtype: DType,
        *,
        n_volumes: int,
    ) -> None:
        self._space = space
        n_values = math.prod(shape[axis] for axis in space) * n_volumes
        self._entries = tuple(1 if i in space or i == 3 else n for i, n in enumerate(shape))
        self._blank = reduction.new_state(self._entries, dtype, n_values)
        size = math.prod(self._entries)
        part = math.prod(shape[:3])
        if 2 in space:
            part = min(max(PIECE_VALUES, math.prod(shape[:2])), part)
        # Two states that are merged, and what the reduction of a part allocates.
        self.nbytes = 2 * reduction.nbytes(self._entries, dtype, n_values) + 24 * size + 16 * part

    def merged(self, volume: Array, state: State | None) -> State:
        """Return the state that holds a volume too."""
        for piece in self._pieces(volume):
            part = self._blank.over_space(piece, self._space)
            if state is None:
                state = part
            else:
                state.merge(part)
        assert state is not None, "bug in lazyvox: a volume of nothing"
        return state

    def _pieces(self, volume: Array) -> Iterator[Array]:
        """Yield slabs of a volume where slices are reduced to one anyway; else the whole."""
        if 2 not in self._space:
            yield volume
            return
        step = max(PIECE_VALUES // max(volume.shape[0] * volume.shape[1], 1), 1)
        for k in range(0, volume.shape[2], step):
            yield volume[:, :, k : k + step]


def accumulator_of(
    reduction: Reduction, axes: tuple[int, ...], ddof: int, source: LazyArray
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
        Its arrays are made with the first volume.
    """
    shape, dtype = source.shape, source.dtype.newbyteorder("=")
    if 3 in axes:
        kind = _OverBoth if reduction.over_space and len(axes) > 1 else _OverTime
        return kind(reduction, axes, shape, dtype)
    key = (reduction.name, axes, ddof)
    result = reduction.result_dtype(dtype)
    if not reduction.over_space:
        function = getattr(np, reduction.name)
        volume_bytes = 2 * math.prod(shape[:3]) * dtype.itemsize

        def position(volume: Array) -> Any:
            return function(volume, axis=axes[0] if len(axes) == 1 else None, keepdims=True)

        return EachVolume(key, position, axes, shape, result, volume_bytes)
    merger = _Merger(reduction, axes, shape, dtype, n_volumes=1)

    def compute(volume: Array) -> Array:
        return reduction.finalize(merger.merged(volume, None), ddof)

    return EachVolume(key, compute, axes, shape, result, merger.nbytes)


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
    with reading_of_usual_size(source).blocks() as blocks:
        for block in blocks:
            for place, number in enumerate(block.volumes):
                for one in accumulators:
                    one.take(block.values[..., place : place + 1], number)


def pass_memory(source: LazyArray) -> tuple[MemoryTerm, ...]:
    """Return the terms of reading an array of four axes, besides the accumulators."""
    # The pass in which a reduction takes part counts a decoder.
    return tuple(one for one in reading_of_usual_size(source).memory if one.name != "decoder")
