"""Kills, full disks and failing disks: the target is absent, what it was, or complete."""

import errno
import gzip
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lazyvox.errors import OutputError
from lazyvox.store.write.sinks import open_sink

SIZE = 3_000_000
DATA = bytes(range(256)) * (SIZE // 256)
COMPRESSIONS = ["none", "gzip"]
JOB = """
import sys
from lazyvox.errors import OutputError
from lazyvox.store.write.sinks import open_sink

data = bytes(range(256)) * (3_000_000 // 256)
print("ready", flush=True)
try:
    with open_sink(sys.argv[1], compression=sys.argv[2], n_threads=int(sys.argv[3])) as sink:
        for start in range(0, len(data), 700_000):
            sink.write(data[start : start + 700_000])
        sink.commit()
except OutputError as error:
    print(error)
    sys.exit(7)
"""


def content(path, compression):
    return gzip.decompress(path.read_bytes()) if compression == "gzip" else path.read_bytes()


def temporary(folder):
    return [entry.name for entry in folder.iterdir() if entry.name.endswith(".tmp")]


def assert_old_or_complete(path, compression):
    if path.read_bytes() == b"old":
        return False
    assert content(path, compression) == DATA
    return True


def assert_next_write_succeeds_and_sweeps(path, compression):
    with open_sink(str(path), compression=compression) as sink:
        sink.write(DATA)
        sink.commit()
    assert content(path, compression) == DATA
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.fixture(scope="session")
def strace(tmp_path_factory):
    """The command that injects faults into system calls of the job."""
    program = shutil.which("strace")
    if program is None:
        pytest.skip("strace is not installed")
    trial = [program, "-qq", "-f", "-o", os.devnull, "-e", "trace=write"]
    trial += ["-e", "inject=write:error=ENOSPC:when=999", sys.executable, "-c", ""]
    if subprocess.run(trial, capture_output=True, check=False).returncode:
        pytest.skip("strace may not trace processes here")
    return [program, "-qq", "-f", "-o", os.devnull]


def run_injected(strace, path, compression, calls, fault, n_threads=1):
    # The first write is that of "ready", the others are those of the temporary file: -B keeps the
    # interpreter from writing.
    command = [*strace, "-e", f"trace={calls}", "-e", f"inject={calls}:{fault}"]
    job = [sys.executable, "-B", "-c", JOB, str(path), compression, str(n_threads)]
    return subprocess.run([*command, *job], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("calls", ["write", "fsync", "rename"])
def test_killed_at_each_call(tmp_path, strace, compression, calls):
    path = tmp_path / "a"
    for n in range(1, 30):
        path.write_bytes(b"old")
        done = run_injected(strace, path, compression, calls, f"signal=SIGKILL:when={n}")
        is_complete = assert_old_or_complete(path, compression)
        if done.returncode == 0:
            break
    assert done.returncode == 0
    assert is_complete
    assert n > 1
    assert_next_write_succeeds_and_sweeps(path, compression)


@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT", "EIO", "EFBIG"])
@pytest.mark.parametrize(("calls", "first"), [("write", 3), ("fsync", 1), ("rename", 1)])
def test_each_failing_call_leaves_the_old_file(tmp_path, strace, calls, first, code):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    fault = f"error={code}:when={first}"
    done = run_injected(strace, path, "gzip", calls, fault, n_threads=2)
    assert done.returncode == 7, done.stderr
    assert f"{path}: " in done.stdout
    assert "What was there before is intact" in done.stdout
    assert path.read_bytes() == b"old"
    assert temporary(tmp_path) == []


def test_a_folder_that_cannot_be_synchronised_is_told_with_the_file_complete(tmp_path, strace):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    done = run_injected(strace, path, "none", "fsync", "error=EIO:when=2")
    assert done.returncode == 7
    assert "the file is written completely, but its name could not be made durable" in done.stdout
    assert path.read_bytes() == DATA


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG])
def test_a_write_that_fails_at_any_point(tmp_path, monkeypatch, compression, code):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    real_write, n_calls, failing = os.write, 0, 0

    def failing_write(fd, data):
        nonlocal n_calls
        n_calls += 1
        if n_calls >= failing:
            raise OSError(code, os.strerror(code))
        # Short writes too.
        return real_write(fd, data[: max(1, len(data) // 2)])

    def attempt():
        with open_sink(str(path), compression=compression, n_threads=2) as sink:
            sink.write(DATA)
            sink.commit()

    monkeypatch.setattr(os, "write", failing_write)
    for first in (1, 2, 5):
        failing, n_calls = first, 0
        with pytest.raises(OutputError, match=r"What was there before is intact, .* removed"):
            attempt()
        assert path.read_bytes() == b"old"
        assert temporary(tmp_path) == []
    failing, n_calls = 10**9, 0
    attempt()
    assert content(path, compression) == DATA


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_file_larger_than_the_limit_of_the_process(tmp_path, compression):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    limit = 5000

    def hold():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    job = [sys.executable, "-B", "-c", JOB, str(path), compression, "2"]
    done = subprocess.run(job, preexec_fn=hold, capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    assert "`ulimit -f`" in done.stdout
    assert path.read_bytes() == b"old"
    assert temporary(tmp_path) == []


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_killed_at_random_moments(tmp_path, compression):
    path, moments = tmp_path / "a", random.Random(5)
    for _ in range(8):
        path.write_bytes(b"old")
        job = [sys.executable, "-c", JOB, str(path), compression, "2"]
        with subprocess.Popen(job, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            stop = time.perf_counter() + moments.uniform(0, 0.04)
            while time.perf_counter() < stop:
                pass
            process.send_signal(signal.SIGKILL)
        assert_old_or_complete(path, compression)
    assert_next_write_succeeds_and_sweeps(path, compression)


def test_a_folder_without_write_permission(tmp_path):
    """Without the superuser's capability to ignore permissions, also where tests run as root."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() == 0 and setpriv is None:
        pytest.skip("as root this needs the program setpriv")
    drop = [str(setpriv), "--bounding-set", "-dac_override,-dac_read_search,-fowner"]
    prefix = drop if os.geteuid() == 0 else []
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("setpriv may not drop capabilities here")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "read_only").write_bytes(b"old")
    (folder / "read_only").chmod(0o444)
    texts = {"read_only": "existing file is read-only", "new": "Ask for write permission"}
    for name, text in texts.items():
        job = [sys.executable, "-c", JOB, str(folder / name), "none", "1"]
        done = subprocess.run([*prefix, *job], capture_output=True, text=True, check=False)
        assert done.returncode == 7, done.stderr
        assert text in done.stdout
        folder.chmod(0o555)
    folder.chmod(0o755)
    assert Path(folder / "read_only").read_bytes() == b"old"
