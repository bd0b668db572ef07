"""Open a path as a byte source, its compression found from its content."""

import os

from lazyvox._typing import PathLike
from lazyvox.errors import TruncatedFileError
from lazyvox.store.files.identity import FileIdentity, open_regular, raise_read_error
from lazyvox.store.files.local import PlainSource
from lazyvox.store.files.paths import absolute_path, printable
from lazyvox.store.files.source import ByteSource
from lazyvox.store.index.embedded import may_have_table
from lazyvox.store.stream_source import StreamSource

__all__ = ["open_source"]

_ZSTD_FRAME = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE_TAIL = b"\x2a\x4d\x18"


def open_source(path: PathLike) -> ByteSource:
    """Return the byte source of the file at `path`.

    Reads at most four bytes, of zstd files the last four too. The name of the file plays no role: gzip, bzip2 and zstd are known
    by their first bytes, everything else is taken as it is.

    Raises
    ------
    ImageNotFoundError, ImagePermissionError, ImageIsADirectoryError, ReadError
        If the file cannot be opened, or is no regular file.
    TruncatedFileError
        If the file is empty.
    """
    path = absolute_path(path)
    fd = open_regular(path)
    try:
        identity = FileIdentity.of(os.fstat(fd))
        head = os.pread(fd, 4, 0)
        compression = _compression_of(head)
        is_zstd = compression == "zstd"
        tail = os.pread(fd, 4, max(identity.size - 4, 0)) if is_zstd else b""
    except OSError as error:
        raise_read_error(error, path, 0)
    finally:
        os.close(fd)
    if not head:
        msg = f"{printable(path)}: an image file must hold a header. The file is empty."
        raise TruncatedFileError(msg)
    if compression == "none":
        return PlainSource(path, identity)
    return StreamSource(path, identity, compression, may_have_table(head, tail))


def _compression_of(head: bytes) -> str:
    if head[:2] == b"\x1f\x8b":
        return "gzip"
    if head[:3] == b"BZh":
        return "bzip2"
    if head == _ZSTD_FRAME or (head[1:] == _ZSTD_SKIPPABLE_TAIL and head[0] >> 4 == 5):
        return "zstd"
    return "none"
