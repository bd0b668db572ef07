"""Files that tell by themselves where decoding can begin, and files that only seem to."""

import gzip
import struct
import zlib
from itertools import repeat

import numpy as np
import pytest

from lazyvox.errors import CorruptFileError, FileChangedError
from lazyvox.store.frames.decoders import load_zstd
from lazyvox.store.frames.seek_table import pack_seek_table, read_seek_table
from lazyvox.store.frames.segments import FrameSegments
from lazyvox.store.gzip.access_points import points_of
from lazyvox.store.gzip.member_table import read_member_table
from lazyvox.store.gzip.segments import SegmentSource
from lazyvox.store.index.embedded import TableMemory
from lazyvox.store.indexed_source import IndexedReader
from lazyvox.store.opening import open_source
from lazyvox.store.write.sinks import open_sink
from lazyvox.testing.seekable import bgzf_bytes, seekable_zstd_bytes

RAW = np.random.default_rng(0).normal(0, 9, 400_000).astype("<i2").tobytes()
SPACING = 50_000


pytestmark = pytest.mark.usefixtures("cache")


def source_of(tmp_path, content, name="run.bin"):
    (tmp_path / name).write_bytes(content)
    return open_source(tmp_path / name)


def ours(tmp_path, raw=RAW, length=30_000, compression="gzip"):
    lengths = repeat(length)
    with open_sink(str(tmp_path / "a"), compression=compression, lengths=lengths) as sink:
        sink.write(raw)
        sink.commit()
    return (tmp_path / "a").read_bytes()


def table_of(source, spacing=SPACING):
    read = read_seek_table if source.compression == "zstd" else read_member_table
    return read(source, spacing)


def decoded(source, points):
    kind = FrameSegments if source.compression == "zstd" else SegmentSource
    segments = kind(source, points)
    pieces = []
    for number in range(len(segments)):
        block = segments.decode(number)
        piece = bytearray(block.nbytes)
        block.copy_to(block.start, memoryview(piece))
        pieces.append(bytes(piece))
    return b"".join(pieces)


def contents(tmp_path):
    return {
        "bgzf": bgzf_bytes(RAW),
        "bgzf without end": bgzf_bytes(RAW, ends=False),
        "bgzf of tiny blocks": bgzf_bytes(RAW, block_bytes=800),
        "bgzf with other subfields": bgzf_bytes(RAW, other=b"XY\3\0abc" + b"ZZ\0\0"),
        "ours": ours(tmp_path),
        "ours in tiny members": ours(tmp_path, length=997),
        "ours and bgzf": ours(tmp_path, RAW[:99_999]) + bgzf_bytes(RAW[99_999:]),
        "zstd": seekable_zstd_bytes(RAW, frame_bytes=30_000),
        "zstd of tiny frames": seekable_zstd_bytes(RAW, frame_bytes=999),
        "zstd with room for checksums": seekable_zstd_bytes(RAW, with_checksums=True),
        "our zstd": ours(tmp_path, compression="zstd"),
    }


NAMES = [
    "bgzf",
    "bgzf without end",
    "bgzf of tiny blocks",
    "bgzf with other subfields",
    "ours",
    "ours in tiny members",
    "ours and bgzf",
    "zstd",
    "zstd of tiny frames",
    "zstd with room for checksums",
    "our zstd",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_segment_decodes_alone_and_is_verified(tmp_path, name):
    source = source_of(tmp_path, contents(tmp_path)[name])
    points = table_of(source)
    assert decoded(source, points) == RAW
    assert points.decoded_size == len(RAW)
    assert points.decoded_offsets[0] == points.bit_offsets[0] == 0
    assert (np.diff(points.decoded_offsets) >= SPACING).all()
    assert len(points.decoded_offsets) >= len(RAW) // (SPACING + 100_000)
    assert {point.window for point in points_of(points)} == {None}
    if source.compression == "gzip":
        expected = [
            zlib.crc32(part)
            for part in np.split(np.frombuffer(RAW, "u1"), points.decoded_offsets[1:])
        ]
        assert points.checksums.tolist() == expected


@pytest.mark.parametrize("name", NAMES)
def test_any_part_is_read_by_the_table_and_no_index_is_kept(tmp_path, name):
    source = source_of(tmp_path, contents(tmp_path)[name])
    source.access_points()
    for start, stop in ((0, 10), (333_333, 555_555), (len(RAW) - 9, len(RAW)), (1, len(RAW))):
        with source.open_part(start, stop) as session:
            assert isinstance(session, IndexedReader)
            buffer = bytearray(stop - start)
            session.readinto(start, memoryview(buffer))
            session.finish()
        assert buffer == RAW[start:stop]
    assert not (tmp_path / "cache" / "indexes").exists()


def test_bgzf_is_decoded_in_order_where_that_is_sooner(tmp_path):
    rng = np.random.default_rng(1)
    source = source_of(tmp_path, bgzf_bytes(rng.bytes(5 << 20)))
    memory = TableMemory()
    assert memory.find(source, 1000) is None
    assert memory.find(source, 5 << 20) is not None
    # Once it is known, it serves every read.
    assert memory.find(source, 1000) is not None


def damaged(content, place, value):
    return content[:place] + bytes([value]) + content[place + 1 :]


def test_gzip_files_that_do_not_add_up_have_no_table(tmp_path):
    good = ours(tmp_path)
    size = int.from_bytes(good[16:20], "little")
    cases = {
        "ordinary": gzip.compress(RAW),
        "ordinary member last": good + gzip.compress(b"more"),
        "ordinary member first": gzip.compress(b"more") + good,
        "zeros behind": good + bytes(100),
        "garbage behind": good + b"garbage" * 9,
        "cut": good[:-1],
        "cut in a header": good[: size + 9],
        "no magic where a member must begin": damaged(good, size, 0),
        "member of no bytes": good[:16] + bytes(4) + good[20:],
        "member of the size of its frame": good[:16] + struct.pack("<I", 32) + good[20:],
        "member beyond the end": good[:16] + b"\xff\xff\xff\x7f" + good[20:],
        "member one byte longer": good[:16] + struct.pack("<I", size + 1) + good[20:],
        "decoded size that cannot be": good[: size - 4] + b"\xff" * 4 + good[size:],
        "subfield longer than the field": damaged(good, 14, 5),
        "other subfield": damaged(good, 12, 88),
        "other flags": damaged(good, 3, 12),
        "decoded size not that of the trailer": damaged(good, 20, good[20] ^ 4),
        "size in the trailer not that of the header": damaged(good, size - 4, good[size - 4] ^ 1),
        "block of no bytes": bgzf_bytes(RAW)[:16] + bytes(2) + bgzf_bytes(RAW)[18:],
        "block of the size of its frame": bgzf_bytes(RAW)[:16] + b"\x19\0" + bgzf_bytes(RAW)[18:],
        "header of a block cut": bgzf_bytes(RAW) + bgzf_bytes(RAW)[:17],
        "blocks of several sizes": bgzf_bytes(RAW[:100_000]) + bgzf_bytes(RAW[100_000:]),
        "two blocks, of which either may be wrong": bgzf_bytes(RAW[:100_000]),
        "decodes to nothing": bgzf_bytes(b""),
        "nothing of ours": ours(tmp_path, b""),
    }
    for name, content in cases.items():
        source = source_of(tmp_path, content, name)
        assert table_of(source) is None, name


def test_zstd_files_that_do_not_add_up_have_no_table(tmp_path):
    good = seekable_zstd_bytes(RAW)
    cases = {
        "cut": good[:-1],
        "table cut at its beginning": good[:1000] + good[-30:],
        "bytes behind": good + b"\0",
        "reserved bits": damaged(good, len(good) - 5, 4),
        "no frames": good[:-9] + bytes(4) + good[-5:],
        "more frames than the file has bytes": good[:-9] + b"\xff\xff\xff\7" + good[-5:],
        "one frame more": good[:-9] + struct.pack("<I", 9) + good[-5:],
        "sizes of another file": good[10:],
        "frame of no bytes": good[:-17] + bytes(4) + good[-13:],
        "decoded size that cannot be": good[:-13] + b"\xff" * 4 + good[-9:],
        "only a table": good[-17 - 8 * 8 :],
        "short": good[-9:],
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        source = open_source(tmp_path / name) if content[:1] == b"\x28" else None
        if source is None:
            continue
        assert read_seek_table(source) is None, name


def zstd_in_frames(sizes, *, says_size):
    zstd = load_zstd()
    flush = zstd.ZstdCompressor.FLUSH_FRAME
    frames, start = [], 0
    for size in sizes:
        packer = zstd.ZstdCompressor()
        part = RAW[start : start + size]
        if says_size:
            frames.append(packer.compress(part, flush))
        else:
            frames.append(packer.compress(part) + packer.flush(flush))
        start += size
    pairs = [(len(frame), size) for frame, size in zip(frames, sizes, strict=True)]
    return b"".join(frames) + pack_seek_table(pairs)


@pytest.mark.parametrize(
    ("sizes", "says_size", "is_believed"),
    [
        ([200_000, 200_000, 200_000, 200_000], False, True),
        ([300_000, 300_000, 200_000], False, True),
        ([200_000, 300_000, 300_000], False, False),
        ([400_000, 400_000], False, False),
        ([800_000], False, True),
        ([352, 300_000, 300_000, 199_648], True, True),
        ([400_000, 400_000], True, True),
    ],
)
def test_seek_tables_are_believed_where_something_confirms_them(
    tmp_path, sizes, says_size, is_believed
):
    source = source_of(tmp_path, zstd_in_frames(sizes, says_size=says_size))
    points = table_of(source)
    assert (points is not None) is is_believed
    if points is not None:
        assert decoded(source, points) == RAW


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_file_that_changed_is_refused(tmp_path, compression):
    content = ours(tmp_path) if compression == "gzip" else seekable_zstd_bytes(RAW)
    source = source_of(tmp_path, content)
    points = table_of(source)
    (tmp_path / "run.bin").write_bytes(content + b"\0")
    with pytest.raises(FileChangedError, match="it changed on disk"):
        table_of(source)
    kind = FrameSegments if compression == "zstd" else SegmentSource
    with pytest.raises(FileChangedError, match="it changed on disk"):
        kind(source, points).decode(1)


def test_a_seek_table_with_a_wrong_decoded_size_is_noticed_and_left(tmp_path):
    raw = RAW * 4
    good = seekable_zstd_bytes(raw, frame_bytes=1_100_000)
    # All but the last frame are said to be a byte longer than they are.
    place = len(good) - 9 - 8 * 3
    sizes = np.frombuffer(good[place:-9], "<u4").copy()
    sizes[1] += 1
    sizes[3] += 1
    source = source_of(tmp_path, good[:place] + sizes.tobytes() + good[-9:])
    points = source.access_points()
    with pytest.raises(
        CorruptFileError, match=r"does not end where the next one begins. Index: the seek table"
    ):
        FrameSegments(source, points).decode(0)
    with source.open_part(1_099_990, 1_100_010) as session:
        buffer = bytearray(20)
        session.readinto(1_099_990, memoryview(buffer))
    assert buffer == raw[1_099_990:1_100_010]
    assert source.access_points() is None


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_members_depend_on_the_bytes_only(tmp_path, compression, n_threads):
    def lengths():
        yield 352
        yield from repeat(65_000)

    path = tmp_path / "a"
    found = set()
    for step in (1000, 65_000, 70_001, len(RAW)):
        with open_sink(
            str(path), compression=compression, n_threads=n_threads, lengths=lengths()
        ) as sink:
            for start in range(0, len(RAW), step):
                sink.write(RAW[start : start + step])
            sink.commit()
        found.add(path.read_bytes())
    with open_sink(str(path), compression=compression, lengths=lengths()) as sink:
        sink.write(RAW)
        sink.commit()
    assert found == {path.read_bytes()}
    source = open_source(path)
    assert table_of(source, 1).decoded_offsets.tolist() == [0, *range(352, len(RAW), 65_000)]
