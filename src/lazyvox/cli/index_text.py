"""NumPy index text such as ``"..., 700"``, parsed without evaluating anything."""

import re
from types import EllipsisType
from typing import TypeAlias

from lazyvox.cli.outcome import WrongUsageError

__all__ = ["Entry", "parse_index"]

Entry: TypeAlias = int | slice | EllipsisType

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_FORMS = "an integer, ... or a slice such as 2:10:2"


def parse_index(text: str) -> tuple[Entry, ...]:
    """Parse an index from its text.

    Parameters
    ----------
    text : str
        Integers, slices and at most one ellipsis, separated by commas; in brackets or not.

    Returns
    -------
    tuple of int, slice or Ellipsis
        The index.

    Raises
    ------
    WrongUsageError
        If the text is anything else; names the position, counted from 1.

    Examples
    --------
    >>> parse_index("..., 700"), parse_index("[2:-1, ::-2]")
    ((Ellipsis, 700), (slice(2, -1, None), slice(None, None, -2)))
    """
    content = text.strip()
    start = text.find(content)
    if content.startswith("[") and content.endswith("]"):
        content, start = content[1:-1], start + 1
    entries: list[Entry] = []
    pieces = content.split(",")
    if len(pieces) > 1 and not pieces[-1].strip():
        del pieces[-1]
    for piece in pieces:
        at = start + len(piece) - len(piece.lstrip())
        entry = _parse_entry(piece.strip(), text, at)
        if entry is Ellipsis and Ellipsis in entries:
            raise _refused(text, at, "a second ellipsis; one can stand for any number of axes")
        entries.append(entry)
        start += len(piece) + 1
    return tuple(entries)


def _parse_entry(piece: str, text: str, at: int) -> Entry:
    if piece == "...":
        return Ellipsis
    parts = piece.split(":")
    if len(parts) > 3:
        raise _refused(text, at, f"{piece!r}: a slice has at most three numbers")
    numbers: list[int | None] = []
    for part in parts:
        number = part.strip()
        if number and not _INTEGER.fullmatch(number):
            raise _refused(text, at + piece.find(number), f"{number!r}, expected {_FORMS}")
        numbers.append(int(number) if number else None)
    if len(parts) == 1:
        if numbers[0] is None:
            raise _refused(text, at, f"nothing, expected {_FORMS}")
        return numbers[0]
    if len(parts) == 3 and numbers[2] == 0:
        raise _refused(text, at, f"{piece!r}: the step of a slice must not be 0")
    return slice(*numbers)


def _refused(text: str, at: int, what: str) -> WrongUsageError:
    return WrongUsageError(f"INDEX {text!r}: at position {at + 1}: {what}")
