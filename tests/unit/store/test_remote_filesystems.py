"""Objects on S3 and in other file systems of fsspec."""

import logging
import os
import pickle
import subprocess
import sys
import zipfile
from typing import ClassVar

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import lazyvox as lv
from lazyvox.errors import (
    FileChangedError,
    ImageNotFoundError,
    ImagePermissionError,
    MissingDependencyError,
    ParameterError,
)
from lazyvox.store import open_source
from lazyvox.store.files.urls import public_url
from lazyvox.store.remote import objects
from lazyvox.store.remote.retrying import remote_use
from lazyvox.testing import check_byte_source, compress, nifti_bytes

SHAPE = (20, 20, 10, 12)
SECRET = "wJalrXUtnFEMI"


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(0).integers(0, 900, SHAPE).astype("<i2")


@pytest.fixture(scope="module")
def s3(values):
    """Address of a server of S3 with one bucket."""
    boto3 = pytest.importorskip("boto3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server.start()
    endpoint = "http://{}:{}".format("127.0.0.1", server.get_host_and_port()[1])
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="id",
        aws_secret_access_key=SECRET,
    )
    client.create_bucket(Bucket="bucket")
    plain = nifti_bytes(values)
    client.put_object(Bucket="bucket", Key="a/x.nii", Body=plain)
    client.put_object(Bucket="bucket", Key="a/x.nii.gz", Body=compress(plain, "gzip"))
    client.put_object(Bucket="bucket", Key="public.nii", Body=plain, ACL="public-read")
    client.put_object(Bucket="bucket", Key="changing.nii", Body=plain)
    yield endpoint, client
    server.stop()


@pytest.fixture
def options(s3, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return {"endpoint_url": s3[0], "key": "id", "secret": SECRET}


class TestS3:
    @pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
    def test_an_image_is_read(self, options, values, name):
        img = lv.load(f"s3://bucket/a/{name}", storage_options=options)
        np.testing.assert_array_equal(img.dataobj[..., 7], values[..., 7])
        np.testing.assert_allclose(lv.mean_img(img).dataobj, values.mean(3), rtol=1e-6)

    def test_a_folder_of_zarr_is_read(self, options, s3, values, tmp_path):
        pytest.importorskip("zarr")
        (tmp_path / "x.nii").write_bytes(nifti_bytes(values))
        lv.interop.to_zarr(tmp_path / "x.nii", tmp_path / "x.zarr")
        for path in (tmp_path / "x.zarr").rglob("*"):
            if path.is_file():
                key = str(path.relative_to(tmp_path))
                s3[1].put_object(Bucket="bucket", Key=key, Body=path.read_bytes())
        img = lv.load("s3://bucket/x.zarr", storage_options=options)
        np.testing.assert_array_equal(img.dataobj[..., 7], values[..., 7])
        assert SECRET.encode() not in pickle.dumps(img)

    def test_a_header_and_a_volume_take_two_requests(self, options):
        before = remote_use().requests
        img = lv.load("s3://bucket/a/x.nii", storage_options=options)
        img.dataobj[..., 11].sum()
        assert remote_use().requests - before == 2

    def test_a_public_bucket_needs_no_credentials(self, options, values):
        public = {"endpoint_url": options["endpoint_url"], "anon": True}
        img = lv.load("s3://bucket/public.nii", storage_options=public)
        copy = pickle.loads(pickle.dumps(img))
        np.testing.assert_array_equal(copy.dataobj[..., 11], values[..., 11])

    def test_without_credentials_the_advice_is_anon(self, options):
        with (
            pytest.raises(ImagePermissionError, match=r"\{'anon': True\}` reads public buckets"),
            lv.storage_options(endpoint_url=options["endpoint_url"]),
        ):
            lv.load("s3://bucket/a/x.nii")

    def test_a_missing_object_is_named(self, options):
        with pytest.raises(
            ImageNotFoundError, match=r"s3://bucket/none\.nii: no such object.*404"
        ):
            lv.load("s3://bucket/none.nii", storage_options=options)

    def test_an_object_that_was_replaced_is_refused(self, options, s3, values):
        img = lv.load("s3://bucket/changing.nii", storage_options=options)
        s3[1].put_object(Bucket="bucket", Key="changing.nii", Body=nifti_bytes(values[..., ::-1]))
        with pytest.raises(FileChangedError, match="the object must stay as it was"):
            img.dataobj[..., 11].sum()

    def test_secrets_are_nowhere(self, options, caplog):
        caplog.set_level(logging.INFO, "lazyvox")
        img = lv.load("s3://bucket/a/x.nii", storage_options=options)
        img.dataobj[..., 3].sum()
        packed = pickle.dumps(img)
        plan = lv.plan(lv.mean_img, img)
        seen = [repr(img), repr(img.dataobj.reader), str(plan), repr(plan), caplog.text]
        assert SECRET.encode() not in packed
        assert not any(SECRET in text or "Signature" in text for text in seen)

    def test_options_that_stayed_behind_are_named(self, options, monkeypatch):
        packed = pickle.dumps(lv.load("s3://bucket/a/x.nii", storage_options=options))
        # As in another process.
        monkeypatch.setattr("lazyvox.store.remote.options._GIVEN._by_token", {})
        objects._TRANSPORTS.begin_anew()
        img = pickle.loads(packed)
        with pytest.raises(ImagePermissionError, match="`key`, `secret` hold secrets and do not"):
            img.dataobj[..., 11].sum()

    @pytest.mark.slow
    def test_another_process_takes_credentials_from_its_environment(self, options, tmp_path):
        img = lv.load("s3://bucket/a/x.nii", storage_options=options)
        (tmp_path / "img").write_bytes(pickle.dumps(img))
        code = (
            "import pickle, sys; img = pickle.load(open(sys.argv[1], 'rb')); "
            "print(img.dataobj[..., 11].sum())"
        )
        answers = [
            subprocess.run(
                [sys.executable, "-c", code, tmp_path / "img"],
                env={**os.environ, **given},
                capture_output=True,
                text=True,
                check=False,
            )
            for given in ({}, {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": SECRET})
        ]
        assert answers[1].stdout.strip() == str(int(img.dataobj[..., 11].sum())), answers[1].stderr
        assert "`key`, `secret` hold secrets and do not leave the process" in answers[0].stderr


class _NoKey(MemoryFileSystem):
    """Google's or Azure's file system of somebody whose login signs nothing."""

    protocol = ("gs", "abfs")
    cachable = False
    given: ClassVar[dict[str, object]] = {}

    def __init__(self, **options):
        _NoKey.given = options
        super().__init__()

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.rpartition("://")[2])

    def sign(self, path, expiration=100, **options):
        msg = "you need a private key to sign credentials."
        raise AttributeError(msg)


class TestCloudsWithoutKeys:
    @pytest.fixture(autouse=True)
    def cloud(self, values, monkeypatch):
        for scheme in _NoKey.protocol:
            monkeypatch.setitem(sys.modules["fsspec.registry"]._registry, scheme, _NoKey)
        files = _NoKey()
        for name, form in (("x.nii", "none"), ("x.nii.gz", "gzip")):
            files.pipe_file(f"/bucket/{name}", compress(nifti_bytes(values), form))
        yield
        files.rm("/bucket", recursive=True)

    @pytest.mark.parametrize("scheme", ["gs", "abfs"])
    @pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
    def test_an_image_is_read_by_calls(self, values, scheme, name):
        img = lv.load(f"{scheme}://bucket/{name}", storage_options={"project": scheme})
        np.testing.assert_array_equal(img.dataobj[..., 7], values[..., 7])
        np.testing.assert_allclose(lv.mean_img(img).dataobj, values.mean(3), rtol=1e-6)
        copy = pickle.loads(pickle.dumps(img))
        np.testing.assert_array_equal(copy.dataobj[..., 3], values[..., 3])

    def test_anon_is_said_as_the_file_system_says_it(self):
        lv.load("gs://bucket/x.nii", storage_options={"anon": True})
        assert _NoKey.given == {"token": "anon"}
        lv.load("abfs://bucket/x.nii", storage_options={"anon": True})
        assert _NoKey.given == {"anon": True}

    def test_an_object_is_needed(self):
        with pytest.raises(ParameterError, match=r"in it, as gs://BUCKET/FOLDER/run\.nii\.gz"):
            lv.load("gs://bucket")

    def test_the_container_of_azure_is_no_user(self):
        url = "abfs://data@account.dfs.core.windows.net/x.nii"
        assert public_url(url) == url
        assert public_url("abfs://me:word@host/x.nii") == "abfs://***@host/x.nii"
        assert public_url("https://me@host/x.nii") == "https://***@host/x.nii"


class TestOthers:
    @pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
    def test_objects_keep_the_contract_of_sources(self, compression):
        payload = np.random.default_rng(0).bytes(300_001)
        with fsspec.open(f"memory://contract/{compression}", "wb") as file:
            file.write(compress(payload, compression))
        check_byte_source(lambda: open_source(f"memory://contract/{compression}"), payload)

    def test_one_behind_another_is_read(self, values, tmp_path):
        path = tmp_path / "x.nii"
        path.write_bytes(nifti_bytes(values))
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            archive.write(path, "x.nii")
        img = lv.load(f"zip://x.nii::file://{tmp_path}/x.zip")
        np.testing.assert_array_equal(img.dataobj[..., 7], values[..., 7])

    def test_an_object_that_was_replaced_is_refused(self, values):
        url = "memory://changing/x.nii"
        with fsspec.open(url, "wb") as file:
            file.write(nifti_bytes(values))
        img = lv.load(url)
        with fsspec.open(url, "wb") as file:
            file.write(nifti_bytes(values[..., :4]))
        with pytest.raises(FileChangedError, match="it changed on the server"):
            img.dataobj[..., 11].sum()

    def test_a_missing_object_is_named(self):
        with pytest.raises(ImageNotFoundError, match="memory://nothing: no such object"):
            lv.load("memory://nothing")

    def test_an_unknown_option_is_refused(self, options):
        with pytest.raises(ParameterError, match=r"with options that it knows\. Got TypeError"):
            lv.load("s3://bucket/a/x.nii", storage_options={**options, "anno": True})

    def test_an_unknown_scheme_is_refused(self):
        with pytest.raises(ParameterError, match="must be of a file system of fsspec"):
            lv.load("nothing://host/x.nii")

    def test_a_missing_package_is_named(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "gcsfs", None)
        with pytest.raises(
            MissingDependencyError, match=r"gs:// URLs need the package gcsfs\. Run"
        ):
            lv.load("gs://bucket/x.nii")
