"""Servers that stall, break off, ignore ranges, refuse, redirect, and objects that change."""

import datetime
import ipaddress
import logging
import os
import pickle
import socket
import ssl
import time

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import (
    FileChangedError,
    ImageNotFoundError,
    ImagePermissionError,
    ParameterError,
    ReadError,
    TruncatedFileError,
)
from lazyvox.runtime.once import OncePerProcess
from lazyvox.store.remote.retrying import PassingError, Patience, Retries, remote_use
from lazyvox.testing import (
    ObjectServer,
    Reply,
    assert_no_thread_is_left,
    compress,
    interrupted_when,
    n_descriptors,
    nifti_bytes,
)

SHAPE = (40, 40, 30, 20)
OPTIONS = {"timeout": 60, "retries": 2}
#: A busy machine is silent at times, too: these retries are more than enough.
IMPATIENT = {"timeout": 0.5, "retries": 30}
LATER = 65536


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(0).integers(0, 900, SHAPE).astype("<i2")


@pytest.fixture(scope="module")
def objects(values):
    plain = nifti_bytes(values)
    return {"x.nii": plain, "x.nii.gz": compress(plain, "gzip")}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr("lazyvox.store.remote.retrying._FIRST_WAIT_S", 0.01)


class Script:
    """Answers requests for later bytes by these replies in turn, then rightly."""

    def __init__(self, *replies):
        self.replies = list(replies)

    def __call__(self, request):
        if (request.start or 0) >= LATER and self.replies:
            reply = self.replies.pop(0)
            return reply() if callable(reply) else reply
        return None


def check_mean(server, values, name, **options):
    with lv.storage_options(**{**OPTIONS, **options}):
        mean = lv.mean_img(server.url(name))
    np.testing.assert_allclose(mean.dataobj, values.mean(3), rtol=1e-6)


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
class TestPassing:
    """Failures after which a pass goes on at its offset, and ends with the right values."""

    def test_an_answer_that_breaks_off(self, objects, values, name):
        with ObjectServer(objects, Script(Reply(n_sent=200_001), Reply(n_sent=77))) as server:
            check_mean(server, values, name)
            starts = [start for start, _ in server.ranges(name)]
        assert starts == [0, LATER, LATER + 200_001, LATER + 200_078]

    def test_a_server_that_stalls(self, objects, values, name):
        with ObjectServer(objects, Script(Reply(n_sent=5000, stalls=True))) as server:
            check_mean(server, values, name, **IMPATIENT)
            assert LATER + 5000 in [start for start, _ in server.ranges(name)]

    def test_a_server_that_fails_at_times(self, objects, values, name, caplog):
        caplog.set_level(logging.INFO, "lazyvox")
        before = remote_use()
        with ObjectServer(objects, Script(Reply(status=500), Reply(status=503))) as server:
            check_mean(server, values, name)
        assert remote_use().retries - before.retries == 2
        assert "retry 2 of 2" in caplog.text
        assert "the server answers 503" in caplog.text

    def test_a_server_that_asks_to_wait(self, objects, values, name, monkeypatch):
        waits = []
        monkeypatch.setattr("lazyvox.store.remote.retrying._sleep", waits.append)
        busy = Reply(status=429, headers={"Retry-After": "7"})
        with ObjectServer(objects, Script(busy)) as server:
            check_mean(server, values, name)
        assert waits == [7]

    def test_a_server_that_closes_idle_connections(self, objects, values, name):
        with ObjectServer(objects) as server:
            img = lv.load(server.url(name))
            server.close_connections()
            np.testing.assert_array_equal(img.dataobj[..., 19], values[..., 19])


@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        (
            Reply(status=404),
            ImageNotFoundError,
            "no such object: the server answers 404 Not Found",
        ),
        (Reply(status=403), ImagePermissionError, "may not be read: the server answers 403"),
        (Reply(status=401), ImagePermissionError, "Look at the URL, and at the credentials"),
        (Reply(status=500), ReadError, r"the server answers 500 .*\(requested 3 times\)"),
        (
            Reply(status=400),
            ReadError,
            "the server answers 400 Bad Request, to a request for byte",
        ),
        (Reply(ignores_range=True), ReadError, "It ignored the range, and sends the whole object"),
        (Reply(n_sent=0), ReadError, "ended its answer after 0 of 65536 bytes"),
        (Reply(n_sent=9, stalls=True), ReadError, r"the server was silent for 0\.3 s"),
        (
            Reply(status=403, body=b"<Error><Code>ExpiredToken</Code></Error>"),
            ImagePermissionError,
            r"\(ExpiredToken\)",
        ),
        (Reply(status=302, headers={"Location": "/x.nii"}), ReadError, "redirects more than 8"),
        (
            Reply(status=302, headers={"Location": "ftp://h/x"}),
            ReadError,
            "redirects to a 'ftp' address, which is neither",
        ),
    ],
)
def test_what_does_not_pass_is_named_with_its_url(objects, reply, kind, message):
    with ObjectServer(objects, lambda request: reply) as server:
        url = server.url("x.nii")
        with pytest.raises(kind, match=message) as caught:
            lv.load(url, storage_options={**OPTIONS, "timeout": 0.3 if reply.stalls else 60})
    assert str(caught.value).startswith(f"{url}: ")


def test_a_small_object_needs_no_ranges(values):
    small = nifti_bytes(values[:8, :8, :4, :4].copy())
    with ObjectServer({"x.nii": small}, lambda request: Reply(ignores_range=True)) as server:
        img = lv.load(server.url("x.nii"))
        np.testing.assert_array_equal(img.dataobj, values[:8, :8, :4, :4])
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(img)).dataobj, img.dataobj)


def test_an_empty_object_is_named():
    with (
        ObjectServer({"x.nii": b""}) as server,
        pytest.raises(TruncatedFileError, match="must hold data, and it is empty"),
    ):
        lv.load(server.url("x.nii"))


def test_a_host_without_address_is_named(monkeypatch):
    def fail(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(ReadError, match=r"the host 'nowhere\.invalid' has no address"):
        lv.load("https://nowhere.invalid/x.nii")


@pytest.mark.parametrize("url", ["http:///x.nii", "https://host:port/x.nii"])
def test_a_url_without_a_place_is_refused(url):
    with pytest.raises(ParameterError, match="a URL must name a host, and a port from 1 to 65535"):
        lv.load(url)


def test_passwords_are_found_in_netrc(objects, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password word\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    with ObjectServer(objects) as server:
        lv.load(server.url("x.nii"))
        lv.load(server.url("x.nii"), storage_options={"anon": True})
        given = [one.headers.get("Authorization") for one in server.requests]
    assert given == ["Basic bWU6d29yZA==", None]


def test_a_proxy_is_asked(objects, values, monkeypatch):
    with ObjectServer(objects) as server:
        monkeypatch.setenv("http_proxy", f"http://me:word@127.0.0.1:{server.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        img = lv.load("http://far.invalid/x.nii")
        np.testing.assert_array_equal(img.dataobj[..., 7], values[..., 7])
        assert server.requests[0].headers["Proxy-Authorization"] == "Basic bWU6d29yZA=="
        assert server.requests[0].headers["Host"] == "far.invalid"


def test_a_port_that_nobody_listens_at_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(ReadError, match=f"nothing at 127.0.0.1 port {port} accepts conn"):
            lv.load(f"http://127.0.0.1:{port}/x.nii", storage_options=OPTIONS)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with a certificate of 127.0.0.1 that signs itself, and its key."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(made.public_bytes(encoding) + private)
    return path


@pytest.fixture
def tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def no_tls_before(monkeypatch):
    monkeypatch.setattr("lazyvox.store.remote.connections._CONTEXT", OncePerProcess())


@pytest.mark.usefixtures("no_tls_before")
class TestTLS:
    def test_an_object_is_read(self, objects, values, tls, certificate, monkeypatch):
        name = "x.nii.gz"
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        script = Script(Reply(n_sent=300_000), Reply(n_sent=5000, stalls=True))
        with ObjectServer(objects, script, tls=tls) as server:
            check_mean(server, values, name, **IMPATIENT)
            starts = [start for start, _ in server.ranges(name)]
        assert {LATER + 300_000, LATER + 305_000} <= set(starts)

    def test_an_unknown_authority_is_named(self, objects, tls):
        with (
            ObjectServer(objects, tls=tls) as server,
            pytest.raises(ReadError, match=r"certificate of 127\.0\.0\.1 cannot be trusted: self"),
        ):
            lv.load(server.url("x.nii"))


def test_a_server_without_tls_is_named(objects):
    with (
        ObjectServer(objects) as server,
        pytest.raises(ReadError, match=r"the connection to 127\.0\.0\.1 failed \(.*SSL"),
    ):
        lv.load(server.url("x.nii").replace("http:", "https:"), storage_options=OPTIONS)


class TestChanges:
    @pytest.mark.parametrize("has_etags", [True, False])
    @pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
    def test_in_the_middle_of_a_pass(self, objects, values, name, has_etags):
        script = Script(Reply(n_sent=200_000))
        with ObjectServer(objects, script, has_etags=has_etags) as server:

            def replace():
                server.objects[name] = objects[name][:-1] + b"?"
                server.modified_s += 1

            script.replies.append(replace)
            with pytest.raises(FileChangedError, match=r"it changed on the server.*Load it again"):
                check_mean(server, values, name)
        assert_no_thread_is_left()

    def test_between_two_reads(self, objects, values):
        with ObjectServer(objects) as server:
            img = lv.load(server.url("x.nii"))
            server.objects["x.nii"] = objects["x.nii"][:-1] + b"?"
            with pytest.raises(FileChangedError, match="It was replaced or deleted"):
                img.dataobj[..., 7].sum()
            server.objects["x.nii"] = objects["x.nii"]
            np.testing.assert_array_equal(img.dataobj[..., 7], values[..., 7])

    def test_deleted(self, objects):
        with ObjectServer(objects) as server:
            img = lv.load(server.url("x.nii"))
            del server.objects["x.nii"]
            with pytest.raises(FileChangedError, match="It was replaced or deleted"):
                img.dataobj[..., 7].sum()

    def test_a_server_that_ignores_conditions(self, objects, values):
        with ObjectServer(objects, has_etags=False) as server:
            img = lv.load(server.url("x.nii"))
            assert server.requests[0].headers.get("If-Unmodified-Since") is None
            server.modified_s += 5
            with pytest.raises(FileChangedError, match="modified at 1500000005 s"):
                img.dataobj[..., 7].sum()
            assert "If-Unmodified-Since" in server.requests[-1].headers


class TestRedirects:
    def test_one_is_followed_once(self, objects, values):
        def reply(request):
            moved = Reply(status=302, headers={"Location": "/x.nii"})
            return moved if request.name == "old.nii" else None

        with ObjectServer(objects, reply) as server:
            img = lv.load(server.url("old.nii"))
            np.testing.assert_array_equal(img.dataobj[..., 7], values[..., 7])
            assert [one.name for one in server.requests] == ["old.nii", "x.nii", "x.nii"]

    def test_credentials_stay_with_their_server(self, objects):
        with ObjectServer(objects) as other:
            moved = Reply(status=302, headers={"Location": other.url("x.nii")})
            with ObjectServer(objects, lambda request: moved) as server:
                lv.load(server.url("x.nii").replace("127.0.0.1", "me:word@127.0.0.1"))
                assert server.requests[0].headers["Authorization"].startswith("Basic ")
            assert "Authorization" not in other.requests[0].headers

    def test_an_address_that_runs_out_is_found_anew(self, objects, values):
        names = iter(["first.nii", "x.nii"])

        def reply(request):
            if request.name == "old.nii":
                return Reply(status=307, headers={"Location": f"/{next(names)}"})
            return None

        with ObjectServer({**objects, "first.nii": objects["x.nii"]}, reply) as server:
            img = lv.load(server.url("old.nii"))
            del server.objects["first.nii"]
            np.testing.assert_array_equal(img.dataobj[..., 7], values[..., 7])


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_a_server_that_drips_is_an_error(objects, name, caplog):
    caplog.set_level(logging.INFO, "lazyvox")
    drips = Reply(n_sent=300, drip_s=0.02)
    message = (
        rf"^http://.*{name}: the object must be readable, and the server sent \d+ bytes per "
        r"second for \d\.\d s, and must send the 1000 of the storage option `min_speed` "
        r"\(requested 2 times\)"
    )
    before = remote_use()
    with (
        ObjectServer(objects, lambda request: drips if request.start else None) as server,
        lv.storage_options(timeout=1, retries=1),
        pytest.raises(ReadError, match=message),
    ):
        lv.mean_img(server.url(name))
    assert remote_use().retries - before.retries == 1
    assert "retry 1 of 1" in caplog.text
    assert_no_thread_is_left()


def test_a_slow_link_is_no_error(values):
    small = nifti_bytes(values[:2, :2, :2, :2])
    slow = Reply(n_sent=0, drip_s=0.002)
    with ObjectServer({"x.nii": small}, lambda request: slow) as server:
        # Some hundred bytes per second.
        with lv.storage_options(timeout=0.5, min_speed=20, retries=30):
            img = lv.load(server.url("x.nii"))
        np.testing.assert_array_equal(img.get_fdata(), values[:2, :2, :2, :2])


def test_what_came_before_a_drip_does_not_make_retries_endless():
    retries = Retries("x", most=2)
    slow = Patience(timeout=30, min_speed=1e6)
    with pytest.raises(PassingError, match=r"sent 3 bytes per second for 30\.0 s") as slowness:
        slow.check_speed(90, 30.0)
    for _ in range(2):
        retries.progressed(1 << 20)
        retries.failed(slowness.value)
    retries.progressed(1 << 20)
    with pytest.raises(ReadError, match=r"x: the object must .* \(requested 3 times\)"):
        retries.failed(slowness.value)


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
@pytest.mark.parametrize("drip_s", [0, 0.01])
def test_ctrl_c_ends_a_pass_whose_server_stalls(objects, name, drip_s):
    reply = Reply(n_sent=5000, stalls=not drip_s, drip_s=drip_s)
    with ObjectServer(objects, Script(reply)) as server:
        img = lv.load(server.url(name), storage_options={"timeout": 600})
        before = n_descriptors()
        begin = time.monotonic()
        with interrupted_when(server.stalled), pytest.raises(KeyboardInterrupt):
            lv.mean_img(img)
        assert time.monotonic() - begin < 30
        assert_no_thread_is_left()
        assert n_descriptors() <= before
        np.testing.assert_array_equal(img.dataobj[0, 0, 0, :1].shape, (1,))


def test_a_forked_child_reads_with_connections_of_its_own(objects, values):
    with ObjectServer(objects) as server:
        img = lv.load(server.url("x.nii"))
        img.dataobj[..., 7].sum()
        child = os.fork()
        if not child:
            is_right = bool((img.dataobj[..., 9] == values[..., 9]).all())
            os._exit(0 if is_right else 1)
        np.testing.assert_array_equal(img.dataobj[..., 11], values[..., 11])
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_secrets_of_urls_are_nowhere(objects, caplog, tmp_path):
    caplog.set_level(logging.INFO, "lazyvox")
    with ObjectServer(objects) as server:
        url = server.url("x.nii").replace("//", "//me:word1234@") + "?id=3&X-Amz-Signature=ab12cd"
        img = lv.load(url)
        mean = lv.mean_img(img)
        plan = lv.plan(lv.mean_img, url)
        with pytest.raises(ImageNotFoundError, match=r"X-Amz-Signature=\*\*\*: no such") as caught:
            lv.load(url.replace("x.nii", "y.nii"))
        packed = pickle.dumps(img)
        seen = [
            repr(img),
            repr(img.dataobj),
            str(plan),
            repr(plan),
            caplog.text,
            str(caught.value),
        ]
        seen += [str(img.get_filename()), str(img.file_map), str(mean), repr(packed)]
        assert not any(secret in text for text in seen for secret in ("word1234", "ab12cd"))
        # Another process has to be given them.
        pickle.loads(packed).dataobj[..., 3].sum()
