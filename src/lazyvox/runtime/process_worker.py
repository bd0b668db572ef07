"""The work of a process of a crew: make calls that come through a pipe, and send the answers."""

import pickle
import signal
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lazyvox.errors import ParameterTypeError
from lazyvox.runtime.process_results import Caught, packed_answer, packed_failure

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = ["Callee", "ignore_interrupts", "serve"]


@dataclass(frozen=True, slots=True)
class Callee:
    """A function that has come from another process, or the reason why it has not.

    Attributes
    ----------
    func : callable or None
        The function.
    error : Exception or None
        What was raised while it was unpickled.
    """

    func: Callable[..., Any] | None
    error: Exception | None

    @classmethod
    def unpickled(cls, payload: bytes) -> "Callee":
        """Return the function of a packed call; its modules, and those named with it, are imported."""
        func = None
        with Caught() as caught:
            func, imports = pickle.loads(payload)
            for module in imports:
                import_module(module)
        return cls(func, caught.error)

    def answer(self, args: bytes) -> bytes:
        """Return the packed result of a call, or its packed error."""
        if self.func is None:
            assert self.error is not None
            return _not_found(self.error)
        with Caught() as caught:
            return packed_answer(self.func(*pickle.loads(args)))
        assert caught.error is not None
        return packed_failure(caught.error)


def serve(connection: "Connection", callee: Callee | None = None) -> None:
    """Make calls until there are none left, or the parent is gone.

    Parameters
    ----------
    connection : Connection
        Where arguments come from, and answers go.
    callee : Callee, optional
        The function; by default it comes first, packed.
    """
    ignore_interrupts()
    with connection, Caught():
        if callee is None:
            callee = Callee.unpickled(connection.recv_bytes())
        # Empty: no more calls. The end of the pipe is an exception: the parent is gone.
        while args := connection.recv_bytes():
            connection.send_bytes(callee.answer(args))


def ignore_interrupts() -> None:
    """Leave Ctrl-C, which reaches all processes of a terminal, to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _not_found(reason: Exception) -> bytes:
    """Return the failure of a function that the parent knows and this process does not."""
    error = ParameterTypeError(
        f"a function for other processes must find there what it refers to. Got "
        f"{type(reason).__name__}: {reason}. Put modules that it imports where Python looks for "
        f"them, or define it in the notebook itself."
    )
    # So that its traceback, which shows what fails while importing, goes along.
    error.__cause__ = reason
    return packed_failure(error)
