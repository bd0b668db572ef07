"""Allocation of shared data: in shared memory, else in a temporary file."""

import tempfile
import warnings
from pathlib import Path

from lazyvox.errors import LazyvoxWarning, OutputError
from lazyvox.planning.memory import format_bytes
from lazyvox.runtime.limits import available_memory
from lazyvox.store.files.shared_files import MEMORY_FOLDER, SharedFile, free_bytes, sweep_shared

__all__ = ["shared_file"]


def shared_file(nbytes: int) -> SharedFile:
    """Return a new shared file: in memory, or where that is too small in the temporary folder.

    Parameters
    ----------
    nbytes : int
        Its size.

    Returns
    -------
    SharedFile
        The file; its whole size is reserved.

    Raises
    ------
    OutputError
        If there is no room for it.

    Warns
    -----
    LazyvoxWarning
        If the memory is too small.
    """
    folder = _temporary_folder()
    for place in (MEMORY_FOLDER, folder):
        sweep_shared(place)
    if MEMORY_FOLDER.is_dir():
        # What lies there takes memory, so that the limits of this process hold too.
        room = min(free_bytes(MEMORY_FOLDER), available_memory())
        reason = f"{MEMORY_FOLDER} has room for {format_bytes(room)}"
        if nbytes <= room:
            try:
                return SharedFile(MEMORY_FOLDER, nbytes)
            except OSError as error:
                reason = f"{MEMORY_FOLDER}: {error.strerror or error}"
        msg = (
            f"shared memory must hold {format_bytes(nbytes)}, and {reason}. The data are put into "
            f"a temporary file in {folder} instead, which processes map: results are the same, "
            f"and reading is slower where the file leaves the page cache."
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=3)
    return _file_on_disk(folder, nbytes)


def _temporary_folder() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        msg = (
            "there must be a folder for temporary files. None of the usual ones can be written "
            "to. Set TMPDIR to one that can."
        )
        raise OutputError(msg) from error


def _file_on_disk(folder: Path, nbytes: int) -> SharedFile:
    room = free_bytes(folder)
    reason = f"has room for {format_bytes(room)}"
    if nbytes <= room:
        try:
            return SharedFile(folder, nbytes)
        except OSError as error:
            reason = f"refuses: {error.strerror or error}"
    msg = (
        f"shared data must have room for {format_bytes(nbytes)} in the folder for temporary files. "
        f"{folder} {reason}. Set TMPDIR to a folder on a larger disk, or share less: a slice, or "
        f"another dtype."
    )
    raise OutputError(msg)
