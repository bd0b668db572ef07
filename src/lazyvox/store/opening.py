"""Open a path as a byte source, its compression found from its content."""

import os
from pathlib import Path

from lazyvox._typing import PathLike
from lazyvox.errors import ImageFileError, ParameterTypeError
from lazyvox.store.identity import FileIdentity, open_regular, printable, raise_read_error
from lazyvox.store.local import PlainSource
from lazyvox.store.source import ByteSource
from lazyvox.store.streams import StreamSource

__all__ = ["absolute_path", "open_source"]

_ZSTD_FRAME = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE_TAIL = b"\x2a\x4d\x18"


def absolute_path(path: PathLike) -> str:
    """Return `path` as an absolute text path, so that a later change of folder does not matter.

    A leading ``~`` is the home folder. Names that are not valid text keep their bytes.

    Raises
    ------
    ParameterTypeError
        If `path` is not a path.
    ImageFileError
        If the path holds a zero byte.
    """
    try:
        text = os.fsdecode(path)
    except TypeError:
        msg = f"`path` must be a str, bytes or os.PathLike. Got {type(path).__name__}."
        if hasattr(path, "read"):
            msg += (
                " Files are read by name, as threads and other processes open them for "
                "themselves: pass the name, or write the content to a file first."
            )
        if hasattr(path, "dataobj"):
            msg += " It is an image already: every function of lazyvox takes it as it is."
        raise ParameterTypeError(msg) from None
    if "\0" in text:
        msg = f"{text!a}: a path must not hold a zero byte."
        raise ImageFileError(msg)
    # Not resolve(): links stay as they are, the name that the user gave is the one in messages.
    return str(Path(text).expanduser().absolute())


def open_source(path: PathLike) -> ByteSource:
    """Return the byte source of the file at `path`.

    Reads at most four bytes. The name of the file plays no role: gzip, bzip2 and zstd are known
    by their first bytes, everything else is taken as it is.

    Raises
    ------
    ImageNotFoundError, ImagePermissionError, ImageIsADirectoryError, ReadError
        If the file cannot be opened, or is no regular file.
    ImageFileError
        If the file is empty.
    """
    path = absolute_path(path)
    fd = open_regular(path)
    try:
        identity = FileIdentity.of(os.fstat(fd))
        head = os.pread(fd, 4, 0)
    except OSError as error:
        raise_read_error(error, path, 0)
    finally:
        os.close(fd)
    if not head:
        msg = f"{printable(path)}: an image file must hold a header. The file is empty."
        raise ImageFileError(msg)
    compression = _compression_of(head)
    if compression == "none":
        return PlainSource(path, identity)
    return StreamSource(path, identity, compression)


def _compression_of(head: bytes) -> str:
    if head[:2] == b"\x1f\x8b":
        return "gzip"
    if head[:3] == b"BZh":
        return "bzip2"
    if head == _ZSTD_FRAME or (head[1:] == _ZSTD_SKIPPABLE_TAIL and head[0] >> 4 == 5):
        return "zstd"
    return "none"
