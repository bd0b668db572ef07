"""Answer of a worker process: the returned value, or the error."""

import os
import pickle
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

from lazyvox.errors import LazyvoxError, ParameterTypeError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = [
    "Caught",
    "Failure",
    "how_it_ended",
    "packed",
    "packed_answer",
    "packed_call",
    "packed_failure",
    "raise_failure",
    "send_call",
    "start_process",
]


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception on its way to the parent, with the text of its traceback."""

    error: Exception
    trace: str


class Caught:
    """Context that keeps whatever exception is raised inside, to be handed to the parent."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def __enter__(self) -> Self:
        """Return the context itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Keep the exception; those that end a process pass through."""
        if isinstance(error, Exception):
            self.error = error
        return self.error is not None


def packed_failure(error: Exception) -> bytes:
    """Return the bytes of a failure, replacing an exception that does not survive pickling."""
    trace = "".join(traceback.format_exception(error))
    with Caught():
        made = pickle.dumps(Failure(error, trace))
        pickle.loads(made)
        return made
    return pickle.dumps(Failure(LazyvoxError(f"{type(error).__name__}: {error}"), trace))


def raise_failure(failure: Failure, where: str) -> NoReturn:
    """Raise the error of another process, with its traceback there as a note."""
    failure.error.add_note(f"Traceback in {where}:\n{failure.trace}")
    raise failure.error


def packed_call(name: str, func: Callable[..., Any], *args: Any) -> bytes:
    """Return the bytes of a call, or raise where it cannot go to another process."""
    try:
        return packed((func, args))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        msg = (
            f"{name}: the function and its arguments must be picklable, since they run in a "
            f"fresh process. Got {func!r}: {error}. Pass a function that refers to no open file, "
            f"lock or connection."
        )
        raise ParameterTypeError(msg) from error


def packed(thing: Any) -> bytes:
    """Return the pickled bytes of an object: functions and classes of notebooks with their code."""
    # Needed where there are other processes only.
    import cloudpickle

    made: bytes = cloudpickle.dumps(thing)
    return made


def start_process(process: Any) -> None:
    """Start a process, also of a program that came from standard input, which has no file.

    A new process would look for the file of the main module to run it. Functions of such a
    program bring their code, as those of notebooks do.
    """
    main = sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    if path is None or os.path.exists(path):  # noqa: PTH110 - of "<stdin>" too
        process.start()
        return
    del main.__file__
    try:
        process.start()
    finally:
        main.__file__ = path


def send_call(connection: "Connection", payload: bytes) -> None:
    """Send a packed call to a process that was started, or to none if it has ended: how it did is seen later.

    As an argument of the process, a long call would wait forever for one that ends without reading it.
    """
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.send_bytes(payload)


def packed_answer(answer: Any) -> bytes:
    """Return the pickled bytes of a result, for the process that knows its own notebook."""
    with Caught():
        return pickle.dumps(answer)
    return packed(answer)


def how_it_ended(exitcode: int | None) -> str:
    """Return in words how a process ended that should have answered."""
    code = exitcode or 0
    if code < 0:
        return f"worker died (signal {-code})"
    return f"worker ended with exit code {code}"
