"""Run the command line: in this process where that is enough, in one of its own where not."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from lazyvox.cli.main import run


@dataclass(frozen=True, slots=True)
class Done:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


@pytest.fixture
def folder(example_folder, monkeypatch) -> Path:
    """Folder with the example images, which is the current one."""
    monkeypatch.chdir(example_folder)
    for name in ("LAZYVOX_MEMORY", "LAZYVOX_JOBS", "_LAZYVOX_COMPLETE"):
        monkeypatch.delenv(name, raising=False)
    return example_folder


@pytest.fixture
def lazyvox(folder, capsys):
    """Run a command in this process."""

    def call(*argv: object) -> Done:
        capsys.readouterr()
        code = run([str(arg) for arg in argv])
        return Done(code, *capsys.readouterr())

    return call


@pytest.fixture
def refuses(lazyvox, folder):
    """Run a command that must fail with one line, print nothing else, and leave no file."""

    def call(*argv: object, code: int = 1, message: str) -> None:
        before = sorted(folder.rglob("*"))
        done = lazyvox(*argv)
        assert (done.code, done.out) == (code, "")
        assert message in done.err
        assert done.err.startswith("lazyvox: error: ")
        assert done.err.count("\n") == 1
        assert sorted(folder.rglob("*")) == before

    return call


@pytest.fixture
def short_run(folder) -> str:
    """Name of a run of which the second half is missing."""
    content = (folder / "run.nii.gz").read_bytes()
    (folder / "short.nii.gz").write_bytes(content[: len(content) // 2])
    return "short.nii.gz"


@pytest.fixture
def full_disk(monkeypatch) -> None:
    """Every spool is a file, for which there is no room."""
    monkeypatch.setattr("lazyvox.store.files.spool.SMALL_SPOOL_BYTES", 0)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10}))


@pytest.fixture
def start(folder):
    """Start a command in a process of its own; whatever still runs at the end is killed."""
    started = []

    def call(*argv: object, env: dict[str, str] | None = None, **options) -> subprocess.Popen:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        command = [sys.executable, "-m", "lazyvox", *map(os.fsencode, map(str, argv))]
        process = subprocess.Popen(command, env={**os.environ, **(env or {})}, **pipes)
        started.append(process)
        return process

    yield call
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def shell(start):
    """Run a command in a process of its own, to its end."""

    def call(*argv: object, **options) -> Done:
        process = start(*argv, **options)
        out, err = process.communicate(timeout=60)
        return Done(
            process.returncode, *((text or b"").decode(errors="replace") for text in (out, err))
        )

    return call
