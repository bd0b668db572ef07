"""Requests that do not come from the viewer's own page are refused, and no path leads to the disk."""

import re
import socket

import pytest

from lazyvox.errors import LazyvoxWarning, ParameterError
from lazyvox.viewer import guard


def error(answer):
    return answer.status, answer.json["error"]


OWN = "The address of the request is not that of the viewer."
TOKEN = "The address lacks the token that the viewer printed."
PAGES = "Only pages of the viewer itself may ask it."


@pytest.fixture
def client(shared):
    return shared


def test_the_token_is_long_and_new_each_time(client, view):
    tokens = {client.url.path, view().url.path}
    assert len(tokens) == 2
    assert all(re.fullmatch(r"/[\w-]{32}/", one) for one in tokens)


@pytest.mark.parametrize(
    "prefix", ["/", "//", "/x/", "/info/", "/..%2f/", "/%00/", "/%c3%a9/", "/%ff/"]
)
def test_without_the_token_there_is_nothing(client, prefix):
    assert error(client.get("info", prefix=prefix)) == (403, TOKEN)


def test_a_part_of_the_token_is_none(client):
    prefix = client.url.path[:-2] + "/"
    assert error(client.get("info", prefix=prefix)) == (403, TOKEN)
    assert error(client.get("", prefix=client.url.path[:-1] + "x/")) == (403, TOKEN)


def test_tokens_are_compared_in_constant_time(client, monkeypatch):
    compared = []

    def compare(first, second):
        compared.append((first, second))
        return first == second

    monkeypatch.setattr(guard.secrets, "compare_digest", compare)
    client.get("state", prefix="/guess/")
    assert compared == [(b"guess", client.url.path.strip("/").encode())]


@pytest.mark.parametrize(
    "host",
    [
        "evil.com",
        "evil.com:{port}",
        "127.0.0.1.evil.com:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "user@127.0.0.1:{port}",
        "10.0.0.1:{port}",
        "[::1",
        "",
        "127.0.0.1:{port}/x",
        "127.0.0.1:99999999",
    ],
)
def test_other_hosts_are_refused(client, host):
    headers = {"Host": host.format(port=client.url.port)}
    assert error(client.get("info", headers=headers)) == (403, OWN)


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}"])
def test_names_of_this_machine_are_taken(client, host):
    headers = {"Host": host.format(port=client.url.port)}
    assert client.get("state", headers=headers).status == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.com",
        "null",
        "https://127.0.0.1",
        "http://localhost:{port}",
        "file://",
        "x",
        "http://[",
    ],
)
def test_other_origins_are_refused(client, origin):
    headers = {"Origin": origin.format(port=client.url.port)}
    assert error(client.get("info", headers=headers)) == (403, PAGES)
    assert error(client.get("close", "POST", headers=headers)) == (403, PAGES)


def test_the_own_origin_is_taken(client):
    headers = {"Origin": f"http://127.0.0.1:{client.url.port}"}
    assert client.get("info", headers=headers).status == 200
    assert client.get("close", "POST", headers=headers).status == 204


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(client, method):
    answer = client.get("volume/0", method)
    assert error(answer) == (405, "Only GET is answered here.")
    assert answer.headers["allow"] == "GET, HEAD"


def test_the_goodbye_is_the_only_post(client):
    assert client.get("close", "POST").status == 204
    assert error(client.get("close")) == (405, "Only POST is answered here.")
    assert client.get("state", "HEAD").body == b""


@pytest.mark.parametrize(
    "path",
    [
        "static/../api.py",
        "static/%2e%2e/api.py",
        "static/..%2fapi.py",
        "static/%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
        "static//etc/passwd",
        "static/%2fetc/passwd",
        "static/..%5capi.py",
        "static/index.html%00.py",
        "static/",
        "../../etc/passwd",
        "%2e%2e/%2e%2e/etc/passwd",
        "/etc/passwd",
        "run.nii.gz",
        "map/..%2f..%2finfo",
        "volume/../../../etc/passwd",
    ],
)
def test_no_path_leads_to_the_disk(client, path):
    answer = client.get(path)
    assert answer.status in {403, 404}
    assert b"root:" not in answer.body
    assert b"import" not in answer.body


def test_every_answer_says_what_a_browser_may_do(client):
    answers = [client.get("info"), client.get(""), client.get("x"), client.get("", prefix="/")]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
        assert "'unsafe-eval'" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_files_of_the_page_are_served_with_their_types(client):
    page = client.get("")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    script = client.get("static/main.js")
    assert (script.status, script.headers["content-type"]) == (
        200, "text/javascript; charset=utf-8"
    )  # fmt: skip
    assert "<script>" not in page.body.decode()


def test_only_this_machine_can_connect(client):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as asking:
        assert client.url.hostname == "127.0.0.1"
        # Another address of this machine, which a server on all addresses would answer.
        assert asking.connect_ex(("127.0.0.2", client.url.port)) != 0


def test_another_address_is_warned_of(view):
    with pytest.warns(LazyvoxWarning, match=r"`host` 0.0.0.0 lets other machines of the network"):
        client = view(host="0.0.0.0")
    port = client.url.port
    for host, status in (
        (f"192.168.0.7:{port}", 200),
        (f"{socket.gethostname().lower()}:{port}", 200),
        (f"evil.com:{port}", 403),
    ):
        assert client.get("state", headers={"Host": host}).status == status


def test_a_port_that_is_taken(view):
    client = view()
    with pytest.raises(ParameterError, match=r"`port` must be one that this user can listen on"):
        view(port=client.url.port)
    for host in ("no.such.host.invalid", "192.0.2.7"):
        with pytest.raises(ParameterError, match=r"`host` must be an address of this machine"):
            view(host=host)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A notebook of JupyterHub on a machine that has jupyter-server-proxy."""
    (tmp_path / "jupyter_server_proxy.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/me@x/")
    monkeypatch.delenv("JUPYTERHUB_PUBLIC_URL", raising=False)
    return monkeypatch


def proxied(client, **fields):
    """Return fields of a request that jupyter-server-proxy hands on."""
    given = {
        "Host": "hub.example.org",
        "X-Forwarded-Prefix": f"/user/me@x/proxy/{client.url.port}",
        **fields,
    }
    return {name: value for name, value in given.items() if value is not None}


def test_a_hub_hands_its_requests_on(hub, view):
    client = view()
    assert client.get("info", headers=proxied(client)).status == 200
    for origin in ("https://hub.example.org", "http://hub.example.org"):
        fields = proxied(client, Origin=origin)
        assert client.get("close", method="POST", headers=fields).status == 204
    assert client.get("info").status == 200
    path = f"/user/me@x/proxy/{client.url.port}{client.url.path}"
    assert f'<iframe src="{path}"' in client.view._repr_html_()
    assert "ssh" not in client.view._repr_html_()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"X-Forwarded-Prefix": None}, OWN),
        ({"X-Forwarded-Prefix": "/user/me@x/proxy/1"}, OWN),
        ({"X-Forwarded-Prefix": "/"}, OWN),
        ({"Origin": "https://evil.com"}, PAGES),
        ({"Origin": "null"}, PAGES),
    ],
)
def test_other_ways_through_a_hub_are_refused(hub, view, fields, message):
    client = view()
    assert error(client.get("info", headers=proxied(client, **fields))) == (403, message)
    prefix = "/guess/"
    assert error(client.get("info", headers=proxied(client), prefix=prefix)) == (403, TOKEN)


@pytest.mark.parametrize("place", ["https://Hub.example.org", "https://hub.example.org:443"])
def test_a_hub_that_says_its_address_has_no_other(hub, view, place):
    hub.setenv("JUPYTERHUB_PUBLIC_URL", f"{place}/user/me@x/")
    client = view()
    assert client.get("info", headers=proxied(client)).status == 200
    answer = client.get("info", headers=proxied(client, Host="evil.com"))
    assert error(answer) == (403, OWN)


def test_without_a_hub_or_its_proxy_nothing_is_handed_on(hub, view, tmp_path):
    hub.delenv("JUPYTERHUB_SERVICE_PREFIX")
    client = view()
    assert error(client.get("info", headers=proxied(client))) == (403, OWN)
    hub.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/me@x/")
    (tmp_path / "jupyter_server_proxy.py").unlink()
    client = view()
    assert error(client.get("info", headers=proxied(client))) == (403, OWN)
    port = client.url.port
    frame = client.view._repr_html_()
    assert f"ssh -L {port}:127.0.0.1:{port}" in frame
    assert "jupyter-server-proxy" in frame
