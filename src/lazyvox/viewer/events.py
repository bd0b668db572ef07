"""Tables of events, as BIDS has them."""

import math
from collections.abc import Iterable
from typing import Any

from lazyvox._typing import PathLike
from lazyvox.errors import ParameterError
from lazyvox.tables.delimited import open_delimited, to_number
from lazyvox.tables.numeric import is_frame

__all__ = ["read_events"]

_NAMES = ("onset", "duration", "trial_type")


def read_events(events: PathLike | Any) -> list[dict[str, Any]]:
    """Return the rows of a table of events.

    Parameters
    ----------
    events : path-like or DataFrame
        Columns "onset" and "duration" in seconds, and, if there are kinds, "trial_type".

    Returns
    -------
    list of dict
        "onset", "duration", 0 where there is none, and "trial_type", None where there is none.

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
        rows: Iterable[tuple[str, Any]] = (
            (f"`events`, row {number}", cells)
            for number, cells in enumerate(zip(*columns, strict=True))
        )
        return _rows(titles, rows, "`events`")
    table = open_delimited(given, "a table of events")
    places = [table.place(name) for name in table.titles]
    lines = (
        (f"{table.source}, line {line}", [cells[place] for place in places])
        for line, cells in table.rows()
    )
    return _rows(list(table.titles), lines, table.source)


def _rows(titles: list[str], rows: Iterable[tuple[str, Any]], source: str) -> list[dict[str, Any]]:
    if "onset" not in titles:
        msg = (
            f"{source}: a table of events must have the columns onset and duration, as BIDS has "
            f"them. Got {', '.join(titles[:6])}."
        )
        raise ParameterError(msg, parameter="events")
    places = {name: titles.index(name) for name in _NAMES if name in titles}
    found = []
    for where, cells in rows:
        onset = _seconds(cells[places["onset"]], f"{where}: the onset")
        length = (
            _seconds(cells[places["duration"]], f"{where}: the duration")
            if "duration" in places
            else 0.0
        )
        if math.isnan(onset):
            msg = f"{where}: the onset must be a number of seconds. Got none."
            raise ParameterError(msg, parameter="events")
        kind = cells[places["trial_type"]] if "trial_type" in places else None
        found.append(
            {
                "onset": onset,
                "duration": 0.0 if math.isnan(length) else length,
                "trial_type": None if kind is None or kind != kind else str(kind),  # noqa: PLR0124
            }
        )
    return found


def _seconds(cell: Any, what: str) -> float:
    if isinstance(cell, str):
        number = to_number(cell)
    else:
        number = float(cell)
    if number is None or math.isinf(number):
        msg = f"{what} must be a number of seconds. Got {cell!r}."
        raise ParameterError(msg, parameter="events")
    return number
