"""Files that change, pages that leave, many requests at a time: no thread and no memory is left."""

import gc
import os
import resource
import socket
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.store.stream_source import StreamSource
from lazyvox.testing import assert_no_thread_is_left, n_descriptors
from lazyvox.testing.images import write_nifti
from lazyvox.viewer import background, lanes, server, session
from lazyvox.viewer.api import LOOPBACK, serve
from lazyvox.viewer.opened import ViewOptions

AT = "i=6&j=7&k=5"


@pytest.fixture(autouse=True)
def nothing_is_left():
    """Look for threads and open files after each test."""
    gc.collect()
    before, n_before = set(threading.enumerate()), n_descriptors()
    yield
    for one in set(threading.enumerate()) - before:
        one.join(60)
    assert set(threading.enumerate()) <= before
    gc.collect()
    assert n_descriptors() <= n_before


@pytest.fixture
def go_on():
    """An event that work waits for; it is set at the end of a test in any case."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def long_run(tmp_path):
    """A run whose pass has several blocks."""
    values = np.random.default_rng(0).integers(0, 3, (32, 32, 16, 1)).astype("f4")
    values = values * np.arange(1, 201, dtype="f4")
    return write_nifti(tmp_path / "long.nii.gz", values), values


def changed(path):
    other = path.with_name("other.nii.gz")
    lv.save(lv.load("run.nii.gz").slicer[..., :20], other)
    other.replace(path)


def truncated(path):
    os.truncate(path, path.stat().st_size // 2)


def removed(path):
    path.unlink()


@pytest.mark.parametrize("harm", [changed, truncated, removed])
def test_a_file_that_is_no_longer_the_same(view, folder, harm):
    client = view(folder / "run.nii.gz")
    client.after_the_pass()
    assert client.get("state").json["file"] == {"state": "same", "message": ""}
    harm(folder / "run.nii.gz")
    answer = client.get("volume/39")
    assert answer.status == 410
    assert "run.nii.gz: the file must stay" in answer.json["error"]
    state = client.get("state").json["file"]
    assert (state["state"], state["message"]) == ("changed", answer.json["error"])
    for path in (f"series?{AT}", f"correlation?{AT}", "info", "volume/0"):
        assert client.get(path).status == 410
    # What the pass found of the run as it was is still there.
    assert client.get("map/mean").status == 200


def test_a_page_that_only_waits_is_told_of_a_changed_file(view, folder, monkeypatch):
    monkeypatch.setattr(session, "_LOOK_S", 0.05)
    client = view(folder / "run.nii.gz")
    client.after_the_pass()
    connection = client.connect()
    client.request(connection, "events-stream")
    stream = connection.getresponse()
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert b'"file":{"state":"same"' in stream.readline()
    truncated(folder / "run.nii.gz")
    assert stream.readline() == b"\n"
    assert b'"file":{"state":"changed"' in stream.readline()
    connection.close()


def test_a_damaged_file(view, folder):
    path = folder / "run.nii.gz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    client = view(path)
    state = client.after_the_pass()["pass"]
    assert state["state"] == "failed"
    assert "run.nii.gz" in state["message"]
    answer = client.get("map/mean")
    assert (answer.status, answer.json["error"]) == (409, state["message"])
    assert client.get("quality").status == 409
    assert client.get("volume/0").status == 200
    assert client.get("volume/39").status == 409


def test_two_tabs_and_fifty_quick_clicks(view, long_run):
    path, values = long_run
    client = view(path)
    wanted = {at: values[at % 32, 3, 5].tolist() for at in range(50)}

    def click(at):
        return at, client.get(f"series?i={at % 32}&j=3&k=5")

    with ThreadPoolExecutor(50) as pool:
        for at, answer in pool.map(click, range(50)):
            assert answer.status == 200
            assert answer.json["value"] == wanted[at]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda t: (t, client.get(f"volume/{t % 200}")), range(50)))
    for t, answer in answers:
        np.testing.assert_array_equal(answer.image.get_fdata(), values[..., t % 200])


def test_too_many_requests_are_told_to_come_back(view, long_run, monkeypatch, go_on):
    monkeypatch.setattr(session, "_WAITING", 2)
    inside = threading.Semaphore(0)

    def course(self, voxel, cancelled):
        inside.release()
        go_on.wait(60)
        raise lv.errors.RegionError("done")

    monkeypatch.setattr("lazyvox.viewer.clicks.Clicks.course", course)
    client = view(long_run[0])
    waiting = [client.connect() for _ in range(3)]
    for at, one in enumerate(waiting):
        client.request(one, f"series?i={at}&j=0&k=0")
    assert inside.acquire(timeout=60)
    answer = client.when(f"series?{AT}", lambda one: one.status == 503)
    assert answer.headers["retry-after"] == "1"
    # Other things are answered all the while.
    assert client.get("volume/0").status == 200
    go_on.set()
    assert [one.getresponse().status for one in waiting] == [409] * 3
    for one in waiting:
        one.close()


def test_a_page_that_leaves_stops_its_pass(view, long_run, monkeypatch):
    begun, ended = threading.Event(), threading.Event()
    inner = session.Clicks.course

    def course(self, voxel, cancelled):
        begun.set()
        cancelled.wait(60)
        try:
            return inner(self, voxel, cancelled)
        except lv.ScanCancelledError:
            ended.set()
            raise

    monkeypatch.setattr(session.Clicks, "course", course)
    client = view(long_run[0])
    connection = client.connect()
    client.request(connection, "series?i=1&j=2&k=3")
    assert begun.wait(60)
    connection.close()
    assert ended.wait(60)
    # The next click is not behind it.
    monkeypatch.setattr(session.Clicks, "course", inner)
    assert client.get("series?i=1&j=2&k=3").status == 200


def test_requests_that_left_before_their_turn_are_not_worked_on(
    view, long_run, monkeypatch, go_on
):
    asked, inner, one = [], session.Session.volume, lanes.Slots.one
    came, left = threading.Semaphore(0), threading.Semaphore(0)

    @asynccontextmanager
    async def counted(self):
        came.release()
        try:
            async with one(self):
                yield
        finally:
            left.release()

    def volume(self, number, cancelled):
        go_on.wait(60)
        found = inner(self, number, cancelled)
        if found is not None:
            asked.append(number)
        return found

    monkeypatch.setattr(lanes.Slots, "one", counted)
    monkeypatch.setattr(session.Session, "volume", volume)
    client = view(long_run[0])
    leaving = [client.connect() for _ in range(6)]
    for number, connection in enumerate(leaving):
        client.request(connection, f"volume/{number}")
    staying = client.connect()
    client.request(staying, "volume/100")
    assert all(came.acquire(timeout=60) for _ in range(7))
    for connection in leaving:
        connection.close()
    # The state is told while volumes wait.
    assert client.get("state").status == 200
    assert all(left.acquire(timeout=60) for _ in leaving)
    go_on.set()
    assert staying.getresponse().status == 200
    staying.close()
    assert asked == [100]


def test_closing_in_the_middle_of_a_pass(view, long_run, held):
    client = view(long_run[0])
    client.get("volume/0")
    assert client.get("state").json["pass"]["state"] == "running"
    held.set()
    client.view.close()
    assert_no_thread_is_left()


@pytest.fixture
def begun(monkeypatch):
    """An event that is set when a pass in the background begins."""
    found = threading.Event()
    inner = background.Background._run

    def run(self):
        found.set()
        return inner(self)

    monkeypatch.setattr(background.Background, "_run", run)
    return found


@pytest.mark.parametrize("path", ["state", "map/mean", "quality", "carpet.png"])
def test_the_pass_begins_when_a_page_asks_for_it(view, begun, monkeypatch, path):
    monkeypatch.setattr(background, "_FIRST_PAGE_S", 3600)
    client = view()
    client.get("info")
    client.get("volume/0")
    assert not begun.is_set()
    assert client.get(path).status in {200, 202}
    assert begun.wait(60)
    assert client.after_the_pass()["pass"]["state"] == "done"


def test_the_pass_begins_without_a_page(view, begun, monkeypatch):
    monkeypatch.setattr(background, "_FIRST_PAGE_S", 0.01)
    view()
    assert begun.wait(60)


def test_closing_before_the_pass_begins(view, monkeypatch):
    monkeypatch.setattr(background, "_FIRST_PAGE_S", 3600)
    view().view.close()
    assert_no_thread_is_left()


def test_the_progress_of_a_click(view, long_run, monkeypatch, go_on):
    begun = threading.Event()
    inner = session.Clicks._run

    def run(self, scan, cancelled):
        def advance(progress, n):
            progress.done += n
            begun.set()
            go_on.wait(60)

        monkeypatch.setattr("lazyvox.viewer.passes.PassProgress.advance", advance)
        inner(self, scan, cancelled)

    client = view(long_run[0])
    client.after_the_pass()
    monkeypatch.setattr(session.Clicks, "_run", run)
    assert client.get("state").json["click"] is None
    connection = client.connect()
    client.request(connection, "series?i=1&j=2&k=3")
    assert begun.wait(60)
    found = client.get("state").json["click"]
    assert found["total"] == 200
    assert 0 < found["done"] < 200
    go_on.set()
    assert connection.getresponse().status == 200
    connection.close()
    assert client.get("state").json["click"] is None


def test_what_a_closed_view_held_is_free(view, long_run):
    path, _ = long_run
    img = lv.load(path)
    array = np.asarray(img.dataobj)
    held = weakref.ref(array)
    client = view(nib.Nifti1Image(array, np.eye(4)))
    client.after_the_pass()
    for path in ("volume/3", f"series?{AT}", f"correlation?{AT}", "map/mean"):
        assert client.get(path).status == 200
    client.view.close()
    del client.view, array
    view.forget()
    gc.collect()
    assert held() is None


def test_a_view_that_is_forgotten_ends(long_run):
    made = lv.view(long_run[0], open_browser=False)
    del made
    gc.collect()
    assert_no_thread_is_left()


def test_without_an_index_volumes_come_in_the_order_of_the_pass(view, long_run, held, monkeypatch):
    monkeypatch.setattr(background, "_NEAR_BYTES", 0)
    path, values = long_run
    client = view(path)
    first = client.when("state", lambda one: one.json["pass"]["done"] > 0).json
    done = first["pass"]["done"]
    assert 0 < done < 200
    assert first["index"] == {"state": "building", "done": done, "total": 200}
    for number in (0, done - 1):
        found = client.get(f"volume/{number}").image.get_fdata()
        np.testing.assert_array_equal(found, values[..., number])
    answer = client.get("volume/199")
    assert (answer.status, answer.json) == (202, {"state": "waiting", "available": done + 1})
    for path in ("map/mean", "quality", "carpet.png"):
        answer = client.get(path)
        assert (answer.status, answer.json["state"]) == (202, "running")
    # Clicks are answered all the same.
    assert client.get("series?i=1&j=2&k=3").json["value"] == values[1, 2, 3].tolist()
    held.set()
    assert client.after_the_pass()["index"]["state"] == "ready"
    found = client.get("volume/199").image.get_fdata()
    np.testing.assert_array_equal(found, values[..., 199])


def test_a_volume_ahead_of_the_pass_is_decoded_on(view, long_run, held):
    path, values = long_run
    client = view(path)
    found = client.get("volume/199").image.get_fdata()
    np.testing.assert_array_equal(found, values[..., 199])


def test_the_pass_leaves_the_index_that_lazyvox_index_makes(view, long_run):
    client = view(long_run[0])
    assert client.after_the_pass()["index"] == {"state": "ready", "done": 200, "total": 200}
    found = lv.index(long_run[0])
    assert not found.is_built
    again = view(long_run[0])
    assert again.get("state").json["index"]["state"] == "not_needed"


def test_without_a_cache_there_is_no_index_and_all_works(view, long_run, monkeypatch):
    monkeypatch.setenv("LAZYVOX_CACHE_SIZE", "0")
    client = view(long_run[0])
    assert client.get("state").json["index"]["state"] == "not_needed"
    np.testing.assert_array_equal(
        client.get("volume/150").image.get_fdata(), long_run[1][..., 150]
    )


def test_a_pass_that_does_not_record_finds_no_points(long_run):
    source = lv.load(long_run[0]).dataobj.reader.byte_source
    assert isinstance(source, StreamSource)
    lv.mean_img(long_run[0])
    assert source.needs_index()


def test_more_connections_than_two_tabs_have(view, monkeypatch):
    monkeypatch.setattr(server, "_MOST_CONNECTIONS", 8)
    client = view()
    waiting = [socket.create_connection(("127.0.0.1", client.url.port)) for _ in range(64)]
    ended = 0
    for one in waiting[8:]:
        one.settimeout(60)
        try:
            ended += one.recv(1) == b""
        except ConnectionResetError:
            ended += 1
    assert ended == 56
    for one in waiting:
        one.close()
    assert client.when_connected("state").status == 200


def test_connections_that_ask_nothing_are_closed(view, monkeypatch):
    monkeypatch.setattr(server, "_SILENT_S", 0.05)
    client = view()
    with socket.create_connection(("127.0.0.1", client.url.port)) as silent:
        silent.settimeout(60)
        silent.sendall(b"GET /")
        assert silent.recv(1) == b""


@pytest.mark.slow
def test_ten_thousand_connections(view):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    client = view()
    waiting = []
    try:
        for _ in range(10_000):
            waiting.append(socket.create_connection(("127.0.0.1", client.url.port)))
            # This process has both ends.
            if len(waiting) > min(soft, hard) // 4:
                waiting.pop(0).close()
    finally:
        for one in waiting:
            one.close()
    assert client.when_connected("state").status == 200


def test_the_server_ends_when_the_last_page_has_left(client_of, monkeypatch):
    monkeypatch.setattr(server, "_LEFT_S", 0.05)
    made = serve("run.nii.gz", ViewOptions(), host=LOOPBACK, port=0, ends_alone=True)
    running = threading.Thread(target=made.run)
    running.start()
    client = client_of(made.url)
    # Before the first page, and while another one is there, it stays.
    threading.Event().wait(0.3)
    pages = [client.connect() for _ in range(2)]
    for page in pages:
        client.request(page, "events-stream")
        assert page.getresponse().readline().startswith(b"data: ")
    pages[0].close()
    threading.Event().wait(0.5)
    assert client.get("state").status == 200
    pages[1].close()
    running.join(60)
    assert not running.is_alive()
