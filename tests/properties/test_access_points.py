"""Random gzip files, decoded from access points at any place, are what zlib makes of them."""

import gzip
import random
import struct
import zlib
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyvox.store.cursors import shared_pool
from lazyvox.store.files.block_cache import shared_blocks
from lazyvox.store.files.compressed_input import CompressedInput
from lazyvox.store.files.identity import SourceFile
from lazyvox.store.gzip.members import GzipDecoder
from lazyvox.store.gzip.point_recorder import PointRecorder
from lazyvox.store.gzip.segments import SegmentSource
from lazyvox.store.indexed_source import IndexedReader
from lazyvox.store.opening import open_source
from lazyvox.testing import MemoryPoints, find_points, gzip_member

FLUSHES = (zlib.Z_PARTIAL_FLUSH, zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_BLOCK)
HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
SPACINGS = (1, 5000, 40_000, 300_000, 10_000_000)


def noise(n_bytes, seed):
    return np.random.default_rng(seed).bytes(n_bytes)


def zeros(n_bytes, seed):
    return bytes(n_bytes)


def scans(n_bytes, seed):
    """Return values of a brain and of the nothing around it."""
    rng = np.random.default_rng(seed)
    values = rng.normal(900, 90, -(-n_bytes // 4)).astype("<f4")
    outside = rng.integers(0, 3, -(-len(values) // 60)).repeat(60) == 0
    values[outside[: len(values)]] = 0
    return values.tobytes()[:n_bytes]


def text(n_bytes, seed):
    words = np.random.default_rng(seed).integers(97, 123, (300, 6), "u1")
    picks = np.random.default_rng(seed).zipf(1.4, -(-n_bytes // 6)) % 300
    return words[picks].tobytes()[:n_bytes]


def periodic(n_bytes, seed):
    """Return what looks like the length of a stored block, again and again."""
    period = random.Random(seed).choice([b"\0\0\xff\xff", b"\xff\0\0", b"\0\0\0\xff\xff"])
    return (period * (n_bytes // len(period) + 1))[:n_bytes]


KINDS = (noise, zeros, scans, text, periodic)


@st.composite
def headers(draw):
    """Return a header with any of the fields that it may have."""
    flags = draw(st.integers(0, 31))
    head = bytes([0x1F, 0x8B, 8, flags]) + struct.pack("<IBB", 7, 0, 3)
    if flags & 4:
        extra = draw(st.binary(max_size=40))
        head += struct.pack("<H", len(extra)) + extra
    for flag in (8, 16):
        if flags & flag:
            head += draw(st.binary(max_size=20)).replace(b"\0", b"") + b"\0"
    if flags & 2:
        head += struct.pack("<H", zlib.crc32(head) & 0xFFFF)
    return head


@st.composite
def payloads(draw):
    pieces = st.tuples(st.sampled_from(KINDS), st.integers(0, 150_000), st.integers(0, 99))
    return b"".join(kind(size, seed) for kind, size, seed in draw(st.lists(pieces, max_size=3)))


@st.composite
def members(draw):
    return gzip_member(
        draw(payloads()),
        level=draw(st.integers(0, 9)),
        strategy=draw(st.integers(0, 4)),
        mem_level=draw(st.integers(1, 9)),
        wbits=draw(st.integers(9, 15)),
        flushes=tuple(draw(st.lists(st.sampled_from(FLUSHES), max_size=12))),
        seed=draw(st.integers(0, 99)),
        header=draw(headers()),
    )


@dataclass(frozen=True)
class Packed:
    """The content of a gzip file, and how it is to be indexed and read."""

    content: bytes
    spacing: int
    seed: int

    def __repr__(self):
        return f"Packed({len(self.content)} bytes, spacing={self.spacing}, seed={self.seed})"


files = st.builds(
    lambda parts, padding, spacing, seed: Packed(b"".join(parts) + bytes(padding), spacing, seed),
    st.lists(members(), min_size=1, max_size=4),
    st.integers(0, 600),
    st.sampled_from(SPACINGS),
    st.integers(0, 9999),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a function that writes a file of a name of its own."""
    folder, numbers = tmp_path_factory.mktemp("packed"), iter(range(10**9))

    def write(content):
        path = folder / f"{next(numbers)}.gz"
        path.write_bytes(content)
        return path

    return write


def block_bytes(block):
    piece = bytearray(block.stop - block.start)
    assert block.copy_to(block.start, memoryview(piece)) == len(piece)
    return bytes(piece)


def assert_segments(segments, raw):
    """Every segment is what zlib says, and they cover the file."""
    stop = 0
    for number in range(len(segments)):
        segment, block = segments.segment(number), segments.decode(number)
        assert (segment.start, segment.start) == (stop, block.start)
        assert segment.stop == block.stop
        stop = block.stop
        assert block_bytes(block) == raw[segment.start : segment.stop]
        assert segment.checksum == zlib.crc32(raw[segment.start : segment.stop])
    assert stop == len(raw)


def slices_of(size, seed, count=8):
    chance = random.Random(seed)
    for _ in range(count):
        start = chance.randint(0, size)
        yield start, min(size, start + chance.choice([0, 1, 700, 50_000, size]))


def assert_slices(source, segments, raw, *, n_ahead, seed):
    """Random reads, within what was announced and outside of it, are right."""
    slices = list(slices_of(len(raw), seed))
    announced = slices[0] if seed % 2 else (0, len(raw))
    with IndexedReader(source, segments, *announced, n_ahead=n_ahead) as reader:
        for start, stop in slices if seed % 3 else sorted(slices):
            buffer = bytearray(stop - start)
            reader.readinto(start, memoryview(buffer))
            assert buffer == raw[start:stop]
            assert reader.read_upto(start, stop - start + 9) == raw[start : stop + 9]
        last = max((stop for start, stop in slices if stop > start), default=0)
        assert reader.finish() == max(len(raw) - max(last, *ends(slices, raw)), 0)


def ends(slices, raw):
    return [min(stop + 9, len(raw)) for _, stop in slices] + [0]


def assert_from_points(path, source, points, raw):
    """Decoding from a point to the end of the file gives the right bytes and checksums."""
    for point in points.points[:: max(len(points.points) // 3, 1)]:
        feed = CompressedInput(source)
        feed.open()
        try:
            decoder = GzipDecoder(feed, point)
            rest = b"".join(iter(lambda: decoder.decode(100_000), b""))  # noqa: B023
        finally:
            feed.close()
        assert rest == raw[point.decoded_offset :]
        assert not decoder.trailing_garbage


def assert_equals_zlib(path, packed):
    raw = gzip.decompress(packed.content)
    shared_blocks().begin_anew()
    source = open_source(path)
    points = find_points(path, spacing=packed.spacing)
    assert points.decoded_size == len(raw)
    assert np.diff(points.decoded_offsets).min(initial=packed.spacing) >= packed.spacing
    segments = SegmentSource(source, points)
    assert_segments(segments, raw)
    for n_ahead in (0, 2, 3):
        assert_slices(source, segments, raw, n_ahead=n_ahead, seed=packed.seed + n_ahead)
    assert_from_points(path, source, points, raw)
    return points


@settings(max_examples=60)
@given(packed=files)
def test_any_file_and_any_slice(place, packed):
    assert_equals_zlib(place(packed.content), packed)


@pytest.mark.fuzz
@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=3000)
@given(packed=files)
def test_any_of_many_files_and_any_slice(place, packed):
    assert_equals_zlib(place(packed.content), packed)


@pytest.mark.parametrize("level", range(1, 10))
@pytest.mark.parametrize("kind", [noise, scans, text], ids=lambda kind: kind.__name__)
def test_points_come_where_they_are_due(place, kind, level):
    """Blocks of little memory are short: there is one soon after each spacing."""
    raw = kind(700_000, 1)
    packed = Packed(gzip_member(raw, level=level, mem_level=4), 100_000, level)
    points = assert_equals_zlib(place(packed.content), packed)
    gaps = np.diff([*points.decoded_offsets, len(raw)])
    assert gaps[:-1].max(initial=0) <= 100_000 + 250_000
    assert len(gaps) >= 2


def test_points_come_where_they_are_due_among_stored_blocks(place):
    """They are 64 KiB long, and not all of the file is searched."""
    raw = noise(3_000_000, 1)
    path = place(gzip_member(raw, level=0))
    gaps = np.diff(find_points(path, spacing=400_000).decoded_offsets)
    assert 400_000 <= gaps.max() <= 900_000


@pytest.mark.parametrize("level", [1, 6, 9])
def test_points_come_soon_where_compression_is_best(place, level):
    """A block of zeros decodes to 4 MB."""
    path = place(gzip_member(bytes(60_000_000), level=level))
    gaps = np.diff(find_points(path, spacing=1_000_000).decoded_offsets)
    assert 1_000_000 <= gaps.max() <= 14_000_000


@pytest.mark.parametrize("n_members", [1, 5, 300])
@pytest.mark.parametrize("size", [0, 1, 5000])
def test_many_members(place, n_members, size):
    member = gzip_member(scans(size, 3))
    packed = Packed(member * n_members, 20_000, n_members)
    points = assert_equals_zlib(place(packed.content), packed)
    assert all(window is None for window in map(points.window, range(len(points.points))))
    assert len(points.points) == max(-(-n_members * size // 20_000), 1)


@pytest.mark.parametrize("seed", range(20))
def test_a_last_block_that_is_stored_is_decoded_to_the_end_and_no_further(place, seed):
    """A point at it would hide that it is the last."""
    chance = random.Random(seed)
    size = chance.randint(90_000, 200_000)
    raw = noise(size, seed)
    content = gzip_member(raw, level=0, mem_level=9) + gzip_member(b"tail", level=0) * (seed % 2)
    assert_equals_zlib(place(content), Packed(content, chance.randint(1, size), seed))


@pytest.mark.parametrize("n_bytes", [90_000, 200_000])
def test_data_that_look_like_a_stored_block_are_none(place, n_bytes):
    """The values 0, -1, 0, -1, and so on, are the length of a block and its complement."""
    look_alike = np.array([0, -1] * (n_bytes // 4), "<i2").tobytes()
    raw = noise(70_000, 1) + look_alike + noise(70_000, 2)
    packed = Packed(gzip_member(raw, level=0), 1, n_bytes)
    assert_equals_zlib(place(packed.content), packed)


@pytest.mark.parametrize("spacing", [1, 100_000])
def test_zeros_at_both_sides_of_a_stored_block_do_not_hide_it(place, spacing):
    """00 00 ff ff 00 00 00 is a block from the second byte on, and looks like one from the first."""
    raw = bytes(1_000_000)
    packed = Packed(gzip_member(raw, level=0, mem_level=9), spacing, 3)
    points = assert_equals_zlib(place(packed.content), packed)
    assert len(points.points) > 3


def test_a_block_at_the_first_bit_of_a_piece_is_no_end(place):
    """No bytes from the recorder would mean that the file ends."""
    raw = text(200_000, 1)
    packer = zlib.compressobj(6, zlib.DEFLATED, -15, 4)
    first = packer.compress(raw[:100_000]) + packer.flush(zlib.Z_FULL_FLUSH)
    content = HEADER + first + packer.compress(raw[100_000:]) + packer.flush() + bytes(8)
    path = place(content)
    points = MemoryPoints(len(content), 1000)
    recorder = PointRecorder(1000, points)
    feed = CompressedInput(SourceFile.at(str(path)))
    recorder.member_begins(0, 0)
    recorder.decoded(raw[:100_000])
    feed.position = len(HEADER + first)
    feed.open()
    try:
        assert content[feed.position :].startswith(recorder.compressed(feed)[:100])
        assert feed.position > len(HEADER + first)
    finally:
        feed.close()
    recorder.decoded(raw[100_000:])
    recorder.finish()
    assert [point.bit_offset for point in points.points] == [0, 8 * len(HEADER + first)]


def test_readers_that_start_at_points_go_on_and_back(place):
    raw = scans(600_000, 5)
    path = place(gzip_member(raw, mem_level=3))
    source = open_source(path)
    points = find_points(path, spacing=50_000)
    segments = SegmentSource(source, points)
    with IndexedReader(source, segments, 0, len(raw), n_ahead=3) as reader:
        for start in [*range(0, 600_000, 7001), *range(590_000, -1, -9001)]:
            assert reader.read_upto(start, 6000) == raw[start : start + 6000]
    shared_pool().begin_anew()
