"""The `ByteSource` protocol and the sessions that read from it."""

from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

__all__ = ["ByteReader", "ByteSource", "PartSource", "StoredBytes"]


class StoredBytes(Protocol):
    """The stored bytes of a file or an object, open for reading. Used by one thread at a time."""

    def pread(self, nbytes: int, offset: int, /) -> bytes:
        """Return up to `nbytes` bytes from `offset`, none only at the end."""

    def at_hand(self, offset: int, /) -> int:
        """Return how many bytes from `offset` can be read without waiting; 0 for no preference."""

    def preadv(self, buffer: memoryview, offset: int, /) -> int:
        """Fill a buffer with bytes from `offset`; return how many there were, 0 only at the end."""

    def expect(self, ranges: Iterable[tuple[int, int]], /) -> None:
        """Prepare for reads of these ranges, in this order; takes one of them at a time."""

    def present_size(self) -> int:
        """Return the size in bytes now."""

    def check(self) -> None:
        """Raise `FileChangedError` if it is no longer as it was first seen."""

    def close(self) -> None:
        """Let go of what holds it open."""


@runtime_checkable
class ByteReader(Protocol):
    """One reading session on a decoded byte stream. Used by one thread at a time."""

    def readinto(self, offset: int, buffer: memoryview, /) -> None:
        """Fill `buffer` with the decoded bytes that start at `offset`, all of it or raise.

        Ascending offsets of a compressed stream continue where the last read ended.

        Raises `TruncatedFileError` where the stream ends early, `CorruptFileError` where it is
        damaged, `FileChangedError` where the file is no longer the one that was opened.
        """

    def read_upto(self, offset: int, nbytes: int, /) -> bytes:
        """Return up to `nbytes` decoded bytes from `offset`; fewer only at the end of the stream."""

    def expect(self, ranges: Iterable[tuple[int, int]], /) -> None:
        """Prepare for reads of these ranges, in this order; sources on disks need nothing."""

    def finish(self) -> int:
        """Run to the end of a compressed stream, so that its checksums are verified.

        Returns the number of decoded bytes behind the last byte that was read. Plain files have
        nothing to verify: the number is what the file has left.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...


@runtime_checkable
class ByteSource(Protocol):
    """Description of a readable file. Picklable, shareable between threads, holds no handle."""

    @property
    def path(self) -> str:
        """Absolute path, for messages and for pickling."""

    @property
    def compression(self) -> str:
        """One of 'none', 'gzip', 'bzip2', 'zstd', found from the content."""

    @property
    def stored_size(self) -> int:
        """Size of the file in bytes, compressed as it is."""

    @property
    def max_decoded_size(self) -> int:
        """Upper bound of the decoded size, from the stored size and the format's best ratio."""

    @property
    def fetch_bytes(self) -> int:
        """Bytes that a session holds of what it fetches over a network; 0 for files on disks."""

    def open(self) -> ByteReader:
        """Start a reading session; checks that the file is still the one first seen."""


@runtime_checkable
class PartSource(Protocol):
    """A source that can be read from several places on, where its file has access points."""

    def needs_index(self) -> bool:
        """Return whether the file has no access points, and a pass over it could find and keep some."""

    def can_be_entered(self) -> bool:
        """Return whether parts are decoded, and verified, without what lies before them."""

    def open_part(self, start: int, stop: int, memory: int | None = None) -> ByteReader:
        """Start a session that is going to read between two decoded offsets, in `memory` bytes.

        The default is a part of the memory budget.
        """

    def ahead_bytes(self, memory: int) -> int:
        """Return the bytes of memory that such a session takes to read the whole file."""
