"""With an index, what is read of a compressed file is the part that holds what was asked for."""

import math
import threading

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.store.cursors import shared_pool
from lazyvox.store.files.block_cache import shared_blocks
from lazyvox.store.files.compressed_input import PIECE_BYTES
from lazyvox.store.files.descriptors import OpenFile
from lazyvox.store.index.cache import find_index
from lazyvox.store.index.file import GzidxFile
from lazyvox.store.opening import open_source
from lazyvox.testing import gzip_member, nifti_bytes

SHAPE = (32, 32, 20, 60)
SPACING = 128 * 1024
VALUES = np.random.default_rng(0).normal(0, 300, SHAPE).astype("<i2")
#: A header is found in the first piece that is fetched.
HEADER_BYTES = PIECE_BYTES


class Reads:
    """Notes which bytes of which file are read."""

    def __init__(self):
        self.parts = []
        self.windows = []
        self.lock = threading.Lock()

    def of(self, path):
        return [(start, stop) for name, start, stop in self.parts if name == str(path)]

    def nbytes(self, path):
        return sum(stop - start for start, stop in self.of(path))

    def clear(self):
        self.parts.clear()
        self.windows.clear()


@pytest.fixture
def reads(monkeypatch):
    """Bytes that are read from now on."""
    noted, window = Reads(), GzidxFile.window
    pread, preadv = OpenFile.pread, OpenFile.preadv

    def note(file, offset, nbytes):
        with noted.lock:
            noted.parts.append((file.path, offset, offset + nbytes))

    def noting_pread(self, nbytes, offset):
        data = pread(self, nbytes, offset)
        note(self, offset, len(data))
        return data

    def noting_preadv(self, buffer, offset):
        n_read = preadv(self, buffer, offset)
        note(self, offset, n_read)
        return n_read

    def noting_window(self, number):
        with noted.lock:
            noted.windows.append(number)
        return window(self, number)

    monkeypatch.setattr(OpenFile, "pread", noting_pread)
    monkeypatch.setattr(OpenFile, "preadv", noting_preadv)
    monkeypatch.setattr(GzidxFile, "window", noting_window)
    return noted


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A run with an index."""
    monkeypatch.setenv("LAZYVOX_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "run.nii.gz"
    path.write_bytes(gzip_member(nifti_bytes(VALUES), level=1))
    lv.index(path, spacing=SPACING)
    shared_blocks().begin_anew()
    shared_pool().begin_anew()
    return path


def segments_of(path, start, stop):
    """Return the compressed bytes of the segments of some decoded bytes, and how many there are."""
    points = find_index(open_source(path))
    first = np.searchsorted(points.decoded_offsets, start, side="right") - 1
    last = np.searchsorted(points.decoded_offsets, stop - 1, side="right") - 1
    ends = [*points.bit_offsets[1:], 8 * points.compressed_size]
    return points.bit_offsets[first] // 8, -(-ends[last] // 8), last - first + 1


@pytest.mark.parametrize("volume", [0, 1, 17, 30, 58, 59])
def test_a_volume_costs_its_own_segments(path, reads, volume):
    img = lv.load(path)
    reads.clear()
    assert np.array_equal(img.dataobj[..., volume], VALUES[..., volume])
    nbytes = VALUES[..., 0].nbytes
    start, stop, n_segments = segments_of(path, 352 + volume * nbytes, 352 + (volume + 1) * nbytes)
    assert n_segments <= 2 + nbytes // SPACING
    # What lies behind a segment is in the last piece that is fetched for it.
    assert min(begin for begin, _ in reads.of(path)) >= start
    assert max(end for _, end in reads.of(path)) <= stop + PIECE_BYTES
    assert reads.nbytes(path) <= stop - start + n_segments * (PIECE_BYTES + 1)
    assert len(reads.windows) <= n_segments


def test_the_same_volume_again_costs_nothing(path, reads):
    img = lv.load(path)
    values = img.dataobj[..., 30]
    reads.clear()
    assert np.array_equal(img.dataobj[..., 30], values)
    assert np.array_equal(img.slicer[3:7, ..., 30].get_fdata(), values[3:7])
    assert reads.nbytes(path) == 0


def test_an_image_that_was_emptied_is_read_again(path, reads):
    img = lv.load(path)
    _ = img.dataobj[..., 30]
    img.uncache()
    reads.clear()
    _ = img.dataobj[..., 30]
    assert reads.nbytes(path) > 0


def test_opening_reads_a_header_and_nothing_of_the_index(path, reads):
    lv.load(path)
    assert reads.nbytes(path) <= HEADER_BYTES
    assert not reads.windows


def test_planning_and_describing_read_nothing(path, reads):
    img = lv.load(path)
    reads.clear()
    scan = lv.Scan(img.slicer[..., 5:])
    scan.add(lv.Mean())
    assert scan.plan("512MiB").peak_bytes > 0
    assert "peak" in scan.explain()
    repr(img)
    img._repr_html_()
    assert reads.parts == []
    assert reads.windows == []


@pytest.mark.parametrize("memory", ["24MiB", "1GiB"])
def test_a_pass_reads_each_compressed_byte_about_once(path, reads, memory):
    n_segments = len(find_index(open_source(path)).bit_offsets)
    assert n_segments > 10
    scan = lv.Scan(path)
    mean = scan.add(lv.Mean())
    reads.clear()
    scan.run(memory)
    np.testing.assert_allclose(mean.result().get_fdata(), VALUES.mean(axis=3), atol=1e-3)
    size = path.stat().st_size
    covered = np.zeros(size, bool)
    for start, stop in reads.of(path):
        covered[start:stop] = True
    assert covered.all()
    # The pieces of one segment end at or behind the beginning of the next.
    assert reads.nbytes(path) <= size + n_segments * (PIECE_BYTES + 1)
    assert len(reads.windows) <= n_segments


def test_slices_of_many_volumes_read_each_compressed_byte_about_once(path, reads):
    img = lv.load(path)
    reads.clear()
    assert np.array_equal(img.dataobj[4:9, 3, 2:4], VALUES[4:9, 3, 2:4])
    n_segments = len(find_index(open_source(path)).bit_offsets)
    assert reads.nbytes(path) <= path.stat().st_size + n_segments * (PIECE_BYTES + 1)


def test_a_thousand_slices_decode_each_segment_hardly_more_than_once(path, reads):
    """The cache holds all of this run."""
    img = lv.load(path)
    reads.clear()
    rng = np.random.default_rng(4)
    for place in rng.integers(0, math.prod(SHAPE[2:]), 300).tolist():
        volume, k = divmod(place, SHAPE[2])
        assert np.array_equal(img.dataobj[:, 2:4, k, volume], VALUES[:, 2:4, k, volume])
    n_segments = len(find_index(open_source(path)).bit_offsets)
    assert len(reads.windows) <= n_segments
