"""Gzip files with members of no bytes, at their end and elsewhere, have an index like others."""

import gzip

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.store.files.block_cache import shared_blocks
from lazyvox.store.files.compressed_input import CompressedInput
from lazyvox.store.index.cache import find_index
from lazyvox.store.index.growth import grow_index, growing_index
from lazyvox.store.opening import open_source
from lazyvox.testing.seekable import bgzf_bytes

SPACING = 64 << 10
RAW = np.random.default_rng(3).integers(0, 9, 400_000, "u1").tobytes()
EMPTY = gzip.compress(b"")


def joined(*cuts, before=0, after=0):
    """Return a file of a member for each part of the data, with empty ones around all of them."""
    parts = [RAW[start:stop] for start, stop in zip((0, *cuts), (*cuts, len(RAW)), strict=True)]
    return EMPTY * before + b"".join(gzip.compress(part, 1) for part in parts) + EMPTY * after


FILES = {
    "last": joined(2 * SPACING, after=1),
    "several last": joined(SPACING, 5 * SPACING, after=3),
    "first": joined(SPACING, before=2),
    "where a point is due": joined(SPACING, SPACING, SPACING, after=1),
    "last, right behind a point": joined(len(RAW) - 4000, after=1),
    "BGZF of two blocks": bgzf_bytes(RAW[:100_000], block_bytes=65_280),
    "BGZF of uneven blocks": bgzf_bytes(RAW[:130_000], block_bytes=65_280)
    + bgzf_bytes(RAW[130_000:], block_bytes=30_000),
    "empty in the middle of BGZF": bgzf_bytes(RAW, block_bytes=65_280)
    + bgzf_bytes(RAW[:70_000], block_bytes=65_280),
}


@pytest.fixture(params=FILES)
def path(request, tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYVOX_CACHE_DIR", str(tmp_path / "cache"))
    shared_blocks().begin_anew()
    path = tmp_path / "run.nii.gz"
    path.write_bytes(FILES[request.param])
    return path


def part(path, start, stop):
    out = bytearray(stop - start)
    with open_source(path).open_part(start, stop, 64 << 20) as session:
        session.readinto(start, memoryview(out))
    return bytes(out)


@pytest.mark.parametrize("spacing", [32 << 10, SPACING, 100_000, 1 << 20])
def test_an_index_is_built_and_every_part_read_by_it(path, spacing):
    whole = gzip.decompress(path.read_bytes())
    found = lv.index(path, spacing=spacing)
    assert found.is_built
    assert found.decoded_size == len(whole)
    assert found.n_points <= len(whole) // spacing + 1
    assert not lv.index(path, spacing=spacing).is_built
    for start in range(0, len(whole), 33_333):
        stop = min(start + 5000, len(whole))
        assert part(path, start, stop) == whole[start:stop]
    assert part(path, len(whole) - 1, len(whole)) == whole[-1:]


def test_an_index_is_exported_and_imported(path, tmp_path):
    found = lv.index(path, spacing=SPACING)
    found.export(tmp_path / "a.gzidx")
    copy = tmp_path / "copy.nii.gz"
    copy.write_bytes(path.read_bytes())
    again = lv.index(copy, import_from=tmp_path / "a.gzidx")
    assert (again.n_points, again.decoded_size) == (found.n_points, found.decoded_size)


def test_an_index_grows_to_its_end(path, monkeypatch):
    monkeypatch.setattr("lazyvox.store.index.growth.DEFAULT_SPACING", SPACING)
    whole = gzip.decompress(path.read_bytes())
    source = open_source(path)
    with CompressedInput(source) as feed:
        decoder = grow_index(source, feed)
        assert b"".join(iter(lambda: decoder.decode(10_000), b"")) == whole
    assert growing_index(source) is None
    assert find_index(source).decoded_size == len(whole)
    for start in range(0, len(whole), 33_333):
        stop = min(start + 5000, len(whole))
        assert part(path, start, stop) == whole[start:stop]
