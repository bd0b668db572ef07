"""Open a path as a byte source, its compression found from its content."""

import io
import os
from typing import Any

from lazyvox._typing import PathLike, override
from lazyvox.errors import ImageFileError, TruncatedFileError
from lazyvox.store.files.identity import FileIdentity, SourceFile, open_regular, raise_read_error
from lazyvox.store.files.local import PlainSource
from lazyvox.store.files.paths import absolute_path, printable
from lazyvox.store.files.source import ByteSource
from lazyvox.store.files.urls import is_url
from lazyvox.store.index.embedded import may_have_table
from lazyvox.store.stream_source import StreamSource

__all__ = ["find_file", "open_binary", "open_source"]

_HEAD_BYTES = 4
_BUFFER_BYTES = 64 << 10
_ZSTD_FRAME = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE_TAIL = b"\x2a\x4d\x18"


def open_source(path: PathLike) -> ByteSource:
    """Return the byte source of the file or object at `path`.

    Reads at most four bytes, of zstd files the last four too; of an object behind a URL, its first
    64 KiB. The name of the file plays no role: gzip, bzip2 and zstd are known by their first bytes,
    everything else is taken as it is.

    Raises
    ------
    ImageNotFoundError, ImagePermissionError, ImageIsADirectoryError, ReadError
        If the file cannot be opened, or is no regular file.
    TruncatedFileError
        If the file is empty.
    """
    full_path = absolute_path(path)
    file, head = _find(full_path)
    if not head:
        msg = f"{printable(full_path)}: an image file must hold a header. The file is empty."
        raise TruncatedFileError(msg)
    compression = _compression_of(head)
    if compression == "none":
        return PlainSource(file.path, file.identity)
    tail = _tail_of(file) if compression == "zstd" else b""
    return StreamSource(file.path, file.identity, compression, may_have_table(head, tail))


def find_file(path: PathLike) -> SourceFile:
    """Return the regular file at a path, or the object behind a URL, as it is now.

    Raises
    ------
    ImageNotFoundError, ImagePermissionError, ImageIsADirectoryError, ReadError
        If it cannot be had, or is no regular file.
    """
    return _find(absolute_path(path))[0]


def open_binary(path: PathLike) -> io.BufferedReader:
    """Open a regular file, or the object behind a URL, as a binary file.

    Raises
    ------
    ImageNotFoundError, ImagePermissionError, ImageIsADirectoryError, ReadError
        If it cannot be opened, or is no regular file.
    """
    full_path = absolute_path(path)
    if not is_url(full_path):
        return os.fdopen(open_regular(full_path), "rb")
    found, _ = _find(full_path)
    return io.BufferedReader(_ObjectFile(found), _BUFFER_BYTES)


class _ObjectFile(io.RawIOBase):
    """An object as a file of Python, for readers of tables."""

    def __init__(self, found: SourceFile) -> None:
        self._stored, self._size = found.open_stored(), found.identity.size
        self._position = 0

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def tell(self) -> int:
        return self._position

    @override
    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(start + offset, 0)
        return self._position

    @override
    def readinto(self, buffer: Any, /) -> int:
        n_read = self._stored.preadv(memoryview(buffer).cast("B"), self._position)
        self._position += n_read
        return n_read

    @override
    def close(self) -> None:
        if not self.closed:
            self._stored.close()
        super().close()


def _find(path: str) -> tuple[SourceFile, bytes]:
    """Return a file or object as it is now, and its first bytes."""
    if is_url(path):
        # It brings HTTP and TLS, which local files have no need of.
        from lazyvox.store.remote.identity import find_object

        found, head = find_object(path)
        return found, head[:_HEAD_BYTES]
    fd = open_regular(path)
    try:
        identity = FileIdentity.of(os.fstat(fd))
        return SourceFile(path, identity), os.pread(fd, _HEAD_BYTES, 0)
    except OSError as error:
        raise_read_error(error, path, 0)
    finally:
        os.close(fd)


def _tail_of(file: SourceFile) -> bytes:
    stored = file.open_stored()
    try:
        return stored.pread(_HEAD_BYTES, max(file.identity.size - _HEAD_BYTES, 0))
    except ImageFileError:
        raise
    except OSError as error:
        raise_read_error(error, file.path)
    finally:
        stored.close()


def _compression_of(head: bytes) -> str:
    if head[:2] == b"\x1f\x8b":
        return "gzip"
    if head[:3] == b"BZh":
        return "bzip2"
    if head == _ZSTD_FRAME or (head[1:] == _ZSTD_SKIPPABLE_TAIL and head[0] >> 4 == 5):
        return "zstd"
    return "none"
