"""Every block of a deflate stream with a mark is found, and decoding can begin at any bit."""

import zlib

import numpy as np
import pytest
from isal import igzip_lib

from lazyvox.store.gzip.deflate_blocks import block_candidates, lead_in
from lazyvox.testing import gzip_member

HEADER_BYTES, TRAILER_BYTES = 10, 8
#: The bytes at the end in which no header is looked for.
BLIND_BYTES = 16
STORED, FIXED, DYNAMIC = range(3)

LENGTH_BASE = [*range(3, 11), *range(11, 19, 2), *range(19, 35, 4), *range(35, 67, 8)]
LENGTH_BASE += [*range(67, 131, 16), *range(131, 258, 32), 258]
LENGTH_EXTRA = [0] * 8 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4 + [5] * 4 + [0]
DISTANCE_EXTRA = [0, 0] + [n for n in range(14) for _ in range(2)]
ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)


class Bits:
    """The bits of a deflate stream, lowest of each byte first."""

    def __init__(self, data):
        self.text = "".join(f"{byte:08b}"[::-1] for byte in data)
        self.at = 0

    def take(self, count):
        self.at += count
        return int(self.text[self.at - count : self.at][::-1] or "0", 2)

    def symbol(self, codes):
        for length in range(1, 16):
            found = codes.get(self.text[self.at : self.at + length])
            if found is not None:
                self.at += length
                return found
        raise AssertionError(self.at)


def codes_of(lengths):
    """Return the canonical codes by their bits, as RFC 1951 has them in 3.2.2."""
    codes, code = {}, 0
    for length in range(1, 16):
        for symbol, own in enumerate(lengths):
            if own == length:
                codes[f"{code:0{length}b}"] = symbol
                code += 1
        code <<= 1
    return codes


FIXED_CODES = (
    codes_of([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8),
    codes_of([5] * 30),
)


def dynamic_codes(bits):
    n_literals, n_distances, n_lengths = bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4
    shorts = [0] * 19
    for place in ORDER[:n_lengths]:
        shorts[place] = bits.take(3)
    codes, lengths = codes_of(shorts), []
    while len(lengths) < n_literals + n_distances:
        symbol = bits.symbol(codes)
        if symbol < 16:
            lengths.append(symbol)
        elif symbol == 16:
            lengths += [lengths[-1]] * (bits.take(2) + 3)
        else:
            lengths += [0] * (bits.take(3) + 3 if symbol == 17 else bits.take(7) + 11)
    return codes_of(lengths[:n_literals]), codes_of(lengths[n_literals:])


def skip_symbols(bits, literals, distances):
    """Go on to the end of a block; return how many bytes it decodes to."""
    n_bytes = 0
    while (symbol := bits.symbol(literals)) != 256:
        if symbol < 256:
            n_bytes += 1
            continue
        n_bytes += LENGTH_BASE[symbol - 257] + bits.take(LENGTH_EXTRA[symbol - 257])
        bits.take(DISTANCE_EXTRA[bits.symbol(distances)])
    return n_bytes


def blocks_of(data):
    """Return position in bits, kind, whether it is the last, and decoded start of each block."""
    bits, found, decoded = Bits(data), [], 0
    is_last = 0
    while not is_last:
        start = bits.at
        is_last, kind = bits.take(1), bits.take(2)
        if kind == STORED:
            bits.at += -bits.at % 8
            # The mark of a stored block is the three bits before its length.
            start = bits.at - 3
        found.append((start, kind, is_last, decoded))
        if kind == STORED:
            length = bits.take(16)
            assert bits.take(16) == length ^ 0xFFFF
            bits.at += 8 * length
            decoded += length
        else:
            decoded += skip_symbols(bits, *(FIXED_CODES if kind == FIXED else dynamic_codes(bits)))
    return found, decoded


def text(n_bytes, seed=0):
    words = [bytes(word) for word in np.random.default_rng(seed).integers(97, 123, (400, 5), "u1")]
    picks = np.random.default_rng(seed).zipf(1.3, n_bytes // 5) % 400
    return b" ".join(words[pick] for pick in picks)[:n_bytes]


def noise(n_bytes, seed=0):
    return np.random.default_rng(seed).bytes(n_bytes)


def scans(n_bytes, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(900, 90, n_bytes // 4).astype("<f4")
    values[rng.integers(0, 3, -(-len(values) // 50)).repeat(50)[: len(values)] == 0] = 0
    return values.tobytes()


def mixed(n_bytes, seed=0):
    part = n_bytes // 4
    return text(part, seed) + noise(part, seed) + scans(part, seed) + bytes(part)


def deflated(payload, **options):
    return gzip_member(payload, **options)[HEADER_BYTES:-TRAILER_BYTES]


def marked(data):
    """Return where blocks begin that have a mark and are not the last."""
    blocks, _ = blocks_of(data)
    return [at for at, kind, is_last, _ in blocks if kind != FIXED and not is_last]


def assert_all_found(data):
    """Return how many blocks were there."""
    true = [at for at in marked(data) if at < 8 * (len(data) - BLIND_BYTES)]
    found = list(block_candidates(data))
    assert found == sorted(set(found))
    assert set(true) <= set(found)
    return len(true)


@pytest.mark.parametrize("data", [text, noise, scans, mixed], ids=lambda make: make.__name__)
def test_the_parser_of_these_tests_decodes_as_zlib_does(data):
    payload = data(20_000)
    assert blocks_of(deflated(payload, mem_level=2))[1] == len(payload)


@pytest.mark.parametrize("level", range(10))
@pytest.mark.parametrize("strategy", range(5))
def test_blocks_of_every_level_and_strategy_are_found(level, strategy):
    data = deflated(mixed(40_000), level=level, strategy=strategy, mem_level=3)
    n_found = assert_all_found(data)
    # Short blocks with the fixed codes have no mark.
    assert n_found > 1 or strategy == zlib.Z_FIXED


@pytest.mark.parametrize("mem_level", range(1, 10))
@pytest.mark.parametrize("level", [1, 6])
def test_blocks_of_every_length_are_found(mem_level, level):
    payload = text(80_000) + scans(20_000) if mem_level > 5 else mixed(40_000)
    assert_all_found(deflated(payload, level=level, mem_level=mem_level))


@pytest.mark.parametrize("wbits", range(9, 16))
def test_blocks_with_small_windows_are_found(wbits):
    assert assert_all_found(deflated(mixed(30_000), wbits=wbits, mem_level=2)) > 5


@pytest.mark.parametrize(
    "mode", [zlib.Z_PARTIAL_FLUSH, zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_BLOCK]
)
@pytest.mark.parametrize("level", [0, 1, 6])
def test_blocks_that_end_by_flushing_are_found(mode, level):
    data = deflated(mixed(30_000), level=level, flushes=(mode,) * 9, seed=3)
    assert assert_all_found(data) >= (level == 0) + 2


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_blocks_of_isal_are_found(level):
    data = igzip_lib.compress(mixed(120_000), level, igzip_lib.COMP_DEFLATE)
    true = [at for at in marked(data) if at < 8 * (len(data) - BLIND_BYTES)]
    assert set(true) <= set(block_candidates(data))


def test_there_are_few_wrong_candidates():
    """Each costs some microseconds to rule out."""
    data = noise(1 << 20)
    assert len(list(block_candidates(data))) < len(data) // 200


@pytest.mark.parametrize("n_bytes", [0, 1, 15, 16, 17, 40, 8191, 8192, 8193, 8208, 8209])
def test_candidates_are_the_same_however_much_follows(n_bytes):
    data = noise(30_000, 1)
    all_found = [at for at in block_candidates(data) if at < 8 * (n_bytes - BLIND_BYTES)]
    assert list(block_candidates(data[:n_bytes])) == all_found


@pytest.mark.parametrize("seed", range(8))
def test_what_a_block_looks_like_does_not_depend_on_the_bytes_around_it(seed):
    """The end of one piece that is searched is the beginning of the next."""
    data = deflated(text(3000), mem_level=1)
    shift = 8192 - 3 * seed - 1
    true = [at + 8 * shift for at in marked(data) if at < 8 * (len(data) - BLIND_BYTES)]
    found = block_candidates(noise(shift, seed) + data + noise(20, seed))
    assert set(true) <= set(found)
    assert true


def zlib_from(data, window):
    inflate = zlib.decompressobj(-15, zdict=window)
    return inflate.decompress(data) + inflate.flush()


def isal_from(data, window):
    inflate = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE, zdict=window)
    return inflate.decompress(data)


@pytest.mark.parametrize("inflate", [zlib_from, isal_from])
@pytest.mark.parametrize(
    "payload", [text(30_000), scans(30_000), mixed(30_000)], ids=["text", "scans", "mixed"]
)
def test_decoding_begins_at_every_block(inflate, payload):
    data = deflated(payload, mem_level=1)
    seen = set()
    for at, _, is_last, decoded in blocks_of(data)[0]:
        if is_last:
            continue
        first, bit = divmod(at, 8)
        seen.add(bit)
        rest = lead_in(data[first], bit) + data[first + 1 :]
        assert inflate(rest, payload[:decoded][-32768:]) == payload[decoded:]
    assert len(seen) > 3


@pytest.mark.parametrize("inflate", [zlib_from, isal_from])
@pytest.mark.parametrize("bit", range(8))
@pytest.mark.parametrize("below", [0, 0xFF, 0x55])
def test_decoding_begins_at_every_bit_whatever_lies_below_it(inflate, bit, below):
    # One block of the fixed codes and the last: "a", and the end.
    number, n_bits = 0b0000000_10001001_01_1, 18
    shifted = (number << bit | below & ((1 << bit) - 1)).to_bytes(
        -(-(n_bits + bit) // 8), "little"
    )
    assert inflate(lead_in(shifted[0], bit) + shifted[1:], b"") == b"a"


@pytest.mark.parametrize("bit", range(8))
def test_what_leads_in_is_short(bit):
    assert len(lead_in(0xFF, bit)) <= 20
