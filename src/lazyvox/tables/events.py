"""Tables of events, as BIDS has them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lazyvox._typing import PathLike
from lazyvox.errors import ParameterError
from lazyvox.tables.delimited import open_delimited, to_number
from lazyvox.tables.numeric import is_frame

__all__ = ["Event", "read_events"]


@dataclass(frozen=True, slots=True)
class Event:
    """A row of a table of events.

    Attributes
    ----------
    place : str
        Table and line, for messages.
    onset : float
        Beginning, in seconds from that of the run.
    duration : float
        Length in seconds, NaN where there is none.
    trial_type : str or None
        Condition, None where there is none.
    modulation : float or None
        Height, NaN where there is none; None in a table without the column.
    """

    place: str
    onset: float
    duration: float
    trial_type: str | None
    modulation: float | None


def read_events(events: PathLike | Any) -> tuple[Event, ...]:
    """Return the rows of a table of events.

    Parameters
    ----------
    events : path-like or DataFrame
        Columns "onset" and "duration" in seconds, and, if there are such, "trial_type" and
        "modulation". Others are for other programs.

    Returns
    -------
    tuple of Event
        The rows.

    Raises
    ------
    ParameterError
        If there is no onset, or something is no number.
    ImageFileError
        If the file cannot be read.
    """
    given: Any = events
    if is_frame(given):
        titles = [str(name) for name in given.columns]
        columns = [list(given[name]) for name in given.columns]
        cells: Iterable[tuple[str, Sequence[Any]]] = (
            (f"`events`, row {number}", row)
            for number, row in enumerate(zip(*columns, strict=True))
        )
        return _events(titles, cells, "`events`")
    table = open_delimited(given, "a table of events")
    places = [table.place(name) for name in table.titles]
    lines = (
        (f"{table.source}, line {line}", [row[place] for place in places])
        for line, row in table.rows()
    )
    return _events(list(table.titles), lines, table.source)


def _events(
    titles: list[str], rows: Iterable[tuple[str, Sequence[Any]]], source: str
) -> tuple[Event, ...]:
    if "onset" not in titles:
        msg = (
            f"{source}: a table of events must have the columns onset and duration, as BIDS has "
            f"them. Got {', '.join(titles[:6])}."
        )
        raise ParameterError(msg, parameter="events")

    def cell(row: Sequence[Any], name: str, default: Any) -> Any:
        return row[titles.index(name)] if name in titles else default

    found = []
    for place, row in rows:
        onset = _number(cell(row, "onset", None), place, "onset")
        if math.isnan(onset):
            msg = f"{place}: the onset must be a number of seconds. Got none."
            raise ParameterError(msg, parameter="events")
        height = cell(row, "modulation", None)
        found.append(
            Event(
                place,
                onset,
                _number(cell(row, "duration", math.nan), place, "duration"),
                _text(cell(row, "trial_type", None)),
                None if height is None else _number(height, place, "modulation"),
            )
        )
    return tuple(found)


def _number(cell: Any, place: str, name: str) -> float:
    number = to_number(cell) if isinstance(cell, str) else float(cell)
    if number is None or math.isinf(number):
        msg = f"{place}: the {name} must be a number{' of seconds' * (name != 'modulation')}. Got {cell!r}."
        raise ParameterError(msg, parameter="events")
    return number


def _text(cell: Any) -> str | None:
    """Return a name, None where there is none: data frames have NaN there."""
    is_missing = cell is None or cell != cell or str(cell).lower() in {"", "n/a", "nan"}  # noqa: PLR0124
    return None if is_missing else str(cell)
