"""Peak memory of a call, for tests."""

from collections.abc import Callable
from typing import Any

from lazyvox.runtime.measure import measure

__all__ = ["peak_of"]


def peak_of(func: Callable[..., Any], *args: Any) -> int:
    """Return the peak memory of a call above what imports hold, measured in a fresh process.

    Parameters
    ----------
    func : callable
        Function defined at the top of a module.
    *args : Any
        Its arguments, picklable.

    Returns
    -------
    int
        Bytes of PSS of the process and its children, above what they held before the call.

    Examples
    --------
    >>> peak_of(list, range(5_000_000)) >= 40_000_000
    True
    """
    return measure(func, *args).increment_bytes
