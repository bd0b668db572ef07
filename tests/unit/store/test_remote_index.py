"""Access points of objects: beside them, or in the cache; only the segments that are wanted."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import OutputError
from lazyvox.store.index.cache import judge_all
from lazyvox.store.index.folder import cache_folder
from lazyvox.store.index.listing import list_indexes
from lazyvox.store.opening import open_source
from lazyvox.testing import ObjectServer, compress, nifti_bytes
from lazyvox.testing.seekable import bgzf_bytes

SHAPE = (40, 40, 30, 40)
NAME = "x.nii.gz"


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(0).integers(0, 900, SHAPE).astype("<i2")


@pytest.fixture(scope="module")
def packed(values):
    return compress(nifti_bytes(values), "gzip")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYVOX_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def beside(tmp_path, packed):
    """The bytes of an index as it would be uploaded."""
    path = tmp_path / NAME
    path.write_bytes(packed)
    lv.index(path, spacing="256KiB").export(tmp_path / "exported.gzidx")
    return (tmp_path / "exported.gzidx").read_bytes()


def check_volume(img, values, number):
    np.testing.assert_array_equal(img.dataobj[..., number], values[..., number])


def test_a_volume_takes_four_requests_with_an_index_beside(packed, beside, values):
    with ObjectServer({NAME: packed, f"{NAME}.gzidx": beside}) as server:
        img = lv.load(server.url(NAME))
        check_volume(img, values, 30)
        assert len(server.requests) <= 4
        assert server.n_bytes < len(packed) // 5
        server.forget()
        check_volume(img, values, 10)
        assert len(server.requests) <= 2


def test_a_volume_takes_two_requests_with_an_index_in_the_cache(packed, values):
    with ObjectServer({NAME: packed}) as server:
        img = lv.load(server.url(NAME))
        assert lv.index(img, spacing="256KiB").is_built
        assert server.n_bytes == len(packed)
        server.forget()
        check_volume(lv.load(server.url(NAME)), values, 30)
        assert len(server.requests) == 2
        assert [one.state for one in list_indexes(cache_folder())] == ["current"]
        assert not lv.index(server.url(NAME)).is_built


def test_many_segments_are_fetched_several_at_a_time(packed, values, monkeypatch):
    monkeypatch.setattr("lazyvox.store.stream_source.ONE_FETCH_BYTES", 1000)
    monkeypatch.setattr("lazyvox.store.indexed_source.numeric_threads", lambda: 4)
    with ObjectServer({NAME: packed}) as server:
        img = lv.load(server.url(NAME))
        lv.index(img, spacing="128KiB")
        server.forget()
        part = img.dataobj[..., 20:30]
        np.testing.assert_array_equal(part, values[..., 20:30])
        assert len(server.requests) > 4
        assert server.n_bytes < len(packed) // 2


def test_an_index_of_another_content_is_not_used(packed, beside, values):
    other = compress(nifti_bytes(values[..., ::-1]), "gzip")
    with ObjectServer({NAME: other, f"{NAME}.gzidx": beside}) as server:
        check_volume(lv.load(server.url(NAME)), values[..., ::-1], 30)
        verdict = judge_all(open_source(server.url(NAME)))[0]
    assert "it is of a file of" in verdict.reason


def test_an_index_of_an_object_that_was_replaced_is_not_used(packed, values):
    with ObjectServer({NAME: packed}) as server:
        lv.index(server.url(NAME))
        server.objects[NAME] = compress(nifti_bytes(values[..., ::-1]), "gzip")
        assert lv.index(server.url(NAME)).is_built


def test_a_file_that_is_its_own_index_is_read_in_parts(values):
    packed = bgzf_bytes(nifti_bytes(values))
    with ObjectServer({NAME: packed}) as server:
        img = lv.load(server.url(NAME))
        check_volume(img, values, 30)
        server.forget()
        check_volume(img, values, 10)
        assert server.n_bytes < len(packed) // 3


@pytest.mark.parametrize("is_bgzf", [True, False])
def test_a_pass_over_a_file_that_is_its_own_index_fetches_it_once(values, tmp_path, is_bgzf):
    packed = bgzf_bytes(nifti_bytes(values))
    if not is_bgzf:
        lv.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / NAME, seekable=True)
        packed = (tmp_path / NAME).read_bytes()
    with ObjectServer({NAME: packed}) as server:
        lv.plan(lv.mean_img, server.url(NAME))
        assert server.n_bytes == 65536
        server.forget()
        mean = lv.mean_img(server.url(NAME)).dataobj
        assert server.n_bytes <= len(packed) + 65536
    np.testing.assert_allclose(mean, values.mean(3), rtol=1e-6)


def test_an_index_is_not_written_beside_an_object(packed):
    with ObjectServer({NAME: packed}) as server, pytest.raises(OutputError, match="Got a URL"):
        lv.index(server.url(NAME), beside=True)
