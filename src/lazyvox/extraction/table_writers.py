"""Writers of tables, one class per format: rows go in, a file appears when it is complete."""

import csv
import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np

from lazyvox._typing import Array, DType, override
from lazyvox.runtime.optional import require
from lazyvox.store.write.sinks import ByteSink

__all__ = [
    "PARQUET_CHUNK_BYTES",
    "TEXT_FORMS",
    "NpyWriter",
    "ParquetWriter",
    "SinkFile",
    "TableSpec",
    "TableWriter",
    "TextForm",
    "TextWriter",
    "harmless_name",
    "load_parquet",
    "npy_header",
    "parquet_group_rows",
    "text_line",
]

#: What pyarrow keeps, until the file is closed, of each column of each row group: measured at 0.6
#: to 1.2 KiB without dictionaries and statistics, and several times that with them.
PARQUET_CHUNK_BYTES = 2048

#: Lines that are written together; `table_memory` counts them.
_LINES_AT_A_TIME = 4

#: Labels, and coordinates of seeds, which no program computes.
_NUMBERS = re.compile(r"[+-]*[\d.]+(_-?[\d.]+)*")


@dataclass(frozen=True, slots=True)
class TableSpec:
    """Shape, type and columns of a table to be written.

    Attributes
    ----------
    shape : tuple of int of length 2
        Rows and columns.
    dtype : numpy.dtype
        Type of the values.
    names : callable
        Returns the names of the columns; called for formats with a header only.
    """

    shape: tuple[int, int]
    dtype: DType
    names: Callable[[], Sequence[str]]

    @property
    def row_bytes(self) -> int:
        """Bytes of one row in memory."""
        return self.shape[1] * self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of the table in memory."""
        return self.shape[0] * self.row_bytes


class TableWriter(Protocol):
    """A file that takes rows."""

    def write(self, rows: Array, /) -> None:
        """Append rows, of shape (n, n_columns)."""

    def prepare(self) -> None:
        """Bring everything to the disk under the temporary name: no row follows."""

    def commit(self) -> None:
        """Put the complete file in the target's place, after `prepare`."""

    def abort(self) -> None:
        """Remove the temporary file; harmless after `commit`."""


class _Writer:
    """Base class of the writers."""

    def __init__(self, sink: ByteSink) -> None:
        self._sink = sink

    def prepare(self) -> None:
        """Bring everything to the disk under the temporary name."""
        self._sink.prepare()

    def commit(self) -> None:
        """Put the complete file in the target's place."""
        self._sink.commit()

    def abort(self) -> None:
        """Remove the temporary file."""
        self._sink.abort()


class NpyWriter(_Writer):
    """Writes what `numpy.save` writes."""

    def __init__(self, sink: ByteSink, spec: TableSpec) -> None:
        super().__init__(sink)
        sink.write(npy_header(spec.shape, spec.dtype))

    def write(self, rows: Array) -> None:
        """Append rows."""
        self._sink.write(np.ascontiguousarray(rows).data)


@dataclass(frozen=True, slots=True)
class TextForm:
    """Text form of a table.

    Attributes
    ----------
    delimiter : str
        Between two values.
    has_names : bool
        Whether the first line has the names of the columns.
    missing : str
        The text of NaN.
    """

    delimiter: str
    has_names: bool = True
    missing: str = "nan"

    def line(self, *rows: Array) -> str:
        """Return the values of a row, or of several that stand side by side, as a line."""
        return self.delimiter.join(map(self._cells, rows)) + "\n"

    def _cells(self, row: Array) -> str:
        # The shortest text that reads back as the very same number; numbers need no quotes. That of
        # a list takes half the time of as many numbers.
        values = (row.view(np.uint8) if row.dtype.kind == "b" else row).tolist()
        cells = repr(values)[1:-1].replace(", ", self.delimiter)
        return cells.replace("nan", self.missing) if row.dtype.kind == "f" else cells


#: Text forms by ending. BIDS has n/a for what is missing; FSL and AFNI read numbers only.
TEXT_FORMS = {
    ".tsv": TextForm("\t", missing="n/a"),
    ".csv": TextForm(","),
    ".txt": TextForm(" ", has_names=False),
    ".1d": TextForm(" ", has_names=False),
}


class TextWriter(_Writer):
    """Writes a line of names, where the form has one, and one line per row."""

    def __init__(self, sink: ByteSink, spec: TableSpec, form: TextForm) -> None:
        super().__init__(sink)
        self._form = form
        if form.has_names:
            names = [harmless_name(name) for name in spec.names()]
            self._write(text_line(names, form.delimiter))

    def write(self, rows: Array) -> None:
        """Append rows."""
        for start in range(0, len(rows), _LINES_AT_A_TIME):
            self._write("".join(map(self._form.line, rows[start : start + _LINES_AT_A_TIME])))

    def _write(self, text: str) -> None:
        self._sink.write(text.encode("utf-8", "surrogateescape"))


class ParquetWriter(_Writer):
    """Gathers rows into row groups, which it writes."""

    def __init__(self, sink: ByteSink, spec: TableSpec) -> None:
        parquet = load_parquet()
        import pyarrow

        super().__init__(sink)
        self._spec = spec
        self._table_of: Any = pyarrow.Table.from_arrays
        kind = pyarrow.from_numpy_dtype(spec.dtype)
        self._schema = pyarrow.schema([(name, kind) for name in spec.names()])
        self._file = SinkFile(sink)
        self._writer = _parquet_writer(parquet, self._file, self._schema)
        self._group = np.empty((parquet_group_rows(spec), spec.shape[1]), spec.dtype, order="F")
        self._filled = 0

    def write(self, rows: Array) -> None:
        """Append rows."""
        taken = 0
        while taken < len(rows):
            n_rows = min(len(rows) - taken, len(self._group) - self._filled)
            self._group[self._filled : self._filled + n_rows] = rows[taken : taken + n_rows]
            self._filled += n_rows
            taken += n_rows
            if self._filled == len(self._group):
                self._flush()

    @override
    def prepare(self) -> None:
        if self._filled:
            self._flush()
        self._writer.close()
        super().prepare()

    @override
    def abort(self) -> None:
        # pyarrow writes the end of the file when its writer goes, whatever happened before.
        self._file.discard()
        self._writer.close()
        super().abort()

    def _flush(self) -> None:
        columns = [self._group[: self._filled, i] for i in range(self._spec.shape[1])]
        self._writer.write_table(self._table_of(columns, schema=self._schema))
        self._filled = 0


class SinkFile(io.RawIOBase):
    """A sink in the shape of a file that cannot seek, for zipfile and pyarrow."""

    def __init__(self, sink: ByteSink) -> None:
        super().__init__()
        self._sink = sink
        self._written = 0
        self._is_open = True

    def discard(self) -> None:
        """Take whatever comes from now on, and write none of it."""
        self._is_open = False

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, data: Any) -> int:
        view = memoryview(data)
        if self._is_open:
            try:
                self._sink.write(view)
            except BaseException:
                # zipfile and pyarrow write their tables while the error passes through them.
                self._is_open = False
                raise
        self._written += view.nbytes
        return view.nbytes

    @override
    def tell(self) -> int:
        return self._written


def npy_header(shape: tuple[int, ...], dtype: DType) -> bytes:
    """Return the header of a .npy file, for an array in C order."""
    header = io.BytesIO()
    description = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": tuple(int(n) for n in shape),
    }
    np.lib.format.write_array_header_1_0(header, description)
    return header.getvalue()


def parquet_group_rows(spec: TableSpec) -> int:
    """Return the rows of a row group, such that groups and bookkeeping together are smallest."""
    n_rows = max(spec.shape[0], 1)
    # The minimum over g of 3 * nbytes / g + chunk_bytes * n_columns * g.
    n_groups = max(round(math.sqrt(3 * n_rows * spec.dtype.itemsize / PARQUET_CHUNK_BYTES)), 1)
    return -(-n_rows // n_groups)


def load_parquet() -> Any:
    """Return the module `pyarrow.parquet`, or say how to install it.

    Its first file imports pandas and starts memory pools, some 30 MiB, which are no part of what
    a plan counts. So a first one is written here: outputs are checked before a pass is planned.
    """
    require("pyarrow", "table", "Parquet files")
    return _started_parquet()


@cache
def _started_parquet() -> Any:
    import pyarrow.parquet

    table = pyarrow.Table.from_arrays([np.zeros(1, np.float32)], names=["value"])
    with _parquet_writer(pyarrow.parquet, io.BytesIO(), table.schema) as writer:
        writer.write_table(table)
    return pyarrow.parquet


def _parquet_writer(parquet: Any, file: Any, schema: Any) -> Any:
    return parquet.ParquetWriter(
        file, schema, compression="none", use_dictionary=False, write_statistics=False
    )


def text_line(cells: Sequence[str], delimiter: str) -> str:
    """Return a line of text, with quotes around cells that hold any end of a line.

    Examples
    --------
    >>> text_line(["a", "le" + chr(13) + "ft"], ",").encode()[:5]
    b'a,"le'
    """
    text = io.StringIO(newline="")
    # Only what ends lines, or separates, is quoted by csv.
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerow(cells)
    return text.getvalue()[:-2] + "\n"


def harmless_name(name: str) -> str:
    """Return a name that no spreadsheet takes for a formula.

    Examples
    --------
    >>> harmless_name("=1+1"), harmless_name("-12"), harmless_name("-8_0.5_-3")
    ("'=1+1", '-12', '-8_0.5_-3')
    """
    is_doubtful = name[:1] in {"=", "+", "-", "@", "\t", "\r"}
    return f"'{name}" if is_doubtful and not _NUMBERS.fullmatch(name) else name
