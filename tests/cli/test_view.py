"""`lazyvox view`: prints an address, serves until an interrupt, and says what is wrong beforehand."""

import http.client
import json
import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import numpy as np
import pytest

NO_BROWSER = "--no-browser"


def get(url, path):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    try:
        connection.request("GET", parts.path + path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_it_serves_until_a_signal(start, number, code):
    process = start("view", "run.nii.gz", NO_BROWSER, "--atlas", "atlas.nii.gz")
    url = process.stdout.readline().decode().strip()
    assert json.loads(get(url, "info")[1])["name"] == "run.nii.gz"
    assert get(url, "volume/39")[0] == 200
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    remarks = [
        line for line in err.splitlines() if b"the page of the viewer is not built" not in line
    ]
    assert (out, remarks) == (b"", [])


def test_the_address_is_opened_in_a_browser(start, folder):
    opened = folder / "opened"
    browser = folder / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.part; mv {opened}.part {opened}\n')
    browser.chmod(0o755)
    process = start("view", "run.nii.gz", env={"BROWSER": str(browser)})
    url = process.stdout.readline().decode().strip()
    for _ in range(600):
        if opened.exists():
            break
        # A request takes some time, and shows that the server is not blocked meanwhile.
        assert get(url, "state")[0] == 200
    assert opened.read_text().strip() == url
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0


def test_the_address_as_json(start):
    process = start("view", "run.nii.gz", NO_BROWSER, "--json")
    record = json.loads(process.stdout.readline())
    assert record["command"] == "view"
    assert get(record["url"], "state")[0] == 200


def test_explain_reads_and_serves_nothing(lazyvox):
    done = lazyvox("view", "run.nii.gz", "--mask", "mask.nii.gz", "--explain")
    assert done.code == 0
    assert "consumer   TSNR" in done.out
    done = lazyvox("view", "run.nii.gz", "--explain", "--json")
    assert json.loads(done.out)["plan"]["passes"] == 1


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        ([], 2, "Missing argument 'RUN'; see lazyvox view --help"),
        (["no.nii.gz"], 1, "no.nii.gz: no such file."),
        (["run.nii.gz", "--port", "70000"], 2, "70000 is not in the range 0<=x<=65535"),
        (
            ["run.nii.gz", "--prot", "1"],
            2,
            "no such option: --prot; did you mean --port or --host?",
        ),
        (["run.nii.gz", "--lut", "atlas.tsv"], 1, "--lut has the names of the regions of --atlas"),
        (["run.nii.gz", "--radius", "40"], 2, "--radius needs --motion, which is missing"),
        (["run.nii.gz", "--motion-format", "fsl"], 1, "--motion-format needs --motion"),
        (["run.nii.gz", "--mask", "run.nii.gz"], 1, "--mask"),
        (["run.nii.gz", "--events", "atlas.tsv"], 1, "must have the columns onset and duration"),
        (
            ["run.nii.gz", "--confounds", "short.tsv"],
            1,
            "must have one row for each of the 40 volumes",
        ),
        (["run.nii.gz", "--motion", "short.par"], 1, "--motion must have a row for each volume"),
        (["run.nii.gz", "--fd-threshold", "1"], 2, "--fd-threshold concerns the table of"),
        (
            ["run.nii.gz", "--host", "no.such.invalid"],
            1,
            "--host must be an address of this machine",
        ),
        (["atlas.tsv"], 1, "atlas.tsv"),
    ],
)
def test_what_is_refused(refuses, folder, argv, code, message):
    np.savetxt(folder / "short.tsv", np.zeros((3, 2)), delimiter="\t", header="a\tb", comments="")
    np.savetxt(folder / "short.par", np.zeros((3, 6)))
    refuses("view", *argv, NO_BROWSER, code=code, message=message)


def test_a_port_that_is_taken(lazyvox):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = lazyvox("view", "run.nii.gz", NO_BROWSER, "--port", port)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"lazyvox: error: --port must be one that this user can listen on. Got {port} of "
        f"127.0.0.1: Address already in use. Leave it out for one that is free.\n"
    )


def test_motion_of_fmriprep_is_that_of_the_confounds(start, folder):
    names = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z", "csf"]
    names += ["framewise_displacement", "std_dvars"]
    values = np.zeros((40, 9))
    values[1:, 0] = values[1, 7] = 1
    path = folder / "run_desc-confounds_timeseries.tsv"
    np.savetxt(path, values, delimiter="\t", header="\t".join(names), comments="")
    process = start(
        "view",
        "run.nii.gz",
        NO_BROWSER,
        "--confounds",
        path,
        "--confound-columns",
        "csf",
        "--fd-threshold",
        "0.5",
    )
    url = process.stdout.readline().decode().strip()
    facts = json.loads(get(url, "info")[1])
    assert facts["confounds"] == ["csf"]
    assert facts["fd"] == [None, 1.0, *[0.0] * 38]
    assert facts["n_left_out"] == 2
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert b"lazyvox: removed before correlating: csf\n" in err
    assert b"lazyvox: 2 of 40 volumes are left out of correlations\n" in err


def test_confounds_that_are_not_finite_are_refused_before_the_page(lazyvox, folder):
    (folder / "c.tsv").write_text("csf\tframewise_displacement\n" + "0\tn/a\n" * 40)
    done = lazyvox("view", "run.nii.gz", NO_BROWSER, "--confounds", "c.tsv")
    assert (done.code, done.out) == (1, "")
    assert "Got nan in column framewise_displacement, row 0" in done.err


def test_a_page_that_is_not_built(folder, monkeypatch):
    from lazyvox.viewer import api, app

    monkeypatch.setattr(app, "STATIC", app.STATIC / "none")
    with pytest.warns(api.LazyvoxWarning, match="the page of the viewer is not built"):
        api.view("run.nii.gz", open_browser=False).close()


def test_without_its_packages_it_says_which_to_install(folder):
    (folder / "hide.py").write_text(
        "import importlib.util as u, sys\n"
        "found = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'uvicorn' else found(name, *a)\n"
        "from lazyvox.cli.main import main\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "hide.py", "view", "run.nii.gz"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "lazyvox: error: Viewers need the package uvicorn (lazyvox's extra `view`). Run `pip install "
        "uvicorn`.\n"
    )
