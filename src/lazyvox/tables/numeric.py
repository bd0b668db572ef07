"""Tables of numbers with named columns: text files, and data frames."""

import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Protocol, cast

import numpy as np

from lazyvox._typing import Array, FloatArray, PathLike
from lazyvox.errors import LazyvoxError, ParameterError, ParameterTypeError
from lazyvox.tables.delimited import (
    DelimitedText,
    is_row_numbers,
    is_unnamed,
    open_delimited,
    to_number,
    to_numbers,
)

__all__ = [
    "FrameTable",
    "Table",
    "TextTable",
    "check_distinct",
    "has_titles",
    "is_frame",
    "open_table",
    "open_text",
]


class Table(Protocol):
    """Columns of numbers, by name."""

    @property
    def names(self) -> Sequence[str]:
        """Names of the columns, in order, without those that number rows or have none."""

    @property
    def source(self) -> str:
        """Name of the table in messages."""

    def read(self, names: Sequence[str], /) -> FloatArray:
        """Return columns, of shape (rows, len(names)), with NaN where there is no value."""

    def read_all(self) -> FloatArray:
        """Return the columns of all `names`; a column without a name must number the rows."""


@dataclass(frozen=True, slots=True)
class TextTable:
    """A text file of which only the columns that are asked for are parsed.

    Attributes
    ----------
    text : DelimitedText
        The file.
    """

    text: DelimitedText

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order, without those that number rows or have none."""
        return self.text.names

    @property
    def source(self) -> str:
        """The path, fit for messages."""
        return self.text.source

    def read(self, names: Sequence[str]) -> FloatArray:
        """Return columns, of shape (rows, len(names)), with NaN where there is no value."""
        check_distinct(self.names, names, self.source)
        return self._read([self.text.titles.index(name) for name in names], [])

    def read_all(self) -> FloatArray:
        """Return the columns of all `names`; a column without a name must number the rows."""
        places = range(-self.text.n_in_front, len(self.text.titles))
        unnamed = [place for place in places if place < 0 or is_unnamed(self.text.titles[place])]
        return self._read([place for place in places if place not in unnamed], unnamed)

    def n_rows(self) -> int:
        """Return the number of rows, without parsing their cells."""
        return sum(1 for _ in self.text.rows())

    def _read(self, places: Sequence[int], unnamed: Sequence[int]) -> FloatArray:
        """Return columns, and check those without a name; one pass over the file."""
        first = self.text.n_in_front
        chosen = [first + place for place in places]
        values = array("d")
        without_name: list[list[str]] = [[] for _ in unnamed]
        n_rows = 0
        for line, cells in self.text.rows():
            n_rows += 1
            numbers = to_numbers([cells[place] for place in chosen])
            if None in numbers:
                place = places[numbers.index(None)]
                where = f"row {n_rows - 1} (line {line})"
                name = self.text.titles[place]
                raise _no_number(cells[first + place], name, where, self.source)
            values.extend(cast("list[float]", numbers))
            for place, column in zip(unnamed, without_name, strict=True):
                column.append(cells[first + place])
        for place, column in zip(unnamed, without_name, strict=True):
            _check_unnamed(first + place, column, self.source)
        # An empty buffer is none to NumPy.
        found = np.frombuffer(values, np.float64) if values else np.empty(0)
        return found.reshape(n_rows, len(places))


@dataclass(frozen=True, slots=True, eq=False)
class FrameTable:
    """A data frame.

    Attributes
    ----------
    frame : DataFrame
        Columns by name.
    """

    frame: Any

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order, without those that number rows or have none."""
        return tuple(name for name in map(str, self.frame.columns) if not is_unnamed(name))

    @property
    def source(self) -> str:
        """Name of the table in messages."""
        return f"the {type(self.frame).__name__}"

    def read(self, names: Sequence[str]) -> FloatArray:
        """Return columns, of shape (rows, len(names)), with NaN where there is no value."""
        titles = self._titles
        check_distinct(titles, names, self.source)
        return self._read([titles.index(name) for name in names])

    def read_all(self) -> FloatArray:
        """Return the columns of all `names`; a column without a name must number the rows."""
        titles = self._titles
        unnamed = [place for place, title in enumerate(titles) if is_unnamed(title)]
        for place in unnamed:
            cells = [str(cell) for cell in self._column(place).tolist()]
            _check_unnamed(place, cells, self.source)
        return self._read([place for place in range(len(titles)) if place not in unnamed])

    @property
    def _titles(self) -> list[str]:
        return [str(title) for title in self.frame.columns]

    def _column(self, place: int) -> Array:
        """Return a column by number: names may occur twice."""
        frame = self.frame
        by_place = frame.iloc[:, place] if hasattr(frame, "iloc") else frame[frame.columns[place]]
        return np.asarray(by_place)

    def _read(self, places: Sequence[int]) -> FloatArray:
        values = np.empty((len(self.frame), len(places)), np.float64)
        for number, place in enumerate(places):
            column = self._column(place)
            if column.dtype.kind in "biuf":
                values[:, number] = column
                continue
            for row, cell in enumerate(column.tolist()):
                found = float(cell) if isinstance(cell, Real) else to_number(str(cell))
                if found is None:
                    raise _no_number(str(cell), self._titles[place], f"row {row}", self.source)
                values[row, number] = found
        return values


def is_frame(table: Any) -> bool:
    """Return whether something is a table with named columns in memory."""
    return hasattr(table, "columns") and hasattr(table, "__getitem__")


def open_table(path_or_table: PathLike | Any) -> Table:
    """Return the table in a file or data frame; of a file, only the first lines are read.

    Parameters
    ----------
    path_or_table : path-like or DataFrame
        A text file, see `open_text`, or a data frame.

    Returns
    -------
    Table
        Names of the columns; reads those that are asked for.

    Raises
    ------
    ParameterTypeError
        If it is neither.
    ParameterError
        If the file is no table.
    ImageFileError
        If it cannot be read.
    """
    if is_frame(path_or_table):
        return FrameTable(path_or_table)
    if isinstance(path_or_table, str | bytes | os.PathLike):
        return open_text(path_or_table)
    msg = (
        f"`path_or_table` must be the path of a table, or a DataFrame. "
        f"Got {type(path_or_table).__name__}."
    )
    raise ParameterTypeError(msg)


def open_text(
    path: PathLike,
    noun: str = "a table",
    error: type[LazyvoxError] = ParameterError,
    *,
    has_comments: bool = False,
) -> TextTable:
    """Return the table of numbers in a text file; see `open_delimited`."""
    return TextTable(open_delimited(path, noun, error, has_comments=has_comments))


def has_titles(titles: Sequence[str]) -> bool:
    """Return whether a first line holds names rather than numbers.

    A first cell that is empty is above a column of row numbers.
    """
    return not titles[0] or any(to_number(title) is None for title in titles)


def _no_number(text: str, name: str, where: str, source: str) -> ParameterError:
    msg = (
        f"{source}, column {name!r}, {where}: a value must be a number or n/a. Got {text[:40]!r}."
    )
    return ParameterError(msg)


def _check_unnamed(place: int, cells: Sequence[str], source: str) -> None:
    """Refuse a column without a name that neither numbers the rows nor is empty."""
    if any(cells) and not is_row_numbers(cells):
        msg = (
            f"{source}: every column must have a name, unless it numbers the rows from 0 or 1. "
            f"Got none for column {place + 1}, which begins with {cells[0][:40]!r}. Name it in "
            f"the first line, or remove it."
        )
        raise ParameterError(msg)


def check_distinct(names: Sequence[str], wanted: Sequence[str], source: str) -> None:
    """Refuse columns of the same name."""
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
