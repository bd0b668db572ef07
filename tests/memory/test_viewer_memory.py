"""The server of the viewer takes no more memory for a longer run, whatever is asked of it."""

import http.client
import json
import signal
import subprocess
import sys
import time
from urllib.parse import urlsplit

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.runtime.resident import own_usage

MIB = 1 << 20
GRID = (64, 64, 36)
IMPORTS = (
    "import os, lazyvox.cli.main, lazyvox.cli.view, lazyvox.viewer.server, scipy.linalg\n"
    "import lazyvox.lazyimage.load\n"
    "from lazyvox.runtime.resident import own_usage\n"
    "print(own_usage(os.getpid()).pss)"
)


def write_run(path, n_volumes):
    few = np.random.default_rng(0).integers(900, 1100, (*GRID, 4)).astype("f4")
    values = np.broadcast_to(few[..., None, :], (*GRID, n_volumes // 4, 4))
    img = nib.Nifti1Image(values.reshape(*GRID, n_volumes, order="F"), np.diag([3.0, 3, 3, 1]))
    lv.save(img, path, compresslevel=1)


def peak_of_viewer(path, n_volumes):
    """Return the largest PSS that was seen while a page does everything once."""
    command = [sys.executable, "-m", "lazyvox", "view", str(path), "--no-browser"]
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        parts = urlsplit(process.stdout.readline().strip())
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=600)

        def get(path):
            nonlocal peak
            connection.request("GET", parts.path + path)
            response = connection.getresponse()
            body = response.read()
            assert response.status in {200, 202}
            peak = max(peak, own_usage(process.pid).pss)
            return body

        get("info")
        while json.loads(get("state"))["pass"]["state"] == "running":
            get("volume/0")
            time.sleep(0.01)
        asked = ["map/mean", "map/std", "map/tsnr", "quality", "carpet.png"]
        asked += [f"volume/{number}" for number in range(0, n_volumes, n_volumes // 20)]
        asked += [
            f"{one}?i={at}&j=30&k=18" for at in (20, 30) for one in ("series", "correlation")
        ]
        for one in asked:
            get(one)
        connection.close()
        process.send_signal(signal.SIGINT)
    return peak


@pytest.mark.big
def test_memory_does_not_grow_with_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYVOX_CACHE_DIR", str(tmp_path / "cache"))
    imports = int(subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True).stdout)  # fmt: skip
    peaks = []
    for n_volumes in (400, 1600):
        write_run(tmp_path / "run.nii.gz", n_volumes)
        peaks.append(peak_of_viewer(tmp_path / "run.nii.gz", n_volumes) - imports)
    assert max(peaks) <= 150 * MIB
    assert peaks[1] - peaks[0] <= 16 * MIB
