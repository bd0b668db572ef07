"""The interface of what fetches ranges of objects, and how an object was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lazyvox.errors import FileChangedError
from lazyvox.store.files.paths import printable

if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["ObjectBody", "ObjectState", "Transport", "raise_changed"]


@dataclass(frozen=True, slots=True)
class ObjectState:
    """Size and version of an object, by its server.

    Attributes
    ----------
    size : int
        Its size in bytes.
    mtime_ns : int
        Time of its last change, in nanoseconds since the epoch; 0 where it is not said.
    etag : str
        Its ETag, as it was sent, or another text that changes with the content; may be empty.
    """

    size: int
    mtime_ns: int
    etag: str

    def is_same(self, other: ObjectState) -> bool:
        """Return whether nothing speaks against another state being that of the same content."""
        return (
            self.size == other.size
            and (self.etag == other.etag or not self.etag or not other.etag)
            and (self.mtime_ns == other.mtime_ns or not self.mtime_ns or not other.mtime_ns)
        )


class ObjectBody(Protocol):
    """Bytes of an object that are on their way."""

    state: ObjectState

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a buffer, or a part of it; 0 behind the last byte that was asked for.

        Raises `PassingError` where the bytes end early.
        """

    def close(self) -> None:
        """End it, whether all was read or not."""


class Transport(Protocol):
    """Fetches ranges of one object. Safe for threads."""

    def fetch(self, start: int, stop: int | None, seen: ObjectState | None, /) -> ObjectBody:
        """Request bytes of the object.

        Parameters
        ----------
        start, stop : int
            Half-open range; None is the end.
        seen : ObjectState or None
            How the object was found; None where this is the first request.

        Returns
        -------
        ObjectBody
            Its bytes, and how the object is now. If it ends early, so does the range.

        Raises
        ------
        PassingError
            If it may work the next time.
        FileChangedError
            If the object is another one than it was.
        ImageFileError
            If it cannot be had.
        """


def raise_changed(shown: str, seen: ObjectState, now: ObjectState | None) -> NoReturn:
    """Raise `FileChangedError` for an object that is not as it was."""
    after = "It was replaced or deleted." if now is None else f"Now: {_described(now)}."
    msg = (
        f"{printable(shown)}: the object must stay as it was when it was opened, and it changed on "
        f"the server. Opened: {_described(seen)}. {after} Load it again."
    )
    raise FileChangedError(msg)


def _described(state: ObjectState) -> str:
    parts = [f"{state.size} bytes"]
    if state.etag:
        parts.append(f"ETag {state.etag}")
    if state.mtime_ns:
        parts.append(f"modified at {state.mtime_ns // 10**9} s")
    return ", ".join(parts)
