"""Requests that are made again where the cause may pass, with growing waits, counted."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from lazyvox._threads import is_asked_to_end
from lazyvox._typing import override
from lazyvox.errors import ReadError
from lazyvox.planning.memory import counted, format_bytes
from lazyvox.runtime.logs import log_info
from lazyvox.runtime.once import one_per_process
from lazyvox.store.files.paths import printable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "PassingError",
    "Patience",
    "RemoteUse",
    "Retries",
    "note_request",
    "raise_if_given_up",
    "remote_use",
]

ResultT = TypeVar("ResultT")

_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 20.0
_LONGEST_ASKED_S = 120.0
_SLICE_S = 0.1
#: A server that sends so little between two failures is of no use.
_ENOUGH_BYTES = 64 << 10


class PassingError(Exception):
    """A failure that may be over when the request is made again.

    Parameters
    ----------
    cause : str
        What failed: the end of a sentence.
    wait : float
        Seconds that the server asks for, 0 where it asks for none.
    enough_bytes : float
        So many must come before another failure is the first one again.
    """

    def __init__(self, cause: str, wait: float = 0, enough_bytes: float = _ENOUGH_BYTES) -> None:
        super().__init__(cause)
        self.cause = cause
        self.wait = wait
        self.enough_bytes = enough_bytes


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits of waiting for a server.

    Attributes
    ----------
    timeout : float
        Seconds for which it may be silent.
    min_speed : float
        Bytes that it must send for each second of waiting, over so many seconds.
    """

    timeout: float
    min_speed: float

    def silent(self) -> PassingError:
        """Return the failure of a server that sends nothing."""
        return PassingError(f"the server was silent for {self.timeout:g} s")

    def check_speed(self, nbytes: int, waited: float) -> None:
        """Raise `PassingError` for a server that sent so little while it was waited for."""
        if nbytes >= self.min_speed * waited:
            return
        cause = (
            f"the server sent {nbytes / waited:.0f} bytes per second for {waited:.1f} s, and "
            f"must send the {self.min_speed:g} of the storage option `min_speed`"
        )
        enough = max(_ENOUGH_BYTES, self.min_speed * self.timeout)
        raise PassingError(cause, enough_bytes=enough)


@dataclass(frozen=True, slots=True)
class RemoteUse:
    """Requests for objects behind URLs.

    Attributes
    ----------
    requests, retries : int
        Requests that were made, and those among them that were made again after a failure.
    nbytes : int
        Bytes that were received as content.
    """

    requests: int = 0
    retries: int = 0
    nbytes: int = 0

    def since(self, before: RemoteUse) -> RemoteUse:
        """Return what was added to earlier counts."""
        return RemoteUse(
            self.requests - before.requests,
            self.retries - before.retries,
            self.nbytes - before.nbytes,
        )

    @override
    def __str__(self) -> str:
        """Return the counts as text."""
        again = f", {self.retries} of them again after a failure" if self.retries else ""
        return f"{format_bytes(self.nbytes)} by {counted(self.requests, 'request')}{again}"


class _Counts:
    """The counts of this process. Safe for threads and forks."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Count from zero, with a lock that no thread of a parent holds."""
        self._lock = threading.Lock()
        self._use = RemoteUse()

    def add(self, requests: int, retries: int, nbytes: int) -> None:
        with self._lock:
            use = self._use
            self._use = RemoteUse(
                use.requests + requests, use.retries + retries, use.nbytes + nbytes
            )

    @property
    def use(self) -> RemoteUse:
        return self._use


_COUNTS = one_per_process(_Counts())


def note_request(*, requests: int = 0, retries: int = 0, nbytes: int = 0) -> None:
    """Count requests, retries, bytes."""
    _COUNTS.add(requests, retries, nbytes)


def remote_use() -> RemoteUse:
    """Return the counts of this process so far."""
    return _COUNTS.use


@dataclass(slots=True)
class Retries:
    """The retries of one read; they begin anew whenever bytes come.

    Attributes
    ----------
    shown : str
        The URL, without credentials.
    most : int
        Retries in a row.
    """

    shown: str
    most: int
    _n_failed: int = field(default=0, init=False)
    _n_came: int = field(default=0, init=False)
    _enough_bytes: float = field(default=_ENOUGH_BYTES, init=False)

    def progressed(self, nbytes: int) -> None:
        """Begin anew where enough bytes came since the last failure."""
        self._n_came += nbytes
        if self._n_came >= self._enough_bytes:
            self._n_failed = 0

    def failed(self, error: PassingError) -> None:
        """Wait before the next try; raise `ReadError` where there were enough of them."""
        self._n_failed += 1
        self._n_came, self._enough_bytes = 0, error.enough_bytes
        if self._n_failed > self.most:
            tries = f"{self._n_failed} times" if self._n_failed > 1 else "once"
            msg = (
                f"{printable(self.shown)}: the object must be readable, and {error.cause} "
                f"(requested {tries})."
            )
            raise ReadError(msg, hint="Try again later, or with more retries.") from error
        wait = min(_FIRST_WAIT_S * 2 ** (self._n_failed - 1), _LONGEST_WAIT_S)
        wait = max(wait, min(error.wait, _LONGEST_ASKED_S))
        note_request(retries=1)
        log_info(
            "retry %s of %s in %s s: %s: %s",
            self._n_failed,
            self.most,
            f"{wait:.1f}",
            self.shown,
            error.cause,
        )
        _sleep(wait)

    def until_done(self, action: Callable[[], ResultT]) -> ResultT:
        """Return what a function returns that may fail in a passing way."""
        while True:
            try:
                return action()
            except PassingError as error:
                self.failed(error)


def raise_if_given_up() -> None:
    """Raise `ReadError` in a thread whose read was given up."""
    if is_asked_to_end():
        msg = "the read was given up."
        raise ReadError(msg)


def _sleep(seconds: float) -> None:
    """Wait, unless the read is given up."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        raise_if_given_up()
        time.sleep(min(left, _SLICE_S))
