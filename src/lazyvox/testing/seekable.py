"""Files that are made of parts which can be decoded alone, as other programs write them."""

import struct
import zlib

from lazyvox.store.frames.decoders import load_zstd
from lazyvox.store.frames.seek_table import pack_seek_table

__all__ = ["bgzf_bytes", "seekable_zstd_bytes"]

_MOST_BLOCK = 65280
_END_OF_FILE = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


def bgzf_bytes(
    payload: bytes, *, block_bytes: int = _MOST_BLOCK, other: bytes = b"", ends: bool = True
) -> bytes:
    """Return a payload as bgzip compresses it.

    Parameters
    ----------
    payload : bytes
        What to compress.
    block_bytes : int
        Decoded bytes of each block.
    other : bytes
        Subfields that stand in the extra field before the one with the size.
    ends : bool
        Whether the marker of the end of the file follows, a block of nothing.

    Returns
    -------
    bytes
        The file.

    Examples
    --------
    >>> import gzip
    >>> gzip.decompress(bgzf_bytes(b"abc" * 9, block_bytes=5))[:6]
    b'abcabc'
    """
    blocks = []
    for start in range(0, len(payload), block_bytes):
        block = payload[start : start + block_bytes]
        packer = zlib.compressobj(1, zlib.DEFLATED, -15)
        packed = packer.compress(block) + packer.flush()
        extra = other + b"BC\2\0" + struct.pack("<H", len(packed) + len(other) + 25)
        head = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + struct.pack("<H", len(extra)) + extra
        blocks.append(head + packed + struct.pack("<II", zlib.crc32(block), len(block)))
    return b"".join([*blocks, _END_OF_FILE if ends else b""])


def seekable_zstd_bytes(
    payload: bytes, *, frame_bytes: int = 100_000, with_checksums: bool = False
) -> bytes:
    """Return a payload in the seekable format of zstd.

    Parameters
    ----------
    payload : bytes
        What to compress.
    frame_bytes : int
        Decoded bytes of each frame.
    with_checksums : bool
        Whether the table has a field for checksums; what is in it is none.

    Returns
    -------
    bytes
        The file.

    Examples
    --------
    >>> len(seekable_zstd_bytes(b"abc" * 9, frame_bytes=9)) > 3 * 8
    True
    """
    zstd = load_zstd()
    frames = [
        zstd.compress(payload[start : start + frame_bytes], 1)
        for start in range(0, len(payload), frame_bytes)
    ]
    sizes = [
        (len(frame), len(payload[number * frame_bytes :][:frame_bytes]))
        for number, frame in enumerate(frames)
    ]
    table = pack_seek_table(sizes)
    if with_checksums:
        entries = b"".join(struct.pack("<III", *pair, 7) for pair in sizes)
        footer = table[-9:-5] + b"\x80" + table[-4:]
        table = table[:4] + struct.pack("<I", len(entries) + 9) + entries + footer
    return b"".join([*frames, table])
