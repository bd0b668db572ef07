"""Ctrl-C that comes when a test is ready for it."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["interrupted_when"]

_LONGEST_WAIT_S = 60.0


@contextmanager
def interrupted_when(begun: threading.Event) -> Iterator[None]:
    """Context in which the main thread gets one `KeyboardInterrupt`, as of Ctrl-C.

    Parameters
    ----------
    begun : threading.Event
        The signal is sent when it is set, at the latest after a minute.

    Yields
    ------
    None
        Nothing.

    Examples
    --------
    >>> begun = threading.Event()
    >>> try:
    ...     with interrupted_when(begun):
    ...         begun.set()
    ...         threading.Event().wait(60)
    ... except KeyboardInterrupt:
    ...     print("interrupted")
    interrupted
    """
    came = threading.Event()

    def once(number: int, frame: FrameType | None) -> None:
        del number, frame
        if not came.is_set():
            came.set()
            raise KeyboardInterrupt

    def interrupt() -> None:
        begun.wait(_LONGEST_WAIT_S)
        # One that comes just before the main thread waits does not wake it.
        while not came.wait(0.2):
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    before = signal.signal(signal.SIGINT, once)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)
