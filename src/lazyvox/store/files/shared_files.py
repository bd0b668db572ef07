"""Files that several processes map into their memory, and that vanish with their maker.

A file in the memory file system of the machine is what POSIX calls shared memory. It is made here
by its path, as one in a folder on a disk is: so both are one thing, processes started in whatever
way open it by name, and no tracker of another package removes it early or warns about it.
"""

import contextlib
import errno
import mmap
import os
import re
import secrets
import weakref
from pathlib import Path

from lazyvox.errors import CorruptFileError, ImageNotFoundError
from lazyvox.store.files.identity import open_regular
from lazyvox.store.files.paths import printable
from lazyvox.store.files.temporary import host_tag, is_dead

__all__ = ["MEMORY_FOLDER", "SharedFile", "free_bytes", "map_shared", "sweep_shared"]

#: Where Linux mounts its memory file system. Elsewhere there is none with a path.
MEMORY_FOLDER = Path("/dev/shm")

#: Process, its start (ids are used again), host and process namespace, and what tells its files
#: apart.
_NAME = re.compile(r"lazyvox-([0-9]+)-([0-9]*)-([0-9a-f]{8})([0-9a-f]{8})\.shared")

_ZEROS = bytes(1 << 20)


class SharedFile:
    """A new file of a fixed size, removed when it is closed, collected, or its process ends.

    Its whole size is reserved on creation: a full memory file system is an error then, not a
    process that a bus error ends later.

    Parameters
    ----------
    folder : Path
        Where to make it. What killed processes left there is removed first.
    nbytes : int
        Size, at least 1.

    Raises
    ------
    OSError
        If the file cannot be made, or there is no room for it; nothing is left.
    """

    def __init__(self, folder: Path, nbytes: int) -> None:
        sweep_shared(folder)
        tag = f"{host_tag()}{secrets.token_hex(4)}"
        pid = os.getpid()
        self.path = str(folder / f"lazyvox-{pid}-{_start_of(pid)}-{tag}.shared")
        self.nbytes = nbytes
        # Set before the file is there, so that no interrupt finds it without anyone to remove it.
        self._remove = weakref.finalize(self, _remove, self.path, pid)
        try:
            _create(self.path, nbytes)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Remove the file; maps of it stay valid until they are gone. Harmless when repeated."""
        self._remove()

    def map(self) -> mmap.mmap:
        """Return a map of the file that can be written to."""
        fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            return mmap.mmap(fd, self.nbytes)
        finally:
            os.close(fd)


def map_shared(path: str, nbytes: int) -> mmap.mmap:
    """Return a map, for reading only, of a file that some process shares.

    Parameters
    ----------
    path : str
        Its path.
    nbytes : int
        Its size.

    Returns
    -------
    mmap.mmap
        The map, which holds a descriptor. It stays valid when the file is removed.

    Raises
    ------
    ImageNotFoundError
        If the file is gone.
    CorruptFileError
        If it has another size.
    """
    try:
        fd = open_regular(path)
    except ImageNotFoundError as error:
        msg = (
            f"{printable(path)}: shared data must be opened while their handle is held. They are "
            f"gone: the `with` block of lazyvox.shared has ended, or its process has. Open them "
            f"inside of the block; arrays that were opened there stay valid."
        )
        raise ImageNotFoundError(msg) from error
    try:
        found = os.fstat(fd).st_size
        if found != nbytes:
            msg = (
                f"{printable(path)}: shared data must have {nbytes} bytes. Got {found}: somebody "
                f"wrote to the file. Share the data again."
            )
            raise CorruptFileError(msg)
        return mmap.mmap(fd, nbytes, prot=mmap.PROT_READ)
    finally:
        os.close(fd)


def sweep_shared(folder: Path) -> None:
    """Remove files of killed processes of this host in a folder; never those of a live one."""
    tag = host_tag()
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _NAME.fullmatch(entry.name)
            if match and match[3] == tag and _is_gone(int(match[1]), match[2]):
                with contextlib.suppress(OSError):
                    Path(entry.path).unlink()


def free_bytes(folder: Path) -> int:
    """Return the room that a folder has for new files of this user, 0 where it cannot be used."""
    if not os.access(folder, os.W_OK | os.X_OK):
        return 0
    try:
        status = os.statvfs(folder)
    except OSError:
        return 0
    return status.f_bavail * status.f_frsize


def _create(path: str, nbytes: int) -> None:
    """Make a file and reserve its whole size."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(path, flags, 0o600)
    try:
        if not _is_reserved(fd, nbytes):
            # A file with holes would end the process that touches them once the disk is full.
            for offset in range(0, nbytes, len(_ZEROS)):
                os.pwrite(fd, _ZEROS[: nbytes - offset], offset)
    finally:
        os.close(fd)


def _is_reserved(fd: int, nbytes: int) -> bool:
    """Reserve room on the disk; return False where the system or the file system cannot."""
    if not hasattr(os, "posix_fallocate"):
        return False
    try:
        os.posix_fallocate(fd, 0, nbytes)
    except OSError as error:
        if error.errno in {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}:
            return False
        raise
    return True


def _remove(path: str, pid: int) -> None:
    """Remove a file of this process; a forked child leaves that of its parent alone."""
    if os.getpid() == pid:
        with contextlib.suppress(OSError):
            Path(path).unlink()


def _start_of(pid: int) -> str:
    """Return the start time of a process, in ticks since boot; empty where the system does not say."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The second field is the name in brackets, which may hold anything; this is the 22nd.
    fields = status.rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 else ""


def _is_gone(pid: int, start: str) -> bool:
    """Return whether the process that had this id and start time is dead."""
    if is_dead(pid):
        return True
    now = _start_of(pid)
    return bool(start and now) and start != now
