"""Results that a process computes once, when they are first needed."""

import threading
from collections.abc import Callable
from typing import Generic, Self, TypeVar

from lazyvox._threads import ForkSafeLock
from lazyvox._typing import override

__all__ = ["OncePerProcess"]

ResultT = TypeVar("ResultT")


class OncePerProcess(Generic[ResultT]):
    """A result that one thread of a process computes, when it is first needed, and all use.

    It pickles as one that is not computed: another process computes it again.

    Attributes
    ----------
    value : object or None
        The result; None before it is there.
    """

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self.value: ResultT | None = None

    @override
    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        """Pickle as one that is not computed."""
        return type(self), ()

    @property
    def lock(self) -> threading.Lock:
        """Lock of those that compute it."""
        return self._lock.of_this_process()

    def get(self, compute: Callable[[], ResultT]) -> ResultT:
        """Return the result; the first caller computes it, others wait."""
        if self.value is not None:
            return self.value
        with self.lock:
            if self.value is None:
                self.value = compute()
            return self.value
