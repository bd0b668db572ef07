"""A viewer, and a client of its HTTP interface."""

import http.client
import json
import shutil
import threading
from dataclasses import dataclass
from email.message import Message
from urllib.parse import urlsplit

import nibabel as nib
import pytest

import lazyvox as lv
from lazyvox.viewer.passes import Gate


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Message
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def image(self):
        return nib.Nifti1Image.from_bytes(self.body)


class Client:
    """Asks a viewer, each time over a connection of its own."""

    def __init__(self, url):
        self.url = urlsplit(url)

    def connect(self):
        return http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=60)

    def request(self, connection, path, method="GET", headers=None, prefix=None):
        prefix = self.url.path if prefix is None else prefix
        connection.putrequest(method, prefix + path, skip_host="Host" in (headers or {}))
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()

    def get(self, path, method="GET", headers=None, prefix=None):
        connection = self.connect()
        try:
            self.request(connection, path, method, headers, prefix)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def when(self, path, is_so):
        """Ask again until the answer is as wanted."""
        pause = threading.Event()
        for _ in range(6000):
            answer = self.get(path)
            if is_so(answer):
                return answer
            pause.wait(0.01)
        pytest.fail(f"{path} never became what it should: {answer}")

    def when_connected(self, path):
        """Ask as soon as there is a connection left."""
        pause = threading.Event()
        for _ in range(600):
            try:
                return self.get(path)
            except (ConnectionError, http.client.RemoteDisconnected):
                pause.wait(0.1)
        pytest.fail("no connection was given")

    def after_the_pass(self):
        return self.when("state", lambda one: one.json["pass"]["state"] != "running").json


@pytest.fixture(autouse=True)
def folder(example_folder, monkeypatch, tmp_path):
    monkeypatch.chdir(example_folder)
    monkeypatch.setenv("LAZYVOX_CACHE_DIR", str(tmp_path / "cache"))
    return example_folder


@pytest.fixture
def view():
    """Show a run; return its client. All are closed at the end."""
    shown = []

    def call(img="run.nii.gz", **options):
        made = lv.view(img, **options, open_browser=False)
        shown.append(made)
        client = Client(made.url)
        client.view = made
        return client

    call.forget = shown.clear
    yield call
    for one in shown:
        one.close()


@pytest.fixture
def client_of():
    """Return a client of a server that is at an address."""
    return Client


@pytest.fixture(scope="module")
def shared(example_files, tmp_path_factory):
    """Client of one viewer of the example run, for tests that only ask."""
    run = tmp_path_factory.mktemp("shared") / "run.nii.gz"
    shutil.copy(example_files / "run.nii.gz", run)
    with pytest.MonkeyPatch.context() as patch:
        # The cache of a test goes with that test, while the pass still writes into it.
        patch.setenv("LAZYVOX_CACHE_DIR", str(run.parent / "cache"))
        with lv.view(run, open_browser=False) as made:
            client = Client(made.url)
            client.after_the_pass()
            yield client


@pytest.fixture
def held(monkeypatch):
    """An event until which passes in the background stand behind their first block."""
    go_on = threading.Event()
    monkeypatch.setattr(Gate, "give_way", lambda self: go_on.wait(60))
    yield go_on
    go_on.set()
