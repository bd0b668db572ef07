"""Indexes that are damaged, half-written, or written by many at once: right data or none."""

import errno
import gzip
import os
import random
import signal
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import numpy as np
import pytest

from lazyvox.errors import AccessPointError, OutputError
from lazyvox.store.gzip.point_recorder import build_points
from lazyvox.store.gzip.segments import SegmentSource
from lazyvox.store.index.cache import IndexMemory
from lazyvox.store.index.folder import cache_folder
from lazyvox.store.index.writer import IndexWriter
from lazyvox.store.opening import open_source
from lazyvox.testing import write_index

SPACING = 65536


pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def source(tmp_path):
    """A gzip file."""
    rng = np.random.default_rng(0)
    raw = rng.normal(0, 100, 120_000).astype("<i2").tobytes()
    # Little memory for the compressor makes short blocks, and many places for points.
    packer = zlib.compressobj(6, zlib.DEFLATED, 31, 4)
    (tmp_path / "run.nii.gz").write_bytes(packer.compress(raw) + packer.flush())
    return open_source(tmp_path / "run.nii.gz")


def decoded(source, points):
    segments = SegmentSource(source, points)
    pieces = []
    for number in range(len(segments)):
        block = segments.decode(number)
        piece = bytearray(block.nbytes)
        block.copy_to(block.start, memoryview(piece))
        pieces.append(bytes(piece))
    return b"".join(pieces)


def raw_of(source):
    return gzip.decompress(Path(source.path).read_bytes())


def flips(n_bytes, n_sampled, seed):
    """Return (byte, bit) of a bit of each of the first 300 bytes, and of some behind them."""
    rng = random.Random(seed)
    near = [(place, rng.randrange(8)) for place in range(min(n_bytes, 300))]
    far = [(rng.randrange(n_bytes), rng.randrange(8)) for _ in range(n_sampled)]
    return near + far


@pytest.mark.parametrize("ending", [".gzidx", ".gzidx.json"])
def test_a_flipped_bit_is_noticed_wherever_it_is(source, ending):
    write_index(source, "beside")
    path = Path(source.path + ending)
    good = path.read_bytes()
    unnoticed = []
    for place, bit in flips(len(good), 300, seed=1):
        damaged = bytearray(good)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        points = IndexMemory().find(source)
        if points is None:
            continue
        try:
            points.verify_windows()
        except AccessPointError:
            continue
        unnoticed.append((place, bit))
    assert unnoticed == []
    path.write_bytes(good)
    assert decoded(source, IndexMemory().find(source)) == raw_of(source)


@pytest.mark.parametrize("ending", [".gzidx", ".gzidx.json"])
def test_an_index_that_was_cut_off_is_passed_over(source, ending):
    write_index(source, "beside")
    path = Path(source.path + ending)
    good = path.read_bytes()
    step = max(len(good) // 150, 1)
    for length in [*range(120), *range(120, len(good), step), len(good) - 1]:
        path.write_bytes(good[:length])
        assert IndexMemory().find(source) is None


@pytest.mark.parametrize("where", ["cache", "beside"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_fails_leaves_what_was_there(source, monkeypatch, where, code):
    before = write_index(source, where)
    folder = Path(before.path).parent
    files = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    write, calls, allowed = os.write, [], []

    def failing(fd, data):
        calls.append(len(data))
        if len(calls) > len(allowed):
            raise OSError(code, os.strerror(code))
        return write(fd, data)

    monkeypatch.setattr("os.write", failing)
    while not tries_to_build(source, where, os.strerror(code)):
        calls.clear()
        allowed.append(True)
        left = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        assert left == files
    assert len(allowed) > 3
    assert decoded(source, IndexMemory().find(source)) == raw_of(source)


def tries_to_build(source, where, reason):
    """Return whether an index can be built; where not, check what is said."""
    try:
        write_index(source, where)
    except OutputError as error:
        if reason not in str(error):
            raise
        return False
    return True


@pytest.mark.parametrize("failing", ["os.fsync", "os.replace"])
def test_a_failure_at_the_end_leaves_no_wrong_index(source, monkeypatch, failing):
    def fail(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace" if failing == "os.replace" else failing, fail)
        with pytest.raises(OutputError, match=os.strerror(errno.EIO)):
            write_index(source)
    assert IndexMemory().find(source) is None
    assert list(cache_folder().indexes()) == []


def test_a_folder_that_cannot_be_created_is_an_error_of_building_only(source, tmp_path):
    (tmp_path / "cache").write_bytes(b"a file in its place")
    assert IndexMemory().find(source) is None
    with pytest.raises(OutputError, match="Set LAZYVOX_CACHE_DIR to another folder"):
        write_index(source)


def test_a_disk_that_is_read_only_is_read_all_the_same(source, monkeypatch):
    points = write_index(source)

    def refuse(**_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    monkeypatch.setattr("os.utime", lambda *_, **__: refuse())
    assert decoded(source, IndexMemory().find(source)) == decoded(source, points)
    with pytest.raises(OutputError, match="Read-only file system"):
        write_index(source)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_read_all_the_same(source, cache):
    points = write_index(source)
    cache.chmod(0o500)
    try:
        assert decoded(source, IndexMemory().find(source)) == decoded(source, points)
        with pytest.raises(OutputError, match="Permission denied"):
            write_index(source)
    finally:
        cache.chmod(0o700)


def test_a_folder_that_is_deleted_while_building_is_an_error(source, cache):
    with IndexWriter(source, SPACING) as writer:
        found = build_points(source, SPACING, writer)
        cache.rmdir()
        with pytest.raises(OutputError, match="No such file or directory"):
            writer.commit(*found)
    assert decoded(source, write_index(source)) == raw_of(source)


KILLED = textwrap.dedent("""
    import gzip, os, pathlib, signal, sys
    from lazyvox.store.index.cache import IndexMemory
    from lazyvox.store.index.writer import IndexWriter
    from lazyvox.store.opening import open_source
    from lazyvox.store.gzip.point_recorder import build_points
    from lazyvox.store.gzip.segments import SegmentSource

    source, where = open_source(sys.argv[1]), sys.argv[2]
    raw = gzip.decompress(open(source.path, "rb").read())

    def build():
        with IndexWriter(source, 65536, where) as writer:
            writer.commit(*build_points(source, 65536, writer))

    def build_and_die(fatal):
        steps = 0
        def deadly(function):
            def call(*args, **options):
                nonlocal steps
                steps += 1
                if steps == fatal:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*args, **options)
            return call
        os.write, os.fsync = deadly(os.write), deadly(os.fsync)
        pathlib.Path.replace = deadly(pathlib.Path.replace)
        try:
            build()
        finally:
            os._exit(steps >= fatal)

    def check():
        points = IndexMemory().find(source)
        if points is None:
            return "none"
        segments = SegmentSource(source, points)
        for number in range(len(segments)):
            block = segments.decode(number)
            piece = bytearray(block.nbytes)
            block.copy_to(block.start, memoryview(piece))
            assert piece == raw[block.start : block.stop]
        return "good"

    for fatal in range(1, 60):
        child = os.fork() or build_and_die(fatal)
        status = os.waitpid(child, 0)[1]
        print(status, check())
        if status == 0:
            break
    build()
""")


@pytest.mark.parametrize("where", ["cache", "beside"])
def test_a_kill_at_any_moment_leaves_a_good_index_or_none(source, where):
    argv = [sys.executable, "-c", KILLED, source.path, where]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    ends = done.stdout.splitlines()
    assert len(ends) > 8
    assert ends[-1] == "0 good"
    assert {end.split()[0] for end in ends[:-1]} == {str(int(signal.SIGKILL))}
    folder = Path(IndexMemory().find(source).path).parent
    assert [path.name for path in folder.iterdir() if path.name.endswith(".tmp")] == []


@pytest.mark.parametrize("where", ["cache", "beside"])
def test_sixteen_processes_that_build_at_once_end_with_one_good_index(source, where):
    code = textwrap.dedent("""
        import os, sys
        from lazyvox.store.index.cache import IndexMemory
        from lazyvox.store.index.writer import IndexWriter
        from lazyvox.store.opening import open_source
        from lazyvox.store.gzip.point_recorder import build_points
        from lazyvox.store.gzip.segments import SegmentSource

        source, where = open_source(sys.argv[1]), sys.argv[2]
        children = []
        for number in range(16):
            child = os.fork()
            if child:
                children.append(child)
                continue
            status = 1
            try:
                spacing = 65536 * (1 + number % 2)
                with IndexWriter(source, spacing, where) as writer:
                    found = build_points(source, spacing, writer)
                    points = writer.commit(*found)
                seen = IndexMemory().find(source)
                seen = points if seen is None else seen
                assert seen.decoded_size == points.decoded_size
                status = 0
            finally:
                os._exit(status)
        print([os.waitpid(child, 0)[1] for child in children])
    """)
    argv = [sys.executable, "-c", code, source.path, where]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=100)
    assert done.stdout.split() == str([0] * 16).split(), done.stderr
    points = IndexMemory().find(source)
    points.verify_windows()
    assert decoded(source, points) == raw_of(source)
    names = sorted(path.name for path in Path(points.path).parent.iterdir() if path.is_file())
    assert [name for name in names if name.endswith((".tmp", ".gzidx.json"))] == [
        Path(points.path).name + ".json"
    ]


def test_an_index_serves_a_forked_child(source):
    points = write_index(source)
    child = os.fork()
    if not child:
        status = 1
        try:
            status = 0 if decoded(source, points) == raw_of(source) else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
