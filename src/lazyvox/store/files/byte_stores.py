"""Bytes of temporary space, read as a file is."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from lazyvox.errors import TruncatedFileError
from lazyvox.store.files.paths import printable
from lazyvox.store.files.spool import ByteStore, MemoryStore

__all__ = ["StoreSource", "source_of_bytes"]


@dataclass(frozen=True, slots=True, eq=False)
class StoreSource:
    """A byte source over temporary space. It stays in its process.

    Attributes
    ----------
    path : str
        The file that the bytes are of, for messages.
    store : ByteStore
        The bytes.
    stored_size : int
        How many there are.
    max_decoded_size : int
        The most that a header may ask for.
    compression : str
        "none".
    fetch_bytes : int
        0: nothing is fetched.
    """

    path: str
    store: ByteStore
    stored_size: int
    max_decoded_size: int
    compression: str = "none"
    fetch_bytes: int = 0

    def open(self) -> "StoreReader":
        """Start a reading session."""
        return StoreReader(self)


class StoreReader:
    """One reading session on temporary space."""

    def __init__(self, source: StoreSource) -> None:
        self._source = source
        self._end = 0

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing to end."""

    def readinto(self, offset: int, buffer: memoryview, /) -> None:
        """Fill `buffer` with the bytes from `offset`."""
        stop = offset + len(buffer)
        if stop > self._source.stored_size:
            msg = (
                f"{printable(self._source.path)}: at least {stop} bytes must be there, and there "
                f"are {self._source.stored_size}."
            )
            raise TruncatedFileError(msg)
        self._source.store.readinto(offset, buffer)
        self._end = max(self._end, stop)

    def read_upto(self, offset: int, nbytes: int, /) -> bytes:
        """Return up to `nbytes` bytes from `offset`."""
        buffer = bytearray(max(min(nbytes, self._source.stored_size - offset), 0))
        if buffer:
            self.readinto(offset, memoryview(buffer))
        return bytes(buffer)

    def expect(self, ranges: Iterable[tuple[int, int]], /) -> None:
        """Nothing is to be prepared."""

    def finish(self) -> int:
        """Return the number of bytes behind the last byte read."""
        return self._source.stored_size - self._end


def source_of_bytes(content: bytes, path: str) -> StoreSource:
    """Return a source of bytes that are a part of a file, whose length bounds nothing.

    Parameters
    ----------
    content : bytes
        The bytes.
    path : str
        Their file, for messages.

    Returns
    -------
    StoreSource
        The source; a header in it may speak of voxels that are elsewhere.
    """
    store = MemoryStore(len(content))
    store.write(0, memoryview(content))
    return StoreSource(path, store, len(content), 1 << 62)
