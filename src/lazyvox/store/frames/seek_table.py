"""The seek table at the end of a zstd file in the seekable format.

The format is that of the zstd project: independent frames, and behind them a skippable frame with
compressed and decoded size of each. Readers that know nothing of it skip the table.

A wrong decoded size would move everything behind it, unnoticed. So the table is believed where
the headers of the frames say the same, or all sizes but the last are alike.
"""

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lazyvox.store.files.compressed_input import CompressedInput, Pieces
from lazyvox.store.files.identity import SourceFile
from lazyvox.store.files.paths import printable
from lazyvox.store.frames.decoders import load_zstd
from lazyvox.store.gzip.point_table import TABLE_SPACING, PointTable, are_alike, join_parts

__all__ = ["SEEKABLE_END", "pack_seek_table", "read_seek_table"]

_SKIPPABLE, _SEEKABLE = 0x184D2A5E, 0x8F92EAB1
#: The last bytes of a file with a table.
SEEKABLE_END = _SEEKABLE.to_bytes(4, "little")
_HEADER = struct.Struct("<II")
_FOOTER = struct.Struct("<IBI")
_HAS_CHECKSUMS, _RESERVED = 0x80, 0x7C
#: The format allows no more frames.
_MOST_FRAMES = 1 << 27
_BEST_RATIO = 32_768
#: The longest header of a frame.
_MOST_HEADER = 18


def pack_seek_table(frames: Sequence[tuple[int, int]]) -> bytes:
    """Return the skippable frame for frames of these compressed and decoded sizes."""
    entries = np.asarray(frames, "<u4").reshape(-1, 2).tobytes()
    footer = _FOOTER.pack(len(frames), 0, _SEEKABLE)
    return _HEADER.pack(_SKIPPABLE, len(entries) + len(footer)) + entries + footer


def read_seek_table(source: SourceFile, spacing: int = TABLE_SPACING) -> PointTable | None:
    """Return the frames of a zstd file as access points, from its seek table.

    Parameters
    ----------
    source : SourceFile
        The zstd file.
    spacing : int
        Frames are joined until they hold so many decoded bytes.

    Returns
    -------
    PointTable or None
        None where there is no table, or it does not fit the file.

    Raises
    ------
    FileChangedError
        If it is no longer the file that was identified.
    ReadError
        If it cannot be read.
    """
    with CompressedInput(source) as feed:
        sizes = _read(feed, source.identity.size)
        is_believed = sizes is not None and _is_believed(feed, sizes)
    if sizes is None or not is_believed:
        return None
    packed, decoded = sizes[:, 0], sizes[:, 1]
    return join_parts(
        source.identity.size,
        np.cumsum(packed) - packed,
        decoded,
        None,
        spacing=spacing,
        whence=f"the seek table of {printable(source.path)}",
    )


def _is_believed(feed: CompressedInput, sizes: NDArray[np.int64]) -> bool:
    """Return whether the decoded size of every frame is confirmed by another number."""
    if are_alike(sizes[:, 1].tolist()):
        return True
    zstd = load_zstd()
    pieces = Pieces(feed)
    start = 0
    for packed, decoded in sizes.tolist():
        pieces.part_bytes = packed
        try:
            frame = zstd.get_frame_info(pieces.read(start, _MOST_HEADER))
        except zstd.ZstdError:
            return False
        if frame.decompressed_size != decoded:
            return False
        start += packed
    return True


def _read(feed: CompressedInput, file_size: int) -> NDArray[np.int64] | None:
    """Return compressed and decoded size of each frame, where they make up the whole file."""
    footer = _read_at(feed, file_size - _FOOTER.size, _FOOTER.size)
    if len(footer) < _FOOTER.size:
        return None
    n_frames, flags, magic = _FOOTER.unpack(footer)
    if magic != _SEEKABLE or flags & _RESERVED or not 0 < n_frames <= _MOST_FRAMES:
        return None
    width = 12 if flags & _HAS_CHECKSUMS else 8
    length = width * n_frames + _FOOTER.size
    start = file_size - length - _HEADER.size
    table = _read_at(feed, start, _HEADER.size + width * n_frames) if start > 0 else b""
    if len(table) != _HEADER.size + width * n_frames:
        return None
    if _HEADER.unpack_from(table) != (_SKIPPABLE, length):
        return None
    entries = np.frombuffer(table, "<u4", offset=_HEADER.size).reshape(n_frames, -1)
    sizes = entries[:, :2].astype(np.int64)
    fits = int(sizes[:, 0].sum()) == start and bool((sizes[:, 0] > 0).all())
    is_possible = bool((sizes[:, 1] <= _BEST_RATIO * sizes[:, 0]).all())
    return sizes if fits and is_possible else None


def _read_at(feed: CompressedInput, offset: int, nbytes: int) -> bytes:
    feed.position = max(offset, 0)
    return feed.read(nbytes)
