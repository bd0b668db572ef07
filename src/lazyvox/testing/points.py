"""Access points in memory, and gzip files whose blocks are of every kind, for tests."""

import random
import struct
import zlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazyvox.store.files.identity import SourceFile
from lazyvox.store.gzip.access_points import AccessPoint
from lazyvox.store.gzip.point_recorder import build_points
from lazyvox.store.index.file import GzidxFile
from lazyvox.store.index.writer import IndexWriter

__all__ = ["MemoryPoints", "find_points", "gzip_member", "write_index"]


@dataclass(slots=True, eq=False)
class MemoryPoints:
    """Access points, windows included, in memory; see `AccessPoints`. Takes points as a sink too.

    Attributes
    ----------
    compressed_size, decoded_size, spacing : int
        As in `AccessPoints`.
    points : list of AccessPoint
        The points, in order.
    checksums : ndarray of uint32 or None
        CRC32 of each segment.
    whence : str
        What messages call them.

    Examples
    --------
    >>> points = find_points("run.nii.gz", spacing=4096)
    >>> points.points[0].window is None, points.decoded_size
    (True, 269152)
    """

    compressed_size: int
    spacing: int
    decoded_size: int = 0
    points: list[AccessPoint] = field(default_factory=list)
    checksums: NDArray[np.uint32] | None = None
    whence: str = "memory"

    def add(self, point: AccessPoint, /) -> None:
        """Append a point."""
        self.points.append(point)

    @property
    def bit_offsets(self) -> NDArray[np.int64]:
        """Bit offset of each point."""
        return np.array([point.bit_offset for point in self.points], np.int64)

    @property
    def decoded_offsets(self) -> NDArray[np.int64]:
        """Decoded bytes before each point."""
        return np.array([point.decoded_offset for point in self.points], np.int64)

    def window(self, number: int, /) -> bytes | None:
        """Return the window of a point; None where a gzip member begins."""
        return self.points[number].window

    def changed(self, number: int, **changes: Any) -> "MemoryPoints":
        """Return the same points, one of them changed.

        Parameters
        ----------
        number : int
            Which one.
        **changes : Any
            Attributes of `AccessPoint`.

        Returns
        -------
        MemoryPoints
            Points that are wrong.
        """
        points = list(self.points)
        points[number] = replace(points[number], **changes)
        return replace(self, points=points)


def find_points(source: Any, *, spacing: int) -> MemoryPoints:
    """Return the access points of a gzip file, found by decoding it.

    Parameters
    ----------
    source : SourceFile or path-like
        The file; by its path, as it is now.
    spacing : int
        Decoded bytes between two points that are aimed at.

    Returns
    -------
    MemoryPoints
        Its points, with the checksum of each segment.
    """
    known = source if isinstance(source, SourceFile) else SourceFile.at(str(source))
    points = MemoryPoints(known.identity.size, spacing)
    size, checksums = build_points(known, spacing, points)
    points.decoded_size, points.checksums = size, np.array(checksums, np.uint32)
    return points


def write_index(source: SourceFile, where: Any = "cache", spacing: int = 65536) -> GzidxFile:
    """Build the index of a gzip file and keep it, as `lazyvox.build_index` does.

    Parameters
    ----------
    source : SourceFile
        The file.
    where : str, default="cache"
        Place of the index: "cache" or "beside".
    spacing : int, default=65536
        Decoded bytes between two points that are aimed at.

    Returns
    -------
    GzidxFile
        The access points of the index.
    """
    with IndexWriter(source, spacing, where) as writer:
        return writer.commit(*build_points(source, spacing, writer))


def gzip_member(
    payload: bytes,
    *,
    level: int = 6,
    strategy: int = zlib.Z_DEFAULT_STRATEGY,
    mem_level: int = 8,
    wbits: int = 15,
    flushes: tuple[int, ...] = (),
    seed: int = 0,
    header: bytes | None = None,
) -> bytes:
    """Return a gzip member whose blocks are of the kinds that are asked for.

    Parameters
    ----------
    payload : bytes
        What to compress.
    level, strategy, mem_level, wbits : int
        As zlib has them.
    flushes : tuple of int
        Modes of flushing, used in turns between parts of the payload that are cut at random.
    seed : int
        Seed of the cuts.
    header : bytes, optional
        The header; by default the shortest.

    Returns
    -------
    bytes
        Header, deflate stream, checksum and size.

    Examples
    --------
    >>> import gzip
    >>> gzip.decompress(gzip_member(b"abc" * 9, level=0, flushes=(zlib.Z_BLOCK,), seed=1))[:6]
    b'abcabc'
    """
    packer = zlib.compressobj(level, zlib.DEFLATED, -wbits, mem_level, strategy)
    chance = random.Random(seed)
    cuts = sorted(chance.randint(0, len(payload)) for _ in flushes)
    head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff" if header is None else header
    pieces, start = [head], 0
    for mode, cut in zip(flushes, cuts, strict=True):
        pieces += [packer.compress(payload[start:cut]), packer.flush(mode)]
        start = cut
    pieces += [packer.compress(payload[start:]), packer.flush()]
    return b"".join([*pieces, struct.pack("<II", zlib.crc32(payload), len(payload) & 0xFFFFFFFF)])
