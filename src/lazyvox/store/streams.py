"""Byte sources of compressed files."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from lazyvox.errors import CorruptFileError, LazyvoxWarning, TruncatedFileError
from lazyvox.store.cursors import Cursor, Decoder, shared_pool
from lazyvox.store.feed import Feed
from lazyvox.store.frames import bzip2_decoder, zstd_decoder
from lazyvox.store.gzip_members import GzipDecoder
from lazyvox.store.identity import FileIdentity, printable

__all__ = ["StreamSource"]

_DECODERS: dict[str, Callable[[Feed], Decoder]] = {
    "gzip": GzipDecoder,
    "bzip2": bzip2_decoder,
    "zstd": zstd_decoder,
}

#: Best possible ratio of each format. gzip: 258 bytes from 2 bits. bzip2: one 900 kB block of
#: runs, itself run-length coded 51 : 1, in some 40 bytes. zstd: 128 KiB from a 4-byte run block.
_BEST_RATIO = {"gzip": 1032, "bzip2": 1_200_000, "zstd": 32_768}


@dataclass(frozen=True, slots=True)
class StreamSource:
    """A compressed file as the stream of its decoded bytes."""

    path: str
    identity: FileIdentity
    compression: str

    @property
    def stored_size(self) -> int:
        """Size of the compressed file in bytes."""
        return self.identity.size

    @property
    def max_decoded_size(self) -> int:
        """Bytes that a file of this size can decode to at the very most."""
        return _BEST_RATIO[self.compression] * self.identity.size

    def open(self) -> "StreamReader":
        """Start a reading session; the file is opened at the first read."""
        return StreamReader(self)


class StreamReader:
    """One reading session on a compressed file."""

    def __init__(self, source: StreamSource) -> None:
        self._source = source
        self._cursor: Cursor | None = None
        self._end = 0

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keep the cursor for later reads, unless the session failed."""
        cursor, self._cursor = self._cursor, None
        if cursor is None:
            return
        try:
            if kind is None:
                cursor.feed.check()
        finally:
            cursor.feed.close()
        if kind is None and not cursor.decoder.at_end:
            shared_pool().give(self._source.path, self._source.identity, cursor)

    def readinto(self, offset: int, buffer: memoryview, /) -> None:
        """Fill `buffer` with the decoded bytes from `offset`."""
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
                self._warn_garbage()
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
            shared_pool().give(source.path, source.identity, self._cursor)
            self._cursor = None
        cursor = shared_pool().take(source.path, source.identity, offset)
        if cursor is None:
            feed = Feed(source.path, source.identity)
            cursor = Cursor(feed, _DECODERS[source.compression](feed))
        self._cursor = cursor
        cursor.feed.open()
        return cursor

    def _raise_short(self, wanted: int, decoded: int) -> None:
        source = self._source
        msg = (
            f"{printable(source.path)}: the {source.compression} stream must decode to at least "
            f"{wanted} bytes, as the header asks, and it ends after {decoded}. The file holds "
            f"less than its header says: write or download it again."
        )
        raise TruncatedFileError(msg)

    def _warn_garbage(self) -> None:
        source = self._source
        msg = (
            f"{printable(source.path)}: bytes that are not {source.compression} data follow the "
            f"end of the stream; they were ignored. The image itself is complete and verified."
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=2)


class _CursorGuard:
    """Drop a session's cursor when the block under it fails, interrupts included."""

    def __init__(self, reader: StreamReader) -> None:
        self._reader = reader

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._reader.drop_cursor()
