"""What to do when the system gives less memory than was planned with."""

from collections.abc import Iterator
from contextlib import contextmanager

from lazyvox.errors import LazyvoxError, MemoryBudgetError
from lazyvox.planning.memory import format_bytes

__all__ = ["explained_shortage"]


@contextmanager
def explained_shortage(peak_bytes: int, budget: int) -> Iterator[None]:
    """Turn the bare `MemoryError` of an allocation that failed into one that says what to do.

    Parameters
    ----------
    peak_bytes : int
        What the work was planned to need.
    budget : int
        The budget that it was planned for.

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
        msg = (
            f"the system must give the memory that the plan asks for, at most "
            f"{format_bytes(peak_bytes)} of a budget of {format_bytes(budget)}, and it gave no "
            f"more. Pass memory={max(peak_bytes // 2, 1)} or less, or raise what limits this "
            f"process: `ulimit -v`, its container, its batch job, other programs."
        )
        raise MemoryBudgetError(msg) from error
