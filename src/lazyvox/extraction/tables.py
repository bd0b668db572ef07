"""Files of signals: .npy, .tsv, .csv, .txt, .1D, .parquet, and .npz for several tables.

All are written row by row, under a temporary name until they are complete.
"""

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
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
    TEXT_FORMS,
    NpyWriter,
    ParquetWriter,
    SinkFile,
    TableSpec,
    TableWriter,
    TextForm,
    TextWriter,
    harmless_name,
    load_parquet,
    npy_header,
    parquet_group_rows,
    text_line,
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
    "cell_line",
    "check_target",
    "is_gathered",
    "number_lines",
    "open_table",
    "refuse_existing",
    "save_table",
    "table_memory",
    "write_gathered",
    "write_lines",
    "write_npz",
]

#: Rows of a table in memory that are written at a time.
_PIECE_BYTES = TARGET_BLOCK_BYTES

_ENDINGS = (".npy", *TEXT_FORMS, ".parquet")
#: As messages show them.
_SHOWN_ENDINGS = ", ".join(_ENDINGS).replace(".1d", ".1D")


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
        if ending in TEXT_FORMS:
            return self._load_text()
        table = load_parquet().read_table(self.path)
        values = np.empty(self.shape, self.dtype)
        for number, column in enumerate(table.columns):
            values[:, number] = column.to_numpy()
        return values

    def _load_text(self) -> Array:
        values = np.empty(self.shape, self.dtype)
        kind = np.int8 if self.dtype.kind == "b" else self.dtype
        form = TEXT_FORMS[_ending(self.path)]
        if not form.has_names:
            with Path(self.path).open() as lines:
                for number, line in enumerate(lines):
                    values[number] = np.array(line.split()).astype(kind)
            return values
        rows = open_delimited(self.path, "a table of signals").rows()
        for number, (_, cells) in enumerate(rows):
            known = ["nan" if cell == form.missing else cell for cell in cells]
            values[number] = np.array(known).astype(kind)
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
        If its ending is none of .npy, .tsv, .csv, .txt, .1D, .parquet, or cannot hold the type.
    OutputExistsError
        If it exists, and `overwrite` is false.
    MissingDependencyError
        If pyarrow is needed and not installed.
    """
    full = absolute_path(path)
    ending = _ending(full)
    if ending not in _ENDINGS:
        msg = (
            f"{printable(full)}: a table must end in {_SHOWN_ENDINGS}; .npz holds several "
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
        if ending in TEXT_FORMS:
            return TextWriter(sink, spec, TEXT_FORMS[ending])
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


def number_lines(
    tables: Sequence[Array],
    names: Sequence[Sequence[str]] | None = None,
    *,
    is_transposed: bool = False,
) -> Iterator[str]:
    """Yield tables that stand side by side as lines of numbers, as FSL and AFNI read them.

    Parameters
    ----------
    tables : sequence of ndarray of shape (n_rows, n_columns)
        The tables, of as many rows each.
    names : sequence of sequence of str, optional
        Names of the columns of each: they come first, in a line that begins with "#"; of a
        transposed table each begins its line.
    is_transposed : bool, default=False
        Whether each column becomes a line.

    Yields
    ------
    str
        A line, with its end.

    Examples
    --------
    >>> [line.strip() for line in number_lines([np.eye(2), np.ones((2, 1), int)])]
    ['1.0 0.0 1', '0.0 1.0 1']
    """
    form = TEXT_FORMS[".txt"]
    titles = None if names is None else ["_".join(one.split()) for some in names for one in some]
    if is_transposed:
        columns = (column for values in tables for column in values.T)
        for number, column in enumerate(columns):
            yield ("" if titles is None else f"{titles[number]} ") + form.line(column)
        return
    if titles is not None:
        yield f"# {' '.join(titles)}\n"
    for rows in zip(*tables, strict=True):
        yield form.line(*rows)


def write_lines(path: PathLike, lines: Iterable[str], *, overwrite: bool) -> None:
    """Write lines of text, complete or not at all.

    Parameters
    ----------
    path : path-like
        The file.
    lines : iterable of str
        The lines, with their ends.
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
        for line in lines:
            sink.write(line.encode("utf-8", "surrogateescape"))
        sink.commit()


def cell_line(cells: Iterable[object], form: TextForm) -> str:
    """Return numbers and texts as a line of a table.

    Parameters
    ----------
    cells : iterable of int, float or str
        The cells; NaN is what the form has for it.
    form : TextForm
        The form of the table.

    Returns
    -------
    str
        The line, with its end.

    Examples
    --------
    >>> cell_line(["left", 3, 0.5, float("nan")], TEXT_FORMS[".tsv"]).split()
    ['left', '3', '0.5', 'n/a']
    """
    texts = [harmless_name(one) if isinstance(one, str) else repr(one) for one in cells]
    return text_line([form.missing if one == "nan" else one for one in texts], form.delimiter)


def is_gathered(path: str) -> bool:
    """Return whether a file holds the tables of several region sets: .npz, .txt and .1D do.

    Examples
    --------
    >>> is_gathered("out.npz"), is_gathered("out.1D"), is_gathered("out.tsv")
    (True, True, False)
    """
    ending = _ending(path)
    return ending == ".npz" or (ending in TEXT_FORMS and not TEXT_FORMS[ending].has_names)


def write_gathered(
    path: PathLike, tables: Sequence[tuple[str, Array]], *, overwrite: bool
) -> None:
    """Write several tables into one file: an archive of arrays, or numbers side by side.

    Parameters
    ----------
    path : path-like
        The file, for which `is_gathered` is true.
    tables : sequence of (str, ndarray)
        Names and arrays.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    OutputError
        If no file can be written there.
    """
    if _ending(absolute_path(path)) == ".npz":
        write_npz(path, tables, overwrite=overwrite)
    else:
        lines = number_lines([values for _, values in tables])
        write_lines(path, lines, overwrite=overwrite)


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
    # Names, one row as Python floats, and a few as text.
    text_bytes = 400 * n_columns
    if ending in TEXT_FORMS:
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
