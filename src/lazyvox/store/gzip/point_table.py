"""Access points that a file tells by itself: the beginnings of its members or frames."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

__all__ = ["TABLE_SPACING", "PointTable", "are_alike", "join_parts"]

#: Parts are joined up to about this many decoded bytes: a millisecond of decoding, and enough
#: that handing segments to threads does not show.
TABLE_SPACING = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class PointTable:
    """Access points at which nothing before them is needed; see `AccessPoints`.

    Attributes
    ----------
    compressed_size, decoded_size, spacing, bit_offsets, decoded_offsets, checksums, whence
        As in `AccessPoints`.
    """

    compressed_size: int
    decoded_size: int
    spacing: int
    bit_offsets: NDArray[np.int64]
    decoded_offsets: NDArray[np.int64]
    checksums: NDArray[np.uint32] | None
    whence: str

    def window(self, _number: int, /) -> bytes | None:
        """Return None: a member or frame begins at every point."""
        return None


def are_alike(sizes: Sequence[int]) -> bool:
    """Return whether each size but the last, which may be less, is confirmed by another one.

    A wrong one would move everything behind it, and nothing that is decoded there would show it.
    """
    if len(sizes) < 2:
        return True
    return len(sizes) > 2 and len(set(sizes[:-1])) == 1 and sizes[-1] <= sizes[0]


def join_parts(
    compressed_size: int,
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    checksums: NDArray[np.uint32] | None,
    *,
    spacing: int,
    whence: str,
) -> PointTable | None:
    """Return the points of a file that is made of parts; None where it decodes to nothing.

    Parameters
    ----------
    compressed_size : int
        Size of the file in bytes.
    starts : ndarray of int64
        Where each part begins in the file, in bytes.
    sizes : ndarray of int64
        Decoded bytes of each part.
    checksums : ndarray of uint32 or None
        CRC32 of the decoded bytes of each part.
    spacing : int
        Parts are joined until they hold so many decoded bytes.
    whence : str
        Where the points are from, for messages.

    Returns
    -------
    PointTable or None
        The points.
    """
    ends = np.cumsum(sizes)
    if not len(ends) or not ends[-1]:
        return None
    offsets = ends - sizes
    firsts = _firsts(offsets, int(ends[-1]), spacing)
    sums = None if checksums is None else _joined_checksums(checksums, sizes, firsts)
    return PointTable(
        compressed_size=compressed_size,
        decoded_size=int(ends[-1]),
        spacing=spacing,
        bit_offsets=8 * starts[firsts],
        decoded_offsets=offsets[firsts],
        checksums=sums,
        whence=whence,
    )


def _firsts(offsets: NDArray[np.int64], end: int, spacing: int) -> NDArray[np.int64]:
    """Return the numbers of the parts at which there is a point."""
    firsts = [0]
    while True:
        following = int(np.searchsorted(offsets, offsets[firsts[-1]] + spacing))
        # Parts of no bytes at the end belong to the last point.
        if following >= len(offsets) or offsets[following] >= end:
            return np.asarray(firsts, np.int64)
        firsts.append(following)


def _joined_checksums(
    checksums: NDArray[np.uint32], sizes: NDArray[np.int64], firsts: NDArray[np.int64]
) -> NDArray[np.uint32]:
    """Return the CRC32 of the parts from each point to the next."""
    joined = []
    for start, stop in zip(firsts, [*firsts[1:], len(sizes)], strict=True):
        checksum = 0
        for one, size in zip(
            checksums[start:stop].tolist(), sizes[start:stop].tolist(), strict=True
        ):
            checksum = isal_zlib.crc32_combine(checksum, one, size)
        joined.append(checksum)
    return np.asarray(joined, np.uint32)
