"""Cleaning of the signals of regions and voxels, a block of columns at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from lazyvox._threads import Workers
from lazyvox._typing import Array, DType

__all__ = ["Cleaning", "ColumnTable", "SignalCleaner", "cleaned_dtype"]

#: Size of a block of columns in float64: small enough to be cleaned near the processor, wide
#: enough that the products with the operators of time are products of matrices.
_BLOCK_BYTES = 16 << 20


class SignalCleaner(Protocol):
    """What cleans a block of columns; see `lazyvox.signal`."""

    @property
    def n_rows_out(self) -> int:
        """Number of volumes that are left."""

    def work_bytes(self, n_columns: int) -> int:
        """Return what cleaning so many columns at a time allocates."""

    def apply(self, block: Array, /) -> Array:
        """Return the cleaned signals of a block of shape (n_volumes, n_columns)."""


class ColumnTable(Protocol):
    """A table whose columns can be read and replaced, in memory or on disk."""

    def read_columns(self, start: int, stop: int) -> Array:
        """Return columns, all of their rows, as an array of their own."""

    def write_columns(self, start: int, values: Array) -> None:
        """Replace the first rows of columns."""


@dataclass(frozen=True, slots=True, eq=False)
class Cleaning:
    """What is done to every table of signals of one series.

    Attributes
    ----------
    cleaner : SignalCleaner
        Cleans blocks of columns.
    n_jobs : int
        Threads.
    largest_table : int or None
        Bytes above which a table that goes to a file is kept on disk until it is cleaned; None
        keeps every table in memory.
    """

    cleaner: SignalCleaner
    n_jobs: int = 1
    largest_table: int | None = None

    @property
    def n_rows_out(self) -> int:
        """Number of volumes that are left."""
        return self.cleaner.n_rows_out

    def work_bytes(self, shape: tuple[int, int], dtype: DType) -> int:
        """Return what cleaning a table allocates for its duration."""
        n_columns = min(_columns_at_a_time(shape[0]), shape[1])
        block_bytes = 2 * shape[0] * n_columns * dtype.itemsize
        return self.n_jobs * (block_bytes + self.cleaner.work_bytes(n_columns))

    def clean(self, table: ColumnTable, shape: tuple[int, int]) -> None:
        """Clean all columns of a table in place; the first `n_rows_out` rows hold the result."""
        blocks = list(_blocks(shape))
        if self.n_jobs == 1 or len(blocks) == 1:
            for start, stop in blocks:
                self._clean_block(table, start, stop)
            return
        with Workers(min(self.n_jobs, len(blocks)), "lazyvox-cleaning") as workers:
            calls = [partial(self._clean_block, table, start, stop) for start, stop in blocks]
            for job in [workers.submit(call) for call in calls]:
                job.result()

    def _clean_block(self, table: ColumnTable, start: int, stop: int) -> None:
        table.write_columns(start, self.cleaner.apply(table.read_columns(start, stop)))


def cleaned_dtype(dtype: DType) -> DType:
    """Return the floating-point type in which signals of a type are held to be cleaned."""
    return np.result_type(dtype, np.float32)


def _columns_at_a_time(n_rows: int) -> int:
    return max(_BLOCK_BYTES // max(8 * n_rows, 1), 16)


def _blocks(shape: tuple[int, int]) -> Iterator[tuple[int, int]]:
    step = _columns_at_a_time(shape[0])
    for start in range(0, shape[1], step):
        yield start, min(start + step, shape[1])
