"""Tables with named columns: text files, and data frames. Only what is asked for is parsed."""

import csv
import os
from array import array
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np

from lazyvox._typing import FloatArray, PathLike
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.store.files.identity import open_regular, printable
from lazyvox.store.files.paths import absolute_path

__all__ = ["FrameTable", "Table", "TextTable", "is_number", "open_table", "open_text"]

#: What table writers put where there is no value; BIDS prescribes n/a.
_MISSING = {"", "n/a", "na", "nan", "-nan", "<na>", "#n/a", "null", "none"}
_DELIMITERS = {".tsv": "\t", ".csv": ","}


class Table(Protocol):
    """Columns of numbers, by name."""

    @property
    def names(self) -> Sequence[str]:
        """Names of the columns, in order."""

    @property
    def source(self) -> str:
        """What messages call the table."""

    def read(self, names: Sequence[str], /) -> FloatArray:
        """Return columns, of shape (rows, len(names)), with NaN where there is no value."""


@dataclass(frozen=True, slots=True)
class TextTable:
    """A text file with the names of its columns in the first line.

    Attributes
    ----------
    path : str
        The file.
    delimiter : str
        What separates columns.
    names : tuple of str
        Names of the columns.
    """

    path: str
    delimiter: str
    names: tuple[str, ...]

    @property
    def source(self) -> str:
        """The path, fit for messages."""
        return printable(self.path)

    def read(self, names: Sequence[str]) -> FloatArray:
        """Return columns; one pass over the file, in which nothing else is parsed."""
        _check_distinct(self.names, names, self.source)
        index = {name: place for place, name in enumerate(self.names)}
        places = [(index[name], name) for name in names]
        values = array("d")
        n_rows = 0
        for line, cells in self._rows():
            n_rows += 1
            for place, name in places:
                number = _number(cells[place])
                if number is None:
                    where = f"row {n_rows - 1} (line {line})"
                    raise _no_number(cells[place], name, where, self.source)
                values.append(number)
        return np.array(values, np.float64).reshape(n_rows, len(places))

    def n_rows(self) -> int:
        """Return the number of rows, without parsing their cells."""
        return sum(1 for _ in self._rows())

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the line number and the cells of every row below the names."""
        blank = 0
        with closing(_lines(self.path, self.delimiter)) as lines:
            next(lines)
            for line, cells in lines:
                if not cells:
                    # Empty lines at the end are harmless, between rows a volume may be missing.
                    blank = blank or line
                    continue
                if blank or len(cells) != len(self.names):
                    raise self._ragged(blank or line, 0 if blank else len(cells))
                yield line, cells

    def _ragged(self, line: int, n_cells: int) -> ParameterError:
        msg = (
            f"{self.source}, line {line}: every row must have one value for each of the "
            f"{len(self.names)} columns. Got {n_cells}. Correct that line."
        )
        return ParameterError(msg)


@dataclass(frozen=True, slots=True, eq=False)
class FrameTable:
    """A data frame.

    Attributes
    ----------
    frame : DataFrame
        Columns by name.
    names : tuple of str
        Their names.
    """

    frame: Any
    names: tuple[str, ...]

    @property
    def source(self) -> str:
        """What messages call it."""
        return f"the {type(self.frame).__name__}"

    def read(self, names: Sequence[str]) -> FloatArray:
        """Return columns."""
        _check_distinct(self.names, names, self.source)
        values = np.empty((len(self.frame), len(names)), np.float64)
        for place, name in enumerate(names):
            column = np.asarray(self.frame[name])
            if column.dtype.kind in "biuf":
                values[:, place] = column
                continue
            for row, cell in enumerate(column.tolist()):
                number = float(cell) if isinstance(cell, Real) else _number(str(cell))
                if number is None:
                    raise _no_number(str(cell), name, f"row {row}", self.source)
                values[row, place] = number
        return values


def open_table(path_or_table: PathLike | Any) -> Table:
    """Return the table in a file or data frame; of a file, only the first line is read.

    Parameters
    ----------
    path_or_table : path-like or DataFrame
        A .tsv or .csv file (of any other name, the first line tells which it is), or what has
        columns by name.

    Returns
    -------
    Table
        Names of the columns; reads those that are asked for.

    Raises
    ------
    ParameterTypeError
        If it is neither.
    ParameterError
        If the file is no table with named columns.
    ImageFileError
        If it cannot be read.
    """
    if hasattr(path_or_table, "columns") and hasattr(path_or_table, "__getitem__"):
        return FrameTable(path_or_table, tuple(str(name) for name in path_or_table.columns))
    if isinstance(path_or_table, str | bytes | os.PathLike):
        return open_text(path_or_table)
    msg = (
        f"`path_or_table` must be the path of a table, or a DataFrame. "
        f"Got {type(path_or_table).__name__}."
    )
    raise ParameterTypeError(msg)


def open_text(path: PathLike) -> TextTable:
    """Return the table in a file, as `open_table`."""
    path = absolute_path(path)
    delimiter = _DELIMITERS.get(Path(path).suffix.lower()) or _sniffed(path)
    with closing(_lines(path, delimiter)) as lines:
        _, first = next(lines, (1, []))
    names = tuple(name.strip() for name in first)
    if not any(names):
        msg = f"{printable(path)}: the first line must hold the names of the columns. It is empty."
        raise ParameterError(msg)
    return TextTable(path, delimiter, names)


def _sniffed(path: str) -> str:
    """Return the delimiter of a file whose name does not tell it."""
    with closing(_lines(path, "\t")) as lines:
        _, first = next(lines, (1, []))
    return "," if len(first) == 1 and "," in first[0] else "\t"


def _lines(path: str, delimiter: str) -> Generator[tuple[int, list[str]]]:
    """Yield line number and cells of every line; what is no text is an error."""
    with _open(path) as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                yield reader.line_num, cells
        except UnicodeDecodeError as error:
            msg = (
                f"{printable(path)}: a table must be text in UTF-8. Got other bytes. Pass the "
                f"table itself, not an image or a compressed file."
            )
            raise ParameterError(msg) from error
        except csv.Error as error:
            msg = f"{printable(path)}, line {reader.line_num}: the table is malformed ({error})."
            raise ParameterError(msg) from error


def _open(path: str) -> TextIO:
    return os.fdopen(open_regular(path), encoding="utf-8-sig", newline="")


def is_number(text: str) -> bool:
    """Whether a cell holds a number, or says that there is none."""
    return _number(text) is not None


def _number(text: str) -> float | None:
    """Return the number in a cell, NaN where it says that there is none, None for other text."""
    try:
        # Python takes 1_000 for a number; in a table it is a typing error.
        return None if "_" in text else float(text)
    except ValueError:
        return np.nan if text.strip().lower() in _MISSING else None


def _no_number(text: str, name: str, where: str, source: str) -> ParameterError:
    msg = (
        f"{source}, column {name!r}, {where}: a value must be a number or n/a. Got {text[:40]!r}."
    )
    return ParameterError(msg)


def _check_distinct(names: Sequence[str], wanted: Sequence[str], source: str) -> None:
    """Refuse a column that cannot be told from another one."""
    if len(set(names)) == len(names):
        return
    asked = set(wanted)
    twice = sorted({name for name in names if name in asked and names.count(name) > 1})
    if twice:
        msg = (
            f"{source}: the names of columns must differ. Got {twice[0]!r} "
            f"{names.count(twice[0])} times. Rename all but one."
        )
        raise ParameterError(msg)
