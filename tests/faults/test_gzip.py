"""Damaged and unusual compressed files: right data or an error, never wrong values.

The oracle is the array that was written; the values are noise, so that a wrong one shows.
"""

import contextlib
import gzip
import random
import struct
import warnings
import zlib

import numpy as np
import pytest

from lazyvox.array import FileReader, LazyArray
from lazyvox.errors import (
    CorruptFileError,
    ImageFileError,
    LazyvoxWarning,
    TruncatedFileError,
)
from lazyvox.planning.spec import ArraySpec
from lazyvox.store import open_source
from lazyvox.testing import compress, nifti_bytes, random_values

VALUES = random_values((4, 5, 6, 7), "<i2") >> 8
RAW = nifti_bytes(VALUES)
PACKED = gzip.compress(RAW, 6, mtime=0)
SPEC = ArraySpec(VALUES.shape, VALUES.dtype, 352)


class Files:
    """Gives every content a file of its own, so that no two share name and time."""

    def __init__(self, folder):
        self.folder = folder
        self.n_files = 0

    def lazy(self, content, spec=SPEC):
        self.n_files += 1
        path = self.folder / f"{self.n_files}.nii.gz"
        path.write_bytes(content)
        return LazyArray.over(FileReader(open_source(path), spec))


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def whole(lazy):
    return np.asarray(lazy)


def volume_loop(lazy):
    return np.stack([lazy[..., t] for t in range(lazy.shape[-1])], axis=-1)


def last_volume(lazy):
    values = VALUES.copy()
    values[..., -1] = lazy[..., -1]
    return values


def by_mask(lazy):
    mask = np.zeros(VALUES.shape[:3], bool)
    mask[1:3, 2, 1:4] = True
    values = VALUES.copy()
    values[mask] = lazy[mask]
    return values


def is_refused(files, content, read):
    """Return whether the damage is found; values without an error must be right."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LazyvoxWarning)
            values = read(files.lazy(content))
    except ImageFileError as error:
        return f"{files.n_files}.nii.gz" in str(error)
    assert np.array_equal(values, VALUES)
    return False


def flips(content, *, bits=range(8), step=1):
    for place in range(0, len(content), step):
        for bit in bits:
            damaged = bytearray(content)
            damaged[place] ^= 1 << bit
            yield bytes(damaged)


@pytest.mark.parametrize("read", [whole, volume_loop, last_volume, by_mask])
def test_every_truncation_is_refused(files, read):
    for n_bytes in range(len(PACKED)):
        assert is_refused(files, PACKED[:n_bytes], read), n_bytes


def test_every_flipped_bit_is_refused_or_harmless(files):
    found = sum(is_refused(files, damaged, whole) for damaged in flips(PACKED))
    # Harmless are the modification time, the extra flags, the system and the text flag, the bits
    # that fill the last byte, and a few that make another coding of the same data.
    assert found >= 8 * (len(PACKED) - 6) - 30


@pytest.mark.parametrize("read", [volume_loop, last_volume, by_mask])
def test_a_flipped_bit_in_every_byte_is_refused_however_it_is_read(files, read):
    n_found = sum(is_refused(files, damaged, read) for damaged in flips(PACKED, bits=[3]))
    assert n_found >= len(PACKED) - 6 - 5


@pytest.mark.parametrize("compression", ["bzip2", "zstd"])
@pytest.mark.parametrize("read", [whole, volume_loop])
def test_other_formats_truncated_and_flipped(files, compression, read):
    packed = compress(RAW, compression)
    for n_bytes in range(0, len(packed), 3):
        assert is_refused(files, packed[:n_bytes], read), n_bytes
    found = [is_refused(files, damaged, read) for damaged in flips(packed, bits=[1, 6], step=3)]
    assert sum(found) >= 0.99 * len(found)


def test_a_flipped_bit_in_any_member(files):
    packed = b"".join(gzip.compress(RAW[i : i + 500], mtime=0) for i in range(0, len(RAW), 500))
    # Some bytes of a member's header (time, flags, system) are not covered by its checksum.
    found = [is_refused(files, damaged, whole) for damaged in flips(packed, bits=[0, 5])]
    assert sum(found) >= 0.97 * len(found)
    looped = [is_refused(files, one, volume_loop) for one in flips(packed, bits=[2], step=3)]
    assert sum(looped) >= 0.97 * len(looped)


def test_volumes_before_a_truncation_are_right(files):
    lazy = files.lazy(PACKED[: len(PACKED) // 2])
    assert np.array_equal(lazy[..., 0], VALUES[..., 0])
    with pytest.raises(TruncatedFileError, match=r"the file ends early, at compressed byte \d+"):
        lazy[..., -1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (PACKED[:-8] + bytes(4) + PACKED[-4:], "the CRC32 of a gzip member must match"),
        (PACKED[:-4] + bytes(4), "the size stored in a gzip member must match"),
        (PACKED[:-8], "the file ends early"),
        (PACKED[:-4], "the file ends early"),
        (PACKED[:3] + bytes([0xE0]) + PACKED[4:], "reserved bits of the gzip flags must be 0"),
        (PACKED[:2] + b"\7" + PACKED[3:], "compression method must be 8"),
        (PACKED[:3] + b"\10" + PACKED[4:10] + b"n" * (9 << 20), "has no end"),
        (PACKED[:3] + b"\2" + PACKED[4:10] + b"xx" + PACKED[10:], "checksum of the gzip header"),
        (PACKED.replace(b"\n", b"\r\n") + b"\r\n", r"gzip|deflate"),
        (gzip.compress(RAW[:-1]), "the gzip stream must decode to at least 2032 bytes"),
    ],
    ids=[
        "crc",
        "size",
        "no trailer",
        "trailer",
        "flags",
        "method",
        "name",
        "head",
        "text",
        "short",
    ],
)
def test_damage_is_named(files, content, message):
    with pytest.raises(ImageFileError, match=message):
        whole(files.lazy(content))


def deflated(raw, *, level=6, strategy=zlib.Z_DEFAULT_STRATEGY, flush=None, piece=10_000):
    packer = zlib.compressobj(level, zlib.DEFLATED, 31, 8, strategy)
    parts = []
    for start in range(0, len(raw), piece):
        parts.append(packer.compress(raw[start : start + piece]))
        if flush is not None:
            parts.append(packer.flush(flush))
    return b"".join([*parts, packer.flush()])


def bgzf_member(raw):
    body = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = body.compress(raw) + body.flush()
    extra = struct.pack("<BBHH", 66, 67, 2, len(packed) + 25)
    head = b"\x1f\x8b\x08\x04" + bytes(4) + b"\0\xff" + struct.pack("<H", len(extra)) + extra
    return head + packed + struct.pack("<II", zlib.crc32(raw), len(raw))


def with_header(flags, fields):
    head = PACKED[:3] + bytes([flags]) + PACKED[4:10] + fields
    if flags & 2:
        head += struct.pack("<H", zlib.crc32(head) & 0xFFFF)
    return head + PACKED[10:]


EMPTY = gzip.compress(b"", mtime=0)
GOOD = {
    "two members": gzip.compress(RAW[:200]) + gzip.compress(RAW[200:]),
    "a member a byte": b"".join(gzip.compress(RAW[i : i + 1], 1) for i in range(len(RAW))),
    "empty member first": EMPTY + PACKED,
    "empty members between": gzip.compress(RAW[:999]) + EMPTY * 5 + gzip.compress(RAW[999:]),
    "empty member last": PACKED + EMPTY,
    "zeros behind": PACKED + bytes(1000),
    "many zeros behind": PACKED + bytes(300_000),
    "zeros between members": gzip.compress(RAW[:99]) + bytes(512) + gzip.compress(RAW[99:]),
    "bgzf": b"".join(bgzf_member(RAW[i : i + 300]) for i in range(0, len(RAW), 300))
    + bgzf_member(b""),
    "stored blocks": deflated(RAW, level=0),
    "fixed codes": deflated(RAW, strategy=zlib.Z_FIXED),
    "huffman only": deflated(RAW, strategy=zlib.Z_HUFFMAN_ONLY),
    "run lengths": deflated(RAW, strategy=zlib.Z_RLE),
    "sync flushes": deflated(RAW, flush=zlib.Z_SYNC_FLUSH, piece=70),
    "full flushes": deflated(RAW, flush=zlib.Z_FULL_FLUSH, piece=70),
    "extra field": with_header(4, struct.pack("<H", 65_535) + bytes(65_535)),
    "latin-1 name": with_header(8, "été.nii".encode("latin-1") + b"\0"),
    "long comment": with_header(16, b"c" * (1 << 20) + b"\0"),
    "all fields": with_header(31, struct.pack("<H", 4) + b"abcd" + b"name\0" + b"comment\0"),
    "more than the header says": gzip.compress(RAW + bytes(3_000_000)),
    "trailer with a magic": PACKED[:-8] + PACKED[-8:],
}


@pytest.mark.parametrize("content", GOOD.values(), ids=GOOD)
@pytest.mark.parametrize("read", [whole, volume_loop])
def test_unusual_files_are_read(files, content, read):
    assert np.array_equal(read(files.lazy(content)), VALUES)


def test_a_checksum_that_looks_like_a_magic(files):
    for seed in range(200_000):
        raw = RAW[:348] + struct.pack("<I", seed) + RAW[352:]
        if struct.pack("<I", zlib.crc32(raw))[:2] == b"\x1f\x8b":
            break
    assert np.array_equal(whole(files.lazy(gzip.compress(raw))), VALUES)


GARBAGE = {
    "text": b"garbage!" * 20,
    "one byte": b"x",
    "half a magic": b"\x1f",
    "magic": b"\x1f\x8b\x08",
    "magic and noise": b"\x1f\x8b\x08" + bytes(range(200)),
    "half a member": PACKED[:500],
    "zeros and text": bytes(5000) + b"end",
    "a damaged member": PACKED[:-8] + bytes(8),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("read", [whole, volume_loop, by_mask])
def test_garbage_behind_the_stream_is_one_warning(files, garbage, read):
    lazy = files.lazy(PACKED + garbage)
    with pytest.warns(LazyvoxWarning, match="follow the end of the stream") as caught:
        values = read(lazy)
    assert len(caught) == 1
    assert np.array_equal(values, VALUES)


@pytest.mark.parametrize("compression", ["bzip2", "zstd"])
def test_garbage_behind_other_formats(files, compression):
    lazy = files.lazy(compress(RAW, compression) + b"garbage!" * 20)
    with pytest.warns(LazyvoxWarning, match=f"not {compression} data") as caught:
        assert np.array_equal(whole(lazy), VALUES)
    assert len(caught) == 1
    assert np.array_equal(whole(files.lazy(compress(RAW, compression) + bytes(9000))), VALUES)


@pytest.mark.parametrize("compression", ["none", "bzip2", "zstd"])
def test_the_content_decides_not_the_name(files, compression):
    lazy = files.lazy(compress(RAW, compression))
    assert lazy.reader.source.compression == compression
    assert np.array_equal(whole(lazy), VALUES)


def test_a_stream_far_larger_than_its_header_says_takes_no_memory(files):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = packer.compress(RAW) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(50))
    lazy = files.lazy(bomb + packer.flush())
    assert np.array_equal(whole(lazy), VALUES)
    assert lazy.reader.source.max_decoded_size >= 50 << 20


def test_matches_at_the_largest_distance(files):
    block = np.random.default_rng(0).bytes(32_768)
    raw = block * 9
    spec = ArraySpec((len(raw) - 3,), np.dtype("u1"), 3)
    assert whole(files.lazy(gzip.compress(raw, 9), spec)).tobytes() == raw[3:]


@pytest.mark.parametrize("change", [-1, 0, 1])
@pytest.mark.parametrize("size", [128 << 10, 256 << 10, 512 << 10])
def test_sizes_around_those_of_the_buffers(files, size, change):
    raw = np.random.default_rng(0).bytes(size + change)
    spec = ArraySpec((len(raw),), np.dtype("u1"))
    assert whole(files.lazy(deflated(raw, level=0), spec)).tobytes() == raw
    header_and_trailer = 18 + 5 * -(-len(raw) // 65_535)
    exact = raw[: size - header_and_trailer]
    spec = ArraySpec((len(exact),), np.dtype("u1"))
    assert whole(files.lazy(deflated(exact, level=0), spec)).tobytes() == exact


@pytest.mark.parametrize("read", [whole, volume_loop])
def test_plain_files_truncated_anywhere(files, read):
    for n_bytes in range(1, len(RAW)):
        with pytest.raises(TruncatedFileError, match="the file must hold at least"):
            read(files.lazy(RAW[:n_bytes]))


def test_plain_files_give_the_bytes_that_they_hold(files):
    for damaged in flips(RAW[:700], bits=[3], step=3):
        content = damaged + RAW[700:]
        stored = np.frombuffer(content, "<i2", offset=352).reshape(VALUES.shape, order="F")
        assert np.array_equal(whole(files.lazy(content)), stored)
    assert np.array_equal(whole(files.lazy(RAW + b"x" * 100)), VALUES)


def random_gzip(rng):
    """A gzip file of random make, and what it holds."""
    size = rng.choice([1, 100, 5_000, 70_000, 400_000])
    noise = np.random.default_rng(rng.randrange(1 << 30))
    kinds = [noise.bytes(size), bytes(size), noise.normal(0, 9, size).astype("i1").tobytes()]
    raw = rng.choice([*kinds, (noise.bytes(1000) * (size // 1000 + 1))[:size]])
    members = []
    start = 0
    while start < len(raw):
        stop = start + rng.choice([1, 500, 65_000, len(raw)])
        members.append(
            deflated(
                raw[start:stop],
                level=rng.randrange(10),
                strategy=rng.randrange(5),
                flush=rng.choice([None, None, zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH]),
                piece=rng.choice([999, 50_000]),
            )
        )
        start = stop
        members.append(rng.choice([b"", b"", b"", EMPTY, bytes(rng.randrange(600))]))
        if len(members) > 60:
            members.append(bgzf_member(raw[start : start + 60_000]))
            start += 60_000
    return raw, b"".join(members)


def check_random_files(files, rng, n_files):
    for _ in range(n_files):
        raw, packed = random_gzip(rng)
        spec = ArraySpec((len(raw),), np.dtype("u1"))
        lazy = files.lazy(packed, spec)
        cuts = sorted(rng.randrange(len(raw)) for _ in range(3))
        assert whole(lazy).tobytes() == raw
        for start, stop in zip(cuts, [*cuts[1:], len(raw)], strict=True):
            assert lazy[start:stop].tobytes() == raw[start:stop]


def check_random_flips(files, rng, n_flips):
    values = (random_values((40, 40, 20, 20), "<i2", seed=rng.randrange(1000)) >> 9).copy(
        order="F"
    )
    packed = bytearray(gzip.compress(nifti_bytes(values), 1))
    spec = ArraySpec(values.shape, values.dtype, 352)
    n_harmless = 0
    for _ in range(n_flips):
        place, bit = rng.randrange(10, len(packed)), 1 << rng.randrange(8)
        packed[place] ^= bit
        lazy = files.lazy(bytes(packed), spec)
        with contextlib.suppress(CorruptFileError, TruncatedFileError):
            # A few flips make another coding of the same data.
            assert np.array_equal(whole(lazy), values)
            n_harmless += 1
        packed[place] ^= bit
        (files.folder / f"{files.n_files}.nii.gz").unlink()
    assert n_harmless <= n_flips / 100


def test_some_random_gzip_files(files):
    check_random_files(files, random.Random(1), 60)


def test_some_random_flips_of_a_larger_file(files):
    check_random_flips(files, random.Random(2), 60)


@pytest.mark.fuzz
@pytest.mark.timeout(1800)
def test_many_random_gzip_files(files):
    check_random_files(files, random.Random(3), 3000)


@pytest.mark.fuzz
@pytest.mark.timeout(1800)
def test_many_random_flips_of_a_larger_file(files):
    check_random_flips(files, random.Random(4), 10_000)


@pytest.mark.fuzz
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("read", [volume_loop, last_volume, by_mask])
def test_every_flipped_bit_however_it_is_read(files, read):
    found = [is_refused(files, damaged, read) for damaged in flips(PACKED)]
    assert sum(found) >= 8 * (len(PACKED) - 6) - 30
