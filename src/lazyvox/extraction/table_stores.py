"""Tables whose rows come in one after the other, and whose columns are changed afterwards."""

import os
import tempfile
from typing import Any

import numpy as np

from lazyvox._typing import Array
from lazyvox.errors import OutputError
from lazyvox.extraction.table_writers import TableSpec

__all__ = ["HeldTable", "SpooledTable"]


class HeldTable:
    """A table in memory.

    Parameters
    ----------
    spec : TableSpec
        Shape and type.
    """

    def __init__(self, spec: TableSpec) -> None:
        self._values = np.empty(spec.shape, spec.dtype)

    def part(self, start: int, n_rows: int) -> Array:
        """Return a view of the rows."""
        return self._values[start : start + n_rows]

    def write_rows(self, start: int, rows: Array) -> None:
        """Take the rows, which may be the view that `part` gave."""
        if not np.may_share_memory(rows, self._values):
            self._values[start : start + len(rows)] = rows

    def read_rows(self, start: int, stop: int) -> Array:
        """Return a view of the rows."""
        return self._values[start:stop]

    def column_blocks(self, block_bytes: int) -> list[tuple[int, int]]:
        """Return all columns as one block: they are changed where they are."""
        del block_bytes
        return [(0, self._values.shape[1])]

    def read_columns(self, start: int, stop: int) -> Array:
        """Return a view of columns."""
        return self._values[:, start:stop]

    def write_columns(self, start: int, values: Array) -> None:
        """Do nothing: views were changed."""

    def take(self, n_rows: int) -> Array:
        """Return the first rows in memory that holds nothing else; the table is used up."""
        values = self._values
        self._values = np.empty((0, 0), values.dtype)
        if n_rows < len(values):
            # Nobody else refers to the array: it shrinks where it is, without a copy.
            values.resize((n_rows, values.shape[1]), refcheck=False)
        return values

    def close(self) -> None:
        """Nothing is outside of memory."""


class SpooledTable:
    """A table in a temporary file that has no name, in the folder for temporary files.

    Parameters
    ----------
    spec : TableSpec
        Shape and type.
    """

    def __init__(self, spec: TableSpec) -> None:
        self._spec = spec
        self._file: Any = tempfile.TemporaryFile(buffering=0, prefix="lazyvox-")  # noqa: SIM115

    def part(self, start: int, n_rows: int) -> Array:
        """Return a fresh array for the rows."""
        del start
        return np.empty((n_rows, self._spec.shape[1]), self._spec.dtype)

    def write_rows(self, start: int, rows: Array) -> None:
        """Write rows."""
        self._write(np.ascontiguousarray(rows, self._spec.dtype), start * self._spec.row_bytes)

    def read_rows(self, start: int, stop: int) -> Array:
        """Read rows."""
        values = np.empty((stop - start, self._spec.shape[1]), self._spec.dtype)
        self._read(values, start * self._spec.row_bytes)
        return values

    def column_blocks(self, block_bytes: int) -> list[tuple[int, int]]:
        """Return blocks of columns of at most so many bytes."""
        n_rows, n_columns = self._spec.shape
        step = max(block_bytes // (n_rows * self._spec.dtype.itemsize), 1)
        return [(start, min(start + step, n_columns)) for start in range(0, n_columns, step)]

    def read_columns(self, start: int, stop: int) -> Array:
        """Read columns, all of their rows."""
        # Mapping the file would be shorter, but its pages would count as memory of the process.
        values = np.empty((self._spec.shape[0], stop - start), self._spec.dtype)
        for row, line in enumerate(values):
            self._read(line, self._offset(row, start))
        return values

    def write_columns(self, start: int, values: Array) -> None:
        """Replace the first rows of columns."""
        for row, line in enumerate(np.ascontiguousarray(values, self._spec.dtype)):
            self._write(line, self._offset(row, start))

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()

    def _offset(self, row: int, column: int) -> int:
        return row * self._spec.row_bytes + column * self._spec.dtype.itemsize

    def _read(self, values: Array, offset: int) -> None:
        target = values.reshape(-1).view(np.uint8)
        done = 0
        while done < len(target):
            piece = os.pread(self._file.fileno(), min(len(target) - done, 1 << 20), offset + done)
            if not piece:
                msg = "bug in lazyvox: a temporary file is shorter than what was written to it."
                raise AssertionError(msg)
            target[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
            done += len(piece)

    def _write(self, values: Array, offset: int) -> None:
        view = values.reshape(-1).data.cast("B")
        while view:
            try:
                written = os.pwrite(self._file.fileno(), view, offset)
            except OSError as error:
                msg = (
                    f"signals that wait until the last volume need {self._spec.nbytes} bytes of "
                    f"temporary space in {tempfile.gettempdir()}. Writing failed: {error.strerror}. Set TMPDIR to "
                    f"a folder with room, or raise the memory budget."
                )
                raise OutputError(msg) from error
            view = view[written:]
            offset += written
