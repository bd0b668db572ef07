"""Files of signals: .npy, .tsv, .csv, .parquet, and .npz for several tables.

All are written row by row, under a temporary name until they are complete.
"""

import csv
import io
import math
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lazyvox._typing import Array, DType, PathLike, override
from lazyvox.errors import (
    MissingDependencyError,
    OutputExistsError,
    ParameterError,
)
from lazyvox.store.identity import printable
from lazyvox.store.opening import absolute_path
from lazyvox.store.sinks import ByteSink, open_sink

__all__ = [
    "StoredTable",
    "TableSpec",
    "TableWriter",
    "check_target",
    "open_table",
    "refuse_existing",
    "save_table",
    "split_target",
    "table_memory",
    "write_npz",
]

#: Rows of a table in memory that are written at a time.
_PIECE_BYTES = 4 << 20

#: What pyarrow keeps, until the file is closed, of each column of each row group: measured at 0.6
#: to 1.2 KiB without dictionaries and statistics, and several times that with them.
_PARQUET_CHUNK_BYTES = 2048

_DELIMITERS = {".tsv": "\t", ".csv": ","}
_ENDINGS = (".npy", ".tsv", ".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class TableSpec:
    """What a table will be.

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


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A complete table in a file.

    Attributes
    ----------
    path : str
        The file.
    shape : tuple of int of length 2
        Rows and columns.
    dtype : numpy.dtype
        Type of the values.
    """

    path: str
    shape: tuple[int, int]
    dtype: DType

    def load(self) -> Array:
        """Return the values: a memory map of a .npy file, else an array."""
        ending = _ending(self.path)
        if ending == ".npy":
            mapped: Array = np.load(self.path, mmap_mode="r" if 0 not in self.shape else None)
            return mapped
        if ending in _DELIMITERS:
            return self._load_text(_DELIMITERS[ending])
        table = _pyarrow_parquet().read_table(self.path)
        values = np.empty(self.shape, self.dtype)
        for number, column in enumerate(table.columns):
            values[:, number] = column.to_numpy()
        return values

    def _load_text(self, delimiter: str) -> Array:
        values = np.empty(self.shape, self.dtype)
        with Path(self.path).open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file, delimiter=delimiter)
            next(lines)
            for number, line in enumerate(lines):
                kind = np.int8 if self.dtype.kind == "b" else self.dtype
                values[number] = np.array(line).astype(kind)
        return values


class TableWriter(Protocol):
    """A file that takes rows."""

    def write(self, rows: Array, /) -> None:
        """Append rows, of shape (n, n_columns)."""

    def commit(self) -> None:
        """Put the complete file in the target's place."""

    def abort(self) -> None:
        """Remove the temporary file; harmless after `commit`."""


def check_target(path: PathLike, dtype: DType, *, overwrite: bool) -> str:
    """Return the absolute path of a table to be, or raise what would go wrong with it.

    Parameters
    ----------
    path : path-like
        The file.
    dtype : numpy.dtype
        Type of the values.
    overwrite : bool
        Whether it may exist.

    Returns
    -------
    str
        The absolute path.

    Raises
    ------
    ParameterError
        If its ending is none of .npy, .tsv, .csv, .parquet, or cannot hold the type.
    OutputExistsError
        If it exists, and `overwrite` is false.
    MissingDependencyError
        If pyarrow is needed and not installed.
    """
    full = absolute_path(path)
    ending = _ending(full)
    if ending not in _ENDINGS:
        msg = (
            f"{printable(full)}: a table must end in {', '.join(_ENDINGS)}; .npz holds several "
            f"region sets. Got {ending or 'no ending'!r}."
        )
        raise ParameterError(msg)
    if dtype.kind == "c" and ending != ".npy":
        msg = f"{printable(full)}: complex values need .npy. Got {ending} for {dtype}."
        raise ParameterError(msg)
    if ending == ".parquet":
        _pyarrow_parquet()
    refuse_existing(full, overwrite=overwrite)
    return full


def refuse_existing(path: str, *, overwrite: bool) -> None:
    """Raise `OutputExistsError` if a file exists that may not be replaced.

    Parameters
    ----------
    path : str
        The file.
    overwrite : bool
        Whether it may exist.

    Raises
    ------
    OutputExistsError
        If it exists, and `overwrite` is false.
    """
    if not overwrite and os.path.lexists(path):
        msg = f"{printable(path)}: the output exists. Pass overwrite=True to replace it."
        raise OutputExistsError(msg)


def split_target(path: PathLike, names: Sequence[str]) -> list[str]:
    """Return one path per name, the name inserted before the ending.

    Parameters
    ----------
    path : path-like
        The path that was asked for.
    names : sequence of str
        Names of region sets. What a file name should not hold becomes an underscore.

    Returns
    -------
    list of str
        The paths, all different.

    Examples
    --------
    >>> [path.rsplit('/', 1)[1] for path in split_target("out.npy", ["left", "a/b", "left"])]
    ['out_left.npy', 'out_a_b.npy', 'out_left_2.npy']
    """
    full = Path(absolute_path(path))
    return [str(full.with_name(f"{full.stem}_{name}{full.suffix}")) for name in _file_names(names)]


def open_table(path: str, spec: TableSpec, *, overwrite: bool) -> TableWriter:
    """Begin to write a table.

    Parameters
    ----------
    path : str
        The file; its ending decides the format.
    spec : TableSpec
        What will be written.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    TableWriter
        Takes the rows.

    Raises
    ------
    OutputError
        If no file can be written there.
    """
    check_target(path, spec.dtype, overwrite=overwrite)
    sink = open_sink(path, compression="none", overwrite=overwrite)
    try:
        ending = _ending(path)
        if ending == ".npy":
            return _NpyWriter(sink, spec)
        if ending in _DELIMITERS:
            return _TextWriter(sink, spec, _DELIMITERS[ending])
        return _ParquetWriter(sink, spec)
    except BaseException:
        sink.abort()
        raise


def save_table(path: PathLike, values: Array, spec: TableSpec, *, overwrite: bool) -> None:
    """Write a table that exists.

    Parameters
    ----------
    path : path-like
        The file; its ending decides the format.
    values : ndarray of shape ``spec.shape``
        The table.
    spec : TableSpec
        Its description.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    OutputError
        If no file can be written there.
    ParameterError
        If the ending is not one of a table.
    """
    full = check_target(path, spec.dtype, overwrite=overwrite)
    writer = open_table(full, spec, overwrite=overwrite)
    try:
        step = max(_PIECE_BYTES // max(spec.row_bytes, 1), 1)
        for start in range(0, len(values), step):
            writer.write(np.ascontiguousarray(values[start : start + step]))
        writer.commit()
    finally:
        writer.abort()


def write_npz(path: PathLike, tables: Sequence[tuple[str, Array]], *, overwrite: bool) -> None:
    """Write several arrays as `numpy.savez` does, complete or not at all.

    Parameters
    ----------
    path : path-like
        The file.
    tables : sequence of (str, ndarray)
        Names and arrays. What a file name should not hold becomes an underscore, a name that
        occurs again gets a number.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    OutputError
        If no file can be written there.
    """
    full = absolute_path(path)
    refuse_existing(full, overwrite=overwrite)
    with open_sink(full, compression="none", overwrite=overwrite) as sink:
        with zipfile.ZipFile(_SinkFile(sink), "w", zipfile.ZIP_STORED) as archive:
            names = _file_names([name for name, _ in tables])
            for name, (_, values) in zip(names, tables, strict=True):
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    _write_npy(member.write, values)
        sink.commit()


def table_memory(path: str, spec: TableSpec) -> int:
    """Return an upper bound of the bytes that writing a table holds, besides the rows given.

    Parameters
    ----------
    path : str
        The file.
    spec : TableSpec
        The table.

    Returns
    -------
    int
        Bytes.
    """
    ending, n_columns = _ending(path), spec.shape[1]
    if ending == ".npy":
        return 1 << 16
    # Names, and one row as Python floats and as text.
    text_bytes = 400 * n_columns
    if ending in _DELIMITERS:
        return text_bytes
    n_rows = _parquet_group_rows(spec)
    n_groups = -(-spec.shape[0] // n_rows)
    return text_bytes + 3 * n_rows * spec.row_bytes + _PARQUET_CHUNK_BYTES * n_columns * n_groups


class _NpyWriter:
    def __init__(self, sink: ByteSink, spec: TableSpec) -> None:
        self._sink = sink
        sink.write(_npy_header(spec.shape, spec.dtype))

    def write(self, rows: Array) -> None:
        self._sink.write(np.ascontiguousarray(rows).data)

    def commit(self) -> None:
        self._sink.commit()

    def abort(self) -> None:
        self._sink.abort()


class _TextWriter:
    def __init__(self, sink: ByteSink, spec: TableSpec, delimiter: str) -> None:
        self._sink = sink
        self._lines = io.StringIO(newline="")
        self._delimiter = delimiter
        header = csv.writer(self._lines, delimiter=delimiter, lineterminator="\n")
        header.writerow([_harmless(name) for name in spec.names()])
        self._flush()

    def write(self, rows: Array) -> None:
        for row in rows:
            # The shortest text that reads back as the very same number; numbers need no quotes.
            values = (row.view(np.uint8) if row.dtype.kind == "b" else row).tolist()
            self._lines.write(self._delimiter.join(map(repr, values)) + "\n")
            self._flush()

    def commit(self) -> None:
        self._sink.commit()

    def abort(self) -> None:
        self._sink.abort()

    def _flush(self) -> None:
        self._sink.write(self._lines.getvalue().encode("utf-8", "surrogateescape"))
        self._lines.seek(0)
        self._lines.truncate()


class _ParquetWriter:
    def __init__(self, sink: ByteSink, spec: TableSpec) -> None:
        parquet = _pyarrow_parquet()
        import pyarrow

        self._sink = sink
        self._spec = spec
        self._table_of: Any = pyarrow.Table.from_arrays
        kind = pyarrow.from_numpy_dtype(spec.dtype)
        self._schema = pyarrow.schema([(name, kind) for name in spec.names()])
        self._file = _SinkFile(sink)
        self._writer: Any = parquet.ParquetWriter(
            self._file,
            self._schema,
            compression="none",
            use_dictionary=False,
            write_statistics=False,
        )
        self._group = np.empty((_parquet_group_rows(spec), spec.shape[1]), spec.dtype, order="F")
        self._filled = 0

    def write(self, rows: Array) -> None:
        taken = 0
        while taken < len(rows):
            n_rows = min(len(rows) - taken, len(self._group) - self._filled)
            self._group[self._filled : self._filled + n_rows] = rows[taken : taken + n_rows]
            self._filled += n_rows
            taken += n_rows
            if self._filled == len(self._group):
                self._flush()

    def commit(self) -> None:
        if self._filled:
            self._flush()
        self._writer.close()
        self._sink.commit()

    def abort(self) -> None:
        # pyarrow writes the end of the file when its writer goes, whatever happened before.
        self._file.discard()
        self._writer.close()
        self._sink.abort()

    def _flush(self) -> None:
        columns = [self._group[: self._filled, i] for i in range(self._spec.shape[1])]
        self._writer.write_table(self._table_of(columns, schema=self._schema))
        self._filled = 0


class _SinkFile(io.RawIOBase):
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
            self._sink.write(view)
        self._written += view.nbytes
        return view.nbytes

    @override
    def tell(self) -> int:
        return self._written


def _write_npy(write: Callable[[bytes | memoryview], object], values: Array) -> None:
    write(_npy_header(values.shape, values.dtype))
    for start in range(0, len(values), 4096):
        write(np.ascontiguousarray(values[start : start + 4096]).data.cast("B"))


def _npy_header(shape: tuple[int, ...], dtype: DType) -> bytes:
    header = io.BytesIO()
    description = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": tuple(int(n) for n in shape),
    }
    np.lib.format.write_array_header_1_0(header, description)
    return header.getvalue()


def _parquet_group_rows(spec: TableSpec) -> int:
    """Return the rows of a row group, such that groups and bookkeeping together are smallest."""
    n_rows = max(spec.shape[0], 1)
    # The minimum over g of 3 * nbytes / g + chunk_bytes * n_columns * g.
    n_groups = max(round(math.sqrt(3 * n_rows * spec.dtype.itemsize / _PARQUET_CHUNK_BYTES)), 1)
    return -(-n_rows // n_groups)


def _harmless(name: str) -> str:
    """Return a name that no spreadsheet takes for a formula."""
    is_number = name.lstrip("+-").isdigit()
    return f"'{name}" if name[:1] in {"=", "+", "-", "@", "\t", "\r"} and not is_number else name


def _file_names(names: Sequence[str]) -> Iterator[str]:
    """Yield names that are fit for files, and all different."""
    seen: set[str] = set()
    for name in names:
        fit = "".join(c if c.isalnum() or c in "._-+" else "_" for c in name).lstrip(".") or "_"
        candidate, number = fit, 1
        while candidate.casefold() in seen:
            number += 1
            candidate = f"{fit}_{number}"
        seen.add(candidate.casefold())
        yield candidate


def _ending(path: str) -> str:
    return Path(path).suffix.lower()


def _pyarrow_parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        msg = "Parquet files need the package pyarrow. Run `pip install 'lazyvox[table]'`."
        raise MissingDependencyError(msg) from error
    return pyarrow.parquet
