"""The identity of a file as it was first seen, and checks that it is still the same."""

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol, TypeAlias

from lazyvox.errors import (
    FileChangedError,
    ImageFileError,
    ImageIsADirectoryError,
    ImageNotFoundError,
    ImagePermissionError,
    ReadError,
)
from lazyvox.store.files.descriptors import OpenFile
from lazyvox.store.files.paths import printable
from lazyvox.store.files.source import StoredBytes
from lazyvox.store.files.urls import scheme_with_one_slash

__all__ = [
    "ONE_FETCH_BYTES",
    "FileIdentity",
    "FileKey",
    "Identity",
    "SourceFile",
    "advice_on_missing",
    "identify",
    "open_regular",
    "raise_read_error",
]


FileKey: TypeAlias = tuple[str, int, int, int]

#: Bytes that `Identity.prefetch` fetches at most.
ONE_FETCH_BYTES = 4 << 20

#: Names of similar files that a message about a missing file lists at most.
_MOST_NAMES = 3


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """Size, modification time and inode of a file: enough to notice a rewrite or a replacement."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> "FileIdentity":
        """Return the identity in a stat record."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)

    @property
    def mark(self) -> int:
        """Number that another file at the same path has not."""
        return self.inode

    @property
    def validator(self) -> str:
        """Text that changes whenever the content does: none, only the bytes themselves tell."""
        return ""

    @property
    def fetch_bytes(self) -> int:
        """Bytes that reading it holds besides those asked for: the system holds them."""
        return 0

    def open_at(self, path: str) -> StoredBytes:
        """Open the file, and check that it is still this one."""
        return OpenFile(path, self)

    def prefetch(self, path: str, start: int, stop: int) -> None:
        """Do nothing: the system reads files ahead."""

    def find_beside(self, path: str, ending: str) -> "SourceFile | None":
        """Return the file that has the name of this one and an ending more, if there is one."""
        try:
            return SourceFile.at(path + ending)
        except ImageNotFoundError:
            return None

    def check_at(self, path: str) -> None:
        """Raise `FileChangedError` unless the file at a path is this very one, `OSError` if none is."""
        self.check(os.stat(path), path)  # noqa: PTH116 - the path is a text

    def open_same(self, path: str) -> int:
        """Open the file and return its descriptor.

        Raises `FileChangedError` where the path is gone or means another file by now.
        """
        try:
            fd = open_regular(path)
        except ImageNotFoundError as error:
            msg = (
                f"{printable(path)}: the file must stay where it was when it was opened, and "
                f"it was deleted or moved since. Load it again from where it is."
            )
            raise FileChangedError(msg) from error
        try:
            self.check(os.fstat(fd), path)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def check(self, status: os.stat_result, path: str) -> None:
        """Raise `FileChangedError` unless the stat record is of this very file."""
        now = FileIdentity.of(status)
        if now == self:
            return
        msg = (
            f"{printable(path)}: the file must stay as it was when it was opened, and it changed "
            f"on disk. Opened: {self.size} bytes, modified at {self.mtime_ns} ns, inode "
            f"{self.inode}. Now: {now.size} bytes, modified at {now.mtime_ns} ns, inode "
            f"{now.inode}. Load it again."
        )
        raise FileChangedError(msg)


class Identity(Protocol):
    """A file or an object as it was first seen: how to tell that it is the same, and open it."""

    @property
    def size(self) -> int:
        """Size in bytes."""

    @property
    def mtime_ns(self) -> int:
        """Time of its last change, in nanoseconds since the epoch; 0 where it is not known."""

    @property
    def mark(self) -> int:
        """Number that another file of this name, size and time has not."""

    @property
    def validator(self) -> str:
        """Text that changes whenever the content does; empty where there is none."""

    @property
    def fetch_bytes(self) -> int:
        """Bytes that reading holds besides those asked for."""

    def open_at(self, path: str, /) -> StoredBytes:
        """Open it, and check that it is still the same."""

    def prefetch(self, path: str, start: int, stop: int, /) -> None:
        """Fetch bytes that are going to be read, up to a bound, where they are fetched at all."""

    def find_beside(self, path: str, ending: str, /) -> "SourceFile | None":
        """Return what has the same name and an ending more, None where nothing has."""

    def check_at(self, path: str, /) -> None:
        """Raise `FileChangedError` unless it is still the same."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file or an object as it was first seen, wherever it is read again.

    Attributes
    ----------
    path : str
        Absolute path, or URL without credentials.
    identity : Identity
        Its state when it was first seen.
    """

    path: str
    identity: Identity

    @classmethod
    def at(cls, path: str) -> "SourceFile":
        """Return the regular file at a path as it is now."""
        return cls(path, identify(path))

    @property
    def key(self) -> FileKey:
        """Text and numbers that tell it from other files, and from other contents.

        What hashes in Python can be interrupted while a table changes; this cannot.
        """
        return self.path, self.identity.size, self.identity.mtime_ns, self.identity.mark

    @property
    def fetch_bytes(self) -> int:
        """Bytes that a session holds of what it fetches over a network; 0 for files on disks."""
        return self.identity.fetch_bytes

    @property
    def is_fetched(self) -> bool:
        """True for an object that is fetched over a network."""
        return self.fetch_bytes > 0

    def open_stored(self) -> StoredBytes:
        """Open it; raises `FileChangedError` where it is gone, or another one by now."""
        return self.identity.open_at(self.path)


def raise_read_error(error: OSError, path: str, offset: int | None = None) -> NoReturn:
    """Raise the lazyvox error that matches an operating system error."""
    shown = printable(path)
    kinds: dict[int, tuple[type[ImageFileError], str]] = {
        errno.ENOENT: (ImageNotFoundError, "no such file"),
        errno.ENOTDIR: (ImageNotFoundError, "no such file: a part of the path is not a folder"),
        errno.EACCES: (ImagePermissionError, "this user may not read the file"),
        errno.EPERM: (ImagePermissionError, "this user may not read the file"),
        errno.EISDIR: (ImageIsADirectoryError, "the path must name a file, it is a directory"),
        errno.ELOOP: (ReadError, "the symbolic link points to itself"),
        errno.ENAMETOOLONG: (ReadError, "the file name is too long for this system"),
    }
    where = "" if offset is None else f" at byte {offset}"
    kind, reason = kinds.get(
        error.errno or 0, (ReadError, f"reading failed{where}: {error.strerror or error}")
    )
    advice = advice_on_missing(path) if error.errno == errno.ENOENT else ""
    msg = f"{shown}: {reason}.{advice}"
    raise kind(msg) from error


def open_regular(path: str) -> int:
    """Open a regular file for reading and return its descriptor.

    Never blocks on a named pipe and never reads a device: anything but a regular file is refused.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise_read_error(error, path)
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISREG(mode):
            return fd
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    if stat.S_ISDIR(mode):
        msg = f"{printable(path)}: the path must name a file, it is a directory."
        raise ImageIsADirectoryError(msg)
    msg = (
        f"{printable(path)}: the file must be a regular file. Got a pipe, socket or device. "
        f"Copy its content into a file first."
    )
    raise ReadError(msg)


def identify(path: str) -> FileIdentity:
    """Return the identity of the regular file at `path`."""
    fd = open_regular(path)
    try:
        return FileIdentity.of(os.fstat(fd))
    finally:
        os.close(fd)


def advice_on_missing(path: str) -> str:
    """Return a sentence that helps with a missing file; empty where there is none to give."""
    if scheme := scheme_with_one_slash(path):
        return f" A URL has two slashes: {scheme}://"
    link = Path(path)
    if link.is_symlink():
        target = str(link.readlink())
        if ".git/annex/" in target:
            return (
                " It is a link into a git-annex whose content is not here: fetch it with "
                f"`datalad get` or `git annex get {printable(link.name)}`."
            )
        return f" It is a link to {printable(target)}, which does not exist."
    try:
        names = [other.name for other in link.parent.iterdir()]
    except OSError:
        return f" Its folder {printable(str(link.parent))} does not exist, or cannot be listed."
    near = _similar(link.name, names)
    if not near:
        return ""
    return f" Did you mean {' or '.join(printable(name) for name in near)}?"


def _similar(wanted: str, names: list[str]) -> list[str]:
    """Return the names that are likely to be meant, the nearest first."""
    import difflib

    # Endings apart, as all images share ".nii.gz": the same stem, else a near one.
    stem, _, ending = wanted.partition(".")
    near = {name.partition(".")[0]: name for name in names if name.partition(".")[2] == ending}
    found = [near[one] for one in difflib.get_close_matches(stem, near, _MOST_NAMES, cutoff=0.65)]
    same = sorted(name for name in names if name.partition(".")[0] == stem)
    return [*same, *found][:_MOST_NAMES]
