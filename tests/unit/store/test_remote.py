"""Images behind URLs: which requests they take, and that they are the images of local files."""

import gzip
import hashlib

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import ImageNotFoundError, ParameterError
from lazyvox.store import open_source
from lazyvox.testing import ObjectServer, check_byte_source, compress, nifti_bytes

SHAPE = (40, 40, 30, 20)


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(0).integers(0, 900, SHAPE).astype("<i2")


@pytest.fixture(scope="module")
def server(values):
    plain = nifti_bytes(values)
    with ObjectServer({"x.nii": plain, "x.nii.gz": gzip.compress(plain, 1)}) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_came(server):
    server.forget()


class TestRequests:
    def test_a_header_takes_one(self, server):
        img = lv.load(server.url("x.nii"))
        assert (img.shape, repr(img).count("127.0.0.1")) == (SHAPE, 1)
        lv.plan(lv.mean_img, img)
        assert server.ranges("x.nii") == [(0, 65536)]

    def test_header_and_volume_take_two(self, server, values):
        img = lv.load(server.url("x.nii"))
        np.testing.assert_array_equal(img.dataobj[..., 11], values[..., 11])
        start = 352 + 11 * 96_000
        assert server.ranges("x.nii") == [(0, 65536), (start, start + 96_000)]

    @pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
    def test_a_pass_takes_a_header_and_a_stream(self, server, values, name):
        mean = lv.mean_img(server.url(name))
        np.testing.assert_allclose(mean.dataobj, values.mean(3), rtol=1e-6)
        size = len(server.objects[name])
        assert server.ranges(name) == [(0, 65536), (65536, size)]
        assert server.n_bytes == size

    def test_values_far_apart_are_fetched_at_a_time(self, server, values):
        img = lv.load(server.url("x.nii"))
        np.testing.assert_array_equal(img.dataobj[3, 4, 5, ::6], values[3, 4, 5, ::6])
        assert len(server.requests) == 5
        assert server.n_bytes < 70_000

    def test_every_request_names_the_etag(self, server):
        lv.mean_img(server.url("x.nii.gz"))
        first, *others = server.requests
        assert "If-Match" not in first.headers
        etag = hashlib.md5(server.objects["x.nii.gz"]).hexdigest()
        assert [one.headers["If-Match"] for one in others] == [f'"{etag}"']


@pytest.mark.parametrize("compression", ["none", "gzip", "bzip2", "zstd"])
@pytest.mark.parametrize("n_bytes", [64, 150_001])
def test_objects_keep_the_contract_of_sources(compression, n_bytes):
    payload = np.random.default_rng(0).bytes(n_bytes)
    with ObjectServer({"a": compress(payload, compression)}) as server:
        assert open_source(server.url("a")).compression == compression
        check_byte_source(lambda: open_source(server.url("a")), payload)


def test_a_missing_object_is_named(server):
    with pytest.raises(ImageNotFoundError, match=r"/nothing\.nii: no such object: the server ans"):
        lv.load(server.url("nothing.nii"))


def test_a_memory_map_is_refused(server):
    with pytest.raises(ParameterError, match=r"on a disk\. Got an object over a network"):
        lv.load(server.url("x.nii"), mmap=True)


def test_a_url_of_a_local_file_is_its_path(tmp_path, values):
    path = tmp_path / "a b.nii"
    path.write_bytes(nifti_bytes(values))
    assert lv.load("file://" + str(path).replace(" ", "%20")).get_filename() == str(path)
