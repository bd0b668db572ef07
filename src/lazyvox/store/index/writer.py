"""Write indexes: into the cache, beside the gzip file, or wherever another program wants one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from lazyvox._version import __version__
from lazyvox.errors import AccessPointError, OutputError
from lazyvox.store.files.identity import SourceFile
from lazyvox.store.files.paths import printable
from lazyvox.store.gzip.access_points import AccessPoint, AccessPoints, points_of
from lazyvox.store.index.cache import remember_index
from lazyvox.store.index.file import GzidxFile, open_gzidx
from lazyvox.store.index.folder import cache_folder, cache_limit, locked
from lazyvox.store.index.gzidx_writer import GzidxSpool
from lazyvox.store.index.places import beside_paths, cache_paths
from lazyvox.store.index.record import IndexRecord, head_and_tail, pack_record
from lazyvox.store.write.atomic import AtomicFile, url_refusal

__all__ = ["IndexWriter", "export_index"]


class IndexWriter:
    """Writes the index of one gzip file, point by point; it appears when it is complete.

    Parameters
    ----------
    source : SourceFile
        The gzip file as it was when its points were found.
    spacing : int
        Decoded bytes between two points that are aimed at.
    where : {"cache", "beside"}, default="cache"
        Into the user's cache, or beside the file.

    Raises
    ------
    OutputError
        If the folder cannot be written to.

    Notes
    -----
    Memory: one window, and some 40 bytes for each point. Disk: the windows twice while committing.
    """

    def __init__(
        self,
        source: SourceFile,
        spacing: int,
        where: Literal["cache", "beside"] = "cache",
    ) -> None:
        self._spool: GzidxSpool | None = None
        self._source = source
        self._where = where
        if where == "cache":
            cache_folder().create()
            self._paths = cache_paths(source)
        else:
            if source.is_fetched:
                raise url_refusal(source.path)
            self._paths = beside_paths(source.path)
            for target in self._paths:
                _refuse_place(target)
        self._folder = str(Path(self._paths[0]).parent)
        self._spool = GzidxSpool(Path(self._folder), source, spacing)

    def __enter__(self) -> Self:
        """Return the writer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give up unless it was committed."""
        self.abort()

    def add(self, point: AccessPoint) -> None:
        """Append a point; its window goes to disk.

        Raises
        ------
        OutputError
            If the disk is full.
        """
        self._open_spool().add(point)

    def window(self, number: int) -> bytes | None:
        """Return the window of a point that was added; None where a gzip member begins."""
        return self._open_spool().window(number)

    def commit(
        self, decoded_size: int, checksums: Sequence[int] | NDArray[np.uint32] | None
    ) -> GzidxFile:
        """Let the index appear, with its record, and return it.

        Parameters
        ----------
        decoded_size : int
            Size of everything decoded in bytes.
        checksums : sequence of int or None
            CRC32 of the decoded bytes of each segment.

        Returns
        -------
        GzidxFile
            The index; `find_index` returns it from now on.

        Raises
        ------
        OutputError
            If it cannot be written; an index that was there before stays.
        FileChangedError
            If the gzip file was written to meanwhile.
        AccessPointError
            If the file decodes to nothing.
        """
        spool = self._open_spool()
        try:
            if not spool.n_points or not decoded_size:
                msg = (
                    f"{printable(self._source.path)}: a file must decode to something to have an "
                    f"index, and it decodes to nothing."
                )
                raise AccessPointError(msg)
            packed, record = self._describe(spool, decoded_size, checksums)
            points = self._publish(packed, spool, record)
        finally:
            self.abort()
        if self._where == "cache":
            cache_folder().evict(cache_limit(), keep=points.path)
        remember_index(self._source, points)
        return points

    def abort(self) -> None:
        """Give up: nothing is left behind. Harmless when repeated, and after `commit`."""
        spool, self._spool = self._spool, None
        if spool is not None:
            spool.close()

    def _open_spool(self) -> GzidxSpool:
        assert self._spool is not None, "bug in lazyvox: an index is written to after its end"
        return self._spool

    def _describe(
        self,
        spool: GzidxSpool,
        decoded_size: int,
        checksums: Sequence[int] | NDArray[np.uint32] | None,
    ) -> tuple[bytes, IndexRecord]:
        """Return header and records of the index, and the content of its companion file."""
        packed, digest = spool.pack(decoded_size)
        sums = None if checksums is None else np.asarray(checksums, np.uint32)
        assert sums is None or len(sums) == spool.n_points, (
            "bug in lazyvox: as many checksums as segments are needed"
        )
        identity = self._source.identity
        record = IndexRecord(
            lazyvox=__version__,
            path=self._source.path,
            size=identity.size,
            mtime_ns=identity.mtime_ns,
            head_and_tail=head_and_tail(self._source),
            decoded_size=decoded_size,
            spacing=spool.spacing,
            n_points=spool.n_points,
            table=digest,
            window_checksums=spool.window_checksums,
            header_lengths=spool.header_lengths,
            checksums=sums,
        )
        return packed, record

    def _publish(self, packed: bytes, spool: GzidxSpool, record: IndexRecord) -> GzidxFile:
        """Put both files in place, so that who holds the lock sees both or none."""
        path, record_path = self._paths
        for target in self._paths:
            _refuse_place(target)
        index_file = AtomicFile(path, overwrite=True)
        try:
            record_file = AtomicFile(record_path, overwrite=True)
            try:
                _write(index_file, packed, spool)
                record_file.write(memoryview(pack_record(record)))
                index_file.prepare()
                record_file.prepare()
                spool.check_source()
                with locked(self._folder):
                    index_file.commit()
                    record_file.commit()
                    return open_gzidx(path, compressed_size=record.size, record=record)
            finally:
                record_file.abort()
        finally:
            index_file.abort()


def export_index(
    points: AccessPoints, source: SourceFile, path: str, *, overwrite: bool = False
) -> None:
    """Write an index as a GZIDX file for other programs.

    Parameters
    ----------
    points : AccessPoints
        The index.
    source : SourceFile
        The gzip file that it is of.
    path : str
        The file to write.
    overwrite : bool, default=False
        Whether an existing file may be replaced.

    Raises
    ------
    OutputError
        If it cannot be written.
    AccessPointError
        If the index cannot be read.

    Notes
    -----
    Memory: one window, and some 40 bytes for each point.
    """
    file = AtomicFile(path, overwrite=overwrite)
    try:
        spool = GzidxSpool(Path(path).parent, source, points.spacing)
        try:
            for point in points_of(points):
                spool.add(point)
            _write(file, spool.pack(points.decoded_size)[0], spool)
        finally:
            spool.close()
        file.commit()
    finally:
        file.abort()


def _write(file: AtomicFile, packed: bytes, spool: GzidxSpool) -> None:
    file.write(memoryview(packed))
    for piece in spool.windows():
        file.write(piece)


def _refuse_place(path: str) -> None:
    """Refuse a name that no file can have, and to write through a symbolic link.

    An index is never looked for behind a link either.
    """
    try:
        is_link = Path(path).is_symlink()
    except OSError as error:
        msg = f"{printable(path)}: an index must be a file that can be created: {error.strerror}."
        raise OutputError(
            msg,
            hint="Leave out beside=True: the name of an index in the cache is short.",
            cli_hint="Leave out --beside: the name of an index in the cache is short.",
        ) from error
    if is_link:
        msg = (
            f"{printable(path)}: an index must be a file, and a symbolic link is in its place. "
            f"Remove it."
        )
        raise OutputError(msg)
