"""Courses of voxels over time: kept in a spool while volumes come, read voxel by voxel after it.

What needs all values of a voxel in one piece, its median say, is computed from them.
"""

from collections.abc import Iterator
from typing import Self

import numpy as np

from lazyvox._typing import Array, DType, Shape, override
from lazyvox.array.reduction_states import State
from lazyvox.store.files import spool
from lazyvox.store.files.spool import Spool

__all__ = ["Courses"]

#: Values that are read in one go after the pass: rows in pieces of several KiB.
READ_VALUES = 1 << 20

#: Values that are looked at in one go, as float64.
BLOCK_BYTES = 2 << 20


class Courses(State):
    """All values of every entry, in a nameless temporary file, or in memory where they are few.

    Parameters
    ----------
    shape : tuple of int
        Shape of the entries.
    dtype : numpy.dtype
        Type of the values.
    n_values : int
        Values that each entry will have.
    """

    def __init__(self, shape: Shape, dtype: DType, n_values: int) -> None:
        super().__init__(shape)
        self._dtype = dtype
        self._n_values = n_values
        self._spool: Spool | None = None

    @property
    @override
    def nbytes(self) -> int:
        # What is read, a block of it in float64, and what NumPy's functions make of that.
        read = self._columns_of(READ_VALUES) * self._n_values * self._dtype.itemsize
        block = self._columns_of(BLOCK_BYTES // 8) * self._n_values * 2 * 8
        return read + block + (0 if self.file_bytes else self._spool_bytes)

    @property
    @override
    def file_bytes(self) -> int:
        return self._spool_bytes if self._spool_bytes > spool.SMALL_SPOOL_BYTES else 0

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """Yield entries, counted in Fortran order, and their courses.

        Yields
        ------
        slice
            The entries.
        ndarray of shape (n_entries, count), float64
            Their values; a new array.
        """
        assert self._spool is not None, "bug in lazyvox: courses without a volume"
        width, step = self._columns_of(READ_VALUES), self._columns_of(BLOCK_BYTES // 8)
        for first in range(0, self._size, width):
            columns = range(first, min(first + width, self._size))
            read = np.empty((self.count, len(columns)), self._dtype)
            self._spool.read_columns(columns, read)
            for start in range(0, len(columns), step):
                block = read[:, start : start + step]
                courses = np.empty(block.shape[::-1])
                np.copyto(courses, block.T)
                yield slice(first + start, first + start + len(courses)), courses

    @property
    def _spool_bytes(self) -> int:
        return self._size * self._n_values * self._dtype.itemsize

    def _columns_of(self, n_values: int) -> int:
        """Return how many courses so many values are, one at least."""
        return min(max(n_values // max(self._n_values, 1), 1), self._size)

    @override
    def _parts(self, values: Array, start: int) -> Iterator[tuple[Array, slice]]:
        # There are no intermediate results.
        yield values, slice(start, start + values.shape[-1])

    @override
    def _allocate(self) -> None:
        self._spool = Spool.of_size(
            self._n_values, self._size, self._dtype, spool.SMALL_SPOOL_BYTES
        )

    @override
    def _next(self, values: Array, slices: slice) -> None:
        assert self._spool is not None, "bug in lazyvox: courses without a first volume"
        plane = values.shape[0] * values.shape[1]
        columns = range(slices.start * plane, slices.stop * plane)
        row = np.asfortranarray(values, self._dtype).reshape(1, -1, order="F")
        self._spool.write_columns(columns, row, self.count - 1)

    @override
    def _join(self, other: Self) -> None:
        assert self._spool is not None, "bug in lazyvox: courses without a first volume"
        assert other._spool is not None, "bug in lazyvox: courses without a first volume"
        row = np.empty(self._size, self._dtype)
        for number in range(other.count):
            other._spool.read_row(number, row)
            self._spool.write_row(self.count + number, row)
