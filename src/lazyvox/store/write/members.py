"""Compress a stream in parts that can be decoded alone, on one thread or several."""

import struct
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeAlias

from isal import isal_zlib

from lazyvox._threads import Job, Workers
from lazyvox.planning.blocks import MOST_MEMBER_BYTES
from lazyvox.store.frames.seek_table import pack_seek_table
from lazyvox.store.gzip.member_table import member_header
from lazyvox.store.write.deflate import deflate_compressor, most_in_flight

__all__ = ["FrameForm", "GzipMemberForm", "MemberPacker", "packer_memory"]

#: Bytes of a part on its way, and of what it becomes.
_PART_BYTES = 2 * MOST_MEMBER_BYTES + MOST_MEMBER_BYTES // 64
#: State of a deflate compressor.
_DEFLATE_BYTES = 1 << 20

_Packed: TypeAlias = tuple[bytes, int]


class MemberForm(Protocol):
    """Encoding of parts as members or frames, and the table after the last one."""

    def pack(self, part: bytes, /) -> bytes:
        """Return a part compressed, with everything around it."""

    def end(self, sizes: Sequence[tuple[int, int]], /) -> bytes:
        """Return the bytes that follow parts of these compressed and decoded sizes."""


class GzipMemberForm:
    """Gzip members whose headers say how long they are; see `member_table`.

    Parameters
    ----------
    level : int
        0 to 9.
    """

    def __init__(self, level: int) -> None:
        self._level = level

    def pack(self, part: bytes) -> bytes:
        """Return a part as a gzip member."""
        compressor = deflate_compressor(self._level, b"")
        packed = compressor.compress(part) + compressor.flush(zlib.Z_FINISH)
        trailer = struct.pack("<II", isal_zlib.crc32(part), len(part))
        return member_header(len(packed), len(part)) + packed + trailer

    def end(self, sizes: Sequence[tuple[int, int]]) -> bytes:
        """Return nothing, or a member of nothing where there is no other."""
        return b"" if sizes else self.pack(b"")


class FrameForm:
    """Zstd frames with a seek table behind them; see `seek_table`.

    Parameters
    ----------
    zstd : module
        The zstd module.
    options : dict
        Parameters of its compressors.
    """

    def __init__(self, zstd: Any, options: dict[Any, int]) -> None:
        self._zstd = zstd
        self._options = options

    def pack(self, part: bytes) -> bytes:
        """Return a part as a zstd frame."""
        compressor = self._zstd.ZstdCompressor(options=self._options)
        packed: bytes = compressor.compress(part, compressor.FLUSH_FRAME)
        return packed

    def end(self, sizes: Sequence[tuple[int, int]]) -> bytes:
        """Return the seek table, behind a frame of nothing where there is no other."""
        if sizes:
            return pack_seek_table(sizes)
        empty = self.pack(b"")
        return empty + pack_seek_table([(len(empty), 0)])


def packer_memory(n_threads: int, compressor_bytes: int = _DEFLATE_BYTES) -> int:
    """Return an upper bound of the bytes that a `MemberPacker` holds."""
    waiting = (most_in_flight(n_threads) + 1) * _PART_BYTES
    # What comes out of a compressor grows by doubling, and is joined twice.
    return MOST_MEMBER_BYTES + waiting + n_threads * (compressor_bytes + 4 * MOST_MEMBER_BYTES)


class MemberPacker:
    """Turn bytes into members or frames that begin where they are asked to.

    What comes out depends on the bytes, the lengths and the form only, not on how the bytes are
    handed over, nor on the number of threads.

    Parameters
    ----------
    form : MemberForm
        What a part becomes.
    lengths : iterator of int
        Decoded bytes of each part, as many as are needed, at most `MOST_MEMBER_BYTES` each.
    n_threads : int
        Threads that compress; with 1 the caller's thread does.
    """

    def __init__(self, form: MemberForm, lengths: Iterator[int], n_threads: int) -> None:
        self._form = form
        self._lengths = lengths
        self._pool = Workers(n_threads, "lazyvox-members") if n_threads > 1 else None
        self._most = most_in_flight(n_threads)
        self._flying: deque[Job[_Packed]] = deque()
        self._part = bytearray()
        self._wanted = next(lengths)
        self._sizes: list[tuple[int, int]] = []

    def pack(self, data: memoryview) -> Iterator[bytes]:
        """Take bytes, and yield those of the file that are ready."""
        start = 0
        while start < len(data):
            stop = min(len(data), start + self._wanted - len(self._part))
            self._part += data[start:stop]
            start = stop
            if len(self._part) == self._wanted:
                yield from self._dispatch()
                self._wanted = next(self._lengths)

    def finish(self) -> Iterator[bytes]:
        """Yield the rest of the file."""
        if self._part:
            yield from self._dispatch()
        while self._flying:
            yield self._take(self._flying.popleft().result())
        self.close()
        yield self._form.end(self._sizes)

    def close(self) -> None:
        """Stop and join the threads."""
        self._flying.clear()
        if self._pool is not None:
            self._pool.close()

    def _dispatch(self) -> Iterator[bytes]:
        """Compress the part that is full, and yield the bytes to write before the next one."""
        part = bytes(self._part)
        self._part.clear()
        if self._pool is None:
            yield self._take(_pack(self._form, part))
            return
        while len(self._flying) >= self._most:
            yield self._take(self._flying.popleft().result())
        self._flying.append(self._pool.submit(_pack, self._form, part))
        while self._flying and self._flying[0].is_done:
            yield self._take(self._flying.popleft().result())

    def _take(self, packed: _Packed) -> bytes:
        """Return the bytes of the next part and write down its sizes."""
        data, size = packed
        self._sizes.append((len(data), size))
        return data


def _pack(form: MemberForm, part: bytes) -> _Packed:
    return form.pack(part), len(part)
