"""Access points in a GZIDX file, their windows read when they are asked for."""

import os
import stat
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from lazyvox._typing import override
from lazyvox.errors import AccessPointError, FileChangedError
from lazyvox.store.files.identity import FileIdentity, SourceFile
from lazyvox.store.files.paths import printable
from lazyvox.store.gzip.access_points import WINDOW_BYTES
from lazyvox.store.index.gzidx import NO_WINDOW, GzidxTable, read_table
from lazyvox.store.index.record import IndexRecord

__all__ = ["GzidxFile", "gzidx_object", "open_gzidx", "open_index_file", "read_small_file"]

FoundT = TypeVar("FoundT", bound="GzidxFile")

#: The record of an index of four million points; nothing larger is read.
_MAX_RECORD_BYTES = 64 << 20

#: Windows of an object that are fetched together.
_WINDOWS = 4


@dataclass(frozen=True, slots=True, eq=False)
class GzidxFile(SourceFile):
    """The access points in one GZIDX file; see `AccessPoints`. Made by `open_gzidx`.

    It holds offsets, and neither windows nor a descriptor: windows are in the page cache, which
    all processes share.

    Attributes
    ----------
    path : str
        The file.
    identity : FileIdentity
        Of the file, when it was opened.
    table : GzidxTable
        What it says.
    bit_offsets : ndarray of int64
        As in `AccessPoints`: the first point of a member is at its header where that is known.
    starts_member : ndarray of bool
        Which points are headers of members.
    record : IndexRecord or None
        The record beside it, of which it was checked that it belongs to it.
    checksums : ndarray of uint32 or None
        As in `AccessPoints`.
    """

    table: GzidxTable
    bit_offsets: NDArray[np.int64]
    starts_member: NDArray[np.bool_]
    record: IndexRecord | None
    checksums: NDArray[np.uint32] | None

    @property
    def compressed_size(self) -> int:
        """Size of the gzip file in bytes."""
        return self.table.compressed_size

    @property
    def decoded_size(self) -> int:
        """Size of everything decoded in bytes."""
        return self.table.decoded_size

    @property
    def spacing(self) -> int:
        """Decoded bytes between two points that were aimed at."""
        return self.table.spacing if self.record is None else self.record.spacing

    @property
    def decoded_offsets(self) -> NDArray[np.int64]:
        """Decoded bytes before each point."""
        return self.table.decoded_offsets

    @property
    def whence(self) -> str:
        """The file, for messages."""
        return printable(self.path)

    def window(self, number: int, /) -> bytes | None:
        """Return the window of a point; None where a gzip member begins.

        Raises
        ------
        AccessPointError
            If the file is gone, not the one that was opened, or damaged.
        """
        if self.starts_member[number]:
            return None
        place = int(self.table.window_places[number])
        if place == NO_WINDOW:
            return b""
        stored = self._stored(place)
        self._check(number, stored)
        wanted = min(WINDOW_BYTES, int(self.decoded_offsets[number]))
        return stored[len(stored) - wanted :]

    def _stored(self, place: int) -> bytes:
        """Return the stored bytes of a window."""
        fd = open_index_file(self.path)
        try:
            # A record has a checksum of each window, whichever build it is from.
            if self.record is None and FileIdentity.of(os.fstat(fd)) != self.identity:
                self._raise_unusable("was replaced or written to since it was opened")
            return os.pread(fd, self.table.window_bytes, place)
        except OSError as error:
            self._raise_unusable(f"could not be read: {error.strerror or error}")
        finally:
            os.close(fd)

    def is_in_place(self) -> bool:
        """Return whether the file is still the one that was opened."""
        try:
            return FileIdentity.of(Path(self.path).stat()) == self.identity
        except OSError:
            return False

    def verify_windows(self) -> None:
        """Read every window and raise `AccessPointError` where one is damaged."""
        for number in range(len(self.bit_offsets)):
            self.window(number)

    def _check(self, number: int, stored: bytes) -> None:
        if len(stored) != self.table.window_bytes:
            self._raise_unusable(f"ends in the middle of the window of point {number}")
        if self.record is None:
            return
        expected = int(self.record.window_checksums[self.table.window_numbers[number]])
        if zlib.crc32(stored) != expected:
            self._raise_unusable(f"is damaged: the checksum of window {number} does not match it")

    def _raise_unusable(self, reason: str) -> NoReturn:
        msg = (
            f"{printable(self.path)}: the index must stay as it was when it was opened, and it "
            f"{reason}. Build it again, or read without it."
        )
        raise AccessPointError(msg)


def open_gzidx(
    path: str,
    *,
    compressed_size: int | None = None,
    record: IndexRecord | None = None,
    owners: frozenset[int] | None = None,
) -> GzidxFile:
    """Open a GZIDX file; reads its records and no window.

    Parameters
    ----------
    path : str
        The file.
    compressed_size : int, optional
        Size of the gzip file that it must be of.
    record : IndexRecord, optional
        What lazyvox wrote down when it made it; without it the file is another program's.
    owners : frozenset of int, optional
        Users whose files are trusted; then the file must not be a symbolic link. By default
        everybody's.

    Returns
    -------
    GzidxFile
        Its points.

    Raises
    ------
    AccessPointError
        If it cannot be opened, or is not what it must be.
    """
    fd = open_index_file(path, owners)
    try:
        identity = FileIdentity.of(os.fstat(fd))
        read = partial(os.pread, fd)
        table = read_table(read, identity.size, path, compressed_size)
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        os.close(fd)
    lengths = np.zeros(len(table.bit_offsets), np.int64)
    if record is not None:
        record.check_table(table, path)
        lengths = record.header_lengths.astype(np.int64)
    return _points(GzidxFile, SourceFile(path, identity), table, lengths, record)


def _points(
    kind: type[FoundT],
    file: SourceFile,
    table: GzidxTable,
    lengths: NDArray[np.int64],
    record: IndexRecord | None,
) -> FoundT:
    """Return points, of which gzip headers of these lengths are in front."""
    bits = table.bit_offsets - 8 * lengths
    starts = lengths > 0
    # The beginning of the file is the beginning of a member, whoever made the index.
    bits[0], starts[0] = 0, True
    checksums = None if record is None else record.checksums
    return kind(file.path, file.identity, table, bits, starts, record, checksums)


@dataclass(frozen=True, slots=True, eq=False)
class GzidxObject(GzidxFile):
    """The access points in a GZIDX object behind a URL. It has no record: its windows are long."""

    @override
    def _stored(self, place: int) -> bytes:
        """Return the stored bytes of a window."""
        stored, nbytes = self.open_stored(), self.table.window_bytes
        try:
            if stored.at_hand(place) < nbytes:
                # Neighbours are wanted next.
                self.identity.prefetch(self.path, place, place + _WINDOWS * nbytes)
            return stored.pread(nbytes, place)
        except FileChangedError as error:
            self._raise_unusable(f"could not be read: {error}")
        finally:
            stored.close()

    @override
    def is_in_place(self) -> bool:
        """Return True: each read tells whether the object is still the same."""
        return True


def gzidx_object(found: SourceFile, compressed_size: int) -> GzidxObject:
    """Open a GZIDX object; reads its records and no window.

    Raises `AccessPointError` where it is not of a gzip file of this size.
    """
    stored = found.open_stored()
    try:
        table = read_table(stored.pread, found.identity.size, found.path, compressed_size)
    finally:
        stored.close()
    return _points(GzidxObject, found, table, np.zeros(len(table.bit_offsets), np.int64), None)


def open_index_file(path: str, owners: frozenset[int] | None = None) -> int:
    """Open a file of an index for reading, never a pipe or device, and return its descriptor.

    Raises `AccessPointError` where that fails; with `owners` also where the file is a symbolic link
    or belongs to somebody else.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        fd = os.open(path, flags if owners is None else flags | os.O_NOFOLLOW)
    except OSError as error:
        raise _unreadable(path, error) from error
    status = os.fstat(fd)
    reason = ""
    if not stat.S_ISREG(status.st_mode):
        reason = "it is not a regular file"
    elif owners is not None and status.st_uid not in owners:
        reason = f"it belongs to user {status.st_uid}, who is not trusted"
    if reason:
        os.close(fd)
        msg = f"{printable(path)}: an index must be a file of this user: {reason}. Remove it."
        raise AccessPointError(msg)
    return fd


def read_small_file(path: str, owners: frozenset[int] | None = None) -> bytes:
    """Return the content of the record of an index; see `open_index_file`."""
    fd = open_index_file(path, owners)
    try:
        with os.fdopen(fd, "rb") as file:
            return file.read(_MAX_RECORD_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> AccessPointError:
    msg = (
        f"{printable(path)}: an index must be a file that can be read: "
        f"{error.strerror or error}. Build it again."
    )
    return AccessPointError(msg)
