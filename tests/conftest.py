"""Fixtures that tests in several folders use."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lazyvox.testing import own_threads


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with real scans, beside the checkout; tests are skipped where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real scans: {folder} does not exist")
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """Folder of the indexes of this test; it does not exist yet."""
    monkeypatch.setenv("LAZYVOX_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "indexes"


@pytest.fixture
def no_thread_left() -> Iterator[None]:
    """Fail a test that leaves a thread of lazyvox behind."""
    yield
    assert own_threads() == []


@pytest.fixture
def watch_reads(monkeypatch) -> Callable[[Callable[[int], object]], None]:
    """Function that has another one called with the length of each read of a file from then on."""

    def watch(told: Callable[[int], object]) -> None:
        pread, preadv = os.pread, os.preadv

        def watched_pread(fd, nbytes, offset):
            piece = pread(fd, nbytes, offset)
            told(len(piece))
            return piece

        def watched_preadv(fd, buffers, offset):
            n_read = preadv(fd, buffers, offset)
            told(n_read)
            return n_read

        monkeypatch.setattr(os, "pread", watched_pread)
        monkeypatch.setattr(os, "preadv", watched_preadv)

    return watch


@pytest.fixture
def memory(tmp_path, monkeypatch) -> Path:
    """Folder in the place of the memory file system, which other processes use too."""
    folder = tmp_path / "memory"
    folder.mkdir()
    monkeypatch.setattr("lazyvox.lazyimage.shared_room.MEMORY_FOLDER", folder)
    return folder
