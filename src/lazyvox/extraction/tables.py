"""Files of signals: .npy, .tsv, .csv, .parquet, and .npz for several tables.

All are written row by row, under a temporary name until they are complete.
"""

import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lazyvox._typing import Array, DType, PathLike
from lazyvox.errors import (
    OutputError,
    OutputExistsError,
    ParameterError,
)
from lazyvox.extraction.table_writers import (
    PARQUET_CHUNK_BYTES,
    NpyWriter,
    ParquetWriter,
    SinkFile,
    TableSpec,
    TableWriter,
    TextWriter,
    load_parquet,
    npy_header,
    parquet_group_rows,
)
from lazyvox.planning.blocks import TARGET_BLOCK_BYTES
from lazyvox.store.files.paths import absolute_path, file_names, printable
from lazyvox.store.write.atomic import annexed_reason
from lazyvox.store.write.sinks import open_sink
from lazyvox.tables.delimited import open_delimited

__all__ = [
    "StoredTable",
    "TableSpec",
    "TableWriter",
    "check_target",
    "open_table",
    "refuse_existing",
    "save_table",
    "table_memory",
    "write_npz",
]

#: Rows of a table in memory that are written at a time.
_PIECE_BYTES = TARGET_BLOCK_BYTES

_DELIMITERS = {".tsv": "\t", ".csv": ","}
_ENDINGS = (".npy", ".tsv", ".csv", ".parquet")


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
            return self._load_text()
        table = load_parquet().read_table(self.path)
        values = np.empty(self.shape, self.dtype)
        for number, column in enumerate(table.columns):
            values[:, number] = column.to_numpy()
        return values

    def _load_text(self) -> Array:
        values = np.empty(self.shape, self.dtype)
        kind = np.int8 if self.dtype.kind == "b" else self.dtype
        rows = open_delimited(self.path, "a table of signals").rows()
        for number, (_, cells) in enumerate(rows):
            values[number] = np.array(cells).astype(kind)
        return values


def check_target(path: PathLike, dtype: DType, *, overwrite: bool) -> str:
    """Return the absolute path of a table to be written; raise if it could not be.

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
        load_parquet()
    refuse_existing(full, overwrite=overwrite)
    return full


def refuse_existing(path: str, *, overwrite: bool) -> None:
    """Raise the error of writing to a file that exists, or is an object of git-annex.

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
    OutputError
        If it is an object of git-annex, or a link to one.
    """
    if reason := annexed_reason(path):
        msg = f"{printable(path)}: {reason}"
        raise OutputError(msg)
    if not overwrite and os.path.lexists(path):
        msg = f"{printable(path)}: the output exists. Pass overwrite=True to replace it."
        raise OutputExistsError(msg)


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
            return NpyWriter(sink, spec)
        if ending in _DELIMITERS:
            return TextWriter(sink, spec, _DELIMITERS[ending])
        return ParquetWriter(sink, spec)
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
        writer.prepare()
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
        with zipfile.ZipFile(SinkFile(sink), "w", zipfile.ZIP_STORED) as archive:
            names = file_names([name for name, _ in tables])
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
    n_rows = parquet_group_rows(spec)
    n_groups = -(-spec.shape[0] // n_rows)
    return text_bytes + 3 * n_rows * spec.row_bytes + PARQUET_CHUNK_BYTES * n_columns * n_groups


def _write_npy(write: Callable[[bytes | memoryview], object], values: Array) -> None:
    write(npy_header(values.shape, values.dtype))
    for start in range(0, len(values), 4096):
        write(np.ascontiguousarray(values[start : start + 4096]).data.cast("B"))


def _ending(path: str) -> str:
    return Path(path).suffix.lower()
