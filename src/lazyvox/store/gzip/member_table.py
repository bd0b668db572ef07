"""Find the members of a gzip file by their headers alone, where these say how long members are.

Two kinds of files do: BGZF, as bgzip and the tools of genetics write it (subfield ``BC`` in the
extra field of every header), and those that `lazyvox.save` writes with ``seekable=True``
(subfield ``LV``: the size of the member in bytes, header and trailer included, and the size of
what it decodes to, as little-endian unsigned numbers of 4 bytes each). So one hops from header to
header; checksum and size of what a member decodes to are in its trailer.

Decoding a member verifies its own checksum and size, and not where it lies in the image: that
depends on the sizes of all members before it. So these must be said twice, in header and trailer,
or, in BGZF, be the same for all blocks but the last, as they are where nothing flushed the writer
early. Other files, and those that do not add up to their last byte, are decoded in order.
"""

import struct
from typing import NamedTuple

import numpy as np

from lazyvox.store.files.compressed_input import CompressedInput, Pieces
from lazyvox.store.files.identity import SourceFile
from lazyvox.store.files.paths import printable
from lazyvox.store.gzip.point_table import TABLE_SPACING, PointTable, are_alike, join_parts

__all__ = ["MEMBER_START", "is_made_of_blocks", "member_header", "read_member_table"]

#: Deflate, with an extra field and nothing else.
MEMBER_START = b"\x1f\x8b\x08\x04"
_FIXED = struct.Struct("<4s6xH")
_SUBFIELD = struct.Struct("<2sH")
_TRAILER = struct.Struct("<II")
_BGZF, _OURS = b"BC", b"LV"
#: Ours: no time, no operating system, one subfield of 8 bytes.
_OUR_HEADER = struct.Struct("<4s6sH2sHII")
_OUR_SIZES = struct.Struct("<II")
#: Extra field and first subfield as bgzip writes them.
_ONLY_BGZF = b"\x06\0BC\x02\0"
#: Headers with longer extra fields are not searched.
_MOST_EXTRA = 1024
_BEST_RATIO = 1032
#: Headers are fetched with the trailers before them.
_HEAD_BYTES = _FIXED.size + _MOST_EXTRA


def member_header(packed_size: int, decoded_size: int) -> bytes:
    """Return the header of a member of ours around so many bytes of deflate data."""
    size = _OUR_HEADER.size + packed_size + _TRAILER.size
    extra = _SUBFIELD.size + _OUR_SIZES.size
    head = (MEMBER_START, b"\0\0\0\0\0\xff", extra, _OURS, _OUR_SIZES.size)
    return _OUR_HEADER.pack(*head, size, decoded_size)


def is_made_of_blocks(source: SourceFile) -> bool:
    """Return whether a file is BGZF, of which hopping fetches about every page."""
    with CompressedInput(source) as feed:
        return _BGZF in _subfields(feed.read(_HEAD_BYTES))


def read_member_table(source: SourceFile, spacing: int = TABLE_SPACING) -> PointTable | None:
    """Return the members of a file as access points, without decoding anything.

    Parameters
    ----------
    source : SourceFile
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
    with CompressedInput(source) as feed:
        members = _hop(feed, source.identity.size)
    if members is None or not _are_believed(members):
        return None
    return join_parts(
        source.identity.size,
        np.asarray([member.start for member in members], np.int64),
        np.asarray([member.decoded_size for member in members], np.int64),
        np.asarray([member.checksum for member in members], np.uint32),
        spacing=spacing,
        whence=f"the headers of the gzip members of {printable(source.path)}",
    )


class _Member(NamedTuple):
    """Header and trailer of a member; `said_size` is the decoded size in the header, if present."""

    start: int
    said_size: int | None
    checksum: int
    decoded_size: int


def _hop(feed: CompressedInput, file_size: int) -> list[_Member] | None:
    """Return every member, None where they do not fill the file."""
    members: list[_Member] = []
    pieces = Pieces(feed)
    start = 0
    while start < file_size:
        nbytes, said_size = _stated_sizes(pieces.read(start, _HEAD_BYTES))
        stop = start + nbytes
        if not nbytes or stop > file_size:
            return None
        pieces.part_bytes = nbytes
        checksum, size = _TRAILER.unpack(pieces.read(stop - _TRAILER.size, _TRAILER.size))
        if size > _BEST_RATIO * nbytes:
            return None
        members.append(_Member(start, said_size, checksum, size))
        start = stop
    return members


def _are_believed(members: list[_Member]) -> bool:
    """Return whether the decoded size of every member is confirmed by another number."""
    said = [one for one in members if one.said_size is not None]
    if any(one.said_size != one.decoded_size for one in said):
        return False
    blocks = [one.decoded_size for one in members if one.said_size is None]
    # The marker of the end is a block of nothing.
    while blocks and not blocks[-1]:
        blocks.pop()
    return are_alike(blocks)


def _stated_sizes(head: bytes) -> tuple[int, int | None]:
    """Return the compressed and the decoded size of the member that begins with these bytes.

    The former is 0 where it is not said, the latter None.
    """
    size, decoded, extra = 0, None, 6
    if head[:4] == MEMBER_START and head[10:16] == _ONLY_BGZF:
        # All the headers of usual files: there may be a hundred thousand.
        found = {_BGZF: head[16:18]}
    else:
        found = _subfields(head)
        extra = int.from_bytes(head[10:12], "little")
    if len(found.get(_OURS, b"")) == _OUR_SIZES.size:
        size, decoded = _OUR_SIZES.unpack(found[_OURS])
    elif len(found.get(_BGZF, b"")) == 2:
        size = int.from_bytes(found[_BGZF], "little") + 1
    return (size if size > _FIXED.size + extra + _TRAILER.size else 0), decoded


def _subfields(head: bytes) -> dict[bytes, bytes]:
    """Return the subfields of the extra field of a gzip header; none if they do not fill it."""
    if len(head) < _FIXED.size:
        return {}
    magic, length = _FIXED.unpack_from(head)
    end = _FIXED.size + length
    if magic != MEMBER_START or length > _MOST_EXTRA or end > len(head):
        return {}
    found: dict[bytes, bytes] = {}
    at = _FIXED.size
    while at + _SUBFIELD.size <= end:
        name, length = _SUBFIELD.unpack_from(head, at)
        at += _SUBFIELD.size + length
        found[name] = head[at - length : at]
    return found if at == end else {}
