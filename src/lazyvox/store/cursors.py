"""Keep half-read compressed streams, so that the next read goes on where the last one ended."""

import threading
from typing import Protocol

from lazyvox.runtime.once import one_per_process
from lazyvox.store.files.compressed_input import CompressedInput
from lazyvox.store.files.identity import FileKey, SourceFile

__all__ = ["Cursor", "CursorPool", "Decoder", "shared_pool"]

#: Decoded bytes produced at a time: large enough that hand-overs between threads cost nothing,
#: small enough to stay in the processor's cache until they are copied to where they belong. Below
#: 64 KiB, from where on the C library gives memory back to the system when it is freed in processes
#: that are to do so soon, as workers of Dask are, and asks for it again: with 112 KiB passes had
#: twice the page faults there, and a third more with pieces above 128 KiB.
PIECE_BYTES = 60 * 1024

#: Memory of the streams kept between sessions, per process: eight of gzip, one of bzip2 or zstd.
#: None holds a file descriptor.
_POOL_BYTES = 4 << 20

#: Files of which it is remembered how far they were decoded.
_MOST_NOTED = 64


class Decoder(Protocol):
    """A sequential decoder of one compressed file; `held_bytes` estimates its memory."""

    held_bytes: int
    members_ended: int | None
    trailing_garbage: bool
    at_end: bool

    def decode(self, limit: int) -> bytes:
        """Return the next decoded bytes, at most `limit`; empty only at the end."""


class Cursor:
    """A decoder and the decoded offset at which it stands."""

    def __init__(self, feed: CompressedInput, decoder: Decoder) -> None:
        self.feed = feed
        self.decoder = decoder
        self.position = 0

    def next_piece(self, limit: int) -> bytes:
        """Return the next decoded bytes, at most `limit` and at most one piece."""
        piece = self.decoder.decode(min(limit, PIECE_BYTES))
        self.position += len(piece)
        return piece

    def skip_to(self, offset: int) -> bool:
        """Decode and drop bytes up to `offset`; False where the stream ends before it."""
        while self.position < offset:
            if not self.next_piece(offset - self.position):
                return False
        return True


class CursorPool:
    """Idle cursors by file, the least recently used dropped first. Safe for threads and forks.

    They are kept in a list: its changes cannot be interrupted half-way, as those of a dictionary
    can whose keys are compared in Python.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._idle: list[tuple[FileKey, Cursor]] = []
        self._furthest: list[tuple[FileKey, int]] = []
        self._lock = threading.Lock()

    def note(self, source: SourceFile, position: int) -> None:
        """Remember how far a file was decoded."""
        with self._lock:
            before = [one for one in self._furthest if one[0] == source.key]
            furthest = max([position, *(one[1] for one in before)])
            rest = [one for one in self._furthest if one not in before]
            self._furthest = [*rest[-_MOST_NOTED + 1 :], (source.key, furthest)]

    def furthest(self, source: SourceFile) -> int:
        """Return how far a file was decoded before, as far as that is remembered."""
        with self._lock:
            for key, position in self._furthest:
                if key == source.key:
                    return position
        return 0

    def take(self, source: SourceFile, offset: int) -> Cursor | None:
        """Return the idle cursor that is nearest before `offset`, no longer in the pool."""
        with self._lock:
            near = [
                (cursor.position, place)
                for place, (key, cursor) in enumerate(self._idle)
                if key == source.key and cursor.position <= offset
            ]
            return self._idle.pop(max(near)[1])[1] if near else None

    def give(self, source: SourceFile, cursor: Cursor) -> None:
        """Return a cursor to the pool, for the next read that continues at its position."""
        with self._lock:
            self._idle.append((source.key, cursor))
            while len(self._idle) > 1 and self._held_bytes() > self._max_bytes:
                del self._idle[0]

    def forget(self, source: SourceFile) -> None:
        """Drop the cursors of one file."""
        with self._lock:
            self._idle = [one for one in self._idle if one[0] != source.key]

    def begin_anew(self) -> None:
        """Drop every cursor and the lock: in a forked child another thread may have held it."""
        self._lock = threading.Lock()
        self._idle = []
        self._furthest = []

    def _held_bytes(self) -> int:
        return sum(cursor.decoder.held_bytes for _, cursor in self._idle)

    def __len__(self) -> int:
        """Return the number of idle cursors."""
        return len(self._idle)


_POOL = one_per_process(CursorPool(_POOL_BYTES))


def shared_pool() -> CursorPool:
    """Return the pool of this process."""
    return _POOL
