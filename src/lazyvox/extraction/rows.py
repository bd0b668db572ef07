"""Tables that grow by rows, one volume after the other: in memory, or straight into a file."""

from dataclasses import dataclass

import numpy as np

from lazyvox._typing import Array
from lazyvox.errors import ParameterError
from lazyvox.extraction.tables import StoredTable, TableSpec, open_table, table_memory
from lazyvox.store.identity import printable

__all__ = ["FileRows", "MemoryRows", "RowsPlan"]


class MemoryRows:
    """A table in one array.

    Parameters
    ----------
    spec : TableSpec
        Shape and type.
    """

    def __init__(self, spec: TableSpec) -> None:
        self._values = np.empty(spec.shape, spec.dtype)
        self._seen: list[slice] = []

    def part(self, start: int, n_rows: int) -> Array:
        """Return a view of the rows, so that filling it is all there is to do."""
        return self._values[start : start + n_rows]

    def add(self, part: Array, start: int) -> None:
        """Note which rows are there."""
        self._seen.append(slice(start, start + len(part)))

    def finish(self) -> Array:
        """Return the array."""
        return self._values

    def merge(self, other: "MemoryRows | FileRows") -> None:
        """Copy the rows that the other one was given."""
        if isinstance(other, FileRows):
            other.merge(self)
            return
        for rows in other._seen:
            self._values[rows] = other._values[rows]
        self._seen += other._seen

    def abort(self) -> None:
        """Nothing is outside of memory."""


class FileRows:
    """A table in a file that appears under its name when it is complete.

    Parameters
    ----------
    spec : TableSpec
        Shape, type and names.
    path : str
        The file; its ending decides the format.
    overwrite : bool
        Whether an existing file may be replaced.
    """

    def __init__(self, spec: TableSpec, path: str, *, overwrite: bool) -> None:
        self._spec = spec
        self._path = path
        self._next = 0
        self._writer = open_table(path, spec, overwrite=overwrite)

    def part(self, start: int, n_rows: int) -> Array:
        """Return a fresh array for the rows."""
        del start
        return np.empty((n_rows, self._spec.shape[1]), self._spec.dtype)

    def add(self, part: Array, start: int) -> None:
        """Append the rows to the file; the last ones bring all of it to the disk.

        So a full disk shows before any file of the pass appears under its name.
        """
        if start != self._next:
            msg = f"bug in lazyvox: row {start} was given where row {self._next} is due."
            raise AssertionError(msg)
        self._writer.write(part)
        self._next += len(part)
        if self._next == self._spec.shape[0]:
            self._writer.prepare()

    def finish(self) -> StoredTable:
        """Put the file in its place."""
        self._writer.commit()
        return StoredTable(self._path, self._spec.shape, self._spec.dtype)

    def merge(self, other: "MemoryRows | FileRows") -> None:
        """Refuse: two halves of a file cannot be joined."""
        del other
        msg = (
            f"results that are written to a file cannot be merged. Got {printable(self._path)}. "
            f"Leave out=None, and save the merged result."
        )
        raise ParameterError(msg)

    def abort(self) -> None:
        """Remove the temporary file; harmless after `finish`."""
        self._writer.abort()


@dataclass(frozen=True, slots=True)
class RowsPlan:
    """Where the rows of one table will go.

    Attributes
    ----------
    spec : TableSpec
        Shape, type and names of the table.
    path : str or None
        The file, None for memory.
    overwrite : bool
        Whether an existing file may be replaced.
    """

    spec: TableSpec
    path: str | None = None
    overwrite: bool = False

    def open(self) -> "MemoryRows | FileRows":
        """Begin the table."""
        if self.path is None:
            return MemoryRows(self.spec)
        return FileRows(self.spec, self.path, overwrite=self.overwrite)

    @property
    def state_bytes(self) -> int:
        """Bytes held from the first row to the last."""
        if self.path is None:
            return self.spec.nbytes
        return table_memory(self.path, self.spec)

    def work_bytes(self, n_rows: int) -> int:
        """Return the bytes that adding so many rows takes for its duration."""
        return 0 if self.path is None else n_rows * self.spec.row_bytes
