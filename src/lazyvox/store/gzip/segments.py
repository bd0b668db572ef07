"""Decoding of the segment between two access points of a compressed file."""

from abc import ABC, abstractmethod
from typing import NoReturn

import numpy as np
from isal import isal_zlib

from lazyvox._typing import override
from lazyvox.errors import CorruptFileError
from lazyvox.store.files.compressed_input import CompressedInput
from lazyvox.store.files.decoded_blocks import Block
from lazyvox.store.files.identity import SourceFile
from lazyvox.store.files.paths import printable
from lazyvox.store.gzip.access_points import AccessPoint, AccessPoints, Segment
from lazyvox.store.gzip.members import GzipDecoder

__all__ = ["DECODER_BYTES", "SegmentSource", "Segments"]

#: Compressed and decoded bytes at a time: large, since each call of the inflater has to wait for the
#: interpreter, on which the threads of a pass and of the user work too.
_COMPRESSED_BYTES = 512 << 10
_DECODED_BYTES = 1 << 20

#: An inflater, what goes in, of which it keeps what it has not used yet, and what comes out.
DECODER_BYTES = 3 << 20


class Segments(ABC):
    """The segments of one compressed file. Safe for threads; holds no descriptor.

    Parameters
    ----------
    source : SourceFile
        The file.
    points : AccessPoints
        Where its segments begin.
    """

    def __init__(self, source: SourceFile, points: AccessPoints) -> None:
        self._source = source
        self.points = points
        self.longest = int(np.diff([*points.decoded_offsets, points.decoded_size]).max(initial=0))

    def __len__(self) -> int:
        """Return the number of segments."""
        return len(self.points.decoded_offsets)

    def number_at(self, offset: int) -> int:
        """Return the number of the segment in which a decoded offset lies."""
        return int(np.searchsorted(self.points.decoded_offsets, offset, side="right")) - 1

    def segment(self, number: int) -> Segment:
        """Return the description of a segment."""
        offsets, checksums = self.points.decoded_offsets, self.points.checksums
        is_last = number + 1 == len(offsets)
        stop = self.points.decoded_size if is_last else int(offsets[number + 1])
        checksum = None if checksums is None else int(checksums[number])
        return Segment(number, int(offsets[number]), stop, checksum)

    def prefetch(self, first: int, last: int) -> None:
        """Fetch the stored bytes of segments that are decoded next, where they are fetched at all."""
        start, _ = self.packed_range(first)
        _, stop = self.packed_range(last)
        self._source.identity.prefetch(self._source.path, start, stop)

    @abstractmethod
    def packed_range(self, number: int) -> tuple[int, int]:
        """Return where the compressed bytes of a segment are."""

    @property
    @abstractmethod
    def held_bytes(self) -> int:
        """Bytes that decoding one segment takes at most."""

    @property
    @abstractmethod
    def is_verified(self) -> bool:
        """True if decoding segments verifies as much as decoding the file in order."""

    @abstractmethod
    def decode(self, number: int) -> Block:
        """Decode a segment to its end, and verify it.

        Raises
        ------
        CorruptFileError, TruncatedFileError
            If the file is damaged there, or the access points are not its own.
        FileChangedError
            If it is no longer the file that was opened.
        """

    def raise_wrong(self, segment: Segment, reason: str) -> NoReturn:
        """Raise `CorruptFileError` for a segment."""
        expected = "" if segment.checksum is None else f" with the CRC32 {segment.checksum:#010x}"
        msg = (
            f"{printable(self._source.path)}: the decoded bytes {segment.start} to {segment.stop} must be "
            f"those that the index was made of{expected}. What is decoded now {reason}. Index: "
            f"{self.points.whence}."
        )
        raise CorruptFileError(msg)


class SegmentSource(Segments):
    """Decodes the segments of one gzip file. Safe for threads; holds no descriptor."""

    @property
    @override
    def held_bytes(self) -> int:
        """Bytes that decoding one segment takes at most."""
        return self.longest + DECODER_BYTES

    @property
    @override
    def is_verified(self) -> bool:
        """True if the checksums of segments are known."""
        return self.points.checksums is not None

    @override
    def decode(self, number: int) -> Block:
        """Decode a segment to its end, and verify it.

        Raises
        ------
        CorruptFileError, TruncatedFileError
            If the file is damaged there, or the access points are not its own.
        FileChangedError
            If it is no longer the file that was opened.
        """
        segment = self.segment(number)
        start = self._point(number)
        with CompressedInput(self._source, self._piece_bytes(number)) as feed:
            feed.expect(*self.packed_range(number))
            decoder = GzipDecoder(feed, start)
            block = self._decoded(decoder, segment)
        block.ends_in_garbage = decoder.trailing_garbage
        return block

    def point_before(self, offset: int) -> AccessPoint:
        """Return the last access point at or before a decoded offset."""
        return self._point(self.number_at(offset))

    def _piece_bytes(self, number: int) -> int:
        """Return how to read the compressed bytes of a segment in few pieces of one size."""
        begin, end = self.packed_range(number)
        nbytes = max(end - begin, 1)
        n_pieces = -(-nbytes // _COMPRESSED_BYTES)
        return -(-nbytes // n_pieces)

    @override
    def packed_range(self, number: int) -> tuple[int, int]:
        """Return where the compressed bytes of a segment are."""
        bits, is_last = self.points.bit_offsets, number + 1 == len(self)
        end = 8 * self.points.compressed_size if is_last else int(bits[number + 1])
        return int(bits[number]) // 8, -(-end // 8)

    def _point(self, number: int) -> AccessPoint:
        points = self.points
        return AccessPoint(
            int(points.bit_offsets[number]),
            int(points.decoded_offsets[number]),
            points.window(number),
        )

    def _decoded(self, decoder: GzipDecoder, segment: Segment) -> Block:
        missing, checksum = segment.stop - segment.start, 0
        block = Block(segment.start, missing)
        while missing and (piece := decoder.decode(min(missing, _DECODED_BYTES))):
            checksum = isal_zlib.crc32(piece, checksum)
            block.append(piece)
            missing -= len(piece)
        is_last = segment.stop == self.points.decoded_size
        if missing or (is_last and decoder.decode(1)):
            self.raise_wrong(segment, "does not end where the next one begins")
        if segment.checksum is not None and checksum != segment.checksum:
            self.raise_wrong(segment, f"has the CRC32 {checksum:#010x}")
        return block
