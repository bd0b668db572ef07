"""Byte sources of compressed files."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

from lazyvox._typing import ExitInfo, override
from lazyvox.errors import (
    AccessPointError,
    CorruptFileError,
    ImageFileError,
    TruncatedFileError,
)
from lazyvox.runtime.budget import recent_budget
from lazyvox.store.cursors import PIECE_BYTES, Cursor, Decoder, shared_pool
from lazyvox.store.files.compressed_input import CompressedInput
from lazyvox.store.files.identity import ONE_FETCH_BYTES
from lazyvox.store.files.paths import printable
from lazyvox.store.files.source import ByteReader
from lazyvox.store.frames.decoders import bzip2_decoder, zstd_decoder
from lazyvox.store.frames.segments import FrameSegments
from lazyvox.store.gzip.access_points import AccessPoint, AccessPoints
from lazyvox.store.gzip.members import GzipDecoder
from lazyvox.store.gzip.segment_checker import SegmentChecker
from lazyvox.store.gzip.segments import Segments, SegmentSource
from lazyvox.store.index.cache import find_index, reject_index
from lazyvox.store.index.embedded import find_table
from lazyvox.store.index.folder import cache_limit
from lazyvox.store.index.growth import grow_index, growing_index, is_recording
from lazyvox.store.indexed_source import FallBackSource, IndexedReader, ahead_bytes, ahead_count

__all__ = ["StreamSource"]

_DECODERS: dict[str, Callable[[CompressedInput], Decoder]] = {
    "gzip": GzipDecoder,
    "bzip2": bzip2_decoder,
    "zstd": zstd_decoder,
}

#: Best possible ratio of each format. gzip: 258 bytes from 2 bits. bzip2: one 900 kB block of
#: runs, itself run-length coded 51 : 1, in some 40 bytes. zstd: 128 KiB from a 4-byte run block.
_BEST_RATIO = {"gzip": 1032, "bzip2": 1_200_000, "zstd": 32_768}

#: A slice decodes ahead within this part of the budget.
_BUDGET_PART = 8

#: Parts behind the first from which on threads are worth their start.
_LONG_READ = 3

#: Decoded bytes from which on a read in order is likely to go on to the end.
_LONG_STREAM = 4 << 20

#: A file that was decoded so far and is read at an earlier place gets an index: about 50 ms.
_WORTH_AN_INDEX = 32 << 20


@dataclass(frozen=True, slots=True)
class StreamSource(FallBackSource):
    """A compressed file as the stream of its decoded bytes."""

    @property
    def stored_size(self) -> int:
        """Size of the compressed file in bytes."""
        return self.identity.size

    @property
    def max_decoded_size(self) -> int:
        """Bytes that a file of this size can decode to at the very most."""
        return _BEST_RATIO[self.compression] * self.identity.size

    @override
    def open(self) -> "StreamReader":
        """Start a reading session; the file is opened at the first read."""
        return StreamReader(self)

    def open_part(self, start: int, stop: int, memory: int | None = None) -> ByteReader:
        """Start a session that is going to read between two decoded offsets, in order.

        Where the file has access points, it is decoded from the nearest on; on several cores, if
        `memory` holds what is decoded ahead. The default is a part of the memory budget.
        """
        segments = self.segments(stop, is_scan=start < _LONG_STREAM and self._is_long(start, stop))
        if segments is None:
            return self._open_for(start, stop)
        if memory is None:
            memory = recent_budget() // _BUDGET_PART
        first, last = segments.number_at(start), segments.number_at(stop - 1)
        is_long = last - first >= _LONG_READ and not self._is_one_fetch(segments, first, last)
        n_ahead = ahead_count(segments, memory) if is_long else 0
        is_whole = first == 0 and last == len(segments) - 1
        # In order, a long read takes less memory, and a whole file is verified as a whole.
        if (is_long and not n_ahead) or (is_whole and not segments.is_verified):
            return self._open_for(start, stop)
        if memory < segments.held_bytes:
            return self._open_for(start, stop)
        return IndexedReader(self, segments, start, stop, n_ahead=n_ahead)

    def _is_one_fetch(self, segments: Segments, first: int, last: int) -> bool:
        """Return whether one request brings segments: then there are no more than that."""
        nbytes = segments.packed_range(last)[1] - segments.packed_range(first)[0]
        return bool(self.fetch_bytes) and nbytes <= ONE_FETCH_BYTES

    def _open_for(self, start: int, stop: int) -> "StreamReader":
        """Start a session that decodes in order, and is going to read between two offsets."""
        return StreamReader(self, is_long=self._is_long(start, stop))

    def _is_long(self, start: int, stop: int) -> bool:
        """Return whether a read is likely to go on to the end: many bytes, or most of them."""
        return stop - start >= min(_LONG_STREAM, self.stored_size)

    def ahead_bytes(self, memory: int) -> int:
        """Return the bytes of the offered memory that `open_part` takes to read the whole file."""
        try:
            segments = self.segments(is_scan=True)
        except ImageFileError:
            # A plan can be made of a file that is gone: the pass says so.
            return 0
        return 0 if segments is None else ahead_bytes(segments, memory)

    def segments(self, stop: int | None = None, *, is_scan: bool = False) -> Segments | None:
        """Return the parts that can be decoded alone, where the file has any."""
        points = self.access_points(stop, is_scan=is_scan)
        if points is None:
            return None
        kind = FrameSegments if self.compression == "zstd" else SegmentSource
        return kind(self, points)

    def needs_index(self) -> bool:
        """Return whether the file has no access points, and a pass could find and keep some."""
        return self.compression == "gzip" and bool(cache_limit()) and self.access_points() is None

    def can_be_entered(self) -> bool:
        """Return whether the file has access points, and checksums of what lies between them."""
        segments = self.segments()
        return segments is not None and segments.is_verified

    def access_points(
        self, stop: int | None = None, *, is_scan: bool = False
    ) -> AccessPoints | None:
        """Return the access points of the file, where it has any: an index, or its own.

        For reading up to a decoded offset `stop` they are left out where that is faster. A scan
        from the beginning does not go through an object only to find its own.
        """
        points = find_index(self) if self.compression == "gzip" else None
        if points is None and is_scan and self.fetch_bytes:
            return None
        return find_table(self, stop) if points is None else points


class StreamReader:
    """One reading session on a compressed file."""

    def __init__(self, source: StreamSource, *, is_long: bool = False) -> None:
        self._source = source
        self._is_long = is_long
        self._cursor: Cursor | None = None
        self._end = 0
        self._segments: SegmentSource | None = None
        self._is_believing = True
        self._is_recording = is_recording() and source.needs_index()

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(self, *exc: *ExitInfo) -> None:
        """Keep the cursor for later reads, unless the session failed."""
        cursor, self._cursor = self._cursor, None
        if cursor is None:
            return
        try:
            if exc[0] is None:
                cursor.feed.check()
        finally:
            cursor.feed.close()
        shared_pool().note(self._source, cursor.position)
        if exc[0] is None and not cursor.decoder.at_end and not self._is_overtaking(cursor):
            shared_pool().give(self._source, cursor)

    def readinto(self, offset: int, buffer: memoryview, /) -> None:
        """Fill `buffer` with the decoded bytes from `offset`."""
        try:
            self._fill(offset, buffer)
        except (CorruptFileError, TruncatedFileError, AccessPointError) as error:
            if self._segments is None:
                raise
            self._stop_believing(self._segments.points, str(error))
            if self._end:
                # What was handed out before may be wrong too.
                raise
            self._fill(offset, buffer)

    def _stop_believing(self, points: AccessPoints, reason: str) -> None:
        """Reject the access points, or raise: as in `IndexedReader`, the whole file tells."""
        self._segments, self._is_believing = None, False
        shared_pool().forget(self._source)
        with self._source.open() as plain:
            plain.finish()
        reject_index(points, reason)

    def _fill(self, offset: int, buffer: memoryview) -> None:
        with _CursorGuard(self):
            cursor = self._cursor_before(offset)
            filled = 0
            if cursor.skip_to(offset):
                while filled < len(buffer):
                    piece = cursor.next_piece(len(buffer) - filled)
                    if not piece:
                        break
                    buffer[filled : filled + len(piece)] = piece
                    filled += len(piece)
            if filled < len(buffer):
                self._raise_short(offset + len(buffer), cursor.position)
            self._end = max(self._end, cursor.position)

    def read_upto(self, offset: int, nbytes: int, /) -> bytes:
        """Return up to `nbytes` decoded bytes from `offset`."""
        with _CursorGuard(self):
            cursor = self._cursor_before(offset)
            pieces: list[bytes] = []
            missing = nbytes
            while cursor.skip_to(offset) and missing:
                piece = cursor.next_piece(missing)
                if not piece:
                    break
                pieces.append(piece)
                missing -= len(piece)
            self._end = max(self._end, cursor.position)
            return b"".join(pieces)

    def expect(self, ranges: Iterable[tuple[int, int]], /) -> None:
        """Nothing is to be prepared: offsets of decoded bytes say little about stored ones."""

    def finish(self) -> int:
        """Decode the rest of the stream, dropping it, so that every checksum is verified."""
        with _CursorGuard(self):
            cursor = self._cursor_before(0) if self._cursor is None else self._cursor
            wanted_end = self._end
            try:
                while cursor.next_piece(1 << 30):
                    pass
            except (CorruptFileError, TruncatedFileError):
                # Whole, verified members hold all that was read: what follows them is no image.
                if (cursor.decoder.members_ended or 0) < wanted_end or not wanted_end:
                    raise
                cursor.decoder.trailing_garbage = True
            if cursor.decoder.trailing_garbage:
                self._source.warn_of_garbage()
            return cursor.position - wanted_end

    def drop_cursor(self) -> None:
        """Forget the cursor: after an error its state means nothing."""
        if self._cursor is not None:
            self._cursor.feed.close()
            self._cursor = None

    def _cursor_before(self, offset: int) -> Cursor:
        source = self._source
        if self._cursor is not None and self._cursor.position <= offset:
            return self._cursor
        if self._cursor is not None:
            self._cursor.feed.close()
            shared_pool().give(source, self._cursor)
            self._cursor = None
        recording, self._is_recording = self._is_recording, False
        if recording and self._may_record():
            feed = CompressedInput(source)
            self._cursor = Cursor(feed, grow_index(source, feed))
        else:
            self._cursor = self._nearest(shared_pool().take(source, offset), offset)
        if not self._cursor.feed.is_open:
            self._cursor.feed.open()
            if self._is_long:
                # Of an object that is fetched, one request is for all of the rest.
                self._cursor.feed.expect(self._cursor.feed.position, source.identity.size)
        return self._cursor

    def _may_record(self) -> bool:
        """Return whether no other session is finding the access points of the file."""
        # Cursors that are kept have passed points without noting them, or noted few.
        shared_pool().forget(self._source)
        return growing_index(self._source) is None

    def _nearest(self, kept: Cursor | None, offset: int) -> Cursor:
        """Return the cursor that was kept, or a new one if that has less to skip."""
        source = self._source
        kept_at = 0 if kept is None else kept.position
        jumps = source.compression == "gzip" and offset - kept_at > PIECE_BYTES
        point = self._point_before(offset) if jumps else None
        if kept is not None and (point is None or point.decoded_offset <= kept_at):
            return kept
        if kept is not None:
            shared_pool().give(source, kept)
        feed = CompressedInput(source)
        if point is None:
            return Cursor(feed, self._decoder(feed, jumps=jumps))
        feed.open()
        if self._is_long:
            feed.expect(point.bit_offset // 8, source.identity.size)
        segments = self._segments
        checker = None
        if segments is not None:
            checker = SegmentChecker(segments, segments.number_at(offset))
        cursor = Cursor(feed, GzipDecoder(feed, point, checker))
        cursor.position = point.decoded_offset
        return cursor

    def _is_overtaking(self, cursor: Cursor) -> bool:
        """Return whether a cursor is ahead of the one that finds access points on its way.

        Reading on from it would leave the index unfinished for ever.
        """
        growing = growing_index(self._source)
        return growing is not None and cursor.position > growing.position

    def _point_before(self, offset: int) -> AccessPoint | None:
        if not self._is_believing:
            return None
        source = self._source
        points = source.access_points()
        if points is not None:
            self._segments = SegmentSource(source, points)
            return self._segments.point_before(offset)
        growing = growing_index(source)
        return None if growing is None else growing.point_before(offset)

    def _decoder(self, feed: CompressedInput, *, jumps: bool) -> Decoder:
        """Return a decoder from the beginning on, which finds access points if it goes back."""
        source = self._source
        if jumps and growing_index(source) is None:
            furthest = shared_pool().furthest(source)
            if furthest >= _WORTH_AN_INDEX and cache_limit():
                shared_pool().forget(source)
                return grow_index(source, feed)
        return _DECODERS[source.compression](feed)

    def _raise_short(self, wanted: int, decoded: int) -> None:
        source = self._source
        msg = (
            f"{printable(source.path)}: the {source.compression} stream must decode to at least "
            f"{wanted} bytes, as the header asks, and it ends after {decoded}. The file holds "
            f"less than its header says: write or download it again."
        )
        raise TruncatedFileError(msg)


class _CursorGuard:
    """Drop a session's cursor when the block under it fails, interrupts included."""

    def __init__(self, reader: StreamReader) -> None:
        self._reader = reader

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._reader.drop_cursor()
