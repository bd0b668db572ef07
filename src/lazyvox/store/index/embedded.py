"""Files that are their own index: BGZF and seekable gzip, zstd in the seekable format.

Their points are read when they are first wanted, and remembered in this process; nothing is kept
on disk. It takes milliseconds: a header for each MiB, of BGZF one for each 64 KiB.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from lazyvox.runtime.once import one_per_process
from lazyvox.store.files.identity import FileKey, SourceFile
from lazyvox.store.frames.seek_table import SEEKABLE_END, read_seek_table
from lazyvox.store.gzip.access_points import AccessPoints
from lazyvox.store.gzip.member_table import MEMBER_START, is_made_of_blocks, read_member_table
from lazyvox.store.gzip.point_table import PointTable

__all__ = ["CompressedFile", "TableMemory", "find_table", "may_have_table", "reject_table"]

_READERS: dict[str, Callable[[SourceFile], PointTable | None]] = {
    "gzip": read_member_table,
    "zstd": read_seek_table,
}
_MOST_REMEMBERED = 1024
#: To decode so much of a BGZF file takes less time than to hop through one of usual size.
_SOON = 4 << 20


@dataclass(frozen=True, slots=True)
class CompressedFile(SourceFile):
    """A compressed file as it was first seen.

    Attributes
    ----------
    compression : str
        One of 'gzip', 'bzip2', 'zstd'.
    may_have_table : bool
        Result of `may_have_table` for the file.
    """

    compression: str
    may_have_table: bool = False


class TableMemory:
    """The tables that this process read, and the files that have none. Safe for threads, forks."""

    def __init__(self) -> None:
        self._known: dict[FileKey, PointTable | None] = {}
        self._lock = threading.Lock()

    def begin_anew(self) -> None:
        """Replace the lock: in a forked child another thread may have held it."""
        self._lock = threading.Lock()

    def find(self, source: CompressedFile, stop: int | None) -> PointTable | None:
        """Return the table of a file, of which bytes up to `stop` are wanted."""
        if not source.may_have_table:
            return None
        key = source.key
        with self._lock:
            if key in self._known:
                return self._known[key]
        is_soon = stop is not None and stop <= _SOON < source.identity.size
        is_gzip = source.compression == "gzip"
        if is_soon and is_gzip and is_made_of_blocks(source):
            return None
        reader = _READERS[source.compression]
        return self._put(key, reader(source))

    def reject(self, table: AccessPoints) -> None:
        """Do not return a table again of which reading showed that it is wrong."""
        with self._lock:
            for key, known in list(self._known.items()):
                if known is table:
                    self._known[key] = None

    def _put(self, key: FileKey, table: PointTable | None) -> PointTable | None:
        with self._lock:
            while len(self._known) >= _MOST_REMEMBERED:
                del self._known[next(iter(self._known))]
            # Another thread may have read the same one, and found it wrong by now.
            return self._known.setdefault(key, table)


_MEMORY = one_per_process(TableMemory())


def may_have_table(head: bytes, tail: bytes) -> bool:
    """Return whether a file that begins and ends with these four bytes may be its own index."""
    return head == MEMBER_START or tail == SEEKABLE_END


def find_table(source: CompressedFile, stop: int | None = None) -> AccessPoints | None:
    """Return the access points that a file tells by itself, None where it does not.

    Parameters
    ----------
    source : CompressedFile
        The file as it was when it was first seen.
    stop : int, optional
        Decoded offset up to which it is going to be read, where that is known.

    Returns
    -------
    AccessPoints or None
        The points. None also where decoding so few bytes is faster than finding them.

    Raises
    ------
    FileChangedError
        If the file is no longer the one first seen.
    ReadError
        If it cannot be read.

    Notes
    -----
    Memory: some 20 bytes for each MiB decoded, kept while the process lives.
    """
    return _MEMORY.find(source, stop)


def reject_table(points: AccessPoints) -> None:
    """Do not let `find_table` return points again of which reading showed that they are wrong.

    Parameters
    ----------
    points : AccessPoints
        What `find_table` returned, or points from elsewhere, which are none of its business.
    """
    _MEMORY.reject(points)
