"""An object that is open for reading: ranges, streams, and what was fetched before it is used."""

from __future__ import annotations

import threading
from collections import deque
from itertools import chain, islice
from typing import TYPE_CHECKING

from lazyvox.runtime.once import one_per_process
from lazyvox.runtime.prefetch import Prefetched
from lazyvox.store.files.identity import ONE_FETCH_BYTES
from lazyvox.store.remote.http_object import SMALL_BYTES
from lazyvox.store.remote.retrying import PassingError, Retries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lazyvox.store.remote.transport import ObjectBody, ObjectState, Transport

__all__ = ["FETCH_BYTES", "HEAD_BYTES", "MOST_AT_ONCE", "OpenObject", "first_bytes", "keep_piece"]

#: Bytes of the first request: the header of an image, and its extensions where they are short.
HEAD_BYTES = SMALL_BYTES

#: Ranges that are fetched at a time.
MOST_AT_ONCE = 8

#: Ranges nearer than this are one: about as long as a request takes at 10 MB/s.
_GAP_BYTES = 128 << 10

#: Longer ranges are not fetched ahead, but straight to where they belong, in parts.
_LONG_BYTES = 512 << 10
_PART_BYTES = 4 << 20

#: A read that goes on where the last one ended asks for twice as much, up to here; then for the rest.
_MOST_AHEAD = 1 << 20

#: Pieces that were read last, or skipped, up to this size.
_MOST_RECENT = 3
_RECENT_BYTES = 128 << 10

_KEPT_BYTES = ONE_FETCH_BYTES + (1 << 20)

#: What an open object holds at most: pieces that were fetched; beside them, of a plain file, ranges
#: that are fetched ahead, or of a compressed one the copy of a piece; buffers of connections.
FETCH_BYTES = _KEPT_BYTES + MOST_AT_ONCE * _LONG_BYTES + (1 << 20)


class Range:
    """Bytes of an object from one offset to another, resumed where they break off."""

    def __init__(
        self,
        transport: Transport,
        seen: ObjectState | None,
        start: int,
        stop: int | None,
        retries: Retries,
    ) -> None:
        self._transport, self._retries = transport, retries
        self._body: ObjectBody | None = None
        self.seen = seen
        self.position = start
        self.stop = stop

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer; return how many bytes there were before the end."""
        filled = 0
        while filled < len(buffer) and (self.stop is None or self.position < self.stop):
            try:
                n_read = self._received(buffer[filled:])
            except PassingError as error:
                self.close()
                self._retries.failed(error)
                continue
            if not n_read:
                break
            self._retries.progressed(n_read)
            filled += n_read
            self.position += n_read
        return filled

    def close(self) -> None:
        """Let go of the connection."""
        body, self._body = self._body, None
        if body is not None:
            body.close()

    def _received(self, buffer: memoryview) -> int:
        if self._body is None:
            self._body = self._transport.fetch(self.position, self.stop, self.seen)
            self.seen = self._body.state
            end = self.seen.size
            self.stop = end if self.stop is None else min(self.stop, end)
        return self._body.readinto(buffer)


def first_bytes(
    transport: Transport, retries: Retries, nbytes: int = HEAD_BYTES
) -> tuple[bytes, ObjectState]:
    """Return the beginning of an object, and how it was found, by one request."""
    buffer = bytearray(nbytes)
    piece = Range(transport, None, 0, nbytes, retries)
    try:
        n_read = piece.readinto(memoryview(buffer))
    finally:
        piece.close()
    assert piece.seen is not None, "bug in lazyvox: an object was read that was not found"
    return bytes(buffer[:n_read]), piece.seen


class _Pieces:
    """Pieces of objects that were fetched and are read next. Safe for threads and forks.

    They are kept in a list: its changes cannot be interrupted half-way.
    """

    def __init__(self) -> None:
        self._pieces: list[tuple[str, ObjectState, int, bytes]] = []
        self._lock = threading.Lock()

    def begin_anew(self) -> None:
        """Replace the lock: in a forked child another thread may have held it."""
        self._lock = threading.Lock()

    def find(self, shown: str, state: ObjectState, offset: int) -> tuple[int, bytes]:
        """Return the start of a piece that holds an offset, and its bytes; no bytes if none does."""
        for name, its_state, start, piece in reversed(self._pieces):
            if start <= offset < start + len(piece) and name == shown and its_state == state:
                return start, piece
        return offset, b""

    def keep(self, shown: str, state: ObjectState, start: int, piece: bytes) -> None:
        """Keep a piece, and drop the oldest ones for it."""
        with self._lock:
            pieces = [*self._pieces, (shown, state, start, piece)]
            while sum(len(one[3]) for one in pieces) > _KEPT_BYTES:
                del pieces[0]
            self._pieces = pieces


_PIECES = one_per_process(_Pieces())


def keep_piece(shown: str, state: ObjectState, start: int, piece: bytes) -> None:
    """Keep bytes of an object for the reads that follow."""
    _PIECES.keep(shown, state, start, piece)


class OpenObject:
    """An object that is open for reading; see `StoredBytes`. Used by one thread at a time.

    Reads that follow one another become longer requests, and at last one stream to the end of the
    object: the system receives what comes next while this process works on what came before.

    Parameters
    ----------
    shown : str
        Its URL, without credentials.
    transport : Transport
        What fetches it.
    state : ObjectState
        How it was found.
    most_retries : int
        Retries in a row.
    """

    def __init__(
        self, shown: str, transport: Transport, state: ObjectState, most_retries: int
    ) -> None:
        self._shown, self._transport, self._state = shown, transport, state
        self._most_retries = most_retries
        self._planned = (0, 0)
        self._recent: deque[tuple[int, bytes]] = deque(maxlen=_MOST_RECENT)
        self._range: Range | None = None
        self._end = -1
        self._n_ahead = 0
        self._ahead: Prefetched[tuple[int, int], tuple[int, bytes]] | None = None
        self._fetched = (0, b"")

    def pread(self, nbytes: int, offset: int) -> bytes:
        """Return up to `nbytes` bytes from `offset`."""
        buffer = bytearray(max(min(nbytes, self._state.size - offset), 0))
        n_read = self.preadv(memoryview(buffer), offset)
        data = bytes(memoryview(buffer)[:n_read])
        self._remember(offset, data)
        return data

    def _remember(self, offset: int, data: bytes) -> None:
        """Keep what was read last: the search for access points goes back a little."""
        if len(data) <= _RECENT_BYTES:
            self._recent.append((offset, data))

    def at_hand(self, offset: int) -> int:
        """Return how many bytes from `offset` were fetched before."""
        start, piece = self._kept(offset)
        return start + len(piece) - offset

    def preadv(self, buffer: memoryview, offset: int) -> int:
        """Fill a buffer with bytes from `offset`; return how many there were."""
        buffer = buffer[: max(self._state.size - offset, 0)]
        filled = 0
        while filled < len(buffer):
            rest, at = buffer[filled:], offset + filled
            known = self._known(at, len(rest))
            rest[: len(known)] = known
            n_read = len(known) or self._received(rest, at)
            filled += n_read
            self._end = at + n_read
            if not n_read:
                break
        return filled

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Fetch ranges that are going to be read, in this order, several at a time."""
        self._stop_ahead()
        self._fetched = (0, b"")
        joined = _joined(ranges)
        first = list(islice(joined, 2))
        if len(first) < 2:
            self._planned = first[0] if first else (0, 0)
            return
        self._ahead = Prefetched(
            chain(first, joined),
            self._fetch,
            n_items=MOST_AT_ONCE,
            n_threads=MOST_AT_ONCE,
            name="lazyvox-ranges",
        )

    def fetch(self, start: int, stop: int) -> None:
        """Fetch bytes that are read next, by whichever session, in one request."""
        stop = min(stop, self._state.size)
        begin, piece = _PIECES.find(self._shown, self._state, start)
        if stop <= begin + len(piece):
            return
        buffer = bytearray(stop - start)
        self._read_range(start, memoryview(buffer))
        keep_piece(self._shown, self._state, start, bytes(buffer))

    def present_size(self) -> int:
        """Return the size of the object."""
        return self._state.size

    def check(self) -> None:
        """Do nothing: every answer was compared with how the object was found."""

    def close(self) -> None:
        """Let go of connections and of what was fetched."""
        self._stop_ahead()
        self._end_range()
        self._fetched = (0, b"")
        self._recent.clear()

    def _kept(self, offset: int) -> tuple[int, bytes]:
        """Return a piece that was received before, with its offset; empty where none is."""
        for start, piece in self._recent:
            if start <= offset < start + len(piece):
                return start, piece
        if self._range is not None and self._range.position == offset:
            # To use another copy would leave the stream behind.
            return offset, b""
        return _PIECES.find(self._shown, self._state, offset)

    def _known(self, offset: int, nbytes: int) -> bytes:
        """Return bytes that were fetched before; all that are there, or none."""
        start, piece = self._kept(offset)
        if piece:
            return piece[offset - start : offset - start + nbytes]
        start, fetched = self._fetched
        if not start <= offset < start + len(fetched) and self._ahead is not None:
            self._advance(offset)
            start, fetched = self._fetched
        if start <= offset < start + len(fetched):
            return fetched[offset - start : offset - start + nbytes]
        return b""

    def _advance(self, offset: int) -> None:
        """Take what was fetched ahead, up to the range that an offset lies in."""
        while self._ahead is not None:
            try:
                self._fetched = next(self._ahead)
            except StopIteration:
                self._ahead = None
                return
            start, fetched = self._fetched
            if offset < start + max(len(fetched), 1):
                return

    def _received(self, buffer: memoryview, offset: int) -> int:
        """Fill a buffer from the server; return how many bytes came."""
        self._leave_range_unless_at(offset)
        if self._range is None:
            is_next = offset == self._end
            if len(buffer) >= 2 * _PART_BYTES and not is_next:
                return self._in_parts(buffer, offset)
            self._n_ahead = max(2 * self._n_ahead, len(buffer)) if is_next else 0
            stop = self._stop_of(offset, len(buffer))
            self._range = self._new_range(offset, stop)
        n_read = self._range.readinto(buffer)
        if self._range.position == self._range.stop:
            self._end_range()
        return n_read

    def _stop_of(self, offset: int, nbytes: int) -> int:
        """Return the end of a request that begins with a read: farther, if more will be read."""
        size = self._state.size
        if self._n_ahead > _MOST_AHEAD:
            return size
        start, stop = self._planned
        planned = stop if start <= offset < stop else 0
        return min(max(offset + nbytes + self._n_ahead, planned), size)

    def _leave_range_unless_at(self, offset: int) -> None:
        one = self._range
        if one is None or one.position == offset:
            return
        gap = offset - one.position
        if 0 < gap <= _GAP_BYTES and one.stop is not None and offset < one.stop:
            skipped = bytearray(gap)
            n_read = one.readinto(memoryview(skipped))
            self._remember(offset - gap, bytes(skipped[:n_read]))
        if one.position != offset:
            self._end_range()

    def _end_range(self) -> None:
        one, self._range = self._range, None
        if one is not None:
            one.close()

    def _in_parts(self, buffer: memoryview, offset: int) -> int:
        """Fill a long buffer by several requests at a time."""

        def fill(start: int) -> None:
            part = buffer[start : start + _PART_BYTES]
            self._read_range(offset + start, part)

        starts = range(0, len(buffer), _PART_BYTES)
        n_threads = min(len(starts), MOST_AT_ONCE)
        with Prefetched(
            starts, fill, n_items=n_threads, n_threads=n_threads, name="lazyvox-parts"
        ) as parts:
            for _ in parts:
                pass
        return len(buffer)

    def _fetch(self, wanted: tuple[int, int]) -> tuple[int, bytes]:
        start, stop = wanted
        if stop - start > _LONG_BYTES:
            # It is read straight to where it belongs.
            return start, b""
        buffer = bytearray(stop - start)
        self._read_range(start, memoryview(buffer))
        return start, bytes(buffer)

    def _read_range(self, start: int, buffer: memoryview) -> None:
        one = self._new_range(start, start + len(buffer))
        try:
            n_read = one.readinto(buffer)
        finally:
            one.close()
        assert n_read == len(buffer), "bug in lazyvox: a range ended early, unnoticed"

    def _new_range(self, start: int, stop: int) -> Range:
        retries = Retries(self._shown, self._most_retries)
        return Range(self._transport, self._state, start, stop, retries)

    def _stop_ahead(self) -> None:
        self._planned = (0, 0)
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.close()


def _joined(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield ranges, neighbours joined; ranges of which none is near are yielded as they are."""
    start = stop = -1
    for begin, end in ranges:
        is_near = 0 <= begin - stop <= _GAP_BYTES and end - start <= _LONG_BYTES
        if start >= 0 and is_near:
            stop = max(stop, end)
            continue
        if start >= 0:
            yield start, stop
        start, stop = begin, end
    if start >= 0:
        yield start, stop
