"""The memory budget in force: an argument, else the surrounding block of code, else the default."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from lazyvox.planning.memory import parse_memory
from lazyvox.runtime.limits import available_memory

__all__ = ["default_budget", "memory_budget", "resolve_budget"]

# A quarter, because other processes and the caller's own arrays need room too; more than 2 GiB of
# buffers makes no pass faster.
_DEFAULT_SHARE = 4
_DEFAULT_MOST = 2 * 1024**3

_budget: ContextVar[int | None] = ContextVar("lazyvox_memory_budget", default=None)


def default_budget() -> int:
    """Return the budget that holds where nobody set one.

    Returns
    -------
    int
        A quarter of the memory that is really available, at most 2 GiB, at least one byte.

    Notes
    -----
    Memory: O(1).

    Examples
    --------
    >>> 0 < default_budget() <= 2 * 1024**3
    True
    """
    return max(1, min(_DEFAULT_MOST, available_memory() // _DEFAULT_SHARE))


def _in_bytes(memory: float | str) -> int:
    """Return an amount in bytes; a percentage is of what is available now."""
    is_share = isinstance(memory, str) and "%" in memory
    return parse_memory(memory, total=available_memory() if is_share else None)


@contextmanager
def memory_budget(memory: float | str) -> Iterator[int]:
    """Set the memory budget of a block of code.

    Parameters
    ----------
    memory : int, float or str
        Bytes, or text such as "512MB", "2GiB" or "25%" (of what is available on entry).

    Yields
    ------
    int
        The budget in bytes.

    Raises
    ------
    ParameterError
        If `memory` is not a positive amount.
    ParameterTypeError
        If `memory` is neither a number nor a text.

    Notes
    -----
    Memory: O(1). The innermost block counts, and an explicit ``memory=`` argument wins over all.
    Blocks are separate for each thread and each asynchronous task: a thread started inside of a
    block begins with the default.

    Examples
    --------
    >>> with memory_budget("300MB"):
    ...     resolve_budget(None)
    300000000
    """
    nbytes = _in_bytes(memory)
    token = _budget.set(nbytes)
    try:
        yield nbytes
    finally:
        _budget.reset(token)


def resolve_budget(memory: float | str | None) -> int:
    """Return the budget in bytes that a call has to keep to.

    Parameters
    ----------
    memory : int, float, str or None
        What the caller asked for; None leaves it to `memory_budget`, else to the default.

    Returns
    -------
    int
        Bytes, at least 1.

    Raises
    ------
    ParameterError
        If `memory` is not a positive amount.
    ParameterTypeError
        If `memory` is neither None, a number nor a text.

    Notes
    -----
    Memory: O(1).

    Examples
    --------
    >>> resolve_budget("2GiB")
    2147483648
    """
    if memory is not None:
        return _in_bytes(memory)
    surrounding = _budget.get()
    return default_budget() if surrounding is None else surrounding
