"""Record beside an index: the identity of its gzip file, and a checksum for every part."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from lazyvox._typing import Array
from lazyvox.errors import AccessPointError, ImageFileError
from lazyvox.store.files.identity import SourceFile, raise_read_error
from lazyvox.store.files.paths import printable
from lazyvox.store.index.gzidx import NO_WINDOW, GzidxTable

__all__ = ["IndexRecord", "head_and_tail", "pack_record", "parse_record"]

_FORMAT = "lazyvox index 1"
_END_BYTES = 64 * 1024
_UINT32 = np.dtype("<u4")
_ARRAYS = ("window_checksums", "header_lengths", "checksums")
_TYPES: Mapping[str, type] = {
    "lazyvox": str,
    "path": str,
    "size": int,
    "mtime_ns": int,
    "head_and_tail": str,
    "decoded_size": int,
    "spacing": int,
    "n_points": int,
    "table": str,
    "window_checksums": str,
    "header_lengths": str,
}


@dataclass(frozen=True, slots=True, eq=False)
class IndexRecord:
    """The record of one index.

    Attributes
    ----------
    lazyvox : str
        Version that made it.
    path : str
        Name of the gzip file when the index was made.
    size, mtime_ns : int
        Of the gzip file.
    head_and_tail : str
        Digest of its first and last 64 KiB.
    decoded_size, spacing, n_points : int
        As in `AccessPoints`.
    table : str
        Digest of header and records of the GZIDX file.
    window_checksums : ndarray of uint32
        CRC32 of each stored window.
    header_lengths : ndarray of uint32
        Bytes of the gzip header before each point at which a member begins, 0 for the others.
    checksums : ndarray of uint32 or None
        CRC32 of the decoded bytes of each segment.
    """

    lazyvox: str
    path: str
    size: int
    mtime_ns: int
    head_and_tail: str
    decoded_size: int
    spacing: int
    n_points: int
    table: str
    window_checksums: NDArray[np.uint32]
    header_lengths: NDArray[np.uint32]
    checksums: NDArray[np.uint32] | None

    def difference(self, source: SourceFile) -> str:
        """Return the difference between a file and that of the index; empty where there is none.

        The ends of the file are read where size and modification time are right.
        """
        if self.size != source.identity.size:
            return f"it is of a file of {self.size} bytes, and this one has {source.identity.size}"
        if self.mtime_ns != source.identity.mtime_ns:
            return (
                f"it is of a file modified at {self.mtime_ns} ns, and this one was at "
                f"{source.identity.mtime_ns} ns"
            )
        if self.head_and_tail != head_and_tail(source):
            return "the first or last 64 KiB of the file are not those that it was made of"
        return ""

    def check_table(self, table: GzidxTable, path: str) -> None:
        """Raise `AccessPointError` unless this is the record of the GZIDX file at `path`."""
        n_windows = int((table.window_places != NO_WINDOW).sum())
        if (
            self.table == table.digest
            and self.size == table.compressed_size
            and self.decoded_size == table.decoded_size
            and len(self.header_lengths) == self.n_points == len(table.bit_offsets)
            and len(self.window_checksums) == n_windows
        ):
            return
        msg = (
            f"{printable(path)}: the index must be the one that its record was written for, and "
            f"its points are others: it was damaged or replaced. Build it again."
        )
        raise AccessPointError(msg)


def head_and_tail(source: SourceFile) -> str:
    """Return the digest of the first and the last 64 KiB of a file that was seen before.

    Where something else changes with the content, as the ETag of an object, it is of that.
    """
    if source.identity.validator:
        return blake2b(source.identity.validator.encode(), digest_size=16).hexdigest()
    file = source.open_stored()
    try:
        head = file.pread(_END_BYTES, 0)
        tail = file.pread(_END_BYTES, max(source.identity.size - _END_BYTES, 0))
    except ImageFileError:
        # It is not the file any more.
        raise
    except OSError as error:
        raise_read_error(error, source.path)
    finally:
        file.close()
    return blake2b(head + tail, digest_size=16).hexdigest()


def pack_record(record: IndexRecord) -> bytes:
    """Return the record as JSON in one line; its last entry is a digest of all others."""
    fields: dict[str, Any] = {"format": _FORMAT}
    for name in IndexRecord.__slots__:
        value = getattr(record, name)
        if name in _ARRAYS and value is not None:
            value = base64.b64encode(np.asarray(value, _UINT32).tobytes()).decode()
        fields[name] = value
    return json.dumps({**fields, "seal": _seal(fields)}).encode() + b"\n"


def parse_record(data: bytes, path: str) -> IndexRecord:
    """Return the record in the bytes of the file at `path`, every entry checked.

    Raises `AccessPointError` where anything is not as it was written.
    """
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        _refuse(path, "it is not JSON")
    if not isinstance(fields, dict) or fields.get("format") != _FORMAT:
        _refuse(path, f"it is not of the format {_FORMAT!r}")
    if fields.pop("seal", None) != _seal(fields) or data[-1:] != b"\n":
        _refuse(path, "it does not match its digest")
    for name, kind in _TYPES.items():
        if type(fields.get(name)) is not kind:
            _refuse(path, f"its entry {name!r} is not {kind.__name__}")
    arrays = {name: _parse_array(fields.get(name), path) for name in _ARRAYS}
    windows, lengths, checksums = (arrays[name] for name in _ARRAYS)
    if windows is None or lengths is None:
        _refuse(path, "an array is missing")
    if len(checksums if checksums is not None else lengths) != fields["n_points"]:
        _refuse(path, "its checksums are not one for each segment")
    plain: dict[str, Any] = {name: fields[name] for name in _TYPES if name not in _ARRAYS}
    return IndexRecord(
        **plain, window_checksums=windows, header_lengths=lengths, checksums=checksums
    )


def _seal(fields: Mapping[str, Any]) -> str:
    plain = json.dumps(fields, sort_keys=True).encode()
    return blake2b(plain, digest_size=16).hexdigest()


def _parse_array(text: object, path: str) -> Array | None:
    if text is None:
        return None
    try:
        values = base64.b64decode(str(text), validate=True)
    except binascii.Error:
        _refuse(path, "an entry is not base64")
    if len(values) % _UINT32.itemsize:
        _refuse(path, "an entry has the wrong length")
    return np.frombuffer(values, _UINT32)


def _refuse(path: str, reason: str) -> NoReturn:
    msg = (
        f"{printable(path)}: the record of an index must be as lazyvox wrote it, and {reason}. "
        f"Build the index again."
    )
    raise AccessPointError(msg)
