"""Registry of the caches and pools that a process has one of: a forked child begins with new ones."""

import os
import threading
from typing import Protocol, TypeVar

__all__ = ["FirstTime", "ProcessState", "one_per_process"]


class ProcessState(Protocol):
    """A cache or pool that all threads of a process share."""

    def begin_anew(self) -> None:
        """Replace the lock, which a thread of the parent may have held, and what must not be shared."""


StateT = TypeVar("StateT", bound=ProcessState)

_STATES: list[ProcessState] = []


def one_per_process(state: StateT) -> StateT:
    """Return a state that begins anew in each forked child; for constants of modules."""
    _STATES.append(state)
    return state


class FirstTime:
    """Memory of something that is done once in a process, such as a warning. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_over = False

    def __call__(self) -> bool:
        """Return True the first time, False afterwards."""
        with self._lock:
            was_over, self._is_over = self._is_over, True
        return not was_over

    def begin_anew(self) -> None:
        """Replace the lock: in a forked child another thread may have held it."""
        self._lock = threading.Lock()


def _begin_anew() -> None:
    for state in _STATES:
        state.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
