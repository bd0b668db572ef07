"""Grey pictures as PNG."""

import struct
import zlib

import numpy as np

from lazyvox._typing import Array

__all__ = ["grey_png"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Bits of a pixel, kind of colour (grey), and the only compression, filtering and interlacing.
_GREY = (8, 0, 0, 0, 0)


def grey_png(pixels: Array) -> bytes:
    r"""Return a picture as PNG.

    Parameters
    ----------
    pixels : ndarray of shape (n_rows, n_columns), uint8
        0 is black, 255 white; at least one pixel.

    Returns
    -------
    bytes
        PNG, second edition, of the kind 8-bit greyscale.

    Examples
    --------
    >>> grey_png(np.zeros((2, 3), np.uint8))[12:24]
    b'IHDR\x00\x00\x00\x03\x00\x00\x00\x02'
    """
    n_rows, n_columns = pixels.shape
    # Each row begins with the number of its filter, 0 for none.
    rows = np.zeros((n_rows, n_columns + 1), np.uint8)
    rows[:, 1:] = pixels
    head = struct.pack(">IIBBBBB", n_columns, n_rows, *_GREY)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(*one) for one in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
