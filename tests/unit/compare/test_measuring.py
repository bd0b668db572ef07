"""Ways are tried one after the other; each becomes a record whatever happens to it."""

import json
import os
import re
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest

from lazyvox.compare.measuring import Job, measure_ways, warm
from lazyvox.compare.programs import start
from lazyvox.compare.ways import EXTRACT, Family, Way

WAYS = {way.name: way for way in EXTRACT}
SMALL = Family("NumPy", ("numpy",), ("numpy",), 1 << 20)
PROGRAM = """
import os
import sys
import numpy as np

def summarise(results, job):
    return results

def right(job):
    return [np.arange(12.0).reshape(3, 4)]

def wrong(job):
    return [np.arange(12.0).reshape(3, 4) + 1]

def failing(job):
    raise ValueError("no voxel in " + job["run"] + " <b>")

def killed(job):
    os.kill(os.getpid(), 9)

def leaving(job):
    sys.exit("left\\n")
"""


@pytest.fixture
def try_ways(tmp_path, monkeypatch):
    """Try functions of a program."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "ways_of_test.py").write_text(PROGRAM)
    path = os.pathsep.join([str(tmp_path / "code"), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    (tmp_path / "scratch").mkdir()

    def call(*names, **changes):
        shutil.rmtree(tmp_path / "scratch")
        (tmp_path / "scratch").mkdir()
        ways = [
            replace(Way(name, "m", "i", SMALL, "ways_of_test", name), **changes) for name in names
        ]
        job = Job({"run": str(tmp_path / "my data" / "run.nii")}, 1 << 20)
        told = []
        found = measure_ways(ways, job, tmp_path / "scratch", tell=lambda n, way: told.append(n))
        assert told == list(range(len(names)))
        return found

    return call


def test_a_way_with_wrong_values_is_found_and_failures_are_rows(try_ways):
    found = try_ways("right", "wrong", "failing", "killed", "leaving")
    right, wrong, failing, killed, leaving = found.records
    assert found.references == ("right",)
    assert (right.agrees, right.largest_difference) == (True, 0)
    assert (wrong.agrees, wrong.has_failed) == (False, True)
    assert wrong.largest_difference == pytest.approx(1 / 11)
    assert failing.status == "failed: ValueError: no voxel in run.nii <b>"
    assert killed.status.startswith("failed: ended by signal 9, which is mostly the system's")
    assert leaving.status == "failed: exit code 1: left"
    for record in found.records[2:]:
        assert (record.agrees, record.seconds, record.has_failed) == (None, None, True)
        assert record.total_seconds > 0
    assert right.seconds >= 0
    assert right.cpu_seconds >= 0
    assert 5 < right.peak_mib < 100


def test_missing_packages_and_missing_memory_are_no_failures(try_ways):
    absent = Family("nilearn", ("no_such_package",), (), 0)
    (record,) = try_ways("right", family=absent).records
    assert (record.status, record.has_failed) == ("missing: no_such_package", False)
    (record,) = try_ways("wrong", copies=1e9).records
    assert record.status.startswith("skipped: needs about ")
    assert not record.has_failed


def test_workers_without_shared_memory_are_no_failures(try_ways, tmp_path, monkeypatch):
    monkeypatch.setattr("lazyvox.compare.measuring.sys.platform", "linux")
    monkeypatch.setattr("lazyvox.compare.measuring._SHARED_ROOM", tmp_path / "shm")
    # joblib, which workers need, is not what is looked at.
    monkeypatch.setattr("lazyvox.compare.measuring.missing_packages", lambda way: ())
    (record,) = try_ways("right", has_workers=True).records
    assert record.status == (
        f"skipped: its workers need {tmp_path / 'shm'}, which is missing or cannot be written to"
    )
    monkeypatch.setattr("lazyvox.compare.measuring._SHARED_ROOM", tmp_path)
    (record,) = try_ways("right", has_workers=True, shared_copies=1e12).records
    assert re.fullmatch(r"skipped: needs .* in /.*, .* are free", record.status)
    assert not record.has_failed


def test_bytes_read_are_those_of_workers_too(tmp_path, example_files):
    (tmp_path / "scratch").mkdir()
    facts = {"run": str(example_files / "run.nii.gz"), "memory": None, "n_jobs": 2}
    facts["masks"] = [str(example_files / f"{name}.nii.gz") for name in ("left", "right")]
    job = Job(facts, 1 << 20, 2)
    found = measure_ways(
        [WAYS["numpy-paths"], WAYS["lazyvox-one-pass"]],
        job,
        tmp_path / "scratch",
        tell=lambda number, way: None,
    )
    paths, one_pass = found.records
    assert [paths.agrees, one_pass.agrees] == [True, True]
    assert paths.n_processes >= 3
    assert one_pass.n_processes == 1
    if paths.bytes_read is not None:
        size = (example_files / "run.nii.gz").stat().st_size
        assert paths.bytes_read > 2 * size
        assert size < one_pass.bytes_read < 2 * size + (64 << 10)


def test_a_program_writes_results_and_what_they_took(tmp_path, monkeypatch, example_files):
    monkeypatch.setattr(start, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(start, "_end_with_parent", lambda: None)
    monkeypatch.setattr("sys.path", [*os.sys.path])
    job = {"module": "ways_mean", "function": "numpy_dataobj", "modules": ["nibabel"],
           "package_folder": str(tmp_path), "began": time.monotonic() - 1, "has_workers": False,
           "run": str(example_files / "run.nii.gz")}  # fmt: skip
    (tmp_path / "job.json").write_text(json.dumps(job))
    assert start.main(str(tmp_path)) == 0
    measured = json.loads((tmp_path / "measured.json").read_text())
    assert measured["seconds"] > 1
    assert 0 < measured["work_seconds"] < measured["seconds"]
    assert np.load(tmp_path / "0.npy").shape == (12, 14, 10)
    (tmp_path / "job.json").write_text(json.dumps({**job, "run": "none.nii"}))
    assert start.main(str(tmp_path)) == 1
    assert (tmp_path / "failure.txt").read_text().startswith("FileNotFoundError: ")


def test_warming_reads_what_is_there(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 100)
    warm([str(tmp_path / "a")])
    with pytest.raises(FileNotFoundError, match="none"):
        warm([str(tmp_path / "none")])
