"""Sessions on files: what they hold on to, and what they say."""

import gzip
import os

import numpy as np
import pytest

from lazyvox.errors import TruncatedFileError
from lazyvox.store import open_source
from lazyvox.store.cursors import CursorPool, shared_pool
from lazyvox.store.files.identity import SourceFile
from lazyvox.testing import compress, n_descriptors

PAYLOAD = np.random.default_rng(0).bytes(1_000_000)
COMPRESSED = pytest.mark.parametrize("compression", ["gzip", "bzip2", "zstd"])


def written(folder, compression, payload=PAYLOAD, name="file"):
    path = folder / name
    path.write_bytes(compress(payload, compression))
    return open_source(path)


@COMPRESSED
def test_no_descriptor_is_held_between_sessions(tmp_path, compression):
    source = written(tmp_path, compression)
    before = n_descriptors()
    for start in range(0, 900_000, 100_000):
        with source.open() as session:
            assert session.read_upto(start, 10) == PAYLOAD[start : start + 10]
        assert n_descriptors() == before


@COMPRESSED
def test_the_pool_of_half_read_streams_is_bounded(tmp_path, compression):
    for i in range(30):
        source = written(tmp_path, compression, PAYLOAD[:5000], str(i))
        with source.open() as session:
            session.read_upto(0, 10)
    assert len(shared_pool()) <= 8


def test_a_failed_session_puts_nothing_into_the_pool(tmp_path):
    source = written(tmp_path, "gzip", name="failed")
    shared_pool().begin_anew()
    session = source.open()
    session.read_upto(0, 10)
    session.__exit__(ValueError, ValueError("of the caller"), None)
    assert len(shared_pool()) == 0


def test_the_pool_gives_the_nearest_stream_before_an_offset(tmp_path):
    source = written(tmp_path, "gzip")
    pool = CursorPool(4 << 20)
    for position in (10, 500, 90):
        with source.open() as session:
            session.read_upto(0, 1)
            cursor = session._cursor
            session._cursor = None
        cursor.feed.close()
        cursor.position = position
        pool.give(source, cursor)
    assert pool.take(source, 5) is None
    assert pool.take(SourceFile("other", source.identity), 1000) is None
    assert pool.take(source, 499).position == 90
    assert pool.take(source, 9999).position == 500
    assert len(pool) == 1


def test_sizes_are_known_without_decoding(tmp_path):
    plain = written(tmp_path, "none")
    assert plain.stored_size == plain.max_decoded_size == len(PAYLOAD)
    packed = written(tmp_path, "gzip", bytes(1_000_000), "zeros")
    assert packed.stored_size < 10_000
    assert packed.max_decoded_size >= 1_000_000


@pytest.mark.parametrize("compression", ["none", "gzip", "bzip2", "zstd"])
def test_a_short_file_is_named_with_both_sizes(tmp_path, compression):
    source = written(tmp_path, compression, b"x" * 100)
    with source.open() as session, pytest.raises(TruncatedFileError, match=r"\b200\b.*\b100\b"):
        session.readinto(150, memoryview(bytearray(50)))


def test_nothing_is_left_behind_the_end_of_a_plain_file(tmp_path):
    with written(tmp_path, "none").open() as session:
        assert session.read_upto(10**9, 5) == b""
        assert session.finish() == len(PAYLOAD)


def test_verifying_after_going_back_still_counts_what_was_read(tmp_path):
    damaged = bytearray(gzip.compress(PAYLOAD[:1000]) + gzip.compress(PAYLOAD[1000:5000]))
    damaged[-6] ^= 1
    path = tmp_path / "damaged"
    path.write_bytes(damaged)
    with open_source(path).open() as session:
        session.read_upto(0, 4999)
        session.read_upto(0, 10)
        with pytest.raises(ValueError, match="CRC32 of a gzip member must match"):
            session.finish()


def test_many_empty_members_take_time_in_proportion(tmp_path):
    path = tmp_path / "members"
    path.write_bytes(gzip.compress(PAYLOAD[:9]) + gzip.compress(b"", mtime=0) * 20_000)
    with open_source(path).open() as session:
        assert session.read_upto(0, 9) == PAYLOAD[:9]
        assert session.finish() == 0


@pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="needs fork")
def test_a_forked_child_begins_with_an_empty_pool(tmp_path):
    source = written(tmp_path, "gzip")
    with source.open() as session:
        session.read_upto(0, 10)
    assert len(shared_pool()) > 0
    child = os.fork()
    if not child:
        os._exit(len(shared_pool()))
    assert os.waitpid(child, 0)[1] == 0


def test_the_pool_keeps_as_many_streams_as_its_memory_holds(tmp_path):
    for compression, most in (("gzip", 10), ("bzip2", 1), ("zstd", 1)):
        source = written(tmp_path, compression)
        pool = CursorPool(4 << 20)
        for position in range(1, 21):
            with source.open() as session:
                session.read_upto(0, position)
                cursor = session._cursor
                session._cursor = None
            cursor.feed.close()
            pool.give(source, cursor)
        assert 1 <= len(pool) <= most
