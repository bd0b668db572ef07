"""Places where the index of a gzip file may be, and the verdict on each."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lazyvox.errors import AccessPointError, ImageFileError
from lazyvox.store.files.identity import SourceFile
from lazyvox.store.files.paths import printable
from lazyvox.store.files.urls import url_beside
from lazyvox.store.index.file import GzidxFile, gzidx_object, open_gzidx, read_small_file
from lazyvox.store.index.folder import (
    INDEX_ENDING,
    RECORD_ENDING,
    cache_folder,
    locked,
    name_in_cache,
)
from lazyvox.store.index.record import parse_record

__all__ = ["Verdict", "beside_paths", "cache_paths", "judge_places"]


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """Verdict on one place where an index may be.

    Attributes
    ----------
    path : str
        The GZIDX file.
    where : str
        "beside" the gzip file, or in the "cache".
    points : GzidxFile or None
        The index, where it is good.
    reason : str
        Why there is none, or it is not used; empty where it is good.
    """

    path: str
    where: str
    points: GzidxFile | None
    reason: str


def beside_paths(path: str) -> tuple[str, str]:
    """Return the paths of the index beside a file, and of its record."""
    return path + INDEX_ENDING, path + RECORD_ENDING


def cache_paths(source: SourceFile) -> tuple[str, str]:
    """Return the paths of the index of a file in the cache, and of its record."""
    base = str(Path(cache_folder().path) / name_in_cache(source))
    return base + INDEX_ENDING, base + RECORD_ENDING


def judge_places(source: SourceFile) -> Iterator[Verdict]:
    """Yield the verdicts on the index beside the file, and on those in the cache."""
    if source.is_fetched:
        yield _judge_object(source)
    else:
        trusted = frozenset({os.geteuid(), 0, *_owner(source.path)})
        yield _judge("beside", source, beside_paths(source.path), trusted)
    paths = cache_paths(source)
    problem = cache_folder().problem()
    if problem:
        yield Verdict(paths[0], "cache", None, f"the folder is not used: {problem}")
        return
    verdict = _judge("cache", source, paths, frozenset({os.geteuid()}))
    if verdict.points is not None:
        # When it was last used decides what is removed first.
        with contextlib.suppress(OSError):
            os.utime(paths[1])
    yield verdict


def _judge(
    where: str, source: SourceFile, paths: tuple[str, str], owners: frozenset[int]
) -> Verdict:
    path, _ = paths
    if not os.path.lexists(path):
        return Verdict(path, where, None, "there is none")
    try:
        try:
            return Verdict(path, where, _open(where, source, paths, owners), "")
        except AccessPointError:
            # Another process may be replacing index and record just now.
            with locked(str(Path(path).parent)):
                return Verdict(path, where, _open(where, source, paths, owners), "")
    except AccessPointError as error:
        return Verdict(path, where, None, str(error))


def _judge_object(source: SourceFile) -> Verdict:
    """Return the verdict on the index beside an object: a GZIDX file."""
    path = url_beside(source.path, INDEX_ENDING)
    try:
        found = source.identity.find_beside(source.path, INDEX_ENDING)
        if found is None:
            return Verdict(path, "beside", None, "there is none")
        points = gzidx_object(found, source.identity.size)
        _refuse_older(points, source)
    except (AccessPointError, ImageFileError) as error:
        return Verdict(path, "beside", None, str(error))
    return Verdict(path, "beside", points, "")


def _open(
    where: str, source: SourceFile, paths: tuple[str, str], owners: frozenset[int]
) -> GzidxFile:
    """Open an index with its record, or, beside the file, one that another program wrote."""
    path, record_path = paths
    size = source.identity.size
    if os.path.lexists(record_path):
        record = parse_record(read_small_file(record_path, owners), record_path)
        difference = record.difference(source)
        if difference:
            msg = f"{printable(path)}: the index must be of this very file, and {difference}."
            raise AccessPointError(msg)
        return open_gzidx(path, compressed_size=size, record=record, owners=owners)
    if where == "cache":
        msg = f"{printable(path)}: an index in the cache must have its record, and it has none."
        raise AccessPointError(msg)
    points = open_gzidx(path, compressed_size=size, owners=owners)
    _refuse_older(points, source)
    return points


def _refuse_older(points: GzidxFile, source: SourceFile) -> None:
    if points.identity.mtime_ns < source.identity.mtime_ns:
        msg = (
            f"{points.whence}: an index without record must be younger than its file, and it is "
            f"older: it may be of an earlier content. Import it if it is not: lazyvox index "
            f"--import."
        )
        raise AccessPointError(msg)


def _owner(path: str) -> tuple[int, ...]:
    try:
        return (Path(path).stat().st_uid,)
    except OSError:
        return ()
