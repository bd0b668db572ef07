"""Read a compressed file by its access points: any part, or all of it on several cores."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from lazyvox._typing import ExitInfo
from lazyvox.errors import AccessPointError, CorruptFileError, LazyvoxWarning, TruncatedFileError
from lazyvox.runtime.cores import numeric_threads
from lazyvox.runtime.prefetch import Prefetched
from lazyvox.store.files.block_cache import shared_blocks
from lazyvox.store.files.decoded_blocks import Block
from lazyvox.store.files.paths import printable
from lazyvox.store.files.source import ByteReader
from lazyvox.store.gzip.segments import Segments
from lazyvox.store.index.cache import reject_index
from lazyvox.store.index.embedded import CompressedFile, reject_table

__all__ = ["IndexedReader", "ahead_bytes", "ahead_count"]

_UNUSABLE = (CorruptFileError, TruncatedFileError, AccessPointError)

#: More threads than this decode faster than anything takes the bytes.
_MOST_THREADS = 8

#: Bytes for segments that are decoded ahead, and how many of them the cache may keep.
MOST_AHEAD_BYTES = 64 << 20
_MOST_KEPT = 4


@dataclass(frozen=True, slots=True)
class FallBackSource(CompressedFile, ABC):
    """A compressed file that can be decoded in order where its access points are wrong."""

    @abstractmethod
    def open(self) -> ByteReader:
        """Start a session that decodes from the beginning."""

    def warn_of_garbage(self) -> None:
        """Warn that bytes behind the end of the complete stream were ignored."""
        msg = (
            f"{printable(self.path)}: bytes that are not {self.compression} data follow the end "
            f"of the stream; they were ignored. The image itself is complete and verified."
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=3)


def ahead_count(segments: Segments, memory: int) -> int:
    """Return how many segments may exist at a time in so much memory; 0 if not two.

    Zero too where their checksums are unknown: then whole passes verify those of the file.
    """
    # Each asks the system for the cores: whoever needs no threads does not.
    if not segments.is_verified or (n_threads := _threads()) == 1:
        return 0
    count = min(min(memory, MOST_AHEAD_BYTES) // segments.held_bytes, n_threads + 1)
    return count if count > 1 else 0


def ahead_bytes(segments: Segments, memory: int) -> int:
    """Return the bytes of so many segments, or of the one that there is if memory holds it."""
    count = ahead_count(segments, memory) or int(memory >= segments.held_bytes)
    return count * segments.held_bytes


def _threads() -> int:
    return min(numeric_threads(), _MOST_THREADS)


class _Loader:
    """Loader of segments, from the cache or by decoding. It holds no reference to the reader.

    So the threads of a reader that was not closed end with it: no reference cycle keeps it.
    """

    def __init__(self, source: FallBackSource, segments: Segments, *, keeps: bool) -> None:
        self._source = source
        self._segments = segments
        self._keeps = keeps

    def __call__(self, number: int) -> Block:
        cache, source = shared_blocks(), self._source
        segment = self._segments.segment(number)
        # By offsets: another index of the same file has other numbers.
        block = cache.get(source, segment.start)
        if block is None or block.stop != segment.stop:
            block = self._segments.decode(number)
            if self._keeps:
                cache.put(source, segment.start, block)
        return block


class IndexedReader:
    """One reading session on a file with access points. Used by one thread at a time.

    Parameters
    ----------
    source : FallBackSource
        The file.
    segments : Segments
        How its parts are decoded.
    start, stop : int
        Decoded offsets between which is going to be read.
    n_ahead : int
        Segments that may exist at a time: they are decoded ahead, by several threads. With 0
        each is decoded when it is wanted.
    """

    def __init__(
        self,
        source: FallBackSource,
        segments: Segments,
        start: int,
        stop: int,
        *,
        n_ahead: int = 0,
    ) -> None:
        self._source = source
        self._segments = segments
        self._last_wanted = segments.number_at(max(stop - 1, 0))
        # The blocks of a long read would drive out those that are read again and again.
        keeps = self._last_wanted - segments.number_at(start) < _MOST_KEPT
        self._load = _Loader(source, segments, keeps=keeps)
        self._n_ahead = n_ahead
        self._ahead: Prefetched[int, Block] | None = None
        self._number = -1
        self._block = Block(0, 0)
        self._end = 0
        self._plain: ByteReader | None = None
        self._prefetches = bool(source.fetch_bytes) and not n_ahead

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(self, *exc: *ExitInfo) -> None:
        """Stop decoding ahead."""
        self._stop_ahead()
        self._block = Block(0, 0)
        if self._plain is not None:
            self._plain.__exit__(*exc)

    def readinto(self, offset: int, buffer: memoryview, /) -> None:
        """Fill `buffer` with the decoded bytes from `offset`."""
        if not self._fill(offset, buffer):
            self._plain_reader().readinto(offset, buffer)

    def read_upto(self, offset: int, nbytes: int, /) -> bytes:
        """Return up to `nbytes` decoded bytes from `offset`."""
        there = max(min(nbytes, self._segments.points.decoded_size - offset), 0)
        buffer = bytearray(there)
        if self._fill(offset, memoryview(buffer)):
            return bytes(buffer)
        return self._plain_reader().read_upto(offset, nbytes)

    def expect(self, ranges: Iterable[tuple[int, int]], /) -> None:
        """Nothing is to be prepared: segments are fetched as a whole."""

    def finish(self) -> int:
        """Return how many bytes follow the last read; every part that was read is verified."""
        if self._plain is not None:
            return self._plain.finish()
        if self._block.ends_in_garbage:
            self._source.warn_of_garbage()
        return self._segments.points.decoded_size - self._end

    def _fill(self, offset: int, buffer: memoryview) -> bool:
        """Fill `buffer` from the segments; False where they are of no use, now or before."""
        if self._plain is not None:
            return False
        try:
            filled = self._copy(offset, buffer)
        except _UNUSABLE as error:
            self._fall_back(str(error))
            return False
        if filled < len(buffer):
            # The header or the index asks for too much or knows too little: the stream tells.
            self._fall_back("it ends before the image does")
        return filled == len(buffer)

    def _copy(self, offset: int, buffer: memoryview) -> int:
        size, filled = self._segments.points.decoded_size, 0
        while filled < len(buffer) and offset + filled < size:
            block = self._block_at(offset + filled)
            filled += block.copy_to(offset + filled, buffer[filled:])
        self._end = max(self._end, offset + filled)
        return filled

    def _block_at(self, offset: int) -> Block:
        if not self._block.start <= offset < self._block.stop:
            number = self._segments.number_at(offset)
            # Let go of the old one first: it need not exist beside the new one.
            self._block = Block(0, 0)
            if self._prefetches:
                self._prefetch(number)
            self._block = self._ahead_block(number) if self._n_ahead else self._load(number)
            self._number = number
        return self._block

    def _prefetch(self, number: int) -> None:
        """Fetch what is read from a segment on in one request, unless it was decoded before."""
        if shared_blocks().has(self._source, self._segments.segment(number).start):
            return
        self._prefetches = False
        self._segments.prefetch(number, max(self._last_wanted, number))

    def _ahead_block(self, number: int) -> Block:
        if number > self._last_wanted:
            self._stop_ahead()
            return self._load(number)
        if self._ahead is None or not self._number < number <= self._number + self._n_ahead:
            self._stop_ahead()
            self._number = number - 1
            self._ahead = Prefetched(
                range(number, self._last_wanted + 1),
                self._load,
                n_items=self._n_ahead,
                n_threads=min(_threads(), self._n_ahead),
                name="lazyvox-segments",
            )
        while self._number < number - 1:
            next(self._ahead)
            self._number += 1
        return next(self._ahead)

    def _fall_back(self, reason: str) -> None:
        """Go on without the access points, or raise: they are not its own, or the file is damaged.

        Which of the two it is only the checksums of the file tell, the last of them at its end.
        Points of a damaged file stay: reads of its good parts are verified by them.
        """
        self._stop_ahead()
        plain = self._source.open().__enter__()
        plain.finish()
        reject_index(self._segments.points, reason)
        reject_table(self._segments.points)
        self._plain = plain

    def _plain_reader(self) -> ByteReader:
        assert self._plain is not None
        return self._plain

    def _stop_ahead(self) -> None:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.close()
