"""GZIDX files: written and read, exchanged with indexed_gzip and rapidgzip, checked field by field."""

import gzip
import io
import os
import struct

import indexed_gzip
import numpy as np
import pytest
import rapidgzip

from lazyvox.errors import AccessPointError, CorruptFileError, OutputError
from lazyvox.store.files.identity import SourceFile
from lazyvox.store.gzip.access_points import AccessPoint, points_of
from lazyvox.store.gzip.header import header_length
from lazyvox.store.gzip.point_recorder import build_points
from lazyvox.store.gzip.segments import SegmentSource
from lazyvox.store.index.file import open_gzidx
from lazyvox.store.index.foreign import open_foreign
from lazyvox.store.index.writer import IndexWriter, export_index
from lazyvox.store.opening import open_source
from lazyvox.testing import write_index

SPACING = 65536
HEADER = struct.Struct("<5sBBQQIII")


def values(n_bytes=600_000, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 100, n_bytes // 2).astype("<i2").tobytes()


def named(data, name="run.nii"):
    packed = io.BytesIO()
    with gzip.GzipFile(name, "wb", 6, packed, mtime=0) as file:
        file.write(data)
    return packed.getvalue()


def members(data, step):
    starts = range(0, len(data), step)
    return b"".join(gzip.compress(data[start : start + step], mtime=0) for start in starts)


RAW = values()
EMPTY = gzip.compress(b"", mtime=0)
FILES = {
    "one member": named(RAW),
    "members": members(RAW, 150_000),
    "small members": members(RAW, 4_000),
    "empty members": EMPTY + named(RAW[:300_000]) + EMPTY + EMPTY + named(RAW[300_000:]) + EMPTY,
    "one point": gzip.compress(RAW[:1000], mtime=0),
}
kinds = pytest.mark.parametrize("kind", FILES)


def source_of(folder, kind):
    path = folder / "run.nii.gz"
    path.write_bytes(FILES[kind])
    return open_source(path)


def foreign(program, source, path):
    if program == "rapidgzip":
        with rapidgzip.open(source.path, parallelization=1) as file:
            file.export_index(str(path))
    else:
        with indexed_gzip.IndexedGzipFile(source.path, spacing=SPACING) as file:
            file.build_full_index()
            file.export_index(str(path))


def decoded(source, points):
    segments = SegmentSource(source, points)
    whole = bytearray(points.decoded_size)
    for number in range(len(segments)):
        block = segments.decode(number)
        block.copy_to(block.start, memoryview(whole)[block.start : block.stop])
    return bytes(whole)


@kinds
def test_points_come_back_as_they_were_written(tmp_path, kind):
    source = source_of(tmp_path, kind)
    written = []

    class Both:
        def __init__(self, writer):
            self.writer = writer

        def add(self, point):
            written.append(point)
            self.writer.add(point)

    with IndexWriter(source, SPACING) as writer:
        size, checksums = build_points(source, SPACING, Both(writer))
        points = writer.commit(size, checksums)
    read = list(points_of(points))
    assert [(p.bit_offset, p.decoded_offset) for p in read] == [
        (p.bit_offset, p.decoded_offset) for p in written
    ]
    for before, after in zip(written, read, strict=True):
        assert (before.window is None) == (after.window is None)
        assert before.window is None or after.window.endswith(before.window)
    assert points.checksums.tolist() == checksums
    assert (points.compressed_size, points.decoded_size) == (source.identity.size, size)
    assert points.spacing == SPACING
    assert decoded(source, points) == gzip.decompress(FILES[kind])


@kinds
@pytest.mark.parametrize("program", ["indexed_gzip", "rapidgzip"])
def test_other_programs_read_what_is_exported(tmp_path, kind, program):
    source = source_of(tmp_path, kind)
    exported = tmp_path / "exported.gzidx"
    export_index(write_index(source), source, str(exported))
    raw = gzip.decompress(FILES[kind])
    offsets = np.random.default_rng(1).integers(0, len(raw), 60).tolist()
    if program == "rapidgzip":
        file = rapidgzip.open(source.path, parallelization=1)
        file.import_index(str(exported))
    else:
        file = indexed_gzip.IndexedGzipFile(source.path, index_file=str(exported))
    with file:
        for offset in offsets:
            file.seek(offset)
            assert file.read(50) == raw[offset : offset + 50]


@kinds
@pytest.mark.parametrize("program", ["indexed_gzip", "rapidgzip"])
def test_indexes_of_other_programs_are_taken(tmp_path, kind, program):
    source = source_of(tmp_path, kind)
    foreign(program, source, tmp_path / "theirs.gzidx")
    points = open_gzidx(str(tmp_path / "theirs.gzidx"), compressed_size=source.identity.size)
    assert points.checksums is None
    assert (np.diff(points.decoded_offsets) > 0).all()
    assert points.bit_offsets[0] == points.decoded_offsets[0] == 0
    assert points.window(0) is None
    assert decoded(source, points) == gzip.decompress(FILES[kind])
    proved = open_foreign(str(tmp_path / "theirs.gzidx"), source)
    assert len(proved.checksums) == len(points.bit_offsets)


def test_version_0_has_a_window_at_each_point_but_the_first(tmp_path):
    source = source_of(tmp_path, "one member")
    whole = tmp_path / "1.gzidx"
    foreign("indexed_gzip", source, whole)
    data = whole.read_bytes()
    magic, _, flags, *numbers = HEADER.unpack(data[:35])
    n_points = numbers[-1]
    records = b"".join(data[35 + 18 * i : 52 + 18 * i] for i in range(n_points))
    old = tmp_path / "0.gzidx"
    windows = data[35 + 18 * n_points :]
    old.write_bytes(HEADER.pack(magic, 0, flags, *numbers) + records + windows)
    new, read = open_gzidx(str(whole)), open_gzidx(str(old))
    assert list(points_of(new)) == list(points_of(read))


def test_many_members_are_found_by_their_headers(tmp_path):
    source = source_of(tmp_path, "small members")
    points = write_index(source)
    assert all(points.window(number) is None for number in range(len(points.bit_offsets)))
    for bit in points.bit_offsets:
        assert FILES["small members"][bit // 8 :].startswith(b"\x1f\x8b\x08")


@pytest.mark.parametrize(
    ("flags", "rest", "length"),
    [
        (0, b"", 10),
        (8, b"name\0", 15),
        (16, b"comment\0", 18),
        (4, b"\x03\x00abc", 15),
        (2, b"\0\0", 12),
        (30, b"\x01\x00aname\0comment\0\0\0", 28),
        (8, b"n" * 5000 + b"\0", 5011),
    ],
)
def test_headers_of_members_are_measured(tmp_path, flags, rest, length):
    path = tmp_path / "header"
    path.write_bytes(b"12345\x1f\x8b\x08" + bytes([flags]) + bytes(6) + rest + b"data\0data")
    file = SourceFile.at(str(path)).open_stored()
    assert header_length(file, 5, str(path)) == length


@pytest.mark.parametrize(
    "data", [b"", b"\x1f\x8b\x08", b"no gzip file", b"\x1f\x8b\x08\x08" + b"n" * 900]
)
def test_a_header_that_is_none_is_refused(tmp_path, data):
    path = tmp_path / "header"
    path.write_bytes(data)
    file = SourceFile.at(str(path)).open_stored()
    with pytest.raises(CorruptFileError, match="a gzip member must begin at byte 0"):
        header_length(file, 0, str(path))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Bytes of a good index, and its gzip file."""
    folder = tmp_path_factory.mktemp("good")
    source = source_of(folder, "members")
    foreign("indexed_gzip", source, folder / "good.gzidx")
    return (folder / "good.gzidx").read_bytes(), source


def open_bytes(folder, data, size=None):
    path = folder / "changed.gzidx"
    path.write_bytes(data)
    return open_gzidx(str(path), compressed_size=size)


def with_field(data, number, value):
    fields = list(HEADER.unpack(data[:35]))
    fields[number] = value
    return HEADER.pack(*fields) + data[35:]


def with_record(data, point, **changes):
    start = 35 + 18 * point
    fields = dict(
        zip(
            ("byte", "decoded", "bits", "flag"),
            struct.unpack("<QQBB", data[start : start + 18]),
            strict=True,
        )
    )
    record = struct.pack("<QQBB", *{**fields, **changes}.values())
    return data[:start] + record + data[start + 18 :]


@pytest.mark.parametrize(
    ("number", "value", "message"),
    [
        (0, b"GZIDY", "begins with b'GZIDY'"),
        (1, 2, "version 2"),
        (2, 1, "flags 1"),
        (3, 0xFFFFFFFFFFFFFFFF, "decode to"),
        (3, 10, "incomplete or damaged"),
        (4, 0, "decode to 0"),
        (4, 0xFFFFFFFFFFFFFFFF, "incomplete or damaged"),
        (4, 300_000, "a point lies behind the end of the decoded data"),
        (6, 0, "its windows have 0 bytes"),
        (6, 0xFFFFFFFF, "its windows have 4294967295 bytes"),
        (6, 32769, "it must have"),
        (7, 0, "has 0 points"),
        (7, 0xFFFFFFFF, "has 4294967295 points"),
        (7, 3, "it must have"),
    ],
)
def test_fields_of_the_header_are_checked(tmp_path, good, number, value, message):
    with pytest.raises(AccessPointError, match=message):
        open_bytes(tmp_path, with_field(good[0], number, value))


@pytest.mark.parametrize(
    ("point", "changes", "message"),
    [
        (0, {"decoded": 5}, "its first point is not the beginning of the file"),
        (0, {"bits": 3}, "its first point is not the beginning of the file"),
        (0, {"flag": 1}, "its first point has a window"),
        (1, {"bits": 8}, "more than 7 bits"),
        (1, {"flag": 2}, "neither 0 nor 1"),
        (1, {"flag": 0}, "it must have"),
        (1, {"byte": 1 << 40}, "behind the end of the file"),
        (1, {"byte": 0xFFFFFFFFFFFFFFFF}, "behind the end of the file"),
        (1, {"decoded": 1 << 63}, "behind the end of the decoded data"),
        (2, {"byte": 20}, "its points do not ascend"),
        (2, {"decoded": 20}, "its points do not ascend"),
        (1, {"byte": 20}, "more bytes lie between two of its points"),
    ],
)
def test_fields_of_points_are_checked(tmp_path, good, point, changes, message):
    with pytest.raises(AccessPointError, match=message):
        open_bytes(tmp_path, with_record(good[0], point, **changes))


def test_an_index_of_a_file_of_another_size_is_refused(tmp_path, good):
    with pytest.raises(
        AccessPointError, match=r"it is of a file of \d+ bytes, and this one has 77"
    ):
        open_bytes(tmp_path, good[0], size=77)


def test_an_index_that_is_cut_off_anywhere_is_refused(tmp_path, good):
    data = good[0]
    n_points = HEADER.unpack(data[:35])[-1]
    table = 35 + 18 * n_points
    cuts = [0, 1, 34, *range(35, table + 1, 18), table + 5, table + 32768, len(data) - 1]
    for cut in cuts:
        with pytest.raises(AccessPointError, match="must be an index of the gzip file"):
            open_bytes(tmp_path, data[:cut])
    with pytest.raises(AccessPointError, match="it must have"):
        open_bytes(tmp_path, data + b"\0")


@pytest.mark.parametrize("kind", ["folder", "pipe", "absent", "device"])
def test_what_is_no_file_is_refused(tmp_path, kind):
    path = tmp_path / "x.gzidx"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = "/dev/zero"
    with pytest.raises(AccessPointError, match="an index must be a file"):
        open_gzidx(str(path))


def test_windows_are_read_only_while_the_file_stays(tmp_path, good):
    points = open_bytes(tmp_path, good[0])
    number = int((~points.starts_member).argmax())
    assert len(points.window(number)) == 32768
    (tmp_path / "changed.gzidx").write_bytes(good[0])
    with pytest.raises(AccessPointError, match="was replaced or written to since it was opened"):
        points.window(number)
    (tmp_path / "changed.gzidx").unlink()
    with pytest.raises(AccessPointError, match="an index must be a file that can be read"):
        points.window(number)


def test_an_index_of_the_file_before_it_was_replaced_is_not_imported(tmp_path):
    source = source_of(tmp_path, "one member")
    foreign("indexed_gzip", source, tmp_path / "theirs.gzidx")
    other = named(values(seed=5))
    size = source.identity.size
    # The same length, made up with padding.
    data = other[:size].ljust(size, b"\0") if len(other) <= size else None
    seed = 6
    while data is None:
        other = named(values(seed=seed))
        data = other.ljust(size, b"\0") if len(other) <= size else None
        seed += 1
    (tmp_path / "run.nii.gz").write_bytes(data)
    with pytest.raises(AccessPointError, match=r"the index must be of .*run\.nii\.gz"):
        open_foreign(str(tmp_path / "theirs.gzidx"), open_source(source.path))


def test_a_damaged_window_is_noticed_while_importing(tmp_path, good):
    data, source = good
    damaged = data[:-40000] + bytes(2000) + data[-38000:]
    path = tmp_path / "theirs.gzidx"
    path.write_bytes(damaged)
    with pytest.raises(AccessPointError, match=r"decoding from its point \d+ fails"):
        open_foreign(str(path), source)


def test_exporting_replaces_nothing_unasked(tmp_path):
    source = source_of(tmp_path, "one point")
    points = write_index(source)
    target = tmp_path / "there.gzidx"
    target.write_bytes(b"mine")
    with pytest.raises(OutputError, match="must not exist yet"):
        export_index(points, source, str(target))
    export_index(points, source, str(target), overwrite=True)
    assert open_gzidx(str(target)).decoded_size == points.decoded_size
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["run.nii.gz", "there.gzidx"]


def test_points_must_ascend(tmp_path):
    source = source_of(tmp_path, "one point")
    with IndexWriter(source, SPACING) as writer:
        writer.add(AccessPoint(0, 0, None))
        with pytest.raises(AssertionError, match="access points do not ascend"):
            writer.add(AccessPoint(200, 0, b""))
