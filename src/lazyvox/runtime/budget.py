"""The memory budget in force: an argument, else the surrounding block of code, else the default."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

from lazyvox.planning.memory import parse_memory
from lazyvox.runtime.limits import available_memory

__all__ = ["asked_budget", "default_budget", "memory_budget", "recent_budget", "resolve_budget"]

# A quarter, because other processes and the caller's own arrays need room too; more than 2 GiB of
# buffers makes no pass faster.
_DEFAULT_SHARE = 4
_DEFAULT_MOST = 2 * 1024**3

# What is available changes slowly, and asking the system takes longer than reading a small slice.
_RECENT_S = 1.0

_budget: ContextVar[int | None] = ContextVar("lazyvox_memory_budget", default=None)


def default_budget() -> int:
    """Return the default memory budget.

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
    """Return an amount in bytes; a percentage is of the memory available now."""
    is_share = isinstance(memory, str) and "%" in memory
    return parse_memory(memory, total=available_memory() if is_share else None)


@contextmanager
def memory_budget(memory: float | str) -> Iterator[int]:
    """Set the memory budget of a block of code.

    Parameters
    ----------
    memory : int, float or str
        Bytes, or text such as "512MB", "2GiB" or "25%" (of the memory available on entry).

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
    asked = asked_budget(memory)
    return default_budget() if asked is None else _in_bytes(asked)


def asked_budget(memory: float | str | None) -> float | str | None:
    """Return the budget of a call or of the context around it, None where the default holds.

    Parameters
    ----------
    memory : int, float, str or None
        What the caller asked for.

    Returns
    -------
    int, float, str or None
        The amount, not checked.
    """
    return _budget.get() if memory is None else memory


class _Recent:
    """The default budget of a moment ago."""

    def __init__(self) -> None:
        self._known = (-_RECENT_S, 0)

    def budget(self) -> int:
        when, nbytes = self._known
        now = monotonic()
        if not 0 <= now - when < _RECENT_S:
            nbytes = default_budget()
            self._known = (now, nbytes)
        return nbytes


_RECENT = _Recent()


def recent_budget() -> int:
    """Return the budget as `resolve_budget(None)` gives it, or gave it within the last second.

    Returns
    -------
    int
        Bytes, at least 1: what a cache or one slice may be measured by, where no plan counts it.

    Notes
    -----
    Memory: O(1).

    Examples
    --------
    >>> with memory_budget("300MB"):
    ...     recent_budget()
    300000000
    """
    surrounding = _budget.get()
    return _RECENT.budget() if surrounding is None else surrounding
