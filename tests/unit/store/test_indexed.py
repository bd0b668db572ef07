"""Reading by access points that are right, wrong, or of another file; and what is left behind."""

import contextlib
import gc
import os
import random
import signal
import warnings
import zlib
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from isal import isal_zlib

from lazyvox.errors import (
    CorruptFileError,
    FileChangedError,
    ImageFileError,
    LazyvoxWarning,
    TruncatedFileError,
)
from lazyvox.store.files.block_cache import shared_blocks
from lazyvox.store.gzip.segments import SegmentSource
from lazyvox.store.index.cache import find_index, judge_all
from lazyvox.store.indexed_source import MOST_AHEAD_BYTES, IndexedReader, ahead_bytes, ahead_count
from lazyvox.store.opening import open_source
from lazyvox.testing import (
    assert_no_thread_is_left,
    find_points,
    gzip_member,
    own_threads,
    write_index,
)

SPACING = 60_000
RAW = np.random.default_rng(0).normal(0, 100, 300_000).astype("<i2").tobytes()
PACKED = gzip_member(RAW, mem_level=4)


@pytest.fixture(autouse=True)
def _no_memory(tmp_path, monkeypatch):
    """A cache of indexes of this test, and no blocks of another."""
    monkeypatch.setenv("LAZYVOX_CACHE_DIR", str(tmp_path / "cache"))
    shared_blocks().begin_anew()


@pytest.fixture
def path(tmp_path):
    (tmp_path / "run.nii.gz").write_bytes(PACKED)
    return tmp_path / "run.nii.gz"


@pytest.fixture
def source(path):
    return open_source(path)


@pytest.fixture
def points(path):
    return find_points(path, spacing=SPACING)


def reader_of(source, points, *, n_ahead=0, start=0, stop=None):
    segments = SegmentSource(source, points)
    stop = points.decoded_size if stop is None else stop
    return IndexedReader(source, segments, start, stop, n_ahead=n_ahead)


def read_in_steps(reader, step=40_000, size=None):
    """Return all bytes, read from the first to the last."""
    size = len(RAW) if size is None else size
    buffer = bytearray(size)
    with reader, memoryview(buffer) as view:
        for start in range(0, size, step):
            reader.readinto(start, view[start : start + step])
        reader.finish()
    return bytes(buffer)


def flipped(data, place, bit=3):
    damaged = bytearray(data)
    damaged[place] ^= 1 << bit
    return bytes(damaged)


def other_window(points):
    # The windows that matter are those to which something refers back.
    return points.changed(3, window=bytes(32768))


WRONG = {
    "a window of zeros": other_window,
    "a bit too far": lambda points: points.changed(2, bit_offset=points.points[2].bit_offset + 1),
    "a byte too early": lambda points: points.changed(
        2, bit_offset=points.points[2].bit_offset - 8
    ),
    "behind the end": lambda points: points.changed(4, bit_offset=8 * len(PACKED)),
    "no window": lambda points: points.changed(2, window=None),
    "a decoded offset too low": lambda points: points.changed(
        5, decoded_offset=points.points[5].decoded_offset - 1
    ),
    "a size too small": lambda points: replace(points, decoded_size=len(RAW) - 5),
    "a size too large": lambda points: replace(points, decoded_size=len(RAW) + 5),
    "a wrong checksum": lambda points: replace(points, checksums=points.checksums ^ 1),
}


@pytest.mark.parametrize("n_ahead", [0, 2, 3])
def test_all_of_it_and_any_part(source, points, n_ahead):
    assert read_in_steps(reader_of(source, points, n_ahead=n_ahead)) == RAW
    chance = random.Random(0)
    with reader_of(source, points, n_ahead=n_ahead) as reader:
        for _ in range(40):
            start = chance.randrange(len(RAW))
            assert reader.read_upto(start, 30_000) == RAW[start : start + 30_000]
    assert not own_threads()


@pytest.mark.parametrize("n_ahead", [0, 3])
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_wrong_points_give_right_data_by_the_ordinary_way(source, points, wrong, n_ahead):
    reader = reader_of(source, wrong(points), n_ahead=n_ahead, stop=len(RAW))
    assert read_in_steps(reader) == RAW
    assert not own_threads()


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_wrong_points_give_right_data_wherever_one_reads(source, points, wrong):
    chance = random.Random(1)
    for _ in range(6):
        with reader_of(source, wrong(points)) as reader:
            start = chance.randrange(len(RAW) - 50_000)
            assert reader.read_upto(start, 50_000) == RAW[start : start + 50_000]
            buffer = bytearray(1000)
            reader.readinto(start + 100, memoryview(buffer))
            assert buffer == RAW[start + 100 : start + 1100]


def test_points_of_another_file(tmp_path, source):
    other = tmp_path / "other.nii.gz"
    other.write_bytes(gzip_member(RAW[::-1], mem_level=4))
    points = find_points(other, spacing=SPACING)
    assert read_in_steps(reader_of(source, points, stop=len(RAW))) == RAW


def test_an_index_that_turns_out_wrong_is_not_used_again(source):
    points = write_index(source)
    points.checksums[3] ^= 1
    assert find_index(source) is points
    assert read_in_steps(reader_of(source, points)) == RAW
    assert find_index(source) is None
    reasons = [verdict.reason for verdict in judge_all(source) if verdict.where == "cache"]
    assert "CRC32" in reasons[0]
    with source.open_part(100, len(RAW)) as reader:
        assert reader.read_upto(400_000, 100) == RAW[400_000:400_100]


@pytest.mark.parametrize("where", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("n_ahead", [0, 3])
def test_a_damaged_file_is_refused_as_without_an_index(path, points, where, n_ahead):
    """Its time and size are as before, so that nothing tells but the data."""
    path.write_bytes(flipped(PACKED, int(where * len(PACKED))))
    source = open_source(path)
    with pytest.raises(CorruptFileError, match=r"run\.nii\.gz: .*The file is damaged"):
        read_in_steps(source.open())
    with pytest.raises(CorruptFileError, match=r"run\.nii\.gz: .*The file is damaged"):
        read_in_steps(reader_of(source, points, n_ahead=n_ahead))
    assert not own_threads()


@pytest.mark.parametrize("n_ahead", [0, 3])
def test_a_cut_file_is_refused_as_without_an_index(path, points, n_ahead):
    path.write_bytes(PACKED[: len(PACKED) // 2])
    source = open_source(path)
    with pytest.raises(TruncatedFileError, match=r"run\.nii\.gz: .*The file is incomplete"):
        read_in_steps(reader_of(source, points, n_ahead=n_ahead))
    assert not own_threads()


@pytest.mark.parametrize("n_ahead", [0, 3])
def test_more_than_there_is_is_refused_as_without_an_index(source, points, n_ahead):
    with pytest.raises(TruncatedFileError, match="must decode to at least 600009 bytes"):
        read_in_steps(reader_of(source, points, n_ahead=n_ahead), size=len(RAW) + 9)
    with pytest.raises(TruncatedFileError, match="must decode to at least 700000 bytes"):
        read_in_steps(reader_of(source, points), step=700_000, size=700_000)


@pytest.mark.parametrize("n_ahead", [0, 3])
def test_trailing_garbage_is_told_as_without_an_index(path, n_ahead):
    path.write_bytes(PACKED + b"garbage")
    source, points = open_source(path), find_points(path, spacing=SPACING)
    assert points.decoded_size == len(RAW)
    for reader in (source.open(), reader_of(source, points, n_ahead=n_ahead)):
        with pytest.warns(LazyvoxWarning, match="bytes that are not gzip data follow") as told:
            assert read_in_steps(reader) == RAW
        assert len(told) == 1


@pytest.mark.parametrize("n_ahead", [0, 3])
def test_zeros_behind_the_end_are_no_garbage(path, n_ahead):
    path.write_bytes(PACKED + bytes(5000))
    source, points = open_source(path), find_points(path, spacing=SPACING)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_in_steps(reader_of(source, points, n_ahead=n_ahead)) == RAW


CHANGES = {
    "written to": (lambda path: os.utime(path, ns=(1, 1)), "changed on disk"),
    "replaced": (lambda path: path.write_bytes(PACKED[:-1]), "changed on disk"),
    "deleted": (lambda path: path.unlink(), "deleted or moved"),
}


@pytest.mark.parametrize("n_ahead", [0, 2])
@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_a_file_that_changes_while_it_is_read_is_noticed(
    path, source, points, n_ahead, change, message
):
    with reader_of(source, points, n_ahead=n_ahead) as reader:
        reader.read_upto(0, 100)
        change(path)
        with pytest.raises(FileChangedError, match=message):
            reader.read_upto(500_000, 100_000)
    assert not own_threads()


def test_no_thread_is_left_after_an_early_exit(source, points):
    with reader_of(source, points, n_ahead=3) as reader:
        reader.read_upto(0, 100)
    assert not own_threads()


def test_no_thread_is_left_after_an_error_of_the_user(source, points):
    def failing():
        with reader_of(source, points, n_ahead=3) as reader:
            reader.read_upto(100_000, 100)
            raise ZeroDivisionError("of the user")

    with pytest.raises(ZeroDivisionError, match="of the user"):
        failing()
    assert not own_threads()


def test_no_thread_is_left_by_a_reader_that_nobody_closed(source, points):
    reader = reader_of(source, points, n_ahead=3)
    reader.read_upto(100_000, 100)
    del reader
    gc.collect()
    assert_no_thread_is_left()


class Interrupt(KeyboardInterrupt):
    """Exception of a simulated Ctrl-C, distinct from a real one."""


@contextmanager
def interrupted_after(seconds):
    def interrupt(number, frame):
        raise Interrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)


# An interrupt within a destructor, or before a file of the kernel is closed, is Python's affair.
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)
@pytest.mark.parametrize("n_ahead", [0, 3])
def test_ctrl_c_at_random_moments(source, points, n_ahead):
    chance = random.Random(n_ahead)
    for _ in range(25):
        moment = chance.uniform(0.0005, 0.02)
        with contextlib.suppress(Interrupt), interrupted_after(moment):
            assert read_in_steps(reader_of(source, points, n_ahead=n_ahead)) == RAW
        assert_no_thread_is_left()
    assert read_in_steps(reader_of(source, points, n_ahead=n_ahead)) == RAW


def exit_code_of_child(work):
    """Fork, and return how the child ends: with 0 if `work` is true there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        code = 2
        try:
            code = 0 if work() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("n_ahead", [0, 3])
def test_parent_and_forked_child_both_read_on(source, points, n_ahead):
    with reader_of(source, points, n_ahead=n_ahead) as reader:
        assert reader.read_upto(0, 70_000) == RAW[:70_000]
        code = exit_code_of_child(
            lambda: all(
                reader.read_upto(start, 50_000) == RAW[start : start + 50_000]
                for start in (80_000, 200_000, 0, 550_000)
            )
        )
        assert code == 0
        assert reader.read_upto(70_000, 400_000) == RAW[70_000:470_000]
    assert not own_threads()


def test_a_forked_child_opens_an_index_of_its_parent(source):
    write_index(source)
    with source.open_part(0, len(RAW)) as reader:
        reader.read_upto(0, 10)

    def work():
        with source.open_part(300_000, 400_000) as reader:
            return reader.read_upto(300_000, 100_000) == RAW[300_000:400_000]

    assert exit_code_of_child(work) == 0


def test_repeated_reads_come_from_the_cache(source, points):
    for _ in range(5):
        with reader_of(source, points, start=200_000, stop=201_000) as reader:
            assert reader.read_upto(200_000, 1000) == RAW[200_000:201_000]
    use = shared_blocks().use_of(source.path)
    assert (use.hits, use.misses, use.n_blocks) == (4, 1, 1)


def test_a_long_read_does_not_drive_out_what_is_kept(source, points):
    read_in_steps(reader_of(source, points, n_ahead=2))
    assert shared_blocks().use_of(source.path).n_blocks == 0


def test_blocks_of_one_index_do_not_serve_another(path, source, points):
    """Their numbers are the same, and they are other parts of the file."""
    others = find_points(path, spacing=3 * SPACING)
    for each in (points, others, points):
        for start in range(0, len(RAW), 50_000):
            with reader_of(source, each, start=start, stop=start + 9) as reader:
                assert reader.read_upto(start, 60_000) == RAW[start : start + 60_000]


def test_how_many_segments_are_decoded_ahead(source, points, monkeypatch):
    monkeypatch.setattr("lazyvox.store.indexed_source.numeric_threads", lambda: 4)
    segments = SegmentSource(source, points)
    one = segments.held_bytes
    assert [ahead_count(segments, memory) for memory in (0, one, 2 * one - 1)] == [0, 0, 0]
    assert ahead_count(segments, 2 * one) == 2
    assert ahead_bytes(segments, 2 * one + 7) == 2 * one
    assert 2 <= ahead_count(segments, 1 << 40) <= MOST_AHEAD_BYTES // one
    nobodys = SegmentSource(source, replace(points, checksums=None))
    assert ahead_count(nobodys, 1 << 40) == 0


@pytest.mark.parametrize("damage", ["window", "file"])
def test_without_checksums_of_segments_a_whole_pass_verifies_those_of_the_file(
    path, source, points, monkeypatch, damage
):
    """An index of another program knows none: what it makes of the data is not believed."""
    wrong = replace(points, checksums=None)
    if damage == "window":
        chunk = points.points[4].window
        wrong = wrong.changed(4, window=bytes(byte ^ 1 for byte in chunk))
    else:
        content = flipped(PACKED, len(PACKED) - 5)
        path.write_bytes(content)
        source = open_source(path)
    monkeypatch.setattr("lazyvox.store.stream_source.find_index", lambda source: wrong)
    try:
        values = read_in_steps(source.open_part(0, len(RAW)))
    except ImageFileError:
        assert damage == "file"
    else:
        assert values == RAW
        assert damage == "window"


def test_the_checksums_of_segments_join_to_that_of_the_file(points):
    joined = 0
    sizes = np.diff([*points.decoded_offsets, points.decoded_size])
    for checksum, size in zip(points.checksums, sizes, strict=True):
        joined = isal_zlib.crc32_combine(joined, int(checksum), int(size))
    assert joined == zlib.crc32(RAW)


@pytest.mark.parametrize("wrong", ["a window of zeros", "a wrong checksum"])
def test_decoding_in_order_from_a_point_verifies_each_segment_it_passes(
    source, points, monkeypatch, wrong
):
    changed = WRONG[wrong](points)
    monkeypatch.setattr("lazyvox.store.stream_source.find_index", lambda source: changed)
    rejected = []
    monkeypatch.setattr(
        "lazyvox.store.stream_source.reject_index", lambda points, why: rejected.append(points)
    )
    start = int(points.decoded_offsets[3])
    buffer = bytearray(len(RAW) - start)
    with source.open() as reader:
        reader.readinto(start, memoryview(buffer))
    assert bytes(buffer) == RAW[start:]
    assert rejected == [changed]


def test_what_was_handed_out_before_a_segment_turned_out_wrong_is_not_made_good(
    source, points, monkeypatch
):
    changed = WRONG["a wrong checksum"](points)
    monkeypatch.setattr("lazyvox.store.stream_source.find_index", lambda source: changed)
    start = int(points.decoded_offsets[3])
    with source.open() as reader:
        reader.readinto(start, memoryview(bytearray(100)))
        with pytest.raises(CorruptFileError, match="must be those that the index was made of"):
            reader.readinto(start + 100, memoryview(bytearray(len(RAW) - start - 100)))


def test_points_of_a_damaged_file_stay_where_it_is_decoded_in_order_too(path, points, monkeypatch):
    path.write_bytes(flipped(PACKED, len(PACKED) - 100))
    source = open_source(path)
    monkeypatch.setattr("lazyvox.store.stream_source.find_index", lambda source: points)
    rejected = []
    monkeypatch.setattr(
        "lazyvox.store.stream_source.reject_index", lambda points, why: rejected.append(points)
    )
    start = int(points.decoded_offsets[-2])
    with pytest.raises(CorruptFileError, match="damaged"), source.open() as reader:
        reader.readinto(start, memoryview(bytearray(len(RAW) - start)))
    assert rejected == []
