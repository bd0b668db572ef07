"""Find access points of a gzip file while it is decoded.

The inflater of isal is the fastest and shows no block boundaries. So candidates for the beginning
of a block are found in the compressed bytes (`deflate_blocks`), and the inflater gets the bytes
up to one and no more: what it has decoded then is what lies before the block. What is decoded
from there, with the last 32 KiB as window, must be what the inflater gives next. This costs a
few milliseconds per point; inflating with zlib, which can stop at every block, costs as much
again as the whole pass.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, cast

from isal import igzip_lib, isal_zlib

from lazyvox.store.files.compressed_input import PIECE_BYTES, CompressedInput
from lazyvox.store.files.identity import SourceFile
from lazyvox.store.gzip.access_points import WINDOW_BYTES, AccessPoint
from lazyvox.store.gzip.deflate_blocks import STORED_BIT, block_candidates, lead_in
from lazyvox.store.gzip.members import GzipDecoder

__all__ = ["PointRecorder", "PointSink", "build_points"]

_InflateError = cast("type[Exception]", igzip_lib.IsalError)

#: Compressed bytes in which every header of a block ends.
_HEADER_BYTES = 512
#: Decoded bytes that must agree; fewer only before the end of a member.
_PROOF_BYTES = 8192
#: Compressed bytes behind a candidate from which they are decoded, at most.
_PROOF_INPUT = 8192
#: Candidates of a piece that are looked at: there is a block within a few of them, or none.
_MOST_TRIED = 64
#: Pieces of compressed bytes per spacing, so that points come where they are due.
_PIECES_PER_POINT = 8
#: Decoded bytes asked for at a time.
_DECODE_BYTES = 256 * 1024
_NO_WINDOW = bytes(WINDOW_BYTES)


class PointSink(Protocol):
    """Takes access points in order."""

    def add(self, point: AccessPoint, /) -> None:
        """Keep a point."""


@dataclass(slots=True)
class _Trial:
    """A point on trial: the expected bytes, the decoded ones, and the checksum before it."""

    point: AccessPoint
    expected: bytes
    checksum_before: int
    came: bytes = b""


class PointRecorder:
    """Watches a decoder from the beginning of a file on, and passes points to a sink.

    Parameters
    ----------
    spacing : int
        Decoded bytes from one point to the next; the next block begins somewhat later.
    sink : PointSink
        Where points go; the beginning of the file is the first.

    Attributes
    ----------
    position : int
        Decoded bytes that it has seen.
    """

    def __init__(self, spacing: int, sink: PointSink) -> None:
        self._spacing = spacing
        self._sink = sink
        self._due = 0
        self.position = 0
        self._member_start = 0
        self._tail = b""
        self._checksum = 0
        self._closed: list[int] = []
        self._cut: tuple[int, bytes] | None = None
        self._trial: _Trial | None = None
        # The header of a member that becomes a point with its first byte: it may be empty, and
        # the last.
        self._member: AccessPoint | None = None

    def member_begins(self, byte_offset: int, decoded_offset: int) -> None:
        """Take a member's header as a point, where one is due."""
        self._cut = None
        self._member_start = decoded_offset
        self._settle()
        is_due = decoded_offset == self.position and self.position >= self._due
        if is_due and self._member is None:
            self._member = AccessPoint(8 * byte_offset, decoded_offset, None)

    def compressed(self, feed: CompressedInput) -> bytes:
        """Return compressed bytes, up to where a block may begin if a point is due."""
        if self._cut is not None:
            self._try_cut(feed, *self._cut)
            self._cut = None
        proof = self._proof_input(feed.position)
        data = feed.read(self._piece_bytes(feed.position, proof))
        is_due = self._trial is None and self._member is None and self.position >= self._due
        if not is_due:
            return data
        start = feed.position - len(data)
        plausible = islice(_plausible(data, proof), _MOST_TRIED)
        bit = next((one for one in plausible if _has_next(feed, start, data, one)), None)
        if bit is None:
            self._due = self.position + self._spacing // 4
            # What was too near the end to be searched is searched with what follows.
            unsearched = proof if len(data) > proof else 0
            feed.position -= unsearched
            return data[: len(data) - unsearched]
        end = -(-bit // 8)
        cut = (8 * start + bit, data[bit // 8 : bit // 8 + proof])
        if not end:
            # All that lies before it is decoded; to return no bytes would mean the end.
            self._try_cut(feed, *cut)
            return data
        self._cut = cut
        feed.position = start + end
        return data[:end]

    def decoded(self, piece: bytes) -> None:
        """Record the next decoded bytes."""
        if self._member is not None and piece:
            self._close(self._checksum)
            self._checksum = 0
            self._accept(self._member)
            self._member = None
        self._checksum = isal_zlib.crc32(piece, self._checksum)
        self.position += len(piece)
        # The pieces are long: keeping one is cheaper than cutting a window out of each.
        long_enough = len(piece) >= WINDOW_BYTES
        self._tail = piece if long_enough else (self._tail[-WINDOW_BYTES:] + piece)
        if self._trial is not None:
            missing = len(self._trial.expected) - len(self._trial.came)
            self._trial.came += piece[:missing]
            if len(piece) >= missing:
                self._settle()

    def ended(self) -> None:
        """Record the end of the file; `finish` returns the remaining points."""

    def finish(self) -> list[int]:
        """Return the CRC32 of the decoded bytes between points, and from the last to the end."""
        self._settle()
        if self._member is not None and not self._due:
            # All members are empty: the file still has a beginning.
            self._accept(self._member)
        self._close(self._checksum)
        return self._closed

    def _piece_bytes(self, n_read: int, proof: int) -> int:
        """Return how many compressed bytes to take: fewer where they decode to much."""
        aim = self._spacing // _PIECES_PER_POINT * (n_read + 1) // (self.position + 1)
        return min(max(aim, 4 * proof), PIECE_BYTES)

    def _proof_input(self, n_read: int) -> int:
        """Return how many compressed bytes decode to more than the bytes that must agree."""
        aim = 2 * _PROOF_BYTES * (n_read + 1) // (self.position + 1)
        return min(_HEADER_BYTES + aim, _PROOF_INPUT)

    def _goes_on(self, feed: CompressedInput, bit_offset: int, following: bytes) -> bool:
        """Return whether a stored block is one, and not the last: its mark does not tell.

        The size of the member would follow its bytes and a checksum. And bytes within a stored
        block that look like the mark of one agree with what follows if they come every 4 bytes.
        """
        length, behind = _behind_stored(feed, bit_offset // 8, following)
        size = (self.position + length - self._member_start) & 0xFFFFFFFF
        return behind[4:8] != struct.pack("<I", size) and following[1:-4] != following[5:]

    def _try_cut(self, feed: CompressedInput, bit_offset: int, following: bytes) -> None:
        if not _is_stored(bit_offset, following) or self._goes_on(feed, bit_offset, following):
            self._try_point(bit_offset, following)
        if self._trial is None:
            # Where one is none, the next ones may be many and none either.
            self._due = self.position + max(self._spacing // 16, _PROOF_BYTES)

    def _try_point(self, bit_offset: int, following: bytes) -> None:
        window = self._tail[-WINDOW_BYTES:]
        try:
            expected = _inflated(following, bit_offset % 8, window, _PROOF_BYTES)
        except _InflateError:
            return
        if not expected:
            return
        point = AccessPoint(bit_offset, self.position, window)
        self._trial = _Trial(point, expected, self._checksum)
        self._checksum = 0

    def _settle(self) -> None:
        """Keep the point on trial if the decoded bytes are the expected ones, or drop it."""
        trial, self._trial = self._trial, None
        if trial is None:
            return
        if trial.came == trial.expected:
            self._close(trial.checksum_before)
            self._accept(trial.point)
            return
        since = self.position - trial.point.decoded_offset
        self._checksum = isal_zlib.crc32_combine(trial.checksum_before, self._checksum, since)

    def _close(self, checksum: int) -> None:
        if self._due:
            self._closed.append(checksum)

    def _accept(self, point: AccessPoint) -> None:
        self._sink.add(point)
        self._due = point.decoded_offset + self._spacing


def _plausible(data: bytes, proof: int) -> Iterator[int]:
    """Yield candidates whose header the inflater takes, with so many bytes behind it."""
    for bit in block_candidates(data[:-proof]):
        try:
            _inflated(data[bit // 8 : bit // 8 + _HEADER_BYTES], bit % 8, _NO_WINDOW, 1)
        except _InflateError:
            continue
        yield bit


def _is_stored(bit_offset: int, following: bytes) -> bool:
    """Return whether a candidate is the mark of a stored block."""
    return bit_offset % 8 == STORED_BIT and not following[0] >> STORED_BIT


def _has_next(feed: CompressedInput, start: int, data: bytes, bit: int) -> bool:
    """Return whether another block may follow a candidate, by a cheap test.

    The byte before a stored block and the first ones of it can look like another stored block.
    """
    at = bit // 8
    if not _is_stored(bit, data[at : at + 1]):
        return True
    _, behind = _behind_stored(feed, start + at, data[at:])
    try:
        _inflated(behind, 0, _NO_WINDOW, 1)
    except _InflateError:
        return False
    return True


def _behind_stored(feed: CompressedInput, at: int, following: bytes) -> tuple[int, bytes]:
    """Return the length of a stored block whose mark is in a byte, and the bytes behind it."""
    (length,) = struct.unpack_from("<H", following, 1)
    place, feed.position = feed.position, at + 5 + length
    behind = feed.read(_HEADER_BYTES)
    feed.position = place
    return length, behind or b"\xff"


def _inflated(data: bytes, bit: int, window: bytes, limit: int) -> bytes:
    """Return the first bytes that compressed bytes decode to from a bit of their first on."""
    inflate = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE, zdict=window)
    piece: bytes = inflate.decompress(lead_in(data[0], bit) + data[1:], limit)
    return piece


def build_points(
    source: SourceFile,
    spacing: int,
    sink: PointSink,
    advance: Callable[[int], None] | None = None,
) -> tuple[int, list[int]]:
    """Decode a whole gzip file, every checksum verified, and pass its access points to a sink.

    `advance` gets the compressed bytes that were read. Returns the decoded size, and the CRC32 of
    each segment.

    Raises
    ------
    TruncatedFileError, CorruptFileError
        If the file is damaged.
    FileChangedError
        If it is no longer the one that was identified.
    """
    recorder = PointRecorder(spacing, sink)
    with CompressedInput(source) as feed:
        decoder = GzipDecoder(feed, observer=recorder)
        while decoder.decode(_DECODE_BYTES):
            if advance is not None:
                advance(feed.position)
    return recorder.position, recorder.finish()
