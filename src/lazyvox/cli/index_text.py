"""NumPy index text such as ``"..., 700"``, parsed without evaluating anything."""

import re
from dataclasses import dataclass
from types import EllipsisType
from typing import TypeAlias

from lazyvox.cli.outcome import WrongUsageError

__all__ = ["Entry", "parse_index", "parse_ranges"]

#: A list is of whole volumes; the text of an index has none.
Entry: TypeAlias = int | slice | EllipsisType | list[int]

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_FORMS = "an integer, ... or a slice such as 2:10:2"
_RANGES = "a number or a range such as 2:10:2"


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
    return tuple(_IndexText("INDEX", text, _FORMS).entries())


def parse_ranges(text: str, name: str) -> list[int | slice]:
    """Parse numbers and ranges of one axis from their text.

    Parameters
    ----------
    text : str
        Integers and slices, separated by commas; in brackets or not.
    name : str
        The option, for messages.

    Returns
    -------
    list of int or slice
        The ranges, at least one.

    Raises
    ------
    WrongUsageError
        If the text is anything else; names the position, counted from 1.

    Examples
    --------
    >>> parse_ranges("4:", "--volumes"), parse_ranges("0:10, -1", "--volumes")
    ([slice(4, None, None)], [slice(0, 10, None), -1])
    """
    given = _IndexText(name, text, _RANGES)
    entries = given.entries()
    ranges = [one for one in entries if isinstance(one, int | slice)]
    if len(ranges) < len(entries):
        raise given.refused(text.find("..."), f"'...', expected {_RANGES}")
    return ranges


@dataclass(frozen=True, slots=True)
class _IndexText:
    """The text of an index; errors have a name for it, and say which forms its parts may have."""

    name: str
    text: str
    forms: str

    def entries(self) -> list[Entry]:
        """Return the parts of the index."""
        content = self.text.strip()
        start = self.text.find(content)
        if content.startswith("[") and content.endswith("]"):
            content, start = content[1:-1], start + 1
        entries: list[Entry] = []
        pieces = content.split(",")
        if len(pieces) > 1 and not pieces[-1].strip():
            del pieces[-1]
        for piece in pieces:
            at = start + len(piece) - len(piece.lstrip())
            entry = self._entry(piece.strip(), at)
            if entry is Ellipsis and Ellipsis in entries:
                raise self.refused(at, "a second ellipsis; one can stand for any number of axes")
            entries.append(entry)
            start += len(piece) + 1
        return entries

    def _entry(self, piece: str, at: int) -> Entry:
        if piece == "...":
            return Ellipsis
        parts = piece.split(":")
        if len(parts) > 3:
            raise self.refused(at, f"{piece!r}: a slice has at most three numbers")
        numbers: list[int | None] = []
        for part in parts:
            number = part.strip()
            if number and not _INTEGER.fullmatch(number):
                raise self.refused(at + piece.find(number), f"{number!r}, expected {self.forms}")
            numbers.append(int(number) if number else None)
        if len(parts) == 1:
            if numbers[0] is None:
                raise self.refused(at, f"nothing, expected {self.forms}")
            return numbers[0]
        if len(parts) == 3 and numbers[2] == 0:
            raise self.refused(at, f"{piece!r}: the step of a slice must not be 0")
        return slice(*numbers)

    def refused(self, at: int, what: str) -> WrongUsageError:
        """Return the error for a place in the text, counted from 0."""
        return WrongUsageError(f"{self.name} {self.text!r}: at position {at + 1}: {what}")
