"""Registry of the caches and pools that a process has one of: a forked child begins with new ones."""

import os
from typing import Protocol, TypeVar

__all__ = ["ProcessState", "one_per_process"]


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


def _begin_anew() -> None:
    for state in _STATES:
        state.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
