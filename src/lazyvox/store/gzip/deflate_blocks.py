"""Find where blocks of a deflate stream may begin, without decoding it (RFC 1951).

The inflater shows no block boundaries. But a block with codes of its own begins with a code for
the lengths of its codes, and that must be complete: of the bit positions in arbitrary data one in
some thousands looks so. The result is a candidate: callers decode from there, and compare.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["STORED_BIT", "block_candidates", "lead_in"]

#: Where in a byte the mark of a stored block begins: three zero bits, then the length.
STORED_BIT = 5
#: Compressed bytes searched at a time; blocks of zlib are some 10 to 60 KiB long.
_PIECE_BYTES = 8192
#: Bits of a header: final flag and type, numbers of literal, distance and length codes.
_COUNTS_BITS = 17
_LENGTH_BITS = 3
#: Bytes behind the last position of a piece that its header may reach into.
_REACH_BYTES = 16
_MOST_LITERAL_CODES = 29
_MOST_DISTANCE_CODES = 29
_COMPLETE = 128


def _shares() -> NDArray[np.uint16]:
    """Return, for each four code lengths of 3 bits, the share of all codes that they take."""
    four = np.arange(4096)
    lengths = np.stack([(four >> shift) & 7 for shift in (0, 3, 6, 9)])
    shares: NDArray[np.uint16] = np.where(lengths > 0, _COMPLETE >> lengths, 0).sum(
        axis=0, dtype=np.uint16
    )
    return shares


_SHARES = _shares()


def block_candidates(data: bytes) -> Iterator[int]:
    """Yield the positions, in bits and ascending, where a block may begin.

    Those of last blocks are left out, unless they are stored. Blocks with codes of their own and stored blocks are found; blocks with the fixed codes have
    no mark. Positions whose header does not lie in `data` as a whole are left out.
    """
    padded = np.frombuffer(data + bytes(_REACH_BYTES), np.uint8)
    for start in range(0, len(data) - _REACH_BYTES, _PIECE_BYTES):
        stop = min(start + _PIECE_BYTES, len(data) - _REACH_BYTES)
        piece = padded[start : stop + 2 * _REACH_BYTES]
        found = np.concatenate([_coded(piece, stop - start), _stored(piece, stop - start)])
        found.sort()
        yield from (found + 8 * start).tolist()


def _words(piece: NDArray[np.uint8], dtype: str, count: int) -> NDArray[np.unsignedinteger]:
    """Return the little-endian number that begins at each byte."""
    return np.ndarray((count,), dtype, piece.data, strides=(1,))


def _coded(piece: NDArray[np.uint8], n_bytes: int) -> NDArray[np.int64]:
    """Return where a header of a block with codes of its own may begin."""
    heads = _words(piece, "<u4", n_bytes)
    # Not the last block, type 2: the first three bits are 0, 0, 1.
    begins = [
        np.flatnonzero((heads & np.uint32(7 << bit)) == np.uint32(4 << bit)) * 8 + bit
        for bit in range(8)
    ]
    # All together: arrays of one bit each are so short that the calls cost more than the work.
    at = np.concatenate(begins)
    head = heads[at >> 3] >> (at & 7).astype(np.uint32)
    fits = ((head >> 3) & 31 <= _MOST_LITERAL_CODES) & ((head >> 8) & 31 <= _MOST_DISTANCE_CODES)
    at, head = at[fits], head[fits]
    n_lengths = ((head >> 13) & 15).astype(np.uint64) + np.uint64(4)
    codes = _words(piece, "<u8", n_bytes + 4)[(at + _COUNTS_BITS) >> 3]
    codes >>= ((at + _COUNTS_BITS) & 7).astype(np.uint64)
    codes &= (np.uint64(1) << (np.uint64(_LENGTH_BITS) * n_lengths)) - np.uint64(1)
    share = np.zeros(len(at), np.uint16)
    for shift in range(0, 60, 12):
        share += _SHARES[(codes >> np.uint64(shift)) & np.uint64(4095)]
    found: NDArray[np.int64] = at[share == _COMPLETE]
    return found


def _stored(piece: NDArray[np.uint8], n_bytes: int) -> NDArray[np.int64]:
    """Return where a stored block may begin: at three zero bits before its length.

    The bits up to the length are ignored, so that these three do, wherever the block began. They
    do not tell whether it is the last one.
    """
    halves = _words(piece, "<u2", n_bytes + 3)
    at = np.flatnonzero((halves[1 : n_bytes + 1] ^ halves[3 : n_bytes + 3]) == 0xFFFF)
    found: NDArray[np.int64] = at[piece[at] < 1 << STORED_BIT] * 8 + STORED_BIT
    return found


def _bits(*fields: tuple[int, int]) -> tuple[int, int]:
    """Return values of so many bits each, one behind the other, as a number and its bits."""
    number = n_bits = 0
    for value, width in fields:
        number |= value << n_bits
        n_bits += width
    return number, n_bits


def _odd_block() -> tuple[int, int]:
    """Return an empty block of an odd number of bits, all codes given.

    Nineteen lengths: those of the codes 18 (a run of zeros) and 1 are one bit. So 256 literals
    without a code, the end of the block with one bit, one distance with one bit; then the end.
    """
    lengths = [(0, 3)] * 19
    for place in (2, 17):
        lengths[place] = (1, 3)
    run, one = 1, 0
    codes = [(run, 1), (127, 7), (run, 1), (107, 7), (one, 1), (one, 1)]
    return _bits((0, 1), (2, 2), (0, 5), (0, 5), (15, 4), *lengths, *codes, (0, 1))


def _lead_ins() -> tuple[bytes, ...]:
    """Return, for each number of bits modulo 8, empty blocks that take as many."""
    odd, even = _odd_block(), _bits((0, 1), (1, 2), (0, 7))
    found = [b""] * 8
    for with_odd in (False, True):
        for n_even in range(4):
            number, n_bits = odd if with_odd else (0, 0)
            for _ in range(n_even):
                number |= even[0] << n_bits
                n_bits += even[1]
            found[n_bits % 8] = number.to_bytes(-(-n_bits // 8), "little")
    return tuple(found)


_LEAD_INS = _lead_ins()


def lead_in(first: int, bit: int) -> bytes:
    """Return bytes that stand for a byte of which only the bits from `bit` on are to be decoded.

    The inflater begins at whole bytes. So empty blocks fill the bits before.
    """
    if bit == 0:
        return bytes([first])
    empty = _LEAD_INS[bit]
    return empty[:-1] + bytes([empty[-1] | first >> bit << bit])
