"""Find the members of a gzip file by their headers alone, where these say how long members are.

Two kinds of files do: BGZF, as bgzip and the tools of genetics write it (subfield ``BC`` in the
extra field of every header), and those that `lazyvox.save` writes with ``seekable=True``
(subfield ``LV``: the size of the member in bytes, header and trailer included, as a little-endian
unsigned number of 4 bytes). So one hops from header to header; checksum and size of what a member
decodes to are in its trailer. Nothing is believed that does not add up to the whole file, and
checksums are verified when a member is decoded.
"""

import struct

import numpy as np

from lazyvox.store.feed import Feed
from lazyvox.store.identity import FileIdentity
from lazyvox.store.point_table import TABLE_SPACING, PointTable, join_parts
from lazyvox.store.printing import printable

__all__ = ["is_made_of_blocks", "member_header", "read_member_table"]

_MAGIC = b"\x1f\x8b\x08\x04"
_FIXED = struct.Struct("<4s6xH")
_SUBFIELD = struct.Struct("<2sH")
_TRAILER = struct.Struct("<II")
_BGZF, _OURS = b"BC", b"LV"
#: Ours: no time, no operating system, one subfield of 4 bytes.
_OUR_HEADER = struct.Struct("<4s6sH2sHI")
#: Headers with longer extra fields are not searched.
_MOST_EXTRA = 1024
_BEST_RATIO = 1032
#: Members that are shorter are fetched many at a time.
_SHORT_MEMBER = 128 << 10
_LONG_PIECE = 1 << 20


def member_header(packed_size: int) -> bytes:
    """Return the header of a member of ours around so many bytes of deflate data."""
    size = _OUR_HEADER.size + packed_size + _TRAILER.size
    return _OUR_HEADER.pack(_MAGIC, b"\0\0\0\0\0\xff", _SUBFIELD.size + 4, _OURS, 4, size)


def is_made_of_blocks(path: str, identity: FileIdentity) -> bool:
    """Return whether a file is BGZF, of which hopping fetches about every page."""
    feed = Feed(path, identity)
    feed.open()
    try:
        return _BGZF in _subfields(feed.read(_FIXED.size + _MOST_EXTRA))
    finally:
        feed.close()


def read_member_table(
    path: str, identity: FileIdentity, spacing: int = TABLE_SPACING
) -> PointTable | None:
    """Return the members of a file as access points, without decoding anything.

    Parameters
    ----------
    path, identity
        The gzip file.
    spacing : int
        Members are joined until they hold so many decoded bytes.

    Returns
    -------
    PointTable or None
        None where the headers do not say how long all members are, up to the end of the file.

    Raises
    ------
    FileChangedError
        If it is no longer the file that was identified.
    ReadError
        If it cannot be read.
    """
    feed = Feed(path, identity)
    feed.open()
    try:
        members = _hop(feed, identity.size)
        feed.check()
    finally:
        feed.close()
    if members is None:
        return None
    starts, sizes, checksums = members
    return join_parts(
        identity.size,
        np.asarray(starts, np.int64),
        np.asarray(sizes, np.int64),
        np.asarray(checksums, np.uint32),
        spacing=spacing,
        whence=f"the headers of the gzip members of {printable(path)}",
    )


def _hop(feed: Feed, file_size: int) -> tuple[list[int], list[int], list[int]] | None:
    """Return start, decoded size and CRC32 of every member."""
    starts: list[int] = []
    sizes: list[int] = []
    checksums: list[int] = []
    pieces = _Pieces(feed)
    start = 0
    while start < file_size:
        nbytes = _stated_size(pieces.read(start, _FIXED.size + _MOST_EXTRA))
        stop = start + nbytes
        if not nbytes or stop > file_size:
            return None
        pieces.is_short = nbytes < _SHORT_MEMBER
        checksum, size = _TRAILER.unpack(pieces.read(stop - _TRAILER.size, _TRAILER.size))
        if size > _BEST_RATIO * nbytes:
            return None
        starts.append(start)
        sizes.append(size)
        checksums.append(checksum)
        start = stop
    return starts, sizes, checksums


class _Pieces:
    """Few bytes here and there of a file, in order; where they are near, they are fetched at once.

    `is_short` says so.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._piece = b""
        self._start = 0
        self.is_short = False

    def read(self, start: int, most: int) -> bytes:
        """Return up to `most` bytes from `start` on, fewer only at the end of the file."""
        at = start - self._start
        if at < 0 or at + most > len(self._piece):
            self._feed.position = self._start = start
            # Trailers are followed by headers.
            ahead = _LONG_PIECE if self.is_short else 2 * (_FIXED.size + _MOST_EXTRA)
            self._piece, at = self._feed.read(ahead), 0
        return self._piece[at : at + most]


def _stated_size(head: bytes) -> int:
    """Return the size of the member that begins with these bytes, 0 where it is not said."""
    found = _subfields(head)
    size = 0
    if len(found.get(_OURS, b"")) == 4:
        size = int.from_bytes(found[_OURS], "little")
    elif len(found.get(_BGZF, b"")) == 2:
        size = int.from_bytes(found[_BGZF], "little") + 1
    (extra,) = struct.unpack_from("<H", head, 10) if found else (0,)
    return size if size > _FIXED.size + extra + _TRAILER.size else 0


def _subfields(head: bytes) -> dict[bytes, bytes]:
    """Return the subfields of the extra field of a gzip header; none if they do not fill it."""
    if len(head) < _FIXED.size:
        return {}
    magic, length = _FIXED.unpack_from(head)
    end = _FIXED.size + length
    if magic != _MAGIC or length > _MOST_EXTRA or end > len(head):
        return {}
    found: dict[bytes, bytes] = {}
    at = _FIXED.size
    while at + _SUBFIELD.size <= end:
        name, length = _SUBFIELD.unpack_from(head, at)
        at += _SUBFIELD.size + length
        found[name] = head[at - length : at]
    return found if at == end else {}
