"""Compress one gzip member in chunks, on one thread or several, with the same bytes."""

import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias, cast

from isal import isal_zlib

from lazyvox._threads import Job, Workers

__all__ = ["GzipPacker", "deflate_compressor", "gzip_memory", "most_in_flight"]

# Large enough that the 5 bytes of a flush and the restart of a compressor do not show, small
# enough that two per thread are little memory.
_CHUNK = 1 << 20
_WINDOW = 32768
# ISA-L has levels 1 to 3. Its 1 is as fast as a disk and its 3 is denser than zlib's 1.
_ISAL_LEVELS = (1, 2, 3)
# Deflate method, no name, no time: the same input always gives the same file.
_HEADER = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255])
_FINAL_BLOCK = b"\x03\x00"
# State of one compressor and the output buffers that it grows by doubling.
_COMPRESSOR_BYTES = (1 << 20) + 4 * _CHUNK
_PACKED_BYTES = _CHUNK + _CHUNK // 64

_Packed: TypeAlias = tuple[bytes, int, int]


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self, mode: int, /) -> bytes: ...


def gzip_memory(n_threads: int) -> int:
    """Return an upper bound of the bytes that a `GzipPacker` holds."""
    in_flight = most_in_flight(n_threads)
    waiting = in_flight * (_CHUNK + _WINDOW + _PACKED_BYTES)
    return 2 * _CHUNK + waiting + n_threads * _COMPRESSOR_BYTES


def most_in_flight(n_threads: int) -> int:
    """Return how many chunks may be on their way through so many threads."""
    return 1 if n_threads == 1 else 2 * n_threads


def deflate_compressor(level: int, window: bytes) -> _Compressor:
    """Return a compressor of raw deflate data that may refer back into `window`."""
    make: Callable[..., object] = (
        isal_zlib.compressobj if level in _ISAL_LEVELS else zlib.compressobj
    )
    options = {"zdict": window} if window else {}
    return cast("_Compressor", make(level, zlib.DEFLATED, -15, **options))


def _pack(chunk: bytes, window: bytes, level: int) -> _Packed:
    """Return a chunk as deflate blocks that end on a byte, its CRC and its length."""
    compressor = deflate_compressor(level, window)
    packed = compressor.compress(chunk) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return packed, isal_zlib.crc32(chunk), len(chunk)


class GzipPacker:
    """Turn bytes into one ordinary gzip member.

    The input is cut into chunks of fixed length, whatever the lengths of the writes; each is
    compressed by itself, with the end of the chunk before it as dictionary. So the output
    depends on the input and the level only, not on the number of threads.

    Parameters
    ----------
    level : int
        0 to 9; 1 to 3 are compressed by ISA-L, the others by zlib.
    n_threads : int
        Threads that compress; with 1 the caller's thread does.
    """

    def __init__(self, level: int, n_threads: int) -> None:
        self._level = level
        self._pool = Workers(n_threads, "lazyvox-gzip") if n_threads > 1 else None
        self._most = most_in_flight(n_threads)
        self._flying: deque[Job[_Packed]] = deque()
        self._chunk = bytearray()
        self._window = b""
        self._crc = 0
        self._size = 0
        self._started = False

    def pack(self, data: memoryview) -> Iterator[bytes]:
        """Take bytes, and yield those of the file that are ready."""
        if not self._started:
            self._started = True
            yield _HEADER
        start = 0
        while start < len(data):
            stop = min(len(data), start + _CHUNK - len(self._chunk))
            self._chunk += data[start:stop]
            start = stop
            if len(self._chunk) == _CHUNK:
                yield from self._dispatch()

    def finish(self) -> Iterator[bytes]:
        """Yield the rest of the file."""
        yield from self.pack(memoryview(b""))
        if self._chunk:
            yield from self._dispatch()
        while self._flying:
            yield self._take(self._flying.popleft().result())
        self.close()
        yield _FINAL_BLOCK + struct.pack("<II", self._crc, self._size & 0xFFFFFFFF)

    def close(self) -> None:
        """Stop and join the threads."""
        self._flying.clear()
        if self._pool is not None:
            self._pool.close()

    def _dispatch(self) -> Iterator[bytes]:
        """Compress the chunk that is full, and yield the bytes to write before the next one."""
        chunk, window = bytes(self._chunk), self._window
        self._chunk.clear()
        self._window = chunk[-_WINDOW:]
        if self._pool is None:
            yield self._take(_pack(chunk, window, self._level))
            return
        while len(self._flying) >= self._most:
            yield self._take(self._flying.popleft().result())
        self._flying.append(self._pool.submit(_pack, chunk, window, self._level))
        while self._flying and self._flying[0].is_done:
            yield self._take(self._flying.popleft().result())

    def _take(self, packed: _Packed) -> bytes:
        """Return the bytes of the next chunk and account for their decoded size."""
        data, crc, size = packed
        self._crc = isal_zlib.crc32_combine(self._crc, crc, size)
        self._size += size
        return data
