"""Amounts of memory: parsed from text, and formatted, as counts are; the terms of a predicted peak."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from textwrap import shorten

from lazyvox.errors import ParameterError, ParameterTypeError

__all__ = ["MemoryTerm", "counted", "explain_terms", "format_bytes", "parse_memory", "sum_terms"]

_FORMS = 'a number of bytes, or text such as "512MB", "2GiB", "1.5 GB", "300M" or "25%"'
_AMOUNT = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([a-z]*|%)\s*", re.IGNORECASE)
_PREFIXES = "kmgtp"
_MOST = 2**63


def _unit_bytes(unit: str) -> int | None:
    """Return the bytes in a unit such as "MB", "MiB" or "M", or None where it is no such unit."""
    prefix, ending = unit[:1].lower(), unit[1:].lower()
    if unit.lower() in ("", "b"):
        return 1
    if prefix not in _PREFIXES or ending not in ("", "b", "ib"):
        return None
    power = _PREFIXES.index(prefix) + 1
    return int((1000 if ending == "b" else 1024) ** power)


def _refused(value: object, reason: str) -> ParameterError:
    """Return the error for an amount of memory that cannot be taken."""
    shown = repr(value)[:80]
    msg = f"memory must be {_FORMS}, and at least one byte. Got {shown}: {reason}."
    return ParameterError(msg)


def _parse_text(text: str, total: int | None) -> float:
    """Parse a text as bytes, not yet checked to be positive."""
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise _refused(text, "that is not a positive number with a unit")
    number, unit = float(match[1]), match[2]
    if unit != "%":
        factor = _unit_bytes(unit)
        if factor is None:
            raise _refused(text, f"the unit {unit!r} is not known")
        return number * factor
    if total is None:
        raise _refused(text, "there is no total here that a percentage could be taken of")
    if number > 100:
        raise _refused(text, "more than 100% of the available memory")
    return number / 100 * total


def _amount(value: object, total: int | None) -> float:
    """Parse a number or a text as bytes, not yet checked to be positive."""
    if isinstance(value, bool):
        raise _refused(value, "a boolean is not an amount")
    if isinstance(value, str):
        return _parse_text(value, total)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    msg = f"memory must be {_FORMS}. Got {type(value).__name__}."
    raise ParameterTypeError(msg)


def parse_memory(value: float | str, *, total: int | None = None) -> int:
    """Return an amount of memory in bytes.

    Parameters
    ----------
    value : int, float or str
        A number is bytes. A text is a number and a unit, in any case, with or without a space:
        "kB", "MB", "GB", "TB", "PB" are powers of 1000; "KiB", "MiB", "GiB", "TiB", "PiB" are
        powers of 1024, and so are the single letters "K", "M", "G", "T", "P", as in SLURM's
        ``--mem``, ``docker --memory`` and joblib (Dask takes the letters as powers of 1000);
        "%" is a share of `total`; a text without unit, or with "B", is bytes.
    total : int, optional
        Bytes that a percentage refers to.

    Returns
    -------
    int
        Whole bytes, at least 1. Fractions of a byte are cut off.

    Raises
    ------
    ParameterError
        If the amount is zero, negative, not finite, 2**63 or more, a boolean, above 100%, or not
        understood.
    ParameterTypeError
        If `value` is neither a number nor a text.

    Notes
    -----
    Memory: O(1).

    Examples
    --------
    >>> parse_memory("512MB"), parse_memory("2GiB"), parse_memory("25%", total=1000)
    (512000000, 2147483648, 250)
    """
    amount = _amount(value, total)
    if not amount < _MOST:
        raise _refused(value, "that is more than any machine has, or not a number")
    if amount < 1:
        hint = '; write a share as "25%"' if isinstance(value, float) and amount > 0 else ""
        raise _refused(value, f"that is less than one byte{hint}")
    return int(amount)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> counted(1, "mask"), counted(6, "mask")
    ('1 mask', '6 masks')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def format_bytes(nbytes: float) -> str:
    """Return an amount of memory for people to read, in powers of 1024.

    Parameters
    ----------
    nbytes : int or float
        Bytes; differences may be negative.

    Returns
    -------
    str
        The amount with one decimal and its unit; whole bytes below 1 KiB.

    Examples
    --------
    >>> format_bytes(65_326_285), format_bytes(100), format_bytes(2 * 1024**3)
    ('62.3 MiB', '100 B', '2.0 GiB')
    """
    if abs(nbytes) < 1024:
        return f"{int(nbytes)} B"
    amount, units = nbytes / 1024, ["EiB", "PiB", "TiB", "GiB", "MiB", "KiB"]
    # Below the rounding of one decimal, so that 1023.96 KiB reads 1.0 MiB, not 1024.0 KiB.
    while abs(amount) >= 1023.95 and len(units) > 1:
        amount /= 1024
        units.pop()
    return f"{amount:.1f} {units[-1]}"


@dataclass(frozen=True, slots=True)
class MemoryTerm:
    """One part of a predicted peak.

    Attributes
    ----------
    name : str
        Purpose of the memory, such as "block buffers".
    nbytes : int
        Most bytes that it takes.
    of : str
        Step, consumer or count that it belongs to, such as "Mean"; may be empty.
    """

    name: str
    nbytes: int
    of: str = ""


def sum_terms(terms: Iterable[MemoryTerm]) -> int:
    """Return the bytes of all terms together.

    Parameters
    ----------
    terms : iterable of MemoryTerm
        Any terms.

    Returns
    -------
    int
        Bytes.

    Examples
    --------
    >>> sum_terms([MemoryTerm("decoder", 8), MemoryTerm("state and result", 2, "Mean")])
    10
    """
    return sum(term.nbytes for term in terms)


def explain_terms(terms: Iterable[MemoryTerm]) -> list[str]:
    """Return one line for each term of a peak, equal ones together, those of no bytes left out.

    Parameters
    ----------
    terms : iterable of MemoryTerm
        Any terms.

    Returns
    -------
    list of str
        Lines.

    Examples
    --------
    >>> explain_terms([MemoryTerm("state and result", 2048, "Mean"), MemoryTerm("work", 0)])
    ['  2.0 KiB    state and result: Mean']
    """
    sizes: dict[tuple[str, str], int] = {}
    for term in terms:
        key = (term.name, shorten(term.of, 60, placeholder=" ..."))
        sizes[key] = sizes.get(key, 0) + term.nbytes
    return [
        f"  {format_bytes(size):<10} {name}{': ' * bool(of)}{of}"
        for (name, of), size in sizes.items()
        if size
    ]
