"""Decoding of the segment between two frames of a zstd file."""

from itertools import pairwise

from lazyvox._typing import override
from lazyvox.store.files.compressed_input import CompressedInput
from lazyvox.store.files.decoded_blocks import Block
from lazyvox.store.files.identity import SourceFile
from lazyvox.store.frames.decoders import load_zstd
from lazyvox.store.gzip.access_points import AccessPoints, Segment
from lazyvox.store.gzip.segments import DECODER_BYTES, Segments

__all__ = ["FrameSegments"]


class FrameSegments(Segments):
    """Decodes runs of frames of one zstd file. Safe for threads; holds no descriptor.

    Parameters
    ----------
    source : SourceFile
        The file.
    points : AccessPoints
        The frames at which segments begin.
    """

    def __init__(self, source: SourceFile, points: AccessPoints) -> None:
        super().__init__(source, points)
        self._starts: list[int] = [*(points.bit_offsets // 8).tolist(), points.compressed_size]
        self._longest_packed: int = max(stop - start for start, stop in pairwise(self._starts))

    @property
    @override
    def is_verified(self) -> bool:
        """True: zstd verifies the checksums that frames have, in whatever order."""
        return True

    @property
    @override
    def held_bytes(self) -> int:
        """Most bytes that decoding one segment takes: its frames, and twice their decoded size."""
        return 2 * self.longest + self._longest_packed + DECODER_BYTES

    @override
    def packed_range(self, number: int) -> tuple[int, int]:
        """Return where the compressed bytes of a segment are."""
        start, stop = self._starts[number : number + 2]
        return start, stop

    @override
    def decode(self, number: int) -> Block:
        """Decode a segment to its end, and verify it.

        Raises
        ------
        CorruptFileError
            If the file is damaged there, or its seek table is wrong.
        FileChangedError
            If it is no longer the file that was opened.
        """
        segment = self.segment(number)
        start, stop = self.packed_range(number)
        with CompressedInput(self._source) as feed:
            feed.position = start
            packed = feed.read(stop - start)
        return Block.of(segment.start, self._pieces(memoryview(packed), segment))

    def _pieces(self, packed: memoryview, segment: Segment) -> list[bytes]:
        zstd = load_zstd()
        missing = segment.stop - segment.start
        pieces: list[bytes] = []
        while len(packed):
            decoder = zstd.ZstdDecompressor()
            try:
                nbytes = zstd.get_frame_size(packed)
                # A byte more than is wanted, so that a longer frame shows.
                piece: bytes = decoder.decompress(packed[:nbytes], missing + 1)
            except zstd.ZstdError as error:
                self.raise_wrong(segment, f"is invalid ({error})")
            if len(piece) > missing or not decoder.eof:
                break
            missing -= len(piece)
            packed = packed[nbytes:]
            if piece:
                pieces.append(piece)
        if missing or len(packed):
            self.raise_wrong(segment, "does not end where the next one begins")
        return pieces
