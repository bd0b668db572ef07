"""Files appear complete or not at all, compressed in a way that every reader takes."""

import bz2
import errno
import gzip
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from isal import igzip

from lazyvox.errors import OutputError, OutputExistsError, ParameterError
from lazyvox.store.frames.decoders import load_zstd
from lazyvox.store.write.sinks import open_sink, sink_memory
from lazyvox.testing import own_threads


def payload(n_values=400_000):
    rng = np.random.default_rng(3)
    return rng.normal(1000, 30, n_values).astype("<i2").tobytes()


def write(path, data, step=65537, **options):
    with open_sink(str(path), **{"compression": "none", **options}) as sink:
        for start in range(0, len(data), step):
            sink.write(data[start : start + step])
        sink.commit()


def leftovers(folder):
    return sorted(entry.name for entry in Path(folder).iterdir() if entry.name.startswith("."))


@pytest.mark.parametrize(
    "level",
    [None, 0, 1, 9, *(pytest.param(level, marks=pytest.mark.slow) for level in (2, 3, 4, 6))],
)
def test_gzip_is_one_ordinary_member_whatever_the_threads(tmp_path, level):
    data = payload(1_300_000)
    files = set()
    for n_threads, step in ((1, 777_777), (2, 100_001), (3, 1 << 20), (4, len(data))):
        path = tmp_path / "a.gz"
        write(path, data, step, compression="gzip", compresslevel=level, n_threads=n_threads)
        files.add(path.read_bytes())
    assert len(files) == 1
    (content,) = files
    assert gzip.decompress(content) == data
    assert igzip.decompress(content) == data
    assert content[3:8] == bytes(5)
    assert int.from_bytes(content[-4:], "little") == len(data)


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_gzip_around_the_length_of_a_chunk(tmp_path, size):
    data = payload()[:1] * size
    for n_threads in (1, 2):
        write(tmp_path / "a.gz", data, 1 << 19, compression="gzip", n_threads=n_threads)
        assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == data


@pytest.mark.skipif(shutil.which("gzip") is None, reason="the gzip program is not installed")
def test_gzip_program_accepts(tmp_path):
    write(tmp_path / "a.gz", payload(), compression="gzip", n_threads=2)
    done = subprocess.run(["gzip", "-t", str(tmp_path / "a.gz")], check=False)
    assert done.returncode == 0


def test_memory_bound_grows_with_threads_and_level():
    assert sink_memory("gzip", 1, 4) > sink_memory("gzip", 1, 1) > 0
    assert sink_memory("none") == 0
    assert sink_memory("zstd", 19, 2) > sink_memory("zstd", 1, 2)


def test_bzip2_and_zstd(tmp_path):
    data = payload()
    write(tmp_path / "a.bz2", data, compression="bzip2")
    assert bz2.decompress((tmp_path / "a.bz2").read_bytes()) == data
    for n_threads in (1, 2):
        write(tmp_path / "a.zst", data, compression="zstd", n_threads=n_threads)
        with load_zstd().open(tmp_path / "a.zst") as stream:
            assert stream.read() == data


@pytest.mark.parametrize("compression", ["none", "gzip", "bzip2", "zstd"])
def test_an_empty_file(tmp_path, compression):
    write(tmp_path / "a", b"", compression=compression)
    content = (tmp_path / "a").read_bytes()
    openers = {"gzip": gzip.decompress, "bzip2": bz2.decompress, "none": bytes}
    openers["zstd"] = lambda packed: load_zstd().ZstdDecompressor().decompress(packed)
    assert openers[compression](content) == b""


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"compression": "lzma"}, "compression must be one of 'none', 'gzip'"),
        ({"compression": "gzip", "compresslevel": 10}, "from 0 to 9 for gzip. Got 10"),
        ({"compression": "bzip2", "compresslevel": 0}, "from 1 to 9 for bzip2. Got 0"),
        ({"compression": "none", "compresslevel": 3}, "for compressed outputs only"),
        ({"compression": "gzip", "n_threads": 0}, "n_threads must be at least 1"),
    ],
)
def test_options_are_checked_before_anything_is_written(tmp_path, options, text):
    with pytest.raises(ParameterError, match=text):
        open_sink(str(tmp_path / "a"), **options)
    assert list(tmp_path.iterdir()) == []


def test_target_is_unseen_until_commit_and_old_until_then(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with open_sink(str(path), compression="none") as sink:
        sink.write(b"new")
        assert path.read_bytes() == b"old"
        sink.commit()
        assert path.read_bytes() == b"new"
    assert path.read_bytes() == b"new"
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_an_error_or_no_commit_leaves_nothing(tmp_path, compression):
    threads = own_threads()

    def fail_inside():
        with open_sink(str(tmp_path / "a"), compression=compression, n_threads=2) as sink:
            sink.write(payload(2_000_000))
            raise ZeroDivisionError("inside")

    with pytest.raises(ZeroDivisionError, match="inside"):
        fail_inside()
    with open_sink(str(tmp_path / "a"), compression=compression) as sink:
        sink.write(b"never committed")
    assert list(tmp_path.iterdir()) == []
    assert own_threads() == threads


def test_threads_end_with_commit(tmp_path):
    threads = own_threads()
    write(tmp_path / "a", payload(2_000_000), compression="gzip", n_threads=3)
    assert own_threads() == threads


def test_abort_is_harmless_when_repeated_and_after_commit(tmp_path):
    sink = open_sink(str(tmp_path / "a"), compression="none")
    sink.write(b"x")
    sink.commit()
    sink.abort()
    sink.abort()
    assert (tmp_path / "a").read_bytes() == b"x"


def test_use_after_abort_is_a_bug(tmp_path):
    sink = open_sink(str(tmp_path / "a"), compression="none")
    sink.abort()
    with pytest.raises(AssertionError, match=r"bug in lazyvox: .* after it was aborted"):
        sink.write(b"x")


def test_without_overwriting(tmp_path):
    path = tmp_path / "a"
    write(path, b"first", overwrite=False)
    assert path.read_bytes() == b"first"
    with pytest.raises(OutputExistsError, match="must not exist yet, and it does"):
        open_sink(str(path), compression="none", overwrite=False)
    assert leftovers(tmp_path) == []


def test_without_overwriting_a_file_that_appears_meanwhile_wins(tmp_path):
    path = tmp_path / "a"
    sink = open_sink(str(path), compression="none", overwrite=False)
    sink.write(b"mine")
    path.write_bytes(b"theirs")
    with pytest.raises(OutputExistsError, match="must not exist yet, and it does"):
        sink.commit()
    assert path.read_bytes() == b"theirs"
    assert leftovers(tmp_path) == []


def test_without_overwriting_on_a_disk_without_hard_links(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "link", refuse)
    write(tmp_path / "a", b"first", overwrite=False)
    assert (tmp_path / "a").read_bytes() == b"first"
    assert leftovers(tmp_path) == []


def test_permissions_follow_the_umask_or_the_old_file(tmp_path):
    old = os.umask(0o027)
    try:
        write(tmp_path / "new", b"x")
        (tmp_path / "private").write_bytes(b"")
        (tmp_path / "private").chmod(0o600)
        (tmp_path / "shared").write_bytes(b"")
        (tmp_path / "shared").chmod(0o666)
        write(tmp_path / "private", b"x")
        write(tmp_path / "shared", b"x")
    finally:
        os.umask(old)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
    assert modes == {"new": 0o640, "private": 0o600, "shared": 0o666}


def test_a_private_target_is_private_while_it_is_written(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "a").chmod(0o600)
    with open_sink(str(tmp_path / "a"), compression="none"):
        (temp,) = leftovers(tmp_path)
        assert stat.S_IMODE((tmp_path / temp).stat().st_mode) == 0o600


def test_a_symbolic_link_stays_and_its_file_is_replaced(tmp_path):
    (tmp_path / "store").mkdir()
    real = tmp_path / "store" / "real"
    real.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to("store/real")
    write(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert leftovers(tmp_path / "store") == []


def test_a_symbolic_link_to_itself_is_refused(tmp_path):
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(OutputError, match="symbolic link points to itself"):
        open_sink(str(tmp_path / "a"), compression="none")


def test_writing_onto_a_hard_link_leaves_the_other_name(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    write(tmp_path / "b", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"


def test_what_cannot_be_written_is_refused_at_the_start(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    cases = {
        tmp_path: "it is a directory. Add a file name",
        f"{tmp_path}/new/": "it is a directory. Add a file name",
        tmp_path / "no" / "a": "Create the folder first",
        tmp_path / "file" / "a": "a file, not a folder",
        tmp_path / "pipe": "Got a pipe, socket or device",
        tmp_path / ("x" * 300): "Choose a shorter name",
    }
    for path, text in cases.items():
        with pytest.raises(OutputError, match=text):
            open_sink(str(path), compression="gzip", n_threads=2)
    with pytest.raises(ParameterError, match="must not hold a NUL"):
        open_sink("a\0b", compression="none")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "pipe"]


@pytest.mark.parametrize(
    ("code", "text"), [(errno.EROFS, "mounted read-only"), (errno.EACCES, "write permission")]
)
def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch, code, text):
    def refuse(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OutputError, match=text):
        open_sink(str(tmp_path / "a"), compression="none")


def test_a_read_only_target_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"old")
    # The superuser may write everything: what others get is asked for here.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutputError, match="existing file is read-only"):
        open_sink(str(tmp_path / "a"), compression="none")
    assert (tmp_path / "a").read_bytes() == b"old"


@pytest.mark.parametrize("name", ["x" * 255, "x" * 240, "é" * 127])
def test_a_name_of_full_length(tmp_path, name):
    write(tmp_path / name, b"x")
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_name_that_is_no_text(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.bin")
    write(path, b"x")
    assert Path(path).read_bytes() == b"x"


def test_leftovers_of_killed_writers_are_swept_and_others_stay(tmp_path):
    job = (
        "import os, sys\n"
        "from lazyvox.store.write.sinks import open_sink\n"
        "sink = open_sink(sys.argv[1], compression='none')\n"
        "sink.write(b'half')\n"
        "os._exit(9)\n"
    )
    path = str(tmp_path / "a")
    subprocess.run([sys.executable, "-c", job, path], check=False)
    assert len(leftovers(tmp_path)) == 1
    (tmp_path / ".a.note.tmp").write_bytes(b"not ours")
    alive = open_sink(path, compression="none")
    mine = leftovers(tmp_path)
    assert len(mine) == 2
    write(path, b"whole")
    assert leftovers(tmp_path) == mine
    alive.abort()
    assert leftovers(tmp_path) == [".a.note.tmp"]


def test_memory_stays_bounded(tmp_path):
    job = (
        "import resource, sys\n"
        "import numpy as np\n"
        "from lazyvox.store.write.sinks import open_sink, sink_memory\n"
        "kind, threads = sys.argv[2], int(sys.argv[3])\n"
        "block = np.random.default_rng(0).integers(0, 99, 4 << 20, dtype='u1').data\n"
        "with open_sink(sys.argv[1] + 'w', compression=kind) as sink:\n"
        "    sink.write(block[:1000])\n"
        "    sink.commit()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "with open_sink(sys.argv[1], compression=kind, n_threads=threads) as sink:\n"
        "    for _ in range(16):\n"
        "        sink.write(block)\n"
        "    sink.commit()\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert (after - before) * 1024 <= sink_memory(kind, None, threads), after - before\n"
    )
    for kind, threads in (("gzip", "1"), ("gzip", "3"), ("zstd", "1"), ("zstd", "3")):
        arguments = [sys.executable, "-c", job, str(tmp_path / "a"), kind, threads]
        done = subprocess.run(arguments, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
