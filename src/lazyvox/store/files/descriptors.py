"""Files that are open for reading, of which few hold a descriptor at a time.

An expression of a thousand series reads a thousand files in step, and systems let a process open
some 256 files simultaneously. So the descriptors that were not used for longest are closed, and opened
again when their files are read next.
"""

import os
import threading
from collections.abc import Iterable
from itertools import count
from typing import Protocol
from weakref import ReferenceType, ref

from lazyvox.errors import FileChangedError
from lazyvox.runtime.once import one_per_process
from lazyvox.store.files.paths import printable

__all__ = ["OpenFile"]

#: Descriptors that are held at most while others are idle: few beside what the smallest limits
#: allow, and more than the files of a pass that is not an expression.
MOST_HELD = 32


class SeenFile(Protocol):
    """A file on a disk as it was first seen."""

    def open_same(self, path: str, /) -> int:
        """Open the file and return its descriptor; raise where it is another one by now."""

    def check(self, status: os.stat_result, path: str, /) -> None:
        """Raise `FileChangedError` unless a stat record is of this very file."""


class OpenFile:
    """A file that is open for reading, with or without a descriptor at the moment.

    Used by one thread at a time. Threads of other files may take the descriptor away, except
    while it is used.

    Parameters
    ----------
    path : str
        The file.
    seen : SeenFile
        How it was first seen; checked whenever it is opened.
    """

    def __init__(self, path: str, seen: SeenFile) -> None:
        self.path = path
        self._seen = seen
        self._fd: int | None = None
        # An interrupt may leave it true: then the descriptor is kept until the file is closed.
        self._is_used = False
        self._last_use = 0
        self._parked: os.stat_result | None = None
        self._opened: os.stat_result | None = None
        self._take()
        self._is_used = False

    def pread(self, nbytes: int, offset: int) -> bytes:
        """Return up to `nbytes` bytes from `offset`."""
        fd = self._take()
        try:
            return os.pread(fd, nbytes, offset)
        finally:
            self._is_used = False

    def preadv(self, buffer: memoryview, offset: int) -> int:
        """Fill a buffer with bytes from `offset`; return how many there were."""
        fd = self._take()
        try:
            return os.preadv(fd, [buffer], offset)
        finally:
            self._is_used = False

    def at_hand(self, offset: int) -> int:
        """Return 0: a disk has no preference."""
        del offset
        return 0

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Do nothing: the system reads files ahead."""

    def present_size(self) -> int:
        """Return the size of the file now, as of its last use where it is parked."""
        return self._status().st_size

    def check(self) -> None:
        """Raise `FileChangedError` if the file was written to since it was first seen."""
        self._check(self._status())

    def close(self) -> None:
        """Give the descriptor back."""
        _HELD.drop(self)

    def __del__(self) -> None:
        """Give the descriptor back of a session that an interrupt ended before its end."""
        # No lock: garbage is collected at any moment, also of a thread that holds it.
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _status(self) -> os.stat_result:
        parked = self._parked
        if parked is not None:
            return parked
        try:
            return os.fstat(self._take())
        finally:
            self._is_used = False

    def _take(self) -> int:
        """Return the descriptor, which stays until `_is_used` is false."""
        fd = _HELD.use(self)
        if fd is None:
            if self._parked is not None:
                # What was read before was of the file first seen, if it was the same until then.
                self._check(self._parked)
            fd = self._seen.open_same(self.path)
            _HELD.add(self, fd)
            self._check(os.fstat(fd))
        return fd

    def _check(self, status: os.stat_result) -> None:
        self._seen.check(status, self.path)
        if self._opened is None:
            self._opened = status
        _check_unwritten(self.path, self._opened, status)


class _Held:
    """The descriptors that are held in this process. Safe for threads and forks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # They do not keep alive what nobody will close.
        self._files: dict[int, ReferenceType[OpenFile]] = {}
        self._turns = count(1)

    def use(self, file: OpenFile) -> int | None:
        """Mark a file as used; return its descriptor."""
        with self._lock:
            file._is_used = True
            file._last_use = next(self._turns)
            return file._fd

    def add(self, file: OpenFile, fd: int) -> None:
        """Give a file its descriptor, and take away those that are idle for longest."""
        with self._lock:
            file._fd, file._parked = fd, None
            self._files[id(file)] = ref(file)
            if len(self._files) > MOST_HELD:
                self._park_oldest()

    def drop(self, file: OpenFile) -> None:
        """Close the descriptor of a file."""
        with self._lock:
            # Forgotten first: an interrupt between the two must not have it closed a second time.
            self._files.pop(id(file), None)
            fd, file._fd, file._parked = file._fd, None, None
            if fd is not None:
                os.close(fd)

    def begin_anew(self) -> None:
        """Begin anew: in a forked child another thread may have held the lock."""
        self._lock = threading.Lock()
        self._files = {}

    def _park_oldest(self) -> None:
        """Take descriptors away until few are held, those that are idle for longest first."""
        alive = [file for file in (one() for one in self._files.values()) if file is not None]
        self._files = {id(file): ref(file) for file in alive}
        idle = [file for file in alive if not file._is_used]
        idle.sort(key=lambda file: file._last_use)
        for file in idle[: max(len(alive) - MOST_HELD, 0)]:
            if _park(file):
                del self._files[id(file)]


def _park(file: OpenFile) -> bool:
    """Take the descriptor of a file away, and keep the file's present identity."""
    fd = file._fd
    if fd is None:
        return True
    try:
        status = os.fstat(fd)
    except OSError:
        # Its own thread is to meet that error, when it uses the descriptor.
        return False
    file._parked, file._fd = status, None
    os.close(fd)
    return True


_HELD = one_per_process(_Held())


def _check_unwritten(path: str, opened: os.stat_result, now: os.stat_result) -> None:
    """Raise `FileChangedError` if an open file was written to, and its time set back.

    Each write sets the time of change, which cannot be set back; so do other links, permissions,
    owners and names, which leave the content as it is.
    """
    if now.st_ctime_ns == opened.st_ctime_ns:
        return
    explained = ("st_nlink", "st_mode", "st_uid", "st_gid")
    if any(getattr(now, name) != getattr(opened, name) for name in explained):
        return
    try:
        is_there = os.path.samestat(now, os.stat(path))  # noqa: PTH116 - the path is a text
    except OSError:
        return
    if is_there:
        msg = (
            f"{printable(path)}: the file must stay as it was while it is read, and it was "
            f"written to at {now.st_ctime_ns} ns, though its size and its modification time are "
            f"as before. Load it again."
        )
        raise FileChangedError(msg)
