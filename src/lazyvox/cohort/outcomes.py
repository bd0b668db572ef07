"""Outcome of the work on a run: done, with remarks, or failed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from lazyvox.errors import LazyvoxError

__all__ = ["Done", "Failed", "Wording", "failed_results", "in_python"]

#: Function that gives the text of an error or warning.
Wording: TypeAlias = Callable[[Exception], str]


def in_python(problem: Exception) -> str:
    """Return the text of an error or warning for programs in Python.

    Examples
    --------
    >>> in_python(LazyvoxError("`t_r` must be above 0.")), in_python(KeyError("a"))
    ('`t_r` must be above 0.', "KeyError: 'a'")
    """
    is_known = isinstance(problem, LazyvoxError | Warning)
    return str(problem) if is_known else f"{type(problem).__name__}: {problem}"


@dataclass(frozen=True, slots=True)
class Done:
    """A run whose outputs are in place.

    Attributes
    ----------
    run : str
        Its entities.
    seconds : float
        Time that it took.
    peak_bytes : int
        Memory that was measured above what the process held before.
    remarks : tuple of Warning
        Warnings on the way.
    wording : callable
        Gives their text.
    """

    run: str
    seconds: float
    peak_bytes: int
    remarks: tuple[Warning, ...] = ()
    wording: Wording = field(default=in_python, repr=False, compare=False)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings, each in one line."""
        return tuple(dict.fromkeys(_one_line(self.wording(one)) for one in self.remarks))


@dataclass(frozen=True, slots=True)
class Failed:
    """A run that failed; none of its outputs of this attempt is there.

    Attributes
    ----------
    run : str
        Its entities.
    file : str
        Its image.
    step : str
        "find", "open", "confounds", "model", "plan", "mask", "read", "matrix", "write" or
        "process".
    error : Exception
        What was raised.
    wording : callable
        Gives its text.
    """

    run: str
    file: str
    step: str
    error: Exception
    wording: Wording = field(default=in_python, repr=False, compare=False)

    @property
    def message(self) -> str:
        """The error in one line."""
        return _one_line(self.wording(self.error))


def failed_results(failed: Iterable[Failed]) -> list[dict[str, str]]:
    """Return the results over several runs that failed, for JSON."""
    return [{"result": one.run, "message": one.message} for one in failed]


def _one_line(text: str) -> str:
    return " ".join(text.split())
