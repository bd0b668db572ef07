"""Access points that a read going backwards finds on its way, before there is an index.

A first pass records nothing. But who reads a volume, then an earlier one, decodes the file a
second time; that records, and what is recorded serves from then on. When the decoder gets to the
end of the file, the index is complete and kept.

A pass whose file is read again and again afterwards asks for that with `recording_indexes`.
"""

import bisect
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from lazyvox.errors import AccessPointError, FileChangedError, OutputError
from lazyvox.runtime.once import one_per_process
from lazyvox.store.files.compressed_input import CompressedInput
from lazyvox.store.files.identity import SourceFile
from lazyvox.store.gzip.access_points import DEFAULT_SPACING, AccessPoint
from lazyvox.store.gzip.members import GzipDecoder
from lazyvox.store.gzip.point_recorder import PointRecorder
from lazyvox.store.index.cache import warn_without_cache
from lazyvox.store.index.writer import IndexWriter

__all__ = [
    "GrowingIndex",
    "drop_abandoned_indexes",
    "grow_index",
    "growing_index",
    "is_recording",
    "recording_indexes",
]

#: Files whose indexes grow at a time; each holds two descriptors.
_MOST_FILES = 2


#: Whether sessions that begin now record.
_is_recording: ContextVar[bool] = ContextVar("lazyvox_recording_indexes", default=False)


class GrowingIndex:
    """Watches a decoder, keeps the points that it passes, and at its end the whole index.

    The decoder belongs to one thread at a time; points may be asked for by any.

    Parameters
    ----------
    source : SourceFile
        The gzip file.

    Raises
    ------
    OutputError
        If the cache cannot be written to.
    """

    def __init__(self, source: SourceFile) -> None:
        self.source = source
        self._writer: IndexWriter | None = IndexWriter(source, DEFAULT_SPACING)
        self._recorder = PointRecorder(DEFAULT_SPACING, self)
        self._bits: list[int] = []
        self._offsets: list[int] = []
        self._decoder: weakref.ref[GzipDecoder] | None = None
        # Against giving up the file of windows while another thread reads one.
        self._lock = threading.Lock()

    @property
    def position(self) -> int:
        """Decoded bytes that it has seen."""
        return self._recorder.position

    @property
    def is_abandoned(self) -> bool:
        """True if the decoder is gone, so that the index grows no further."""
        return self._decoder is not None and self._decoder() is None

    def watch(self, decoder: GzipDecoder) -> None:
        """Record the file that the points belong to."""
        self._decoder = weakref.ref(decoder)

    def add(self, point: AccessPoint) -> None:
        """Keep a point."""
        if self._writer is None:
            return
        try:
            self._writer.add(point)
        except OutputError as error:
            self._give_up(str(error))
            return
        self._bits.append(point.bit_offset)
        # Last: who asks for points meanwhile counts these.
        self._offsets.append(point.decoded_offset)

    def point_before(self, offset: int) -> AccessPoint | None:
        """Return the last point at or before a decoded offset; None where there is none yet."""
        with self._lock:
            number = bisect.bisect_right(self._offsets, offset) - 1
            if self._writer is None or number < 0:
                return None
            window = self._writer.window(number)
            return AccessPoint(self._bits[number], self._offsets[number], window)

    def member_begins(self, byte_offset: int, decoded_offset: int) -> None:
        """Record the header of a member."""
        self._recorder.member_begins(byte_offset, decoded_offset)

    def compressed(self, feed: CompressedInput) -> bytes:
        """Return the next compressed bytes."""
        return self._recorder.compressed(feed)

    def decoded(self, piece: bytes) -> None:
        """Record the next decoded bytes."""
        self._recorder.decoded(piece)

    def ended(self) -> None:
        """Keep the index: the file was decoded to its end, every checksum verified."""
        checksums = self._recorder.finish()
        with self._lock:
            writer, self._writer = self._writer, None
            if writer is None:
                return
            try:
                writer.commit(self._recorder.position, checksums)
            except (OutputError, AccessPointError, FileChangedError) as error:
                # The read that found the points goes on: an index only makes it faster.
                warn_without_cache(str(error))
        _GROWING.drop(self)

    def abort(self) -> None:
        """Close the files of an index that is not going to be complete."""
        with self._lock:
            writer, self._writer = self._writer, None
            if writer is not None:
                writer.abort()

    def _give_up(self, reason: str) -> None:
        self.abort()
        warn_without_cache(reason)


class _Growing:
    """The files whose indexes grow in this process, the last used last."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget all, the lock too: in a forked child another thread may have held it."""
        self._lock = threading.Lock()
        self._files: list[GrowingIndex] = []

    def drop_abandoned(self) -> None:
        """Forget the indexes that grow no more, as their decoders are gone."""
        with self._lock:
            left = [one for one in self._files if one.is_abandoned]
            self._files = [one for one in self._files if one not in left]
        for one in left:
            one.abort()

    def find(self, source: SourceFile) -> GrowingIndex | None:
        self.drop_abandoned()
        with self._lock:
            for index in self._files:
                if index.source.key == source.key:
                    return index
        return None

    def keep(self, index: GrowingIndex) -> None:
        with self._lock:
            self._files.append(index)
            del self._files[:-_MOST_FILES]

    def drop(self, index: GrowingIndex) -> None:
        with self._lock:
            if index in self._files:
                self._files.remove(index)


_GROWING = one_per_process(_Growing())


@contextmanager
def recording_indexes() -> Iterator[None]:
    """Let sessions find the access points of gzip files on their way, within a block of code.

    Those do that begin within the block and decode a file without an index from its beginning. It
    costs them a tenth of their time or less.
    """
    token = _is_recording.set(True)
    try:
        yield
    finally:
        _is_recording.reset(token)
        drop_abandoned_indexes()


def drop_abandoned_indexes() -> None:
    """Close the files of indexes that nothing continues: those of passes that were stopped.

    The traceback of an error may hold a decoder until the error was dealt with.
    """
    _GROWING.drop_abandoned()


def is_recording() -> bool:
    """Return whether sessions that begin now are to find access points."""
    return _is_recording.get()


def growing_index(source: SourceFile) -> GrowingIndex | None:
    """Return the index of a file that is growing in this process."""
    return _GROWING.find(source)


def grow_index(source: SourceFile, feed: CompressedInput) -> GzipDecoder:
    """Return a decoder from the beginning of a file on, that finds its access points.

    Where they cannot be kept, that is said once, and it finds none.
    """
    try:
        index = GrowingIndex(source)
    except OutputError as error:
        warn_without_cache(str(error))
        return GzipDecoder(feed)
    decoder = GzipDecoder(feed, observer=index)
    index.watch(decoder)
    _GROWING.keep(index)
    return decoder
