"""The GZIDX format, in which indexed_gzip, rapidgzip and lazyvox keep access points of gzip files.

::

    header    "GZIDX", version, flags; compressed size, decoded size, spacing, size of a window,
              number of points
    records   of each point: byte offset, decoded offset, bits, and from version 1 on whether it
              has a window
    windows   one after the other

Numbers are little-endian. A point lies `bits` bits before its byte offset, always inside of the
deflate data of a member: the header of a member lies before its first point, which has no window.
In version 0 all points but the first have a window. A last point at the end of the file, where
nothing follows, marks the end.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from lazyvox._typing import Array
from lazyvox.errors import AccessPointError
from lazyvox.store.files.paths import printable
from lazyvox.store.gzip.access_points import WINDOW_BYTES

__all__ = ["NO_WINDOW", "GzidxTable", "pack_table", "read_table", "table_digest"]

#: In the place of the offset of a window, where there is none.
NO_WINDOW = -1

_HEADER = struct.Struct("<5sBBQQIII")
_MAGIC = b"GZIDX"
_RECORD = np.dtype([("byte", "<u8"), ("decoded", "<u8"), ("bits", "u1"), ("has_window", "u1")])
_RECORD_0 = np.dtype([("byte", "<u8"), ("decoded", "<u8"), ("bits", "u1")])
_MAX_WINDOW = 1 << 20
#: 258 bytes from 2 bits is the most that deflate does.
_BYTES_PER_BIT = 129
_BEST_RATIO = 8 * _BYTES_PER_BIT
_MOST = 1 << 60


@dataclass(frozen=True, slots=True, eq=False)
class GzidxTable:
    """Points of a GZIDX file, as arrays.

    Attributes
    ----------
    compressed_size, decoded_size, spacing : int
        As in `AccessPoints`.
    window_bytes : int
        Stored bytes of each window.
    bit_offsets, decoded_offsets : ndarray of int64
        Of each point that decoding can begin at; decoded offsets are strictly ascending.
    window_places : ndarray of int64
        Offset of each point's window in the file, `NO_WINDOW` where a member's data begin.
    window_numbers : ndarray of int64
        Which of the stored windows each point has; meaningless without a window.
    digest : str
        Of header and records.
    """

    compressed_size: int
    decoded_size: int
    spacing: int
    window_bytes: int
    bit_offsets: NDArray[np.int64]
    decoded_offsets: NDArray[np.int64]
    window_places: NDArray[np.int64]
    window_numbers: NDArray[np.int64]
    digest: str


@dataclass(frozen=True, slots=True)
class _Header:
    """The numbers of the header, checked one by one."""

    version: int
    compressed_size: int
    decoded_size: int
    spacing: int
    window_bytes: int
    n_points: int

    @property
    def record(self) -> np.dtype[np.void]:
        """Layout of a record."""
        return _RECORD if self.version else _RECORD_0

    @property
    def table_bytes(self) -> int:
        """Size of header and records."""
        return _HEADER.size + self.n_points * self.record.itemsize


def read_table(
    read: Callable[[int, int], bytes], size: int, path: str, compressed_size: int | None
) -> GzidxTable:
    """Return the points of an open GZIDX file, every field checked; reads no window.

    Parameters
    ----------
    read : callable
        Returns so many bytes of the file from an offset on, fewer at its end.
    size : int
        Its size in bytes.
    path : str
        Its name, for messages.
    compressed_size : int or None
        Size of the gzip file that it must be of; None where that is not known.

    Returns
    -------
    GzidxTable
        Its points.

    Raises
    ------
    AccessPointError
        If it is no GZIDX file, damaged, incomplete, or of another file.

    Notes
    -----
    Memory: about 50 bytes for each point. What the header claims is compared with the size of the
    file before anything is allocated.
    """
    head = read(_HEADER.size, 0)
    try:
        header = _parse_header(head, size)
        if compressed_size is not None and header.compressed_size != compressed_size:
            _fail(
                f"it is of a file of {header.compressed_size} bytes, and this one has "
                f"{compressed_size}"
            )
        records = read(header.table_bytes - _HEADER.size, _HEADER.size)
        return _table(header, head, records, size)
    except _WrongError as error:
        msg = (
            f"{printable(path)}: the file must be an index of the gzip file in GZIDX format, and "
            f"{error}. Remove it, or build the index again."
        )
        raise AccessPointError(msg) from None


def pack_table(table: Array, *, compressed_size: int, decoded_size: int, spacing: int) -> bytes:
    """Return header and records; `table` has a row of the fields of a record for each point."""
    header = _HEADER.pack(
        _MAGIC,
        1,
        0,
        compressed_size,
        decoded_size,
        # Readers refuse a spacing below the size of a window.
        min(max(spacing, WINDOW_BYTES), 0xFFFFFFFF),
        WINDOW_BYTES,
        len(table),
    )
    records = np.zeros(len(table), _RECORD)
    for place, name in enumerate(_RECORD.names or ()):
        records[name] = table[:, place]
    return header + records.tobytes()


def table_digest(packed: bytes) -> str:
    """Return the digest of header and records."""
    return blake2b(packed, digest_size=16).hexdigest()


class _WrongError(Exception):
    """Fault of a file; its text is the end of a sentence."""


def _fail(reason: str) -> NoReturn:
    raise _WrongError(reason)


def _parse_header(head: bytes, size: int) -> _Header:
    if len(head) < _HEADER.size:
        _fail(f"it has only {size} bytes")
    magic, version, flags, *numbers = _HEADER.unpack(head)
    if magic != _MAGIC:
        _fail(f"it begins with {magic!r}")
    if version > 1 or flags:
        _fail(f"it is of version {version} with flags {flags}; versions 0 and 1 are known")
    header = _Header(version, *numbers)
    if not WINDOW_BYTES <= header.window_bytes <= _MAX_WINDOW:
        _fail(f"its windows have {header.window_bytes} bytes")
    if not header.n_points or header.table_bytes > size:
        _fail(f"it says that it has {header.n_points} points, in {size} bytes")
    if not 0 < header.decoded_size <= _BEST_RATIO * header.compressed_size < _MOST:
        _fail(
            f"it says that {header.compressed_size} bytes decode to {header.decoded_size}, so it "
            f"is incomplete or damaged"
        )
    return header


def _table(header: _Header, head: bytes, data: bytes, size: int) -> GzidxTable:
    if len(data) < header.table_bytes - _HEADER.size:
        _fail("it ends in the middle of its records")
    records = np.frombuffer(data, header.record)
    bits, decoded = _offsets(records, header)
    has_window = _windows(records, header)
    numbers = np.cumsum(has_window) - 1
    expected = header.table_bytes + int(has_window.sum()) * header.window_bytes
    if expected != size:
        _fail(f"it must have {expected} bytes, and it has {size}")
    # Of empty members nothing but the first is kept, nor the mark of the end.
    kept = decoded < header.decoded_size
    kept[1:] &= np.diff(decoded) > 0
    places = np.where(has_window, header.table_bytes + numbers * header.window_bytes, NO_WINDOW)
    return GzidxTable(
        header.compressed_size,
        header.decoded_size,
        header.spacing,
        header.window_bytes,
        bits[kept],
        decoded[kept],
        places[kept],
        numbers[kept],
        table_digest(head + data),
    )


def _offsets(records: Array, header: _Header) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the points are, in bits and decoded, if their order makes sense."""
    if records["byte"].max() > header.compressed_size:
        _fail("a point lies behind the end of the file")
    if records["decoded"].max() > header.decoded_size:
        _fail("a point lies behind the end of the decoded data")
    if records["bits"].max() > 7:
        _fail("a point lies more than 7 bits before its byte")
    bits = records["byte"].astype(np.int64) * 8 - records["bits"]
    decoded = records["decoded"].astype(np.int64)
    if decoded[0] or bits[0] < 0 or records["bits"][0]:
        _fail("its first point is not the beginning of the file")
    ahead, produced = np.diff(bits), np.diff(decoded)
    if (ahead < 0).any() or (produced < 0).any():
        _fail("its points do not ascend")
    if (produced > _BYTES_PER_BIT * ahead).any():
        _fail("more bytes lie between two of its points than deflate can make")
    return bits, decoded


def _windows(records: Array, header: _Header) -> NDArray[np.bool_]:
    """Return which points have a window."""
    if not header.version:
        has_window = np.ones(len(records), bool)
        has_window[0] = False
        return has_window
    flags = records["has_window"]
    if flags.max() > 1:
        _fail("whether a point has a window is neither 0 nor 1")
    if flags[0]:
        _fail("its first point has a window, where nothing was decoded")
    return flags.astype(bool)
