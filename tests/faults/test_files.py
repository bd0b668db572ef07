"""Files that change, and processes that fork, while arrays over them are alive."""

import errno
import gzip
import os
import pickle
import socket
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lazyvox.array import FileReader, LazyArray
from lazyvox.errors import (
    FileChangedError,
    ImageFileError,
    ImageIsADirectoryError,
    ImageNotFoundError,
    ImagePermissionError,
    ParameterTypeError,
    ReadError,
    TruncatedFileError,
)
from lazyvox.planning.spec import ArraySpec
from lazyvox.store import open_source
from lazyvox.testing import n_descriptors, own_threads, random_values, write_lazy_array

VALUES = random_values((16, 17, 18, 9), "<i2")
BOTH = pytest.mark.parametrize("compression", ["none", "gzip"])
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


def age(path):
    """Put the modification time into the past, so that any later change shows."""
    os.utime(path, ns=(10**18, 10**18))


def over(path, spec):
    return LazyArray.over(FileReader(open_source(path), spec))


@pytest.fixture
def lazy(tmp_path, compression):
    path = tmp_path / "image"
    spec = write_lazy_array(path, VALUES, compression=compression).reader.spec
    age(path)
    return over(path, spec)


@BOTH
@pytest.mark.parametrize("read_before", [False, True])
def test_rewritten_in_place(lazy, read_before):
    if read_before:
        lazy[..., 0]
    with Path(lazy.reader.path).open("r+b") as file:
        file.seek(-100, os.SEEK_END)
        file.write(b"changed")
    with pytest.raises(FileChangedError, match="it changed on disk"):
        lazy[..., 1]


@BOTH
@pytest.mark.parametrize("read_before", [False, True])
def test_replaced_by_a_file_of_equal_size_and_time(lazy, read_before, tmp_path):
    if read_before:
        lazy[..., 0]
    other = tmp_path / "other"
    other.write_bytes(bytes(Path(lazy.reader.path).stat().st_size))
    age(other)
    other.replace(lazy.reader.path)
    with pytest.raises(FileChangedError, match="Load it again"):
        lazy[..., 1]


@BOTH
@pytest.mark.parametrize("read_before", [False, True])
def test_truncated(lazy, read_before):
    if read_before:
        lazy[..., 0]
    os.truncate(lazy.reader.path, Path(lazy.reader.path).stat().st_size // 2)
    with pytest.raises(FileChangedError, match="it changed on disk"):
        lazy[..., -1]


def volume(session, t):
    out = np.empty(VALUES.shape[:3], VALUES.dtype, order="F")
    session.read((*(range(n) for n in VALUES.shape[:3]), t), out)
    return out


def read_while(lazy, change):
    """Read a volume, let something happen to the file, and read another one."""
    with lazy.open(memory=0) as session:
        volume(session, 0)
        change(Path(lazy.reader.path))
        return volume(session, 8)


def overwrite(path):
    with path.open("r+b") as file:
        file.write(b"\x1f\x8b")


def shorten(path):
    os.truncate(path, 400)


@BOTH
@pytest.mark.parametrize("change", [overwrite, shorten])
def test_changed_during_a_session(lazy, change):
    with pytest.raises(FileChangedError, match="it changed on disk"):
        read_while(lazy, change)
    with pytest.raises(FileChangedError, match="it changed on disk"):
        lazy[..., 1]


def overwrite_and_set_back(path):
    before = path.stat()
    # Times are counted in ticks of the system's clock.
    time.sleep(0.02)
    with path.open("r+b") as file:
        file.seek(before.st_size - 9)
        file.write(b"x")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns


@BOTH
def test_written_to_during_a_session_with_its_time_set_back(lazy):
    # The checksum of a compressed file may notice it first.
    with pytest.raises(
        ImageFileError, match=r"as before\. Load it again|checksum|damaged|trailer"
    ):
        read_while(lazy, overwrite_and_set_back)


@BOTH
@pytest.mark.parametrize("change", ["link", "mode", "name"])
def test_links_permissions_and_names_may_change_during_a_session(lazy, tmp_path, change):
    def changed(path):
        time.sleep(0.02)
        if change == "link":
            (tmp_path / "another").hardlink_to(path)
        elif change == "mode":
            path.chmod(0o600 if path.stat().st_mode & 0o777 != 0o600 else 0o640)
        else:
            path.rename(tmp_path / "another")

    assert np.array_equal(read_while(lazy, changed), VALUES[..., 8])


@BOTH
def test_replaced_during_a_session_reads_what_was_opened(lazy, tmp_path):
    (tmp_path / "other").write_bytes(b"other")
    values = read_while(lazy, (tmp_path / "other").replace)
    assert np.array_equal(values, VALUES[..., 8])


@BOTH
def test_deleted_after_opening(lazy):
    lazy[..., 0]
    Path(lazy.reader.path).unlink()
    with pytest.raises(FileChangedError, match="deleted or moved since"):
        lazy[..., 1]


@BOTH
def test_pickled_then_replaced(lazy, tmp_path):
    packed = pickle.dumps(lazy)
    assert np.array_equal(np.asarray(pickle.loads(packed)), VALUES)
    write_lazy_array(tmp_path / "other", VALUES[::-1])
    (tmp_path / "other").replace(lazy.reader.path)
    with pytest.raises(FileChangedError, match="it changed on disk"):
        np.asarray(pickle.loads(packed))


@BOTH
def test_a_pickle_is_small_and_leaves_the_original_working(lazy):
    assert np.array_equal(np.asarray(lazy), VALUES)
    lazy[..., 4]
    packed = pickle.dumps(lazy)
    assert len(packed) < 2048
    assert np.array_equal(lazy[..., 5], VALUES[..., 5])
    assert np.array_equal(pickle.loads(packed)[..., 5], VALUES[..., 5])
    assert np.array_equal(pickle.loads(pickle.dumps(lazy.view((..., 5)))), VALUES[..., 5])


def test_empty_and_missing_files(tmp_path):
    (tmp_path / "empty").touch()
    with pytest.raises(ImageFileError, match="The file is empty"):
        open_source(tmp_path / "empty")
    with pytest.raises(ImageNotFoundError, match="no such file"):
        open_source(tmp_path / "missing")
    with pytest.raises(FileNotFoundError, match="not a folder"):
        open_source(tmp_path / "empty" / "file")


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / "socket"))
        for path in (tmp_path / "pipe", tmp_path / "socket", "/dev/zero", "/dev/null"):
            with pytest.raises(ReadError, match=r"regular file|reading failed"):
                open_source(path)
    with pytest.raises(ImageIsADirectoryError, match="it is a directory"):
        open_source(tmp_path)


def test_links_that_lead_nowhere(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nothing")
    with pytest.raises(ReadError, match="the symbolic link points to itself"):
        open_source(tmp_path / "loop")
    with pytest.raises(ImageNotFoundError, match="no such file"):
        open_source(tmp_path / "dangling")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_unreadable_file(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(ImagePermissionError, match="may not read"):
        open_source(path)


def test_names_that_are_no_paths():
    with pytest.raises(ValueError, match="must not hold a zero byte"):
        open_source("a\0b")
    with pytest.raises(
        ParameterTypeError, match=r"must be a str, bytes or os\.PathLike\. Got int"
    ):
        open_source(3)
    with pytest.raises(ReadError, match="the file name is too long"):
        open_source("x" * 300)


NAMES = [
    os.fsdecode(b"\xff\xfe.nii.gz"),
    "données_日本.nii",
    "new\nline",
    "-rf",
    " %s {} 'quotes\" ",
    "🧠.nii.gz",
    "n" * 255,
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_names_of_every_kind(tmp_path, name):
    lazy = write_lazy_array(tmp_path / name, VALUES, compression="gzip")
    assert np.array_equal(lazy[..., 2], VALUES[..., 2])
    assert np.array_equal(pickle.loads(pickle.dumps(lazy))[..., 3], VALUES[..., 3])
    repr(lazy).encode()
    os.truncate(tmp_path / name, 100)
    with pytest.raises(FileChangedError, match="it changed on disk") as caught:
        lazy[..., -1]
    str(caught.value).encode()
    assert "\n" not in str(caught.value)


def test_paths_of_every_type_are_made_absolute(tmp_path, monkeypatch):
    write_lazy_array(tmp_path / "image", VALUES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    sources = [open_source(path) for path in ("image", b"image", "./image", "~/image")]
    monkeypatch.chdir("/")
    for source in sources:
        assert source.path == str(tmp_path / "image")
        with source.open() as session:
            assert session.read_upto(0, 1) == b"H"


def failing(function, error, *, at):
    """Return the function with its n-th call failing."""
    calls = []

    def call(*args):
        calls.append(args)
        if len(calls) == at:
            raise error
        return function(*args)

    return call


@BOTH
@pytest.mark.parametrize("at", [1, 2])
def test_an_input_error_is_named_and_leaves_no_state(lazy, monkeypatch, at):
    with monkeypatch.context() as patch:
        patch.setattr(os, "preadv", failing(os.preadv, OSError(errno.EIO, "I/O error"), at=at))
        with pytest.raises(ReadError, match=r"image: reading failed at byte \d+: I/O error"):
            [lazy[..., t] for t in range(9)]
    assert np.array_equal(np.asarray(lazy), VALUES)


@BOTH
def test_an_interrupt_leaves_no_state(lazy, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "preadv", failing(os.preadv, KeyboardInterrupt("now"), at=1))
        with pytest.raises(KeyboardInterrupt, match="now"):
            np.asarray(lazy)
    assert np.array_equal(np.asarray(lazy), VALUES)


@BOTH
def test_short_reads_are_continued(lazy, monkeypatch):
    pread, preadv = os.pread, os.preadv
    monkeypatch.setattr(os, "pread", lambda fd, n, offset: pread(fd, max(n // 3, 1), offset))
    monkeypatch.setattr(
        os, "preadv", lambda fd, buffers, offset: preadv(fd, [buffers[0][:1001]], offset)
    )
    assert np.array_equal(np.asarray(lazy), VALUES)
    assert np.array_equal(lazy[3, ..., 5], VALUES[3, ..., 5])


@BOTH
def test_32_threads_slice_one_array(lazy):
    interval = sys.getswitchinterval()
    barrier = threading.Barrier(32)

    def work(seed):
        rng = np.random.default_rng(seed)
        barrier.wait()
        for _ in range(12):
            t, i = int(rng.integers(9)), int(rng.integers(16))
            if not np.array_equal(lazy[i, ..., t], VALUES[i, ..., t]):
                return False
        return np.array_equal(np.asarray(lazy), VALUES)

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(32) as pool:
            assert all(pool.map(work, range(32)))
    finally:
        sys.setswitchinterval(interval)


def assert_program_ends(program, *args):
    """Run a program in a fresh interpreter; it must end by itself and print 'done'."""
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, "done"), ended.stderr


@BOTH
def test_forked_children_slice_while_threads_of_the_parent_read(lazy, tmp_path):
    (tmp_path / "lazy").write_bytes(pickle.dumps(lazy))
    np.save(tmp_path / "values.npy", VALUES)
    assert_program_ends(
        """
        import os, pickle, signal, sys, threading, warnings
        import numpy as np
        warnings.simplefilter("ignore", DeprecationWarning)
        signal.alarm(30)
        lazy = pickle.load(open(sys.argv[1], "rb"))
        values = np.load(sys.argv[2])
        lazy[..., 0]
        stop = threading.Event()
        def busy():
            while not stop.is_set():
                lazy[..., 4], lazy[..., 1]
        threads = [threading.Thread(target=busy) for _ in range(3)]
        [thread.start() for thread in threads]
        children = []
        for _ in range(8):
            child = os.fork()
            if not child:
                signal.alarm(20)
                right = all(np.array_equal(lazy[..., t], values[..., t]) for t in range(9))
                os._exit(0 if right else 1)
            children.append(child)
        codes = [os.waitpid(child, 0)[1] for child in children]
        stop.set()
        [thread.join() for thread in threads]
        assert codes == [0] * 8, codes
        assert np.array_equal(lazy[..., 5], values[..., 5])
        print("done")
        """,
        tmp_path / "lazy",
        tmp_path / "values.npy",
    )


@BOTH
def test_another_process_reads_a_pickle(lazy, tmp_path):
    (tmp_path / "lazy").write_bytes(pickle.dumps(lazy))
    np.save(tmp_path / "values.npy", VALUES)
    assert_program_ends(
        """
        import pickle, sys
        import numpy as np
        lazy = pickle.load(open(sys.argv[1], "rb"))
        assert np.array_equal(lazy, np.load(sys.argv[2]))
        print("done")
        """,
        tmp_path / "lazy",
        tmp_path / "values.npy",
    )


@BOTH
def test_more_arrays_than_descriptors(tmp_path, compression):
    assert_program_ends(
        """
        import pathlib, resource, sys
        import numpy as np
        from lazyvox.testing import random_values, write_lazy_array
        folder, compression = pathlib.Path(sys.argv[1]), sys.argv[2]
        values = random_values((5, 6, 7, 8), "<i2")
        arrays = [
            write_lazy_array(folder / str(i), values, compression=compression) for i in range(200)
        ]
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        for t in (0, 3, 7):
            for lazy in arrays:
                assert np.array_equal(lazy[..., t], values[..., t])
        views = [iter(lazy) for lazy in arrays]
        [next(view) for view in views]
        print("done")
        """,
        tmp_path,
        compression,
    )


@ON_LINUX
@pytest.mark.parametrize("n_arrays", [2_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_thousands_of_arrays_alive(tmp_path, n_arrays):
    assert_program_ends(
        """
        import os, pathlib, sys
        import numpy as np
        from lazyvox.testing import random_values, write_lazy_array
        def resident():
            return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096
        folder = pathlib.Path(sys.argv[1])
        values = random_values((5, 6, 7, 8), "<i2")
        warm = write_lazy_array(folder / "warm", values, compression="gzip")
        warm[..., 0]
        before = resident()
        arrays = []
        n_arrays = int(sys.argv[2])
        for i in range(n_arrays):
            kind = "gzip" if i % 2 else "none"
            lazy = write_lazy_array(folder / str(i), values, compression=kind)
            assert np.array_equal(lazy[..., 3], values[..., 3])
            arrays.append(lazy)
        assert len(os.listdir("/proc/self/fd")) < 20
        taken = resident() - before
        assert taken < (8 << 20) + 5_400 * n_arrays, taken
        print("done")
        """,
        tmp_path,
        n_arrays,
    )


@ON_LINUX
@BOTH
def test_a_thousand_cycles_leave_nothing_behind(lazy):
    def cycle():
        opened = over(lazy.reader.path, lazy.reader.spec)
        opened[..., 3], opened[2, 3, 4, 5], opened[..., 8]
        with pytest.raises(IndexError, match="out of bounds"):
            opened[99]

    def resident():
        pages = Path("/proc/self/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    for _ in range(200):
        cycle()
    descriptors, memory = n_descriptors(), resident()
    threads = own_threads()
    for _ in range(1000):
        cycle()
    assert n_descriptors() == descriptors
    assert own_threads() == threads
    assert resident() - memory < 4 << 20


def test_failed_reads_leave_no_descriptor(tmp_path):
    path = tmp_path / "image"
    content = gzip.compress(VALUES.tobytes(order="F"))
    path.write_bytes(content[: len(content) // 2])
    spec = ArraySpec(VALUES.shape, VALUES.dtype)
    lazy = over(path, spec)
    before = n_descriptors()
    for _ in range(50):
        with pytest.raises(TruncatedFileError, match="ends early"):
            np.asarray(lazy)
    age(path)
    for _ in range(50):
        with pytest.raises(FileChangedError, match="it changed on disk"):
            lazy[0]
    assert n_descriptors() == before


def test_a_link_without_content_names_the_command_that_fetches_it(tmp_path):
    link = tmp_path / "bold.nii.gz"
    link.symlink_to("../.git/annex/objects/xx/yy/MD5E-s1--0.nii.gz")
    with pytest.raises(ImageNotFoundError, match="datalad get"):
        open_source(link)
    other = tmp_path / "other.nii"
    other.symlink_to("nowhere.nii")
    with pytest.raises(ImageNotFoundError, match=r"a link to nowhere\.nii, which does not exist"):
        open_source(other)


def test_a_misspelt_name_is_answered_with_near_ones(tmp_path):
    (tmp_path / "sub-01_bold.nii.gz").write_bytes(b"x")
    with pytest.raises(ImageNotFoundError, match=r"Did you mean sub-01_bold\.nii\.gz"):
        open_source(tmp_path / "sub-01_blod.nii.gz")
    with pytest.raises(ImageNotFoundError, match=r"Did you mean sub-01_bold\.nii\.gz\?"):
        open_source(tmp_path / "sub-01_bold.nii")
    # What images share is their ending, which makes no two names alike.
    with pytest.raises(ImageNotFoundError, match=r"atlas\.nii\.gz: no such file\.$"):
        open_source(tmp_path / "atlas.nii.gz")
    with pytest.raises(ImageNotFoundError, match="does not exist, or cannot be listed"):
        open_source(tmp_path / "nofolder" / "a.nii")
