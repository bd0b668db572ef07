"""Signals in any form, files among them: names, shape, and the values when they are wanted."""

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lazyvox._typing import Array, PathLike
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.extraction.table_writers import load_parquet
from lazyvox.store.files.paths import absolute_path, printable
from lazyvox.store.files.urls import is_url, without_query
from lazyvox.store.opening import find_file, open_binary
from lazyvox.tables.numeric import (
    FrameTable,
    TextTable,
    check_distinct,
    has_titles,
    is_frame,
    open_text,
)

__all__ = ["SIGNAL_ENDINGS", "SignalsTable", "open_signals", "signals_table"]

SIGNAL_ENDINGS = (".tsv", ".csv", ".npy", ".parquet", ".txt", ".1D")


@dataclass(frozen=True, slots=True)
class SignalsTable:
    """A table of signals that is not read yet.

    Attributes
    ----------
    path : str
        The file; empty for signals in memory.
    names : tuple of str
        Names of the columns; in .npy, .txt and .1D files, which have none, their numbers.
    shape : tuple of int of length 2
        Volumes and columns.
    read : callable
        Returns the values.
    """

    path: str
    names: tuple[str, ...]
    shape: tuple[int, int]
    read: Callable[[], Array]

    @property
    def n_bytes(self) -> int:
        """Size of the file."""
        return find_file(self.path).identity.size if self.path else 0

    @property
    def shown(self) -> str:
        """Path of the file, for messages."""
        return printable(self.path) if self.path else "signals in memory"


def signals_table(signals: Any) -> SignalsTable:
    """Return signals in any form as a table.

    Parameters
    ----------
    signals : Signals, array-like of shape (n_volumes, n_regions), DataFrame, or path
        The signals.

    Returns
    -------
    SignalsTable
        Names, or the numbers of the columns, and shape.

    Raises
    ------
    ParameterTypeError
        If they have another number of dimensions.
    """
    if isinstance(signals, str | bytes | os.PathLike):
        return open_signals(signals)
    frame = FrameTable(signals) if is_frame(signals) else None
    values = np.asarray(signals) if frame is None else frame.read_all()
    if values.ndim != 2:
        msg = (
            f"`signals` must be real numbers of shape (n_volumes, n_regions). Got {values.dtype} "
            f"of shape {values.shape}."
        )
        raise ParameterTypeError(msg)
    own = getattr(signals, "column_names", None) if frame is None else frame.names
    own = range(values.shape[1]) if own is None else own
    names = tuple(map(str, own))
    return SignalsTable("", names, (values.shape[0], values.shape[1]), lambda: values)


def open_signals(path: PathLike) -> SignalsTable:
    """Return shape and names of a file of signals; the lines of a text are counted.

    Parameters
    ----------
    path : path-like
        Ends in one of `SIGNAL_ENDINGS`.

    Returns
    -------
    SignalsTable
        Names and shape.

    Raises
    ------
    ParameterError
        If it is no table of signals.
    ImageFileError
        If it cannot be read.
    MissingDependencyError
        If pyarrow is needed and not installed.
    """
    full = absolute_path(path)
    find_file(full)
    ending = Path(without_query(full) if is_url(full) else full).suffix.lower()
    openers = {
        ".npy": _open_npy,
        ".parquet": _open_parquet,
        ".tsv": _open_text,
        ".csv": _open_text,
        ".txt": _open_numbers,
        ".1d": _open_numbers,
    }
    if ending not in openers:
        msg = (
            f"{printable(os.fsdecode(path))}: signals must be in a file that ends in "
            f"{', '.join(SIGNAL_ENDINGS)}. Got {ending or 'no ending'!r}."
        )
        raise ParameterError(msg)
    return openers[ending](full)


def _open_text(path: str) -> SignalsTable:
    table = open_text(path, "a table of signals")
    names, titles = table.names, table.text.titles
    # Regions without a name are called by their label, which is an integer.
    if not has_titles(titles) and not all(title.isdecimal() for title in titles):
        msg = (
            f"{table.source}: the first line must hold the names of the regions. Got numbers, "
            f"beginning with {titles[0]!r}. Add a line of names."
        )
        raise ParameterError(msg)
    check_distinct(names, names, table.source)
    return SignalsTable(path, names, (table.n_rows(), len(names)), table.read_all)


def _open_numbers(path: str) -> SignalsTable:
    """Open a file of numbers alone; lines that begin with # are comments, as AFNI's are."""
    text = open_text(path, "a table of signals", has_comments=True).text
    if has_titles(text.titles):
        msg = (
            f"{printable(path)}: the file must hold numbers alone. Got {text.titles[0]!r} in the "
            f"first line. Names of regions are in .tsv and .csv files."
        )
        raise ParameterError(msg)
    table = TextTable(text.without_titles())
    return SignalsTable(path, table.names, (table.n_rows(), len(table.names)), table.read_all)


def _open_npy(path: str) -> SignalsTable:
    try:
        found = _load_npy(path)
    except (ValueError, EOFError) as error:
        msg = f"{printable(path)}: the file must hold one array of numbers ({error})."
        raise ParameterError(msg) from error
    if not isinstance(found, np.ndarray) or found.ndim != 2:
        got = f"shape {found.shape}" if isinstance(found, np.ndarray) else "several arrays"
        msg = f"{printable(path)}: signals must have the shape (volumes, regions). Got {got}."
        raise ParameterError(msg)
    return _without_names(path, found)


def _load_npy(path: str) -> object:
    if not is_url(path):
        return np.load(path, mmap_mode="r", allow_pickle=False)
    with open_binary(path) as file:
        return np.load(file, allow_pickle=False)


def _without_names(path: str, array: Array) -> SignalsTable:
    """Return the signals of a file without names, whose columns are called by their numbers."""
    names = tuple(str(column) for column in range(array.shape[1]))
    return SignalsTable(path, names, (array.shape[0], array.shape[1]), lambda: array)


def _open_parquet(path: str) -> SignalsTable:
    parquet = load_parquet()
    from pyarrow.lib import ArrowException

    try:
        with open_binary(path) as raw, closing(parquet.ParquetFile(raw)) as file:
            names = tuple(str(name) for name in file.schema_arrow.names)
            shape = (int(file.metadata.num_rows), len(names))
    except ArrowException as error:
        msg = f"{printable(path)}: the file must be a Parquet table ({error})."
        raise ParameterError(msg) from error

    def read() -> Array:
        with open_binary(path) as raw:
            table = parquet.read_table(raw)
        values = np.empty(shape, np.float64)
        for number, (name, column) in enumerate(zip(names, table.columns, strict=True)):
            array = column.to_numpy()
            if array.dtype.kind not in "biuf":
                msg = f"{printable(path)}, column {name!r}: signals must be numbers."
                raise ParameterError(msg)
            values[:, number] = array
        return values

    return SignalsTable(path, names, shape, read)
