"""The user's folder of indexes: where it is, whether it can be trusted, and its size."""

import contextlib
import fcntl
import os
import re
import stat
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from lazyvox.errors import LazyvoxWarning, OutputError, ParameterError
from lazyvox.planning.memory import parse_memory
from lazyvox.store.files.identity import SourceFile
from lazyvox.store.files.paths import expand_home, printable
from lazyvox.store.files.temporary import sweep
from lazyvox.store.files.urls import is_url

__all__ = [
    "INDEX_ENDING",
    "RECORD_ENDING",
    "IndexFolder",
    "StoredIndex",
    "cache_folder",
    "cache_limit",
    "locked",
    "name_in_cache",
    "names_of_path",
]

INDEX_ENDING = ".gzidx"
RECORD_ENDING = ".gzidx.json"
#: 2 GiB are the indexes of some 250 GB of decoded images.
_NOTHING = re.compile(r"0+(\.0*)?\s*([kmgt]?i?b?)?", re.IGNORECASE)
_DEFAULT_LIMIT = 2 << 30
#: What the place of the folder depends on.
_PLACES = ("LAZYVOX_CACHE_DIR", "XDG_CACHE_HOME", "HOME")
_TEMPORARY = re.compile(r"\.(.+)\.[0-9]+-[0-9a-f]{16}\.tmp")


@dataclass(frozen=True, slots=True)
class StoredIndex:
    """One index in the cache.

    Attributes
    ----------
    path : str
        The GZIDX file.
    record_path : str
        The record beside it.
    n_bytes : int
        Size of both on disk.
    used_ns : int
        When it was last used, in nanoseconds since the epoch.
    is_complete : bool
        Whether both files are there.
    """

    path: str
    record_path: str
    n_bytes: int
    used_ns: int
    is_complete: bool


@dataclass(frozen=True, slots=True)
class IndexFolder:
    """A folder of indexes of this user.

    Attributes
    ----------
    path : str
        The folder; it may not exist.
    """

    path: str

    def problem(self) -> str:
        """Return the reason to distrust the folder's content; empty where there is none."""
        try:
            status = os.lstat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except OSError as error:
            return error.strerror or str(error)
        if not stat.S_ISDIR(status.st_mode):
            return "it is not a folder"
        if status.st_uid != os.geteuid():
            return f"it belongs to user {status.st_uid}"
        if status.st_mode & 0o022:
            return "others may write to it"
        return ""

    def create(self) -> None:
        """Create the folder, for this user only, if need be.

        Raises `OutputError` where that fails, or the folder that is there cannot be trusted.
        """
        reason = self.problem()
        if not reason:
            try:
                Path(self.path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                Path(self.path).mkdir(mode=0o700, exist_ok=True)
            except OSError as error:
                reason = error.strerror or str(error)
            else:
                reason = self.problem()
        if reason:
            msg = (
                f"{printable(self.path)}: indexes must be kept in a folder that only this user "
                f"writes to, and this one cannot be used: {reason}. Set LAZYVOX_CACHE_DIR to "
                f"another folder."
            )
            raise OutputError(msg)

    def indexes(self) -> list[StoredIndex]:
        """Return all indexes, the least recently used first."""
        found: dict[str, dict[str, os.stat_result]] = {}
        with contextlib.suppress(OSError), os.scandir(self.path) as entries:
            for entry in entries:
                for ending in (INDEX_ENDING, RECORD_ENDING):
                    if entry.name.endswith(ending) and not entry.name.startswith("."):
                        # Another process may have removed it by now.
                        with contextlib.suppress(OSError):
                            status = entry.stat(follow_symlinks=False)
                            stem = entry.name.removesuffix(ending)
                            found.setdefault(stem, {})[ending] = status
        stored = [self._stored(stem, files) for stem, files in found.items()]
        return sorted(stored, key=lambda one: (one.used_ns, one.path))

    def remove(self, indexes: Sequence[StoredIndex]) -> None:
        """Remove indexes, and leftovers of killed processes; harmless where they are gone."""
        with locked(self.path):
            self._unlink(indexes)
        self._sweep()

    def evict(self, limit: int, keep: str = "") -> list[StoredIndex]:
        """Remove halves and, from the least recently used on, indexes until the limit holds.

        Parameters
        ----------
        limit : int
            Bytes that may stay.
        keep : str, optional
            An index that stays in any case.

        Returns
        -------
        list of StoredIndex
            What was removed.
        """
        with locked(self.path):
            removed = self._chosen(limit, keep)
            self._unlink(removed)
        self._sweep()
        return removed

    def _unlink(self, indexes: Sequence[StoredIndex]) -> None:
        for stored in indexes:
            for path in (stored.record_path, stored.path):
                with contextlib.suppress(OSError):
                    Path(path).unlink()

    def _chosen(self, limit: int, keep: str) -> list[StoredIndex]:
        """Return the indexes to remove."""
        indexes = self.indexes()
        chosen = [stored for stored in indexes if not stored.is_complete]
        rest = [stored for stored in indexes if stored.is_complete]
        total = sum(stored.n_bytes for stored in rest)
        for stored in rest:
            if total <= limit:
                break
            if stored.path != keep:
                chosen.append(stored)
                total -= stored.n_bytes
        return chosen

    def _sweep(self) -> None:
        """Remove half-written files of killed processes."""
        targets: set[str] = set()
        with contextlib.suppress(OSError), os.scandir(self.path) as entries:
            matches = (_TEMPORARY.fullmatch(entry.name) for entry in entries)
            targets = {match[1] for match in matches if match}
        for name in targets:
            sweep(Path(self.path) / name)

    def _stored(self, stem: str, files: dict[str, os.stat_result]) -> StoredIndex:
        base = str(Path(self.path) / stem)
        return StoredIndex(
            base + INDEX_ENDING,
            base + RECORD_ENDING,
            # What they take on disk, not how long they are.
            sum(status.st_blocks * 512 for status in files.values()),
            max(status.st_mtime_ns for status in files.values()),
            len(files) == 2,
        )


def cache_folder() -> IndexFolder:
    """Return the folder of this user's indexes.

    It is in LAZYVOX_CACHE_DIR where that is set, else in the user's cache folder of the system.
    """
    return _folder_at(tuple(os.environ.get(name, "") for name in _PLACES))


def parse_limit(text: str) -> int:
    """Return the bytes that a cache may take: as of a memory budget, and 0 for nothing.

    Examples
    --------
    >>> parse_limit("0"), parse_limit("2KiB")
    (0, 2048)
    """
    return 0 if _NOTHING.fullmatch(text.strip()) else parse_memory(text)


def cache_limit() -> int:
    """Return the bytes that the cache may take: LAZYVOX_CACHE_SIZE, or 2 GiB.

    With 0 no index is made unasked.
    """
    named = os.environ.get("LAZYVOX_CACHE_SIZE")
    if not named:
        return _DEFAULT_LIMIT
    try:
        return parse_limit(named)
    except ParameterError as error:
        msg = f"LAZYVOX_CACHE_SIZE is not used, and 2 GiB hold instead: {error}"
        warnings.warn(msg, LazyvoxWarning, stacklevel=2)
        return _DEFAULT_LIMIT


@lru_cache(maxsize=8)
def _folder_at(places: tuple[str, ...]) -> IndexFolder:
    """Return the folder that environment variables say: it is asked for at every opening."""
    if places[0]:
        return IndexFolder(str(Path(expand_home(places[0])).absolute() / "indexes"))
    from platformdirs import user_cache_dir

    return IndexFolder(str(Path(user_cache_dir("lazyvox", appauthor=False)) / "indexes"))


def names_of_path(path: str) -> str:
    """Return how the names of all indexes of a file begin, whatever it held."""
    real = os.fsencode(path if is_url(path) else os.path.realpath(path))
    return blake2b(real, digest_size=10).hexdigest() + "-"


def name_in_cache(source: SourceFile) -> str:
    """Return the name, without ending, of the index of a file as it is now."""
    identity = source.identity
    version = f"{identity.size} {identity.mtime_ns} {identity.validator}".rstrip().encode()
    return names_of_path(source.path) + blake2b(version, digest_size=10).hexdigest()


@contextlib.contextmanager
def locked(folder: str) -> Iterator[None]:
    """Hold the lock of a folder where its file system has locks: pairs of files change together.

    No file is left by it, and a killed process loses it.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, fd)
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
