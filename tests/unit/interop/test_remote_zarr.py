"""Folders of Zarr behind URLs."""

import pickle
from pathlib import Path

import fsspec
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import (
    FileChangedError,
    ImageNotFoundError,
    ImagePermissionError,
    OutputError,
    ParameterError,
    TruncatedFileError,
    UnsupportedFormatError,
)
from lazyvox.testing import ObjectServer, Reply, nifti_bytes

zarr = pytest.importorskip("zarr")

SHAPE = (12, 14, 10, 9)


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(0).integers(0, 900, SHAPE).astype("<i2")


@pytest.fixture(scope="module", params=["time", "space"])
def objects(request, values, tmp_path_factory):
    folder = tmp_path_factory.mktemp("zarr")
    (folder / "x.nii").write_bytes(nifti_bytes(values))
    lv.interop.to_zarr(folder / "x.nii", folder / "x.zarr", chunks=request.param)
    return objects_of(folder)


def objects_of(folder):
    files = (path for path in Path(folder, "x.zarr").rglob("*") if path.is_file())
    return {f"a/{path.relative_to(folder)}": path.read_bytes() for path in files}


def test_every_door_reads_it(objects, values):
    with ObjectServer(objects) as server:
        url = server.url("a/x.zarr")
        img = lv.load(url)
        np.testing.assert_array_equal(img.dataobj[..., 4], values[..., 4])
        np.testing.assert_allclose(lv.mean_img(url).dataobj, values.mean(3), rtol=1e-6)
        again = lv.interop.from_zarr(url + "/")
        np.testing.assert_array_equal(again.dataobj[3, 3, 3], values[3, 3, 3])
        copy = pickle.loads(pickle.dumps(img))
        np.testing.assert_array_equal(copy.dataobj[5], values[5])


def test_each_chunk_is_one_request(objects):
    with ObjectServer(objects) as server:
        img = lv.load(server.url("a/x.zarr"))
        server.forget()
        img.dataobj[..., 4].sum()
        chunks = [name for name in objects if name.startswith("a/x.zarr/0/c/")]
        asked = [one.name for one in server.requests if one.name in chunks]
        assert len(asked) == len(set(asked)) <= len(chunks)


def test_a_store_that_was_written_anew_is_refused(objects):
    with ObjectServer(objects) as server:
        img = lv.load(server.url("a/x.zarr"))
        server.modified_s += 5
        with pytest.raises(FileChangedError, match=r"0/zarr\.json: the object must stay as it"):
            img.dataobj[..., 4].sum()


def test_what_may_not_be_read_is_no_empty_chunk(objects):
    def reply(request):
        return Reply(status=403) if "/0/c/" in request.name else None

    with ObjectServer(objects, reply) as server:
        img = lv.load(server.url("a/x.zarr"))
        with pytest.raises(ImagePermissionError, match=r"x\.zarr/0/c/.*: the object may not"):
            img.dataobj[..., 4].sum()


def test_a_bucket_that_may_not_be_listed_says_403_of_what_is_missing(objects, values):
    def reply(request):
        return None if request.name in objects else Reply(status=403)

    with ObjectServer(objects, reply) as server:
        img = lv.load(server.url("a/x.zarr"))
        np.testing.assert_array_equal(img.dataobj[..., 4], values[..., 4])
        with pytest.raises(ImagePermissionError, match=r"none\.zarr/zarr\.json: the object may"):
            lv.load(server.url("none.zarr"))


@pytest.mark.parametrize("ending", ["", "/", "?X-Amz-Signature=word", "/?X-Amz-Signature=word"])
def test_credentials_of_the_url_are_sent_and_not_shown(objects, ending):
    with ObjectServer(objects) as server:
        url = server.url("a/x.zarr").replace("127.0.0.1", "me:word@127.0.0.1")
        img = lv.load(url + ending)
        img.dataobj[..., 4].sum()
        assert all("Authorization" in one.headers for one in server.requests)
        assert b"word" not in pickle.dumps(img)
        assert "word" not in repr(img.dataobj) + str(lv.plan(lv.mean_img, img))


def test_an_empty_chunk_and_metadata_of_another_kind(objects):
    chunks = [name for name in objects if "/0/c/" in name]
    with ObjectServer({**objects, **dict.fromkeys(chunks, b"")}) as server:
        img = lv.load(server.url("a/x.zarr"))
        with pytest.raises(TruncatedFileError, match="the object must hold data, and it is empty"):
            img.dataobj[..., 4].sum()
    with (
        ObjectServer({**objects, "a/x.zarr/zarr.json": b"[]"}) as server,
        pytest.raises(UnsupportedFormatError, match="the store must hold a Zarr group"),
    ):
        lv.load(server.url("a/x.zarr"))


def test_errors_name_the_url(objects):
    with ObjectServer(objects) as server:
        with pytest.raises(ImageNotFoundError, match=r"none\.zarr: a folder of Zarr must hold"):
            lv.load(server.url("none.zarr"))
        with pytest.raises(ParameterError, match="mmap=True needs an uncompressed"):
            lv.load(server.url("a/x.zarr"), mmap=True)
        with pytest.raises(UnsupportedFormatError, match=r"hold a Zarr group\. Got an array"):
            lv.interop.from_zarr(server.url("a/x.zarr/0"))
        img = lv.load(server.url("a/x.zarr"))
        with pytest.raises(OutputError, match="local"):
            lv.interop.to_zarr(img, server.url("b.zarr"))


def test_shards_are_read_in_parts(values, tmp_path):
    group = zarr.create_group(tmp_path / "x.zarr")
    stored = values.transpose(3, 2, 1, 0)
    array = group.create_array(
        "0", shape=stored.shape, chunks=(1, 10, 14, 12), shards=(3, 10, 14, 12), dtype="i2"
    )
    array[:] = stored
    axes = [{"name": name, "type": "time" if name == "t" else "space"} for name in "tzyx"]
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}],
    }
    with ObjectServer(objects_of(tmp_path)) as server:
        img = lv.load(server.url("a/x.zarr"))
        np.testing.assert_array_equal(img.dataobj[..., 4], values[..., 4])


def test_file_systems_of_fsspec(objects, values):
    for name, content in objects.items():
        with fsspec.open(f"memory://{name}", "wb") as file:
            file.write(content)
    img = lv.load("memory://a/x.zarr")
    np.testing.assert_array_equal(img.dataobj[..., 4], values[..., 4])
