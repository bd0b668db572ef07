"""Running results of reductions: sums, extremes, positions.

A state has one entry per voxel, or per index that is left once axes of space are reduced. Volumes
come in order, each whole or as slices in order. Results depend on the values and their order only,
not on how volumes were cut into blocks.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from lazyvox._typing import Array, DType, Shape, override
from lazyvox.errors import ParameterError

__all__ = ["Fold", "Positions", "State", "WideSums", "sum_dtype"]

#: Values updated at a time: intermediate results stay in the processor's cache.
PIECE_VALUES = 1 << 15


class State(ABC):
    """Base class of the running results. Arrays are allocated when the first volume comes.

    Parameters
    ----------
    shape : tuple of int
        Shape of the entries.

    Attributes
    ----------
    shape : tuple of int
        Shape of the entries.
    count : int
        Values that each entry was made of.
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.count = 0

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Most bytes held between updates and during one."""

    @property
    def file_bytes(self) -> int:
        """Bytes of a temporary file."""
        return 0

    def take(self, values: Array, slices: slice) -> None:
        """Take some slices of the next volume.

        Parameters
        ----------
        values : ndarray of shape (i, j, n_slices)
            The values.
        slices : slice
            Their places along the third axis.
        """
        if slices.start == 0:
            if not self.count:
                self._allocate()
            self.count += 1
        update = self._first if self.count == 1 else self._next
        for part, places in self._parts(values, slices.start):
            update(part, places)

    def over_space(self, values: Array, axes: tuple[int, ...]) -> Self:
        """Return the state of one part of a volume alone.

        Parameters
        ----------
        values : ndarray of shape (i, j, n_slices, 1)
            The values.
        axes : tuple of int
            The axes of space that are reduced, and kept with length 1.

        Returns
        -------
        State
            A new state.
        """
        msg = f"bug in lazyvox: {type(self).__name__} of {values.shape} over axes {axes}"
        raise AssertionError(msg)

    def merge(self, other: Self) -> None:
        """Take over the state of later values."""
        if other.count:
            self._join(other)
            self.count += other.count

    def _parts(self, values: Array, start: int) -> Iterator[tuple[Array, slice]]:
        """Yield groups of slices that fit the processor's cache, and their places."""
        step = max(PIECE_VALUES // max(math.prod(values.shape[:-1]), 1), 1)
        for first in range(0, values.shape[-1], step):
            part = values[..., first : first + step]
            yield part, slice(start + first, start + first + part.shape[-1])

    @property
    def _size(self) -> int:
        return math.prod(self.shape)

    @property
    def _part_size(self) -> int:
        """Most values of one of `_parts`."""
        return min(max(PIECE_VALUES, math.prod(self.shape[:-1])), self._size)

    @abstractmethod
    def _allocate(self) -> None:
        """Make the arrays of the state."""

    def _first(self, values: Array, slices: slice) -> None:
        """Take slices of the first volume; by default like those of another."""
        self._next(values, slices)

    @abstractmethod
    def _next(self, values: Array, slices: slice) -> None:
        """Take slices of another volume."""

    @abstractmethod
    def _join(self, other: Self) -> None:
        """Take over the arrays of later values; `count` is still that of the earlier ones."""


class Fold(State):
    """Values joined one by one with a ufunc: sums, extremes, "any" and "all".

    Parameters
    ----------
    function : numpy.ufunc
        Joins two values.
    shape : tuple of int
        Shape of the entries.
    dtype : numpy.dtype
        Type in which they are joined.
    """

    def __init__(self, function: np.ufunc, shape: Shape, dtype: DType) -> None:
        super().__init__(shape)
        self._function: Any = function
        self._dtype = dtype
        self.values: Array = np.empty(0, dtype)

    @property
    @override
    def nbytes(self) -> int:
        return self._size * self._dtype.itemsize

    @override
    def over_space(self, values: Array, axes: tuple[int, ...]) -> Self:
        joined = self._function.reduce(values, axis=axes, keepdims=True, dtype=self._dtype)
        part = type(self)(self._function, joined.shape, self._dtype)
        part.values, part.count = joined, values.size // max(joined.size, 1)
        return part

    @override
    def _parts(self, values: Array, start: int) -> Iterator[tuple[Array, slice]]:
        # There are no intermediate results.
        yield values, slice(start, start + values.shape[-1])

    @override
    def _allocate(self) -> None:
        self.values = np.empty(self.shape, self._dtype, order="F")

    @override
    def _first(self, values: Array, slices: slice) -> None:
        self.values[..., slices] = values

    @override
    def _next(self, values: Array, slices: slice) -> None:
        joined = self.values[..., slices]
        self._function(joined, values, out=joined)

    @override
    def _join(self, other: Self) -> None:
        self._function(self.values, other.values, out=self.values)


class WideSums(State):
    """Sums of integers that may exceed 64 bits: upper and lower halves are summed apart.

    Parameters
    ----------
    shape : tuple of int
        Shape of the entries.
    dtype : numpy.dtype
        Type of the result, int64 or uint64.
    """

    def __init__(self, shape: Shape, dtype: DType) -> None:
        super().__init__(shape)
        self._dtype = dtype
        self._low: Array = np.empty(0, dtype)
        self._high: Array = np.empty(0, np.int64)

    @property
    @override
    def nbytes(self) -> int:
        # The sums and their parts; then what an update, or in the end `exact`, allocates.
        return 8 * (2 * self._size + max(3 * self._size, 4 * self._part_size))

    @override
    def over_space(self, values: Array, axes: tuple[int, ...]) -> Self:
        sums = [half.sum(axis=axes, keepdims=True) for half in self._halves(values)]
        part = type(self)(sums[0].shape, self._dtype)
        part._high, part._low = sums
        part.count = values.size // max(sums[0].size, 1)
        return part

    def exact(self) -> Array:
        """Return the sums.

        Returns
        -------
        ndarray of shape `shape`
            In int64 or uint64; a new array.

        Raises
        ------
        ParameterError
            If one does not fit.
        """
        limits = np.iinfo(self._dtype)
        carried = (self._low >> 32).astype(np.int64)
        carried += self._high
        if carried.min() < limits.min >> 32 or carried.max() > limits.max >> 32:
            msg = f"a sum of integers must fit 64 bits, {self._dtype} here, and one does not."
            raise ParameterError(msg, hint="Load the image with dtype=numpy.float64.")
        exact = self._high.astype(self._dtype)
        exact <<= 32
        exact += self._low
        return exact

    def _halves(self, values: Array) -> tuple[Array, Array]:
        wide = values.astype(self._dtype, copy=False)
        upper = wide >> 32
        return upper.astype(np.int64, copy=False), wide - (upper << 32)

    @override
    def _allocate(self) -> None:
        self._high = np.zeros(self.shape, np.int64, order="F")
        self._low = np.zeros(self.shape, self._dtype, order="F")

    @override
    def _next(self, values: Array, slices: slice) -> None:
        upper, lower = self._halves(values)
        self._high[..., slices] += upper
        self._low[..., slices] += lower

    @override
    def _join(self, other: Self) -> None:
        self._high += other._high
        self._low += other._low


class Positions(State):
    """First volume with the smallest or the largest value; the first NaN counts as either.

    Parameters
    ----------
    stays : numpy.ufunc
        `numpy.less_equal` for the smallest, `numpy.greater_equal` for the largest value: whether
        the first value stays where it is beside the second.
    shape : tuple of int
        Shape of the entries.
    dtype : numpy.dtype
        Type of the values.
    """

    def __init__(self, stays: np.ufunc, shape: Shape, dtype: DType) -> None:
        super().__init__(shape)
        self._stays: Any = stays
        self._best: Array = np.empty(0, dtype)
        self.volumes: Array = np.empty(0, np.intp)

    @property
    @override
    def nbytes(self) -> int:
        # A copy of the best values in the order of rows, for `flat`.
        return self._size * (8 + 2 * self._best.itemsize) + 3 * self._part_size

    def flat(self) -> Array:
        """Return the position of the best of all values, in the order of rows.

        Returns
        -------
        ndarray of shape (1, 1, 1)
            The index into the flattened array of shape ``(*shape, count)``.
        """
        function = np.argmin if self._stays is np.less_equal else np.argmax
        voxel = int(function(self._best))
        volume = self.volumes[np.unravel_index(voxel, self.shape)]
        return np.full((1,) * len(self.shape), voxel * self.count + volume, np.intp)

    @override
    def _allocate(self) -> None:
        self._best = np.empty(self.shape, self._best.dtype, order="F")
        self.volumes = np.zeros(self.shape, np.intp, order="F")

    @override
    def _first(self, values: Array, slices: slice) -> None:
        self._best[..., slices] = values

    @override
    def _next(self, values: Array, slices: slice) -> None:
        self._replace(self._best[..., slices], self.volumes[..., slices], values, self.count - 1)

    def _replace(self, best: Array, volumes: Array, values: Array, number: Any) -> None:
        # Not "less": NaN is neither beyond another value nor behind it, and wins.
        is_better = ~self._stays(best, values)
        is_better &= best == best  # noqa: PLR0124 - False for NaN, for every type of values
        np.copyto(best, values, where=is_better)
        np.copyto(volumes, number, where=is_better)

    @override
    def _join(self, other: Self) -> None:
        self._replace(self._best, self.volumes, other._best, other.volumes + self.count)


def sum_dtype(dtype: DType) -> DType:
    """Return the type in which values are summed: floats in 64 bits, integers as NumPy does."""
    if dtype.kind in "fc":
        joint: DType = np.result_type(dtype, np.float64)
        return joint
    summed: DType = np.add.reduce(np.zeros(1, dtype)).dtype
    return summed
