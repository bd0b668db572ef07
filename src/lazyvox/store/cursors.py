"""Keep half-read compressed streams, so that the next read goes on where the last one ended."""

import os
import threading
from collections import OrderedDict
from typing import Protocol

from lazyvox.store.feed import Feed
from lazyvox.store.identity import FileIdentity

__all__ = ["Cursor", "CursorPool", "Decoder", "shared_pool"]

#: Decoded bytes produced at a time: large enough that hand-overs between threads cost nothing,
#: small enough to stay in the processor's cache until they are copied to where they belong.
PIECE_BYTES = 256 * 1024

#: Memory of the streams kept between sessions, per process: eight of gzip, one of bzip2 or zstd.
#: None holds a file descriptor.
_POOL_BYTES = 4 << 20


class Decoder(Protocol):
    """A sequential decoder of one compressed file; `held_bytes` is about what it keeps."""

    held_bytes: int
    members_ended: int | None
    trailing_garbage: bool
    at_end: bool

    def decode(self, limit: int) -> bytes:
        """Return the next decoded bytes, at most `limit`; empty only at the end."""


class Cursor:
    """A decoder and the decoded offset at which it stands."""

    def __init__(self, feed: Feed, decoder: Decoder) -> None:
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
    """Idle cursors by file, the least recently used dropped first. Safe for threads and forks."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._idle: OrderedDict[tuple[str, FileIdentity, int], Cursor] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, path: str, identity: FileIdentity, offset: int) -> Cursor | None:
        """Return the idle cursor that is nearest before `offset`, no longer in the pool."""
        with self._lock:
            near = [
                key
                for key in self._idle
                if key[0] == path and key[1] == identity and self._idle[key].position <= offset
            ]
            if not near:
                return None
            return self._idle.pop(max(near, key=lambda key: self._idle[key].position))

    def give(self, path: str, identity: FileIdentity, cursor: Cursor) -> None:
        """Put a cursor back for whoever reads on from where it stands."""
        with self._lock:
            self._idle[path, identity, id(cursor)] = cursor
            while len(self._idle) > 1 and self._held_bytes() > self._max_bytes:
                self._idle.popitem(last=False)

    def forget_all(self) -> None:
        """Drop every cursor and the lock: in a forked child another thread may have held it."""
        self._lock = threading.Lock()
        self._idle = OrderedDict()

    def _held_bytes(self) -> int:
        return sum(cursor.decoder.held_bytes for cursor in self._idle.values())

    def __len__(self) -> int:
        """Return the number of idle cursors."""
        return len(self._idle)


_POOL = CursorPool(_POOL_BYTES)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOL.forget_all)


def shared_pool() -> CursorPool:
    """Return the pool of this process."""
    return _POOL
