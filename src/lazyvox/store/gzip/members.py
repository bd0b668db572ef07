"""Decode gzip files member by member (RFC 1952), every checksum verified.

The framing is our own and the inflating is isal's: so a damaged file is distinguished from one with bytes appended to it, and messages give the offset of the damage in the compressed file.
"""

import struct
from typing import NoReturn, Protocol, cast

from isal import igzip_lib, isal_zlib

from lazyvox.errors import CorruptFileError, TruncatedFileError
from lazyvox.store.files.compressed_input import CompressedInput
from lazyvox.store.files.paths import printable
from lazyvox.store.gzip.access_points import AccessPoint
from lazyvox.store.gzip.deflate_blocks import lead_in

__all__ = ["GzipDecoder", "MemberObserver"]

# The stubs of isal declare its error as an instance.
_InflateError = cast("type[Exception]", igzip_lib.IsalError)

MAGIC = b"\x1f\x8b"
_FHCRC, _FEXTRA, _FNAME, _FCOMMENT, _RESERVED = 2, 4, 8, 16, 0xE0
_FIXED_HEADER_BYTES = 10
_FIRST_BYTES = 4096
#: A file name or comment longer than this is damage: no writer of images makes one.
_MAX_HEADER_BYTES = 8 << 20


class MemberObserver(Protocol):
    """Observes a decoder, and hands it the compressed bytes of members."""

    def member_begins(self, byte_offset: int, decoded_offset: int, /) -> None:
        """Record the header of a member."""

    def compressed(self, feed: CompressedInput, /) -> bytes | memoryview:
        """Return the next compressed bytes; all earlier ones are decoded to their last whole byte."""

    def decoded(self, piece: bytes, /) -> None:
        """Record the next decoded bytes."""

    def ended(self) -> None:
        """Record the end of the file, every member verified."""


class GzipDecoder:
    """Decoded bytes of a gzip file in order.

    `members_ended` is the decoded offset at which the last verified member ended, None before
    the first. `trailing_garbage` is set where bytes that are no member follow the last one.

    Parameters
    ----------
    feed : CompressedInput
        The compressed bytes; at their beginning.
    start : AccessPoint, optional
        Where to begin. The checksum of a member is not verified where only its end is decoded.
    observer : MemberObserver, optional
        Who looks on.
    """

    #: The state of the inflater with its window, and one compressed piece.
    held_bytes = 512 << 10

    def __init__(
        self,
        feed: CompressedInput,
        start: AccessPoint | None = None,
        observer: MemberObserver | None = None,
    ) -> None:
        self._feed = feed
        self._observer = observer
        self._pending = b""
        self._inflate: igzip_lib.IgzipDecompressor | None = None
        self._crc = 0
        self._member_bytes = 0
        self._decoded = 0
        self._is_verifying = True
        self.members_ended: int | None = None
        self.trailing_garbage = False
        self.at_end = False
        if start is not None:
            self._begin_at(start)

    def _begin_at(self, start: AccessPoint) -> None:
        self._feed.position, bit = divmod(start.bit_offset, 8)
        self._decoded = start.decoded_offset
        if start.window is None:
            # A file that begins here is judged by itself: what lies before was not seen.
            self.members_ended = start.decoded_offset or None
            return
        self._is_verifying = False
        self._inflate = igzip_lib.IgzipDecompressor(
            flag=igzip_lib.DECOMP_DEFLATE, zdict=start.window
        )
        first = self._feed.read(1)
        if not first:
            self._raise_truncated()
        self._pending = lead_in(first[0], bit)

    def decode(self, limit: int) -> bytes:
        """Return the next decoded bytes, at most `limit`; empty only at the end of the stream."""
        while not self.at_end:
            if self._inflate is None and not self._start_member():
                self._end()
                break
            piece = self._inflate_piece(limit)
            if piece:
                return piece
        return b""

    def _end(self) -> None:
        self.at_end = True
        # Bytes that are no gzip data are said to be there by whoever decodes them.
        if self._observer is not None and not self.trailing_garbage:
            self._observer.ended()

    def _inflate_piece(self, limit: int) -> bytes:
        inflate = self._inflate
        assert inflate is not None
        data: bytes | memoryview = b""
        if self._pending or inflate.needs_input:
            data, self._pending = self._pending or self._next_compressed(), b""
            if not data:
                self._raise_truncated()
        try:
            piece: bytes = inflate.decompress(data, limit)
        except _InflateError as error:
            self._raise_corrupt(f"the deflate data are invalid ({error})", error)
        if self._is_verifying:
            self._crc = isal_zlib.crc32(piece, self._crc)
        self._member_bytes += len(piece)
        self._decoded += len(piece)
        if self._observer is not None:
            self._observer.decoded(piece)
        if inflate.eof:
            self._end_member(inflate.unused_data)
        return piece

    def _next_compressed(self) -> bytes | memoryview:
        if self._observer is not None:
            return self._observer.compressed(self._feed)
        return self._feed.next_piece()

    def _end_member(self, rest: bytes) -> None:
        self._pending = rest
        self._inflate = None
        crc, size = struct.unpack("<II", self._take(8))
        if self._is_verifying:
            self._verify(crc, size)
        self._is_verifying = True
        self.members_ended = self._decoded

    def _verify(self, crc: int, size: int) -> None:
        if crc != self._crc:
            self._raise_corrupt(
                f"the CRC32 of a gzip member must match its data: stored {crc:#010x}, "
                f"computed {self._crc:#010x}"
            )
        if size != self._member_bytes & 0xFFFFFFFF:
            self._raise_corrupt(
                f"the size stored in a gzip member must match its data: stored {size}, "
                f"decoded {self._member_bytes} (modulo 2**32)"
            )

    def _start_member(self) -> bool:
        """Read the header of the next member; False where there is none."""
        if self.members_ended is not None and not self._skip_padding():
            return False
        if not self._fill(2):
            self._raise_truncated()
        if self._pending[:2] != MAGIC:
            if self.members_ended is None:
                self._raise_corrupt("a gzip file must begin with the bytes 1f 8b")
            self.trailing_garbage = True
            return False
        if self._observer is not None:
            self._observer.member_begins(self._feed.position - len(self._pending), self._decoded)
        self._read_header()
        self._inflate = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
        self._crc = self._member_bytes = 0
        return True

    def _read_header(self) -> None:
        head = self._take(_FIXED_HEADER_BYTES)
        method, flags = head[2], head[3]
        if method != 8:
            self._raise_corrupt(f"the gzip compression method must be 8 (deflate), got {method}")
        if flags & _RESERVED:
            self._raise_corrupt(f"the reserved bits of the gzip flags must be 0, got {flags:#x}")
        if flags & _FEXTRA:
            length = self._take(2)
            head += length + self._take(struct.unpack("<H", length)[0])
        for flag in (_FNAME, _FCOMMENT):
            if flags & flag:
                head += self._take_text()
        if flags & _FHCRC:
            (stored,) = struct.unpack("<H", self._take(2))
            if stored != isal_zlib.crc32(head) & 0xFFFF:
                self._raise_corrupt("the checksum of the gzip header does not match it")

    def _skip_padding(self) -> bool:
        """Drop zero bytes between members; False at the end of the file."""
        while True:
            self._pending = self._pending.lstrip(b"\0")
            if self._pending:
                return True
            self._pending = self._feed.read()
            if not self._pending:
                return False

    def _fill(self, nbytes: int) -> bool:
        while len(self._pending) < nbytes:
            # Little at first: an observer sees only what the header is not read with.
            more = self._feed.read(max(_FIRST_BYTES, len(self._pending)))
            if not more:
                return False
            self._pending += more
        return True

    def _take(self, nbytes: int) -> bytes:
        if not self._fill(nbytes):
            self._raise_truncated()
        taken, self._pending = self._pending[:nbytes], self._pending[nbytes:]
        return taken

    def _take_text(self) -> bytes:
        end = self._pending.find(b"\0")
        while end < 0:
            if len(self._pending) > _MAX_HEADER_BYTES:
                self._raise_corrupt("a name or comment in the gzip header has no end")
            start = len(self._pending)
            if not self._fill(start + 1):
                self._raise_truncated()
            end = self._pending.find(b"\0", start)
        return self._take(end + 1)

    def _raise_truncated(self) -> NoReturn:
        # One that is written anew is not damaged.
        self._feed.check()
        msg = (
            f"{printable(self._feed.path)}: the gzip stream must run to its end, and the file "
            f"ends early, at compressed byte {self._feed.position}, after {self._decoded} decoded "
            f"bytes. The file is incomplete: copy or download it again."
        )
        raise TruncatedFileError(msg)

    def _raise_corrupt(self, reason: str, cause: Exception | None = None) -> NoReturn:
        self._feed.check()
        near = self._feed.position - len(self._pending)
        msg = (
            f"{printable(self._feed.path)}: {reason}. Found before compressed byte {near}, after "
            f"{self._decoded} decoded bytes. The file is damaged: copy or download it again."
        )
        raise CorruptFileError(msg) from cause
