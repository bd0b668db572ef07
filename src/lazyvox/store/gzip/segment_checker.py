"""Verification of bytes decoded in order from an access point on, segment by segment."""

from isal import isal_zlib

from lazyvox.store.files.compressed_input import CompressedInput
from lazyvox.store.gzip.segments import SegmentSource

__all__ = ["SegmentChecker"]


class SegmentChecker:
    """Watches a decoder that began at an access point, and compares the CRC32 of each segment.

    A segment of which only a part is decoded is not verified.

    Parameters
    ----------
    segments : SegmentSource
        The parts of the file.
    number : int
        The one at which the decoder begins.
    """

    def __init__(self, segments: SegmentSource, number: int) -> None:
        self._segments = segments
        self._segment = segments.segment(number)
        self._position = self._segment.start
        self._checksum = 0

    def member_begins(self, byte_offset: int, decoded_offset: int) -> None:
        """Members have checksums of their own."""

    def compressed(self, feed: CompressedInput) -> bytes | memoryview:
        """Return the next compressed bytes."""
        return feed.next_piece()

    def decoded(self, piece: bytes) -> None:
        """Check the next decoded bytes.

        Raises
        ------
        CorruptFileError
            If a segment that ends in them is not what the index was made of.
        """
        left = memoryview(piece)
        while left:
            taken = left[: self._segment.stop - self._position]
            self._checksum = isal_zlib.crc32(taken, self._checksum)
            self._position += len(taken)
            left = left[len(taken) :]
            if self._position == self._segment.stop and not self._begin_next():
                return

    def ended(self) -> None:
        """Nothing follows the last segment."""

    def _begin_next(self) -> bool:
        """Verify the segment that ended; False behind the last one."""
        segment = self._segment
        if segment.checksum is not None and self._checksum != segment.checksum:
            self._segments.raise_wrong(segment, f"has the CRC32 {self._checksum:#010x}")
        if segment.number + 1 == len(self._segments):
            return False
        self._segment = self._segments.segment(segment.number + 1)
        self._checksum = 0
        return True
