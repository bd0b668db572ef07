"""Decode bzip2 and zstd files, whose decoders verify their own checksums."""

import bz2
import sys
from collections.abc import Callable
from types import ModuleType
from typing import NoReturn, Protocol

from lazyvox.errors import CorruptFileError, TruncatedFileError
from lazyvox.store.files.compressed_input import CompressedInput
from lazyvox.store.files.paths import printable

__all__ = ["FrameDecoder", "bzip2_decoder", "load_zstd", "zstd_decoder"]


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes | memoryview, max_length: int = -1) -> bytes: ...


class FrameDecoder:
    """Decoded bytes of a file made of one or more independent frames, in order.

    `members_ended` is the decoded offset at which the last whole frame ended, None before the
    first. `trailing_garbage` is set where bytes that are no frame follow the last one.
    """

    #: A bzip2 decoder takes 3.6 MiB; one of zstd its window, 8 MiB and more at high levels.
    held_bytes = 4 << 20

    def __init__(
        self,
        feed: CompressedInput,
        name: str,
        magics: tuple[bytes, ...],
        make: Callable[[], _Decompressor],
        error: type[Exception],
    ) -> None:
        self._feed = feed
        self._name = name
        self._magics = magics
        self._make = make
        self._error = error
        self._frame: _Decompressor | None = None
        self._pending = b""
        self._decoded = 0
        self.members_ended: int | None = None
        self.trailing_garbage = False
        self.at_end = False

    def decode(self, limit: int) -> bytes:
        """Return the next decoded bytes, at most `limit`; empty only at the end of the stream."""
        while not self.at_end:
            if self._frame is None and not self._start_frame():
                self.at_end = True
                break
            piece = self._decode_piece(limit)
            if piece:
                return piece
        return b""

    def _start_frame(self) -> bool:
        longest = max(len(magic) for magic in self._magics)
        self._pending = self._pending.lstrip(b"\0") if self.members_ended is not None else b""
        while len(self._pending) < longest:
            more = self._feed.read()
            if not more:
                break
            self._pending += more
            if self.members_ended is not None:
                self._pending = self._pending.lstrip(b"\0")
        if not self._pending:
            return False
        if self.members_ended is not None and not self._pending.startswith(self._magics):
            self.trailing_garbage = True
            return False
        self._frame = self._make()
        return True

    def _decode_piece(self, limit: int) -> bytes:
        frame = self._frame
        assert frame is not None
        data: bytes | memoryview = b""
        if self._pending or frame.needs_input:
            data, self._pending = self._pending or self._feed.next_piece(), b""
            if not data:
                self._raise_truncated()
        try:
            piece = frame.decompress(data, limit)
        except (self._error, OSError, ValueError, EOFError) as error:
            self._raise_corrupt(error)
        self._decoded += len(piece)
        if frame.eof:
            self._pending = frame.unused_data
            self._frame = None
            self.members_ended = self._decoded
        return piece

    def _raise_truncated(self) -> NoReturn:
        # One that is written anew is not damaged.
        self._feed.check()
        msg = (
            f"{printable(self._feed.path)}: the {self._name} stream must run to its end, and the "
            f"file ends early, at compressed byte {self._feed.position}, after {self._decoded} "
            f"decoded bytes. The file is incomplete: copy or download it again."
        )
        raise TruncatedFileError(msg)

    def _raise_corrupt(self, error: Exception) -> NoReturn:
        self._feed.check()
        msg = (
            f"{printable(self._feed.path)}: the {self._name} data are invalid ({error}). Found "
            f"before compressed byte {self._feed.position}, after {self._decoded} decoded bytes. "
            f"The file is damaged: copy or download it again."
        )
        raise CorruptFileError(msg) from error


def bzip2_decoder(feed: CompressedInput) -> FrameDecoder:
    """Return the decoder of a bzip2 file."""
    return FrameDecoder(feed, "bzip2", (b"BZh",), bz2.BZ2Decompressor, OSError)


def zstd_decoder(feed: CompressedInput) -> FrameDecoder:
    """Return the decoder of a zstd file."""
    zstd = load_zstd()
    skippable = tuple(bytes([low, 0x2A, 0x4D, 0x18]) for low in range(0x50, 0x60))
    magics = (b"\x28\xb5\x2f\xfd", *skippable)
    return FrameDecoder(feed, "zstd", magics, zstd.ZstdDecompressor, zstd.ZstdError)


def load_zstd() -> ModuleType:
    """Return the zstd module: the standard library's where it has one, else its backport."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
