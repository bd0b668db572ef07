"""A pass that is asked to find access points on its way: the index, the values, and a pass that stops."""

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import ScanCancelledError
from lazyvox.store.index.growth import growing_index, recording_indexes
from lazyvox.testing import n_descriptors, own_threads
from lazyvox.testing.images import write_nifti


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of 13 MB whose index has several points, and its values."""
    monkeypatch.setenv("LAZYVOX_CACHE_DIR", str(tmp_path / "cache"))
    values = np.random.default_rng(0).integers(0, 255, (32, 32, 16, 200)).astype("f4")
    return write_nifti(tmp_path / "run.nii.gz", values), values


def source_of(path):
    return lv.load(path).dataobj.reader.byte_source


def test_one_pass_makes_the_index_and_the_result(run):
    path, values = run
    assert source_of(path).needs_index()
    with recording_indexes():
        found = lv.mean_img(path)
    np.testing.assert_array_equal(np.asarray(found.dataobj), values.mean(axis=3, dtype=float))
    assert not source_of(path).needs_index()
    recorded = lv.index(path)
    assert not recorded.is_built
    assert recorded.n_points == lv.index(path, overwrite=True).n_points > 4


def test_a_pass_over_what_is_computed_of_the_file_makes_it_too(run):
    path, values = run
    img = lv.load(path)
    with recording_indexes():
        found = lv.mean_img(2 * img + 1)
    wanted = 2 * values.mean(axis=3, dtype=float) + 1
    np.testing.assert_allclose(np.asarray(found.dataobj), wanted)
    assert not source_of(path).needs_index()


def test_a_pass_that_is_not_asked_makes_none(run):
    lv.mean_img(run[0])
    assert source_of(run[0]).needs_index()


def test_other_reads_use_the_points_that_were_found_so_far(run):
    path, values = run
    img, seen = lv.load(path), []

    def look(done, total):
        if 0 < done < total:
            growing = growing_index(source_of(path))
            # The thread that reads is ahead, and may be at the end.
            point = growing and growing.point_before(growing.position)
            seen.extend([point.decoded_offset] if point else [])
            np.testing.assert_array_equal(img.dataobj[..., done // 2], values[..., done // 2])

    with recording_indexes():
        lv.mean_img(path, memory="11MiB", progress=look)
    assert seen[-1] > seen[0]
    assert not source_of(path).needs_index()


def test_a_pass_that_stops_leaves_no_index_and_no_open_file(run):
    path, _ = run
    scan, before = lv.Scan(path), n_descriptors()
    scan.add(lv.Mean())
    with recording_indexes(), pytest.raises(ScanCancelledError, match="cancelled"):
        scan.run(progress=lambda done, total: scan.cancel())
    assert growing_index(source_of(path)) is None
    assert source_of(path).needs_index()
    assert n_descriptors() <= before
    assert own_threads() == []


def test_without_a_cache_nothing_is_recorded(run, monkeypatch):
    monkeypatch.setenv("LAZYVOX_CACHE_SIZE", "0")
    with recording_indexes():
        lv.mean_img(run[0])
    monkeypatch.delenv("LAZYVOX_CACHE_SIZE")
    assert source_of(run[0]).needs_index()
