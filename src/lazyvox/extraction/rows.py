"""Tables that grow by rows, one volume after the other: in memory, or straight into a file."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from lazyvox._typing import Array
from lazyvox.errors import ParameterError
from lazyvox.extraction.cleaning import Cleaning, ColumnTable
from lazyvox.extraction.table_stores import HeldTable, SpooledTable
from lazyvox.extraction.tables import (
    StoredTable,
    TableSpec,
    TableWriter,
    open_table,
    table_memory,
)
from lazyvox.store.files.paths import printable

__all__ = ["CompletedRows", "FileRows", "MemoryRows", "Rows", "RowsPlan"]

#: Rows of a cleaned table that are handed to its file at a time.
_PIECE_BYTES = 1 << 20


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

    def merge(self, other: "Rows") -> None:
        """Copy the rows that the other one was given."""
        if not isinstance(other, MemoryRows):
            other.merge(self)
            return
        self.absorb(other.taken())

    def taken(self) -> list[tuple[int, Array]]:
        """Return views of the rows that were given, each with the number of the first."""
        return [(rows.start, self._values[rows]) for rows in self._seen]

    def absorb(self, taken: list[tuple[int, Array]]) -> None:
        """Copy rows that `taken` gave."""
        for start, rows in taken:
            self.part(start, len(rows))[...] = rows
            self.add(rows, start)

    def abort(self) -> None:
        """Nothing is outside of memory."""


class FileRows:
    """A table in a file that gets its final name only once it is complete.

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

        So a full disk is noticed before any file of the pass gets its final name.
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

    def merge(self, other: "Rows") -> None:
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


class CompletedRows:
    """A table whose columns are filled in, cleaned or blanked when its last row is there.

    Parameters
    ----------
    plan : RowsPlan
        Where the table goes, and what is done to it.
    """

    def __init__(self, plan: "RowsPlan") -> None:
        self._plan = plan
        self._spec, self._path = plan.spec, plan.path
        self._seen: list[slice] = []
        self._n_seen = 0
        self._writer: TableWriter | None = None
        if plan.path is not None:
            self._writer = open_table(plan.path, plan.cleaned_spec, overwrite=plan.overwrite)
        self._table = SpooledTable(plan.spec) if plan.is_spooled else HeldTable(plan.spec)

    def part(self, start: int, n_rows: int) -> Array:
        """Return memory for the rows."""
        return self._table.part(start, n_rows)

    def add(self, part: Array, start: int) -> None:
        """Keep the rows; the last ones have a table completed that goes to a file, and written."""
        self._table.write_rows(start, part)
        self._seen.append(slice(start, start + len(part)))
        self._n_seen += len(part)
        if self._writer is not None and self._n_seen == self._spec.shape[0]:
            self._complete()
            self._write(self._writer)

    def finish(self) -> Array | StoredTable:
        """Return the completed table, or put its file in its place."""
        n_rows = self._plan.cleaned_spec.shape[0]
        if self._writer is None or self._path is None:
            assert isinstance(self._table, HeldTable), "bug in lazyvox: a result on disk"
            self._complete()
            return self._table.take(n_rows)
        self._writer.commit()
        self._table.close()
        return StoredTable(self._path, (n_rows, self._spec.shape[1]), self._spec.dtype)

    def merge(self, other: "Rows") -> None:
        """Copy the rows that the other one was given."""
        if self._writer is not None or not isinstance(other, CompletedRows):
            msg = (
                "results that are completed and written to a file cannot be merged. Leave "
                "out=None."
            )
            raise ParameterError(msg)
        self.absorb(other.taken())

    def taken(self) -> list[tuple[int, Array]]:
        """Return the rows that were given, each with the number of the first."""
        return [(rows.start, self._table.read_rows(rows.start, rows.stop)) for rows in self._seen]

    def absorb(self, taken: list[tuple[int, Array]]) -> None:
        """Copy rows that `taken` gave."""
        for start, rows in taken:
            self.add(rows, start)

    def abort(self) -> None:
        """Remove the temporary files; harmless after `finish`."""
        self._table.close()
        if self._writer is not None:
            self._writer.abort()

    def _complete(self) -> None:
        if self._plan.fill is not None:
            self._plan.fill(self._table)
        if self._plan.cleaning is not None:
            self._plan.cleaning.clean(self._table)
        if self._plan.blank is not None:
            self._plan.blank(self._table)

    def _write(self, writer: TableWriter) -> None:
        n_rows = self._plan.cleaned_spec.shape[0]
        step = max(_PIECE_BYTES // max(self._spec.row_bytes, 1), 1)
        for start in range(0, n_rows, step):
            rows = self._table.read_rows(start, min(start + step, n_rows))
            writer.write(np.ascontiguousarray(rows))
        writer.prepare()


Rows: TypeAlias = MemoryRows | FileRows | CompletedRows


@dataclass(frozen=True, slots=True)
class RowsPlan:
    """Destination of the rows of one table.

    Attributes
    ----------
    spec : TableSpec
        Shape, type and names of the table.
    path : str or None
        The file, None for memory.
    overwrite : bool
        Whether an existing file may be replaced.
    cleaning : Cleaning or None
        What is done to the table when it is complete.
    fill : callable or None
        Fills columns of the table that are known when all volumes were seen, before the cleaning.
    blank : callable or None
        Takes values out of the table, after the cleaning.
    """

    spec: TableSpec
    path: str | None = None
    overwrite: bool = False
    cleaning: Cleaning | None = None
    fill: Callable[[ColumnTable], None] | None = None
    blank: Callable[[ColumnTable], None] | None = None

    def open(self) -> Rows:
        """Begin the table."""
        if self.is_completed:
            return CompletedRows(self)
        if self.path is None:
            return MemoryRows(self.spec)
        return FileRows(self.spec, self.path, overwrite=self.overwrite)

    @property
    def is_completed(self) -> bool:
        """True if the table is changed after its last row came, and so is kept until then."""
        return not (self.cleaning is None and self.fill is None and self.blank is None)

    @property
    def is_spooled(self) -> bool:
        """True if the rows are kept on disk until they are cleaned."""
        if self.cleaning is None or self.path is None or self.cleaning.largest_table is None:
            return False
        return self.spec.nbytes > self.cleaning.largest_table

    @property
    def cleaned_spec(self) -> TableSpec:
        """The table as it is handed out."""
        if self.cleaning is None:
            return self.spec
        return replace(self.spec, shape=(self.cleaning.n_rows_out, self.spec.shape[1]))

    @property
    def scratch_bytes(self) -> int:
        """Temporary disk space."""
        return self.spec.nbytes if self.is_spooled else 0

    @property
    def state_bytes(self) -> int:
        """Bytes held from the first row to the last."""
        held = 0 if self.path is None else table_memory(self.path, self.cleaned_spec)
        if self.path is None or (self.is_completed and not self.is_spooled):
            held += self.spec.nbytes
        if self.cleaning is not None:
            held += self.cleaning.work_bytes(self.spec, is_spooled=self.is_spooled)
        return held

    def work_bytes(self, n_rows: int) -> int:
        """Return the bytes that adding so many rows takes for its duration."""
        if self.path is None or (self.is_completed and not self.is_spooled):
            return 0
        return n_rows * self.spec.row_bytes
