"""Byte sources for tests: in memory, counting, forbidding and failing."""

import errno
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import NoReturn, Self

from lazyvox._typing import override
from lazyvox.errors import TruncatedFileError
from lazyvox.store.files.source import ByteReader, ByteSource

__all__ = ["CountingSource", "FlakySource", "MemorySource", "TripwireSource"]


@dataclass(frozen=True, slots=True)
class MemorySource:
    """A byte source whose bytes are in memory.

    Parameters
    ----------
    payload : bytes
        The decoded bytes.
    path : str
        What messages call it.
    compression : str
        What it claims to be; the bytes are handed out as they are.

    Examples
    --------
    >>> with MemorySource(b"abcdef").open() as session:
    ...     session.read_upto(4, 10)
    b'ef'
    """

    payload: bytes
    path: str = "memory"
    compression: str = "none"

    @property
    def stored_size(self) -> int:
        """Number of bytes."""
        return len(self.payload)

    @property
    def fetch_bytes(self) -> int:
        """0: nothing is fetched."""
        return 0

    @property
    def max_decoded_size(self) -> int:
        """Number of bytes."""
        return len(self.payload)

    def open(self) -> "_MemoryReader":
        """Start a reading session."""
        return _MemoryReader(self)


class _Session:
    """The part of a session that is the same for all: a context that ends nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        pass


class _MemoryReader(_Session):
    """A session on bytes in memory."""

    def __init__(self, source: MemorySource) -> None:
        self._source = source
        self._end = 0

    def readinto(self, offset: int, buffer: memoryview, /) -> None:
        stop = offset + len(buffer)
        if stop > len(self._source.payload):
            msg = (
                f"{self._source.path}: the source must hold at least {stop} bytes. It holds "
                f"{len(self._source.payload)}. Give it more."
            )
            raise TruncatedFileError(msg)
        buffer[:] = self._source.payload[offset:stop]
        self._end = max(self._end, stop)

    def read_upto(self, offset: int, nbytes: int, /) -> bytes:
        piece = self._source.payload[offset : offset + nbytes]
        if piece:
            self._end = max(self._end, offset + len(piece))
        return piece

    def expect(self, ranges: Iterable[tuple[int, int]], /) -> None:
        """Nothing is to be prepared."""

    def finish(self) -> int:
        return len(self._source.payload) - self._end


class _Wrapper:
    """A byte source around another one; each read is announced first."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source

    @property
    def path(self) -> str:
        """Path of the wrapped source."""
        return self._source.path

    @property
    def compression(self) -> str:
        """Compression of the wrapped source."""
        return self._source.compression

    @property
    def stored_size(self) -> int:
        """Stored size of the wrapped source."""
        return self._source.stored_size

    @property
    def fetch_bytes(self) -> int:
        """As of the source below."""
        return self._source.fetch_bytes

    @property
    def max_decoded_size(self) -> int:
        """Bound of the decoded size of the wrapped source."""
        return self._source.max_decoded_size

    def open(self) -> "_AnnouncingReader":
        """Start a reading session."""
        return _AnnouncingReader(self._source.open(), self._announce)

    def _announce(self, offset: int, nbytes: int) -> None:
        """Record a read, or fail instead of it."""
        raise NotImplementedError


class _AnnouncingReader:
    """A session that tells somebody of each read before it happens."""

    def __init__(self, session: ByteReader, announce: Callable[[int, int], None]) -> None:
        self._session = session
        self._announce = announce

    def __enter__(self) -> Self:
        self._session.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self._session.__exit__(kind, error, trace)

    def readinto(self, offset: int, buffer: memoryview, /) -> None:
        self._announce(offset, len(buffer))
        self._session.readinto(offset, buffer)

    def read_upto(self, offset: int, nbytes: int, /) -> bytes:
        self._announce(offset, nbytes)
        return self._session.read_upto(offset, nbytes)

    def expect(self, ranges: Iterable[tuple[int, int]], /) -> None:
        """As of the session below."""
        self._session.expect(ranges)

    def finish(self) -> int:
        return self._session.finish()


class CountingSource(_Wrapper):
    """A byte source that records which decoded bytes were asked of it.

    Parameters
    ----------
    source : ByteSource
        Where the bytes come from.

    Attributes
    ----------
    reads : list of tuple of int
        Offset and number of bytes of each read, in order, over all sessions. Reads that only
        verify a checksum are not counted.

    Examples
    --------
    >>> source = CountingSource(MemorySource(bytes(10)))
    >>> with source.open() as session:
    ...     _ = session.read_upto(0, 4), session.read_upto(6, 2)
    >>> source.reads, source.bytes_read
    ([(0, 4), (6, 2)], 6)
    >>> source.assert_each_byte_once()
    """

    def __init__(self, source: ByteSource) -> None:
        super().__init__(source)
        self.reads: list[tuple[int, int]] = []
        self._lock = threading.Lock()

    @property
    def bytes_read(self) -> int:
        """Number of decoded bytes that were asked for, repeated ones included."""
        return sum(nbytes for _, nbytes in self.reads)

    def clear(self) -> None:
        """Forget the reads so far."""
        with self._lock:
            self.reads.clear()

    def assert_each_byte_once(self) -> None:
        """Fail if two reads overlap.

        Raises
        ------
        AssertionError
            If a byte was read twice.
        """
        end = 0
        for offset, nbytes in sorted(self.reads):
            if nbytes and offset < end:
                msg = (
                    f"each byte must be read at most once. Bytes {offset} to "
                    f"{min(end, offset + nbytes)} of {self.path} were read twice."
                )
                raise AssertionError(msg)
            end = max(end, offset + nbytes)

    @override
    def __reduce__(self) -> tuple[type["CountingSource"], tuple[ByteSource]]:
        """Leave the lock and the record behind: a copy counts for itself."""
        return CountingSource, (self._source,)

    @override
    def _announce(self, offset: int, nbytes: int) -> None:
        with self._lock:
            self.reads.append((offset, nbytes))


class TripwireSource(_Wrapper):
    """A byte source that must not be read: opening a session is allowed, any read fails.

    Parameters
    ----------
    source : ByteSource
        What it pretends to be.
    """

    @override
    def _announce(self, offset: int, nbytes: int) -> NoReturn:
        msg = (
            f"nothing must be read here. Got a read of {nbytes} bytes at {offset} of {self.path}."
        )
        raise AssertionError(msg)


class FlakySource(_Wrapper):
    """A byte source whose n-th read fails with an input/output error, and that then works.

    Parameters
    ----------
    source : ByteSource
        Where the bytes come from.
    fail_at : int
        Number of the read that fails, counted from 1 over all sessions.

    Attributes
    ----------
    n_reads : int
        Reads so far, the failed one included.
    """

    def __init__(self, source: ByteSource, fail_at: int) -> None:
        super().__init__(source)
        self.n_reads = 0
        self._fail_at = fail_at

    @override
    def _announce(self, offset: int, nbytes: int) -> None:
        self.n_reads += 1
        if self.n_reads == self._fail_at:
            reason = f"read {self.n_reads} fails on purpose, {nbytes} bytes at {offset}"
            raise OSError(errno.EIO, reason, self.path)
