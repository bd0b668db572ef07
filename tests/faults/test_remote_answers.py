"""Answers of servers that are odd, and URLs and headers that hold secrets in odd places."""

import contextlib
import re
import socket
import threading
import traceback

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.cli.cohort import _IMAGE_AND_TABLE
from lazyvox.cli.main import main
from lazyvox.errors import (
    ImageNotFoundError,
    OutputError,
    ParameterError,
    ParameterTypeError,
    ReadError,
)
from lazyvox.store.files.urls import public_url
from lazyvox.store.remote.connections import Origin
from lazyvox.store.remote.http_object import Address
from lazyvox.testing import (
    ObjectServer,
    Reply,
    assert_no_thread_is_left,
    compress,
    interrupted_when,
    nifti_bytes,
)

OPTIONS = {"timeout": 60, "retries": 0}
HEAD_BYTES = 65536


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(0).integers(0, 900, (20, 20, 20, 12)).astype("<i2")


@pytest.fixture(scope="module")
def plain(values):
    return nifti_bytes(values)


@contextlib.contextmanager
def raw_server(send):
    """Serve on a socket: `send` writes the whole answer to a range; yield the URL."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve(connection):
        with connection, contextlib.suppress(OSError):
            while head := connection.recv(HEAD_BYTES):
                asked = re.search(rb"bytes=(\d+)-(\d*)", head)
                send(connection, int(asked[1]), int(asked[2]) + 1 if asked[2] else None)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/x.nii"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
        listening.close()


def head_of(content, start, stop, rest):
    text = f"HTTP/1.1 206 P\r\nContent-Range: bytes {start}-{stop - 1}/{len(content)}\r\n"
    return f"{text}{rest}\r\n\r\n".encode()


def test_chunks_that_come_in_pieces_are_read(plain, values):
    def send(connection, start, stop):
        stop = min(stop or len(plain), len(plain))
        connection.sendall(head_of(plain, start, stop, "Transfer-Encoding: chunked"))
        # Longer than what a socket receives at a time.
        for begin in range(start, stop, 150_000):
            part = plain[begin : min(begin + 150_000, stop)]
            connection.sendall(b"%x\r\n" % len(part) + part[:5000])
            connection.sendall(part[5000:] + b"\r\n")
        connection.sendall(b"0\r\n\r\n")

    with raw_server(send) as url:
        img = lv.load(url, storage_options=OPTIONS)
        np.testing.assert_array_equal(img.dataobj[..., 7], values[..., 7])
        np.testing.assert_allclose(lv.mean_img(img).dataobj, values.mean(3), rtol=1e-6)


def test_ctrl_c_ends_a_pass_whose_server_drips(plain):
    over, dripping = threading.Event(), threading.Event()

    def send(connection, start, stop):
        stop = min(stop or len(plain), len(plain))
        connection.sendall(head_of(plain, start, stop, f"Content-Length: {stop - start}"))
        if start == 0:
            connection.sendall(plain[:stop])
            return
        for at in range(start, stop):
            connection.sendall(plain[at : at + 1])
            dripping.set()
            if over.wait(0.02):
                break

    with raw_server(send) as url:
        img = lv.load(url, storage_options=OPTIONS)
        # Without an end, the drip takes most of an hour: the time limit of tests would end it.
        try:
            with interrupted_when(dripping), pytest.raises(KeyboardInterrupt):
                lv.mean_img(img)
        finally:
            over.set()
    assert_no_thread_is_left()


@pytest.mark.parametrize(
    ("name", "coding", "is_read"),
    [("x.nii", "gzip", False), ("x.nii.gz", "br", False), ("x.nii.gz", "x-gzip", True)],
)
def test_bytes_that_were_compressed_on_the_way_are_refused(plain, values, name, coding, is_read):
    content = plain if name == "x.nii" else compress(plain, "gzip")
    reply = Reply(headers={"Content-Encoding": coding})
    with ObjectServer({name: content}, lambda _: reply) as server:
        if is_read:
            img = lv.load(server.url(name), storage_options=OPTIONS)
            np.testing.assert_array_equal(img.dataobj[..., 5], values[..., 5])
        else:
            with pytest.raises(
                ReadError, match=rf"compressed them \(Content-Encoding: {coding}\)"
            ):
                lv.load(server.url(name), storage_options=OPTIONS)


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("http://me:S/S@host/x.nii", "http://***@host/x.nii"),
        ("http://host/sub@1/x.nii", "http://host/sub@1/x.nii"),
        ("http://host:80/sub@1/x.nii", "http://host:80/sub@1/x.nii"),
        ("zip://a.nii::http://me:S@host/x.zip", "zip://a.nii::http://***@host/x.zip"),
        ("http://host/x?pass=S&jwt=S&id=3", "http://host/x?pass=***&jwt=***&id=3"),
        ("http://host/x?id=3#access_token=S", "http://host/x?id=3#access_token=***"),
    ],
)
def test_secrets_in_odd_places_of_urls_are_hidden(url, public):
    assert public_url(url) == public


@pytest.mark.parametrize(
    "headers", [{"Authorization": "Bearer SECRET\n"}, {"K": "SECRET漢"}, {"A b": "SECRET"}]
)
def test_headers_that_cannot_be_sent_are_refused_without_their_text(headers):
    with pytest.raises(
        ParameterError, match=r"`headers` must hold names without spaces"
    ) as caught:
        lv.load("http://127.0.0.1:1/x.nii", storage_options={"headers": headers})
    assert "SECRET" not in f"{caught.value!r} {caught.value.__cause__} {caught.value.__context__}"


def test_a_query_that_no_request_can_hold_is_quoted(plain):
    with ObjectServer({"x.nii": plain}) as server:
        assert lv.load(server.url("x.nii?note=a bé&sig=a%2Bb"), storage_options=OPTIONS).ndim == 4


@pytest.mark.parametrize(
    ("url", "location", "are_kept"),
    [
        ("https://host/a", "/b", True),
        ("http://host/a", "https://host/a", True),
        ("http://host:81/a", "https://host/a", False),
        ("https://host/a", "https://host:444/a", False),
        ("https://host/a", "https://other/a", False),
    ],
)
def test_headers_stay_with_their_server(url, location, are_kept):
    headers = {"X-Api-Key": "SECRET"}
    assert Address.of(url, headers).followed(location).headers == (headers if are_kept else {})


def test_a_redirect_from_https_to_http_is_refused():
    with pytest.raises(ValueError, match=r"from https:// to http://"):
        Address.of("https://host/a", {}).followed("http://host/a")
    assert Origin.of("https://host/a").secured() == Origin.of("https://host/a")


@pytest.mark.parametrize(
    ("url", "kind", "message"),
    [
        ("http://a..b/x.nii", ReadError, "'a..b' is no name of a host"),
        ("http://[::1/x.nii", ParameterError, "a URL must name a host"),
        ("s3:/bucket/x.nii", ImageNotFoundError, r"A URL has two slashes: s3://"),
        ("s3://bucket", ParameterError, "a URL must name a bucket and an object in it"),
    ],
)
def test_urls_that_name_nothing_are_refused(url, kind, message):
    with pytest.raises(kind, match=message):
        lv.load(url, storage_options={**OPTIONS, **({"anon": True} if "//" in url else {})})


def test_a_folder_of_zarr_is_named():
    with (
        ObjectServer({}) as server,
        pytest.raises(ImageNotFoundError, match=r"The URL of a folder of Zarr ends in \.zarr"),
    ):
        lv.load(server.url("x.zarr/0/zarr.json"), storage_options=OPTIONS)


def test_damaged_blocks_beside_one_another_are_fetched_again(plain, values, tmp_path):
    content = plain + bytes(3 << 20)
    options = {**OPTIONS, "cache_dir": tmp_path}
    with ObjectServer({"x.nii": content}) as server:
        found = lv.load(server.url("x.nii"), storage_options=options)
        np.testing.assert_array_equal(found.dataobj[...], values)
        blocks = sorted(path for path in tmp_path.rglob("*") if path.is_file())
        for path in blocks:
            path.write_bytes(b"damaged")
        again = lv.load(server.url("x.nii"), storage_options=options)
        np.testing.assert_array_equal(again.dataobj[...], values)


@pytest.mark.parametrize(
    ("folder", "kind", "message"),
    [
        ("s3://bucket/blocks", ParameterError, "`cache_dir` must be a local folder"),
        (5, ParameterTypeError, "`cache_dir` must be a path. Got int"),
    ],
)
def test_a_cache_elsewhere_is_refused(folder, kind, message):
    with pytest.raises(kind, match=message):
        lv.load("http://127.0.0.1:1/x.nii", storage_options={"cache_dir": folder})


def test_options_that_no_url_uses_are_refused(plain, tmp_path, capsys):
    path = tmp_path / "x.nii"
    path.write_bytes(plain)
    with pytest.raises(ParameterError, match=r"`storage_options` must go with a URL"):
        lv.load(path, storage_options={"annon": True})
    endpoint = "endpoint_url=http://127.0.0.1:1"
    assert main(["info", str(path), "--storage-option", endpoint]) == 2
    assert "--storage-option concerns URLs, and none is given" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "image", "table"),
    [
        ("we:ird.nii:t.tsv", "we:ird.nii", "t.tsv"),
        ("http://h:80/a.nii:t.tsv", "http://h:80/a.nii", "t.tsv"),
        ("a.nii:http://h:80/t.tsv", "a.nii", "http://h:80/t.tsv"),
    ],
)
def test_an_atlas_of_a_study_may_be_a_url_with_a_port(text, image, table):
    assert _IMAGE_AND_TABLE.fullmatch(text).groups() == (image, table)
    assert _IMAGE_AND_TABLE.fullmatch("http://h:80/a.nii") is None


def test_causes_in_other_packages_show_no_credentials():
    with ObjectServer({}) as server:
        url = server.url("x.zip").replace("//", "//me:SECRET@") + "?sig=SECRET"
        options = {"retries": 0}
        with pytest.raises(ParameterError, match="Got FileNotFoundError") as caught:
            lv.load("zip://a.nii::" + url, storage_options=options)
    assert "me:SECRET" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("proxy", "kind", "message"),
    [
        ("http://me:SECRET@127.0.0.1:1", ReadError, "nothing at 127.0.0.1 port 1 accepts"),
        ("http://me:SECRET@127.0.0.1:bad", ParameterError, "http_proxy must be http://HOST:PORT"),
        ("socks5://me:SECRET@127.0.0.1:1", ParameterError, "http_proxy must be http://HOST:PORT"),
    ],
)
def test_proxies_that_cannot_be_used_are_named(monkeypatch, proxy, kind, message):
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(kind, match=message) as caught:
        lv.load("http://example.invalid/x.nii", storage_options=OPTIONS)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda run, out: lv.extract_all([run], run, out_dir=out),
        lambda run, out: lv.run_cohort(None, out, table="runs.tsv", qc=True),
    ],
    ids=["extract_all", "run_cohort"],
)
def test_folders_of_outputs_behind_urls_are_refused(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs.tsv").write_text("sub\tbold\n01\trun.nii\n")
    (tmp_path / "run.nii").write_bytes(nifti_bytes(np.ones((2, 2, 2, 4), "<i2")))
    with pytest.raises(OutputError, match=r"http://127.0.0.1:1/out: an output must be a local"):
        call("run.nii", "http://127.0.0.1:1/out")
    assert not (tmp_path / "http:").exists()


def test_volumes_of_split_go_to_no_url(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.nii").write_bytes(nifti_bytes(np.ones((2, 2, 2, 4), "<i2")))
    assert main(["split", "run.nii", "-o", "http://127.0.0.1:1/v{}.nii"]) == 2
    assert "http://127.0.0.1:1/v0.nii: objects are read" in capsys.readouterr().err
