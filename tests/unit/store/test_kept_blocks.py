"""Blocks of objects that are kept in a folder on request."""

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import OutputError
from lazyvox.store.opening import open_source
from lazyvox.store.remote.open_object import _PIECES
from lazyvox.testing import ObjectServer, check_byte_source, compress, nifti_bytes

SHAPE = (50, 50, 40, 24)


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(0).integers(0, 900, SHAPE).astype("<i2")


@pytest.fixture(scope="module")
def server(values):
    plain = nifti_bytes(values)
    with ObjectServer({"x.nii": plain, "x.nii.gz": compress(plain, "gzip")}) as server:
        yield server


@pytest.fixture
def kept(tmp_path, server):
    server.forget()
    return tmp_path / "kept"


def forget_in_memory():
    _PIECES._pieces = []


def mean(server, name, kept):
    forget_in_memory()
    img = lv.load(server.url(name), storage_options={"cache_dir": kept})
    return lv.mean_img(img).dataobj


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_a_second_pass_fetches_the_header_only(server, kept, values, name):
    np.testing.assert_allclose(mean(server, name, kept), values.mean(3), rtol=1e-6)
    assert server.n_bytes <= len(server.objects[name]) + 65536
    server.forget()
    np.testing.assert_allclose(mean(server, name, kept), values.mean(3), rtol=1e-6)
    assert server.ranges(name) == [(0, 65536)]


def test_blocks_that_are_there_are_left_out(server, kept, values):
    mean(server, "x.nii", kept)
    blocks = sorted(kept.rglob("[0-9]"))
    assert len(blocks) == -(-len(server.objects["x.nii"]) // (1 << 20))
    blocks[1].write_bytes(b"damaged")
    blocks[3].unlink()
    server.forget()
    np.testing.assert_allclose(mean(server, "x.nii", kept), values.mean(3), rtol=1e-6)
    assert sorted(server.ranges("x.nii"))[1:] == [(1 << 20, 2 << 20), (3 << 20, 4 << 20)]
    assert not list(kept.rglob("*.tmp"))


def test_blocks_of_another_content_are_not_used(server, kept, values):
    mean(server, "x.nii", kept)
    before = server.objects["x.nii"]
    server.objects["x.nii"] = nifti_bytes(values[..., :7])
    try:
        found = mean(server, "x.nii", kept)
    finally:
        server.objects["x.nii"] = before
    np.testing.assert_allclose(found, values[..., :7].mean(3), rtol=1e-6)


def test_a_folder_that_cannot_be_written_to_is_done_without(server, kept, values, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lazyvox.store.remote.kept_blocks.os.replace", fail)
    np.testing.assert_allclose(mean(server, "x.nii", kept), values.mean(3), rtol=1e-6)
    assert not list(kept.rglob("*.tmp"))


def test_a_folder_that_is_a_file_is_refused(server, kept):
    kept.write_bytes(b"")
    with pytest.raises(OutputError, match="`cache_dir` must be a folder that can be made"):
        lv.load(server.url("x.nii"), storage_options={"cache_dir": kept})


def test_kept_objects_keep_the_contract_of_sources(kept):
    payload = np.random.default_rng(0).bytes(300_001)
    with ObjectServer({"a": payload}) as server, lv.storage_options(cache_dir=kept):
        check_byte_source(lambda: open_source(server.url("a")), payload)
