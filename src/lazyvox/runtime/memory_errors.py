"""Errors for work that needs more than the budget, or gets less from the system than was planned."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

from lazyvox._typing import DType, Shape
from lazyvox.errors import LazyvoxError, MemoryBudgetError
from lazyvox.planning.memory import format_bytes

__all__ = ["check_fits", "explained_array", "explained_shortage"]


def check_fits(nbytes: int, budget: int, what: str, needing: str) -> None:
    """Refuse work that needs more memory than the budget.

    Parameters
    ----------
    nbytes : int
        Bytes that it needs.
    budget : int
        Bytes that it may take.
    what : str
        What the budget must hold.
    needing : str
        Subject and verb, such as "they need".

    Raises
    ------
    MemoryBudgetError
        If the budget is exceeded.

    Examples
    --------
    >>> check_fits(100, 100, "the maps", "they need")
    """
    if nbytes > budget:
        msg = (
            f"the memory budget must hold {what}. Got {format_bytes(budget)}; {needing} "
            f"{format_bytes(nbytes)}. Pass memory={nbytes} or more."
        )
        raise MemoryBudgetError(msg)


@contextmanager
def explained_shortage(
    peak_bytes: int, budget: int, *, setting: str = "memory={}"
) -> Iterator[None]:
    """Turn the bare `MemoryError` of a failed allocation into one with advice.

    Parameters
    ----------
    peak_bytes : int
        What the work was planned to need.
    budget : int
        The budget that it was planned for.
    setting : str
        How the caller of the work sets a budget, with a place for the number.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    MemoryBudgetError
        In place of any other `MemoryError`.
    """
    try:
        yield
    except LazyvoxError:
        raise
    except MemoryError as error:
        half = max(peak_bytes // 2, 1)
        msg = (
            f"the system must give the memory that the plan asks for, at most "
            f"{format_bytes(peak_bytes)} of a budget of {format_bytes(budget)}, and it gave no "
            f"more."
        )
        limits = (
            "or less, or raise what limits this process: `ulimit -v`, its container, its batch "
            "job, other programs."
        )
        raise MemoryBudgetError(
            msg,
            hint=f"Pass {setting.format(half)}, {limits}",
            cli_hint=f"Pass --memory {half}, {limits}",
        ) from error


@contextmanager
def explained_array(path: str, shape: Shape, dtype: DType) -> Iterator[None]:
    """Turn the bare `MemoryError` of reading an array into one with advice.

    Parameters
    ----------
    path : str
        What is read.
    shape : tuple of int
        Shape of the array that was asked for.
    dtype : numpy.dtype
        Its type.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    MemoryBudgetError
        In place of any other `MemoryError`.
    """
    try:
        yield
    except LazyvoxError:
        raise
    except MemoryError as error:
        nbytes = math.prod(shape) * dtype.itemsize
        msg = (
            f"{path}: the system must give {format_bytes(nbytes)} for the array that was asked "
            f"for, of shape {shape} and type {dtype}, and it gave no more."
        )
        hint = (
            "Read a part of it, go through it in blocks with lazyvox.Scan, or load it with a "
            "smaller dtype=."
        )
        cli_hint = "Take a part of the image first, with `lazyvox slice`."
        raise MemoryBudgetError(msg, hint=hint, cli_hint=cli_hint) from error
