"""State that a process has one of: results computed once, warnings, caches and pools."""

import os
import threading
from collections.abc import Callable
from typing import Generic, Protocol, Self, TypeVar

from lazyvox._threads import ForkSafeLock
from lazyvox._typing import override

__all__ = ["FirstTime", "OncePerProcess", "one_per_process"]

ResultT = TypeVar("ResultT")


class _ProcessState(Protocol):
    """A cache or pool that all threads of a process share."""

    def begin_anew(self) -> None:
        """Replace the lock, which a thread of the parent may have held, and unshareable state."""


StateT = TypeVar("StateT", bound=_ProcessState)

_STATES: list[_ProcessState] = []


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


class FirstTime:
    """Memory of something that is done once in a process, such as a warning. Safe for threads."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._is_over = False

    def __call__(self) -> bool:
        """Return True the first time, False afterwards."""
        with self._lock.of_this_process():
            was_over, self._is_over = self._is_over, True
        return not was_over


def one_per_process(state: StateT) -> StateT:
    """Return a state that begins anew in each forked child; for constants of modules."""
    _STATES.append(state)
    return state


def _begin_anew() -> None:
    for state in _STATES:
        state.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
