"""Find the index of a gzip file: beside it, or in the user's cache; and tell why it is not used."""

import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lazyvox.errors import AccessPointError, LazyvoxWarning
from lazyvox.runtime.once import FirstTime, one_per_process
from lazyvox.store.files.identity import FileKey, SourceFile
from lazyvox.store.files.paths import printable
from lazyvox.store.gzip.access_points import AccessPoints
from lazyvox.store.index.file import GzidxFile
from lazyvox.store.index.folder import cache_folder, names_of_path
from lazyvox.store.index.places import Verdict, cache_paths, judge_places

__all__ = [
    "IndexMemory",
    "find_index",
    "judge_all",
    "reject_index",
    "remember_index",
    "warn_without_cache",
]

_Value = TypeVar("_Value")

_MAX_REMEMBERED = 1024


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """Result of a lookup for a file, and the state of the folders that were searched."""

    points: GzidxFile | None
    folders: tuple[int, ...]


class IndexMemory:
    """The indexes that this process found, and did not find. Safe for threads and forks."""

    def __init__(self) -> None:
        self._known: dict[FileKey, _Known] = {}
        self._rejected: dict[FileKey, str] = {}
        self._lock = threading.Lock()
        self._is_first = FirstTime()

    def find(self, source: SourceFile) -> GzidxFile | None:
        """Return the index of a file, None where there is no good one."""
        key = source.key
        with self._lock:
            known = self._known.get(key)
        points = None if known is None else known.points
        if points is not None and points.is_in_place():
            return points
        folders = _folder_times(source.path)
        if known is not None and points is None and known.folders == folders:
            return None
        points = self._look_up(source)
        self.remember(source, points, folders)
        return points

    def remember(
        self,
        source: SourceFile,
        points: GzidxFile | None,
        folders: tuple[int, ...] | None = None,
    ) -> None:
        """Let later calls of `find` return this index, or None while the folders stay the same."""
        folders = _folder_times(source.path) if folders is None else folders
        with self._lock:
            _put(self._known, source.key, _Known(points, folders))

    def reject(self, points: GzidxFile, reason: str) -> None:
        """Do not believe an index again in this process, unless it is built anew."""
        with self._lock:
            _put(self._rejected, points.key, reason)
            for key, known in list(self._known.items()):
                if known.points is points:
                    del self._known[key]

    def rejection(self, points: GzidxFile) -> str:
        """Return why an index was rejected, empty where it was not."""
        with self._lock:
            return self._rejected.get(points.key, "")

    def warn_once(self, reason: str) -> None:
        """Warn that the cache is not used, the first time in this process."""
        if self._is_first():
            msg = (
                f"the cache of indexes is not used: {reason} Results are right without it; "
                f"volumes out of order take longer."
            )
            warnings.warn(msg, LazyvoxWarning, stacklevel=2)

    def begin_anew(self) -> None:
        """Replace the lock: in a forked child another thread may have held it."""
        self._lock = threading.Lock()

    def _look_up(self, source: SourceFile) -> GzidxFile | None:
        folder = cache_folder()
        problem = folder.problem()
        if problem:
            self.warn_once(f"{printable(folder.path)}: {problem}.")
        for verdict in judge_places(source):
            points = verdict.points
            if points is not None and not self.rejection(points):
                return points
        return None


_MEMORY = one_per_process(IndexMemory())


def find_index(source: SourceFile) -> AccessPoints | None:
    """Return the index of a gzip file: that beside it, else that in the cache, else None.

    Parameters
    ----------
    source : SourceFile
        The file as it was when it was first seen.

    Returns
    -------
    AccessPoints or None
        A good index. Those that are damaged, or of another file, are passed over; `judge_all`
        says why.

    Raises
    ------
    FileChangedError
        If the file is no longer the one first seen.

    Notes
    -----
    Costs two stats where this process knows that there is none, one where it knows the index,
    else a few more; an index with a record costs reading the record, the points, and both ends of
    the gzip file. Memory: some 60 bytes for each point.
    """
    return _MEMORY.find(source)


def remember_index(source: SourceFile, points: GzidxFile) -> None:
    """Let `find_index` return an index that was just built."""
    _MEMORY.remember(source, points)


def reject_index(points: AccessPoints, reason: str) -> None:
    """Do not let `find_index` return an index again of which reading showed that it is wrong.

    Parameters
    ----------
    points : AccessPoints
        What `find_index` returned.
    reason : str
        What is wrong.
    """
    if isinstance(points, GzidxFile):
        _MEMORY.reject(points, reason)


def warn_without_cache(reason: str) -> None:
    """Warn that the cache cannot be used, once in a process."""
    _MEMORY.warn_once(reason)


def judge_all(source: SourceFile) -> list[Verdict]:
    """Return the verdict on every place where an index may be, in order; reads all of each.

    Parameters
    ----------
    source : SourceFile
        The gzip file.

    Returns
    -------
    list of Verdict
        The first one that is good is used.
    """
    verdicts = [_judge_thoroughly(verdict) for verdict in judge_places(source)]
    used, _ = cache_paths(source)
    folder = cache_folder()
    for stored in folder.indexes():
        is_of_path = Path(stored.path).name.startswith(names_of_path(source.path))
        if is_of_path and stored.path != used:
            reason = "it is of an earlier content of the file"
            verdicts.append(Verdict(stored.path, "cache", None, reason))
    return verdicts


def _judge_thoroughly(verdict: Verdict) -> Verdict:
    points = verdict.points
    if points is None:
        return verdict
    reason = _MEMORY.rejection(points)
    try:
        points.verify_windows()
    except AccessPointError as error:
        reason = str(error)
    return Verdict(verdict.path, verdict.where, None, reason) if reason else verdict


def _folder_times(path: str) -> tuple[int, ...]:
    """Return when a name was last added to, or removed from, each folder that is looked into."""
    times = []
    for folder in (Path(path).parent, Path(cache_folder().path)):
        try:
            times.append(folder.stat().st_mtime_ns)
        except OSError:
            times.append(0)
    return tuple(times)


def _put(known: dict[FileKey, _Value], key: FileKey, value: _Value) -> None:
    """Add an entry, and drop the oldest one where there are too many."""
    known.pop(key, None)
    known[key] = value
    while len(known) > _MAX_REMEMBERED:
        del known[next(iter(known))]
