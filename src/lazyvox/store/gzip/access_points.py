"""Access points: places in a gzip file from which decoding can begin, and their segments."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DEFAULT_SPACING",
    "WINDOW_BYTES",
    "AccessPoint",
    "AccessPoints",
    "Segment",
    "points_of",
]

#: How far a deflate stream refers back.
WINDOW_BYTES = 32768

#: Decoded bytes from one point to the next where nobody says: the windows take 1.6 % of them, and
#: they take some 3 ms to decode.
DEFAULT_SPACING = 2 << 20


@dataclass(frozen=True, slots=True)
class AccessPoint:
    """A place from which the rest of a gzip file can be decoded.

    Attributes
    ----------
    bit_offset : int
        Where it is, in bits from the beginning of the file: the first bit of a deflate block, or
        of the header of a gzip member. Bits are counted from the lowest of each byte.
    decoded_offset : int
        Decoded bytes that lie before it.
    window : bytes or None
        The decoded bytes before it, at most 32 KiB, to which the block may refer back. None where
        a gzip member begins.
    """

    bit_offset: int
    decoded_offset: int
    window: bytes | None


@dataclass(frozen=True, slots=True)
class Segment:
    """The decoded bytes from one access point to the next, or to the end of the file.

    Attributes
    ----------
    number : int
        Number of the point at which it begins.
    start, stop : int
        Decoded offsets.
    checksum : int or None
        CRC32 of the decoded bytes, where it is known.
    """

    number: int
    start: int
    stop: int
    checksum: int | None


class AccessPoints(Protocol):
    """The access points of one gzip file, in order; the first is the beginning of the file.

    Immutable and safe for threads; windows are read when they are asked for.
    """

    @property
    def compressed_size(self) -> int:
        """Size of the file in bytes."""

    @property
    def decoded_size(self) -> int:
        """Size of everything decoded in bytes."""

    @property
    def spacing(self) -> int:
        """Decoded bytes between two points that were aimed at."""

    @property
    def bit_offsets(self) -> NDArray[np.int64]:
        """Bit offset of each point in the compressed file; see `AccessPoint`."""

    @property
    def decoded_offsets(self) -> NDArray[np.int64]:
        """Decoded bytes before each point; strictly ascending, the first is 0."""

    @property
    def checksums(self) -> NDArray[np.uint32] | None:
        """CRC32 of the decoded bytes of each segment; None where they are unknown."""

    @property
    def whence(self) -> str:
        """Location of the index, for messages."""

    def window(self, number: int, /) -> bytes | None:
        """Return the window of a point; None where a gzip member begins."""


def points_of(points: AccessPoints) -> Iterator[AccessPoint]:
    """Yield every point, with its window."""
    for number, (bit, decoded) in enumerate(
        zip(points.bit_offsets, points.decoded_offsets, strict=True)
    ):
        yield AccessPoint(int(bit), int(decoded), points.window(number))
