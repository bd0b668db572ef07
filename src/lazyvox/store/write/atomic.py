"""Files that appear complete or not at all."""

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import NoReturn

from lazyvox.errors import OutputError, OutputExistsError, OutputFolderError, ParameterError
from lazyvox.runtime.logs import log_info
from lazyvox.store.files.paths import printable
from lazyvox.store.files.temporary import sweep, temporary_beside
from lazyvox.store.files.urls import is_url

__all__ = ["ADVICE", "AtomicFile", "annexed_reason", "url_refusal", "write_file"]

_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES)
#: What to do about an error of writing, by its number.
ADVICE = {
    errno.ENOSPC: "Free space on that disk, or write elsewhere.",
    errno.EDQUOT: "Free space within your quota, or write elsewhere.",
    errno.EFBIG: "The file is larger than this disk or `ulimit -f` allows: write elsewhere.",
    errno.EIO: "The disk or its connection fails: write elsewhere.",
    errno.EROFS: "That disk is mounted read-only: write elsewhere.",
    errno.EACCES: "Ask for write permission on that folder, or write elsewhere.",
    errno.EPERM: "Ask for write permission on that folder, or write elsewhere.",
    errno.ENOENT: "Create the folder first.",
    errno.ENOTDIR: "A part of the path is a file, not a folder: correct the path.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.ELOOP: "The symbolic link points to itself: remove it.",
}


#: Folders below a repository in which git-annex keeps the content of files, by its checksum.
_ANNEX = ("annex", "objects")


def annexed_reason(path: str) -> str:
    """Return why a path must not be written to, empty unless it is an object of git-annex.

    The object is shared: other branches and clones refer to it by the checksum of its content.
    So a link to it is not followed, whether the content is here or not.
    """
    parts = Path(os.path.realpath(path)).parts
    if not any(
        parts[place : place + 2] == _ANNEX and any(one.endswith(".git") for one in parts[:place])
        for place in range(len(parts))
    ):
        return ""
    reason = "the output must not be an object of git-annex, whose content never changes"
    if not Path(path).is_symlink():
        return f"{reason}. Write elsewhere."
    name = printable(Path(path).name)
    fetch = "" if Path(path).exists() else f" Fetch it first with `datalad get {name}`."
    return (
        f"{reason}, and this is a link to one.{fetch} Run `datalad unlock {name}` or `git annex "
        f"unlock {name}`, or remove the link, or write elsewhere."
    )


def url_refusal(path: str) -> OutputError:
    """Return the error for a URL in the place of an output."""
    msg = (
        f"{printable(path)}: an output must be a local file or folder. Got a URL: lazyvox "
        f"reads objects and does not write them. Write to a local path, and copy it then."
    )
    return OutputError(msg)


def write_file(path: str, content: bytes, *, overwrite: bool) -> None:
    """Write a small file, complete or not at all.

    Parameters
    ----------
    path : str
        The target.
    content : bytes
        All of it.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    OutputError
        If it cannot be written; what was there before is intact.
    """
    file = AtomicFile(path, overwrite=overwrite)
    try:
        file.write(memoryview(content))
        file.commit()
    finally:
        file.abort()


class AtomicFile:
    """A temporary file beside its target, which it replaces when it is committed.

    Whatever happens before, at and after the replacement, the target is absent, what it was, or
    complete. A symbolic link as target stays; the file that it points to is replaced, unless it is
    an object of git-annex.

    Parameters
    ----------
    path : str
        The target.
    overwrite : bool
        Whether an existing target may be replaced.
    """

    def __init__(self, path: str, *, overwrite: bool) -> None:
        # Nothing is there yet that an interrupt could leave behind.
        self._state = "aborted"
        self._shown = printable(path)
        self._target = self._locate(path)
        self._overwrite = overwrite
        mode = self._check_target(path)
        sweep(self._target)
        self._temp = temporary_beside(self._target)
        self._fd = -1
        self._pid = os.getpid()
        self._state = "open"
        self._create(mode)

    def __del__(self) -> None:
        """Abort where an interrupt came before anyone could; a forked child leaves it alone."""
        if self._state != "aborted" and self._pid == os.getpid():
            self.abort()

    def write(self, data: memoryview) -> None:
        """Append bytes."""
        self._expect("open")
        left = data
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError as error:
            self._fail(error, "writing")

    def prepare(self) -> None:
        """Bring everything to the disk, so that `commit` has little left that could fail."""
        if self._state == "prepared":
            return
        self._expect("open")
        try:
            os.fsync(self._fd)
            fd, self._fd = self._fd, -1
            os.close(fd)
        except OSError as error:
            self._fail(error, "writing")
        self._state = "prepared"

    def commit(self) -> None:
        """Put the file in the target's place."""
        self.prepare()
        try:
            if self._overwrite:
                self._temp.replace(self._target)
            else:
                self._publish_new()
        except FileExistsError as error:
            self.abort()
            raise self._exists() from error
        except OSError as error:
            self._fail(error, "replacing the file")
        self._state = "committed"
        self._sync_folder()
        log_info("wrote %s", self._target)

    def abort(self) -> None:
        """Remove the temporary file; the target stays unchanged. Harmless when repeated."""
        if self._state in ("committed", "aborted"):
            return
        self._state = "aborted"
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)
        with contextlib.suppress(OSError):
            self._temp.unlink()

    def _expect(self, state: str) -> None:
        if self._state != state:
            msg = f"bug in lazyvox: the output {self._shown} is used after it was {self._state}."
            raise AssertionError(msg)

    def _locate(self, path: str) -> Path:
        """Return where the file itself lies: behind symbolic links, whatever the folder is later."""
        if "\0" in path:
            msg = f"{self._shown}: a file name must not hold a NUL character. Correct the path."
            raise ParameterError(msg)
        if is_url(path):
            raise url_refusal(path)
        target = Path(path).absolute()
        try:
            is_link = target.is_symlink()
        except OSError as error:
            self._refuse(error, target.parent)
        if annexed := annexed_reason(str(target)):
            msg = f"{self._shown}: {annexed}"
            raise OutputError(msg)
        return Path(os.path.realpath(target)) if is_link else target

    def _check_target(self, path: str) -> int | None:
        """Return the permissions of an existing target, None where there is none."""
        if path.endswith(os.sep):
            self._refuse_directory()
        try:
            status = self._target.lstat()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._refuse(error, self._target.parent)
        if stat.S_ISLNK(status.st_mode):
            loop = OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            self._refuse(loop, self._target.parent)
        if stat.S_ISDIR(status.st_mode):
            self._refuse_directory()
        if not self._overwrite:
            raise self._exists()
        if not stat.S_ISREG(status.st_mode):
            msg = (
                f"{self._shown}: the output must be a regular file. Got a pipe, socket or device. "
                f"Write to a file."
            )
            raise OutputError(msg)
        if not os.access(self._target, os.W_OK):
            msg = (
                f"{self._shown}: the output must be writable, and the existing file is read-only "
                f"for this user. Change its permissions, or write elsewhere."
            )
            raise OutputError(msg)
        return stat.S_IMODE(status.st_mode) & 0o777

    def _create(self, mode: int | None) -> None:
        # The permissions of a private target hold from the first byte on; a new target gets what
        # the umask leaves.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._fd = os.open(self._temp, flags, 0o666 if mode is None else mode)
        except OSError as error:
            self._refuse(error, self._target.parent)
        if mode is not None:
            # Some network file systems know no permissions.
            with contextlib.suppress(OSError):
                os.fchmod(self._fd, mode)

    def _publish_new(self) -> None:
        """Give the file the target's name unless another file has taken it meanwhile."""
        try:
            self._target.hardlink_to(self._temp)
        except FileExistsError:
            raise
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            # File systems without hard links leave a moment between the check and the renaming.
            if os.path.lexists(self._target):
                raise FileExistsError from error
            self._temp.rename(self._target)
            return
        with contextlib.suppress(OSError):
            self._temp.unlink()

    def _sync_folder(self) -> None:
        """Make the new name durable, where the folder may be opened and synchronised."""
        try:
            fd = os.open(self._target.parent, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            os.fsync(fd)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF):
                msg = (
                    f"{self._shown}: the file is written completely, but its name could not be "
                    f"made durable: {error.strerror or error}. Check the disk."
                )
                raise OutputError(msg) from error
        finally:
            os.close(fd)

    def _refuse_directory(self) -> NoReturn:
        msg = f"{self._shown}: the output must be a file, it is a directory. Add a file name."
        raise OutputError(msg)

    def _exists(self) -> OutputExistsError:
        msg = f"{self._shown}: the output must not exist yet, and it does."
        return OutputExistsError(
            msg,
            hint="Choose another name, or allow overwriting.",
            cli_hint="Choose another name, or pass --overwrite.",
        )

    def _refuse(self, error: OSError, folder: Path) -> NoReturn:
        advice = ADVICE.get(error.errno or 0, "Write elsewhere.")
        msg = (
            f"{self._shown}: the output must be a file that can be created in "
            f"{printable(str(folder))}: {error.strerror or error}. {advice}"
        )
        kind = OutputFolderError if error.errno == errno.ENOENT else OutputError
        raise kind(msg) from error

    def _fail(self, error: OSError, doing: str) -> NoReturn:
        self.abort()
        advice = ADVICE.get(error.errno or 0, "Write elsewhere.")
        msg = (
            f"{self._shown}: {doing} failed: {error.strerror or error}. What was there before is "
            f"intact, and the temporary file is removed. {advice}"
        )
        raise OutputError(msg) from error
