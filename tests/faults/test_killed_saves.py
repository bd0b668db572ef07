"""Kill -9 of whole saves and extractions: the output is absent, what it was, or complete."""

import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.cli.main import run
from lazyvox.testing import write_nifti

SHAPE = (24, 24, 16, 60)
OLD = b"what was there before"
# Kills are aimed from here on: before it, nothing is written.
READY = "ready\n"
SAVE = """
    import sys
    import lazyvox as lv
    img = lv.load(sys.argv[1])
    print("ready", flush=True)
    lv.save(img, sys.argv[2], n_jobs=2)
"""
EXTRACT = """
    import sys
    from lazyvox.cli.main import run
    import lazyvox.extraction, pandas, pyarrow
    print("ready", flush=True)
    sys.exit(run(["extract", sys.argv[1], "--labels", sys.argv[3], "--overwrite",
                  "-o", sys.argv[2]]))
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    rng = np.random.default_rng(0)
    write_nifti(folder / "run.nii.gz", rng.normal(size=SHAPE).astype("f4"))
    write_nifti(folder / "atlas.nii", rng.integers(0, 300, SHAPE[:3]).astype("i2"))
    return folder


def command(files, job, output):
    code = textwrap.dedent(SAVE if job == "save" else EXTRACT)
    arguments = [files / "run.nii.gz", output, files / "atlas.nii"]
    return [sys.executable, "-c", code, *map(str, arguments)]


def time_of(files, job, output):
    """Return the seconds from the first moment at which a kill counts to the end."""
    with subprocess.Popen(command(files, job, output), stdout=subprocess.PIPE) as process:
        assert process.stdout.readline().decode() == READY
        start = time.perf_counter()
        process.stdout.read()
    assert process.returncode == 0
    return time.perf_counter() - start


def kill_after(files, job, output, seconds):
    with subprocess.Popen(command(files, job, output), stdout=subprocess.PIPE) as process:
        assert process.stdout.readline().decode() == READY
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)


def content(path):
    """Return what a reader finds: times inside of an archive are no content."""
    if path.suffix == ".gz":
        return np.asarray(nib.load(path).dataobj).tobytes()
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return {name: arrays[name].tobytes() for name in arrays.files}
    return path.read_bytes()


@pytest.mark.parametrize(
    ("job", "name"),
    [
        ("save", "o.nii.gz"),
        ("extract", "o.npy"),
        ("extract", "o.parquet"),
        pytest.param("save", "o.nii", marks=pytest.mark.slow),
        pytest.param("extract", "o.tsv", marks=pytest.mark.slow),
        pytest.param("extract", "o.npz", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("n_kills", [3, pytest.param(40, marks=pytest.mark.slow)])
def test_killed_at_random_moments(files, tmp_path, job, name, n_kills):
    output = tmp_path / name
    seconds = time_of(files, job, output)
    complete = content(output)
    moments = random.Random(name)
    n_unfinished = 0
    for i in range(n_kills):
        is_new = moments.random() < 0.5
        # The first kill is at once, so that some work is certainly unfinished.
        delay = moments.uniform(0, seconds) if i else 0
        output.unlink(missing_ok=True)
        if not is_new:
            output.write_bytes(OLD)
        kill_after(files, job, output, delay)
        if output.exists() and output.read_bytes() != OLD:
            assert content(output) == complete
        else:
            assert output.exists() != is_new
            n_unfinished += 1
    assert n_unfinished
    # The next run is complete, and takes away what the killed ones left.
    assert time_of(files, job, output) > 0
    assert content(output) == complete
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_nothing_but_the_folder_of_the_output_is_written(files, tmp_path, monkeypatch):
    """So a full, absent or read-only folder for temporary files does not matter."""
    for missing in ("TMPDIR", "TMP", "TEMP"):
        monkeypatch.setenv(missing, str(tmp_path / "absent"))
    shutil.copy(files / "run.nii.gz", tmp_path)
    monkeypatch.chdir(tmp_path)
    lv.save(lv.load("run.nii.gz"), "copy.nii.gz")
    options = ["--labels", str(files / "atlas.nii")]
    for ending in (".npy", ".tsv", ".npz", ".parquet"):
        assert run(["extract", "run.nii.gz", *options, "-o", f"o{ending}"]) == 0
    names = {"run.nii.gz", "copy.nii.gz", "o.npy", "o.tsv", "o.npz", "o.parquet"}
    assert {entry.name for entry in tmp_path.iterdir()} == names
