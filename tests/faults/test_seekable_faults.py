"""Damaged files that are seekable by themselves: right data or an error, never other data."""

import random
import struct
import warnings
from itertools import repeat

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import CorruptFileError, ImageFileError, LazyvoxWarning, TruncatedFileError
from lazyvox.store.frames.seek_table import read_seek_table
from lazyvox.store.gzip import point_table
from lazyvox.store.gzip.member_table import read_member_table
from lazyvox.store.index import embedded as self_indexed
from lazyvox.store.opening import open_source
from lazyvox.store.write.sinks import open_sink
from lazyvox.testing import nifti_bytes, random_values
from lazyvox.testing.seekable import bgzf_bytes, seekable_zstd_bytes

RAW = np.random.default_rng(5).normal(0, 9, 3000).astype("<i2").tobytes()
KINDS = ["ours", "bgzf", "zstd"]


pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def fine(monkeypatch):
    """Points at every member, so that little data has several segments."""
    readers = {
        "gzip": lambda source: read_member_table(source, 1),
        "zstd": lambda source: read_seek_table(source, 1),
    }
    monkeypatch.setattr(self_indexed, "_READERS", readers)


def packed(kind, folder, raw=RAW, length=1000):
    if kind == "bgzf":
        return bgzf_bytes(raw, block_bytes=length)
    path = folder / "good"
    compression = "zstd" if kind == "zstd" else "gzip"
    with open_sink(str(path), compression=compression, lengths=repeat(length)) as sink:
        sink.write(raw)
        sink.commit()
    return path.read_bytes()


def outcome(path, start, stop):
    """Return the bytes that are read, or None where that is an error."""
    source = open_source(path)
    if source.compression == "none":
        # Its first bytes are damaged: then its content is no image.
        return None
    try:
        with source.open_part(start, stop) as session:
            buffer = bytearray(stop - start)
            session.readinto(start, memoryview(buffer))
            if stop - start == len(RAW):
                session.finish()
    except ImageFileError:
        return None
    return bytes(buffer)


def places_to_flip(good, kind, folder):
    """Return where bits are flipped: all around the borders of members, and some elsewhere."""
    (folder / "whole").write_bytes(good)
    source = open_source(folder / "whole")
    starts = (source.access_points().bit_offsets // 8).tolist()
    near = {start + step for start in starts for step in range(-9, 26)}
    behind = range(len(good) - 40 - 8 * len(starts), len(good))
    return sorted({*near, *behind, *range(0, len(good), 29)} & set(range(len(good))))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("fine")
def test_no_flipped_bit_gives_other_data(tmp_path, kind):
    good = packed(kind, tmp_path)
    rng = random.Random(1)
    wrong = []
    n_errors = 0
    for place in places_to_flip(good, kind, tmp_path):
        damaged = bytearray(good)
        damaged[place] ^= 1 << rng.randrange(8)
        # Files that are written within one tick of the clock differ by their names only.
        path = tmp_path / f"bad{place}"
        path.write_bytes(damaged)
        for start, stop in ((0, len(RAW)), (2500, 4500)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", LazyvoxWarning)
                read = outcome(path, start, stop)
            n_errors += read is None
            if read is not None and read != RAW[start:stop]:
                wrong.append((place, start))
    assert not wrong
    assert n_errors > 100


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:.*bytes that are not:lazyvox.errors.LazyvoxWarning")
@pytest.mark.usefixtures("fine")
def test_a_cut_file_is_an_error_or_gives_what_lies_before(tmp_path, kind):
    good = packed(kind, tmp_path)
    for stop in range(1, len(good), 97):
        path = tmp_path / f"bad{stop}"
        path.write_bytes(good[:stop])
        if stop > 10:
            assert outcome(path, 0, len(RAW)) in (None, RAW)
            assert outcome(path, 1500, 2500) in (None, RAW[1500:2500])


@pytest.mark.usefixtures("fine")
def test_a_wrong_checksum_of_a_member_is_named_and_the_others_are_read(tmp_path):
    good = packed("ours", tmp_path)
    size = int.from_bytes(good[16:20], "little")
    path = tmp_path / "bad.gz"
    path.write_bytes(good[: size - 8] + b"\0\0\0\0" + good[size - 4 :])
    assert outcome(path, 3000, 4000) == RAW[3000:4000]
    source = open_source(path)
    with (
        source.open_part(10, 20) as session,
        pytest.raises(CorruptFileError, match="the CRC32 of a gzip member must match its data"),
    ):
        session.readinto(10, memoryview(bytearray(10)))
    # The table of a file that is damaged is not wrong: it still finds what is good.
    assert source.access_points() is not None
    assert outcome(path, 3000, 4000) == RAW[3000:4000]
    assert outcome(path, 10, 20) is None


@pytest.mark.usefixtures("fine")
def test_members_that_are_bad_in_the_middle_are_an_error_of_a_pass(tmp_path):
    good = packed("ours", tmp_path)
    path = tmp_path / "bad.gz"
    middle = len(good) // 2
    path.write_bytes(good[:middle] + bytes(20) + good[middle + 20 :])
    with (
        open_source(path).open_part(0, len(RAW), 1 << 26) as session,
        pytest.raises((CorruptFileError, TruncatedFileError), match=r"bad\.gz: the"),
    ):
        session.readinto(0, memoryview(bytearray(len(RAW))))


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_holds_less_than_its_header_says(tmp_path, kind):
    whole = nifti_bytes(random_values((4, 5, 6, 7), "<i2"))
    ending = ".nii.zst" if kind == "zstd" else ".nii.gz"
    path = tmp_path / f"run{ending}"
    path.write_bytes(packed(kind, tmp_path, whole[:-100]))
    img = lv.load(path)
    with pytest.raises(TruncatedFileError, match="The file holds less than its header says"):
        np.asarray(img.dataobj)


def test_a_thousand_members_have_a_bounded_table(tmp_path):
    raw = RAW * 40
    path = tmp_path / "run.gz"
    path.write_bytes(bgzf_bytes(raw, block_bytes=200))
    source = open_source(path)
    points = read_member_table(source, 20_000)
    assert len(points.bit_offsets) == len(raw) // 20_000
    assert outcome(path, 5, 25) == RAW[5:25]
    assert len(source.access_points().bit_offsets) == 1
    assert len(raw) < point_table.TABLE_SPACING


def test_members_that_would_decode_to_far_more_are_not_held(tmp_path):
    # A member that says it decodes to a thousand times its size, and does.
    raw = bytes(64 << 20)
    path = tmp_path / "run.gz"
    with open_sink(str(path), compression="gzip", lengths=repeat(64 << 20)) as sink:
        sink.write(raw)
        sink.commit()
    source = open_source(path)
    assert source.access_points().decoded_size == len(raw)
    with source.open_part(1000, 2000, 1 << 20) as session:
        buffer = bytearray(b"x" * 1000)
        session.readinto(1000, memoryview(buffer))
    assert type(session).__name__ == "StreamReader"
    assert buffer == bytes(1000)


def test_room_for_checksums_and_a_table_of_lies(tmp_path):
    good = seekable_zstd_bytes(RAW, frame_bytes=500, with_checksums=True)
    path = tmp_path / "bad.zst"
    # One entry moved: compressed sizes still add up, and no frame begins where it must.
    place = len(good) - 9 - 12 * (len(RAW) // 500)
    sizes = list(struct.unpack_from("<6I", good, place))
    sizes[0] += 3
    sizes[3] -= 3
    path.write_bytes(good[:place] + struct.pack("<6I", *sizes) + good[place + 24 :])
    assert outcome(path, 700, 900) == RAW[700:900]
