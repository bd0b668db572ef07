"""Usable cores and the meaning of n_jobs."""

import numpy as np
import pytest

from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.runtime import cores
from lazyvox.runtime.cores import resolve_n_jobs, usable_cores


@pytest.fixture
def node(tmp_path, monkeypatch):
    """Return a function that writes a fake node with 16 cores and gives what reads it."""
    monkeypatch.setattr(cores, "_affinity", lambda: 16)

    def build(files=(), *, group="0::/", environ=None):
        proc, cgroup = tmp_path / "proc", tmp_path / "cgroup"
        tree = {proc / "self" / "cgroup": f"{group}\n"}
        tree |= {cgroup / name: f"{text}\n" for name, text in dict(files).items()}
        for path, text in tree.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return {"proc_root": proc, "cgroup_root": cgroup, "environ": environ or {}}

    return build


@pytest.mark.parametrize(
    ("files", "group", "expected"),
    [
        ({}, "0::/", 16),
        ({"cpu.max": "max 100000"}, "0::/", 16),
        ({"cpu.max": "200000 100000"}, "0::/", 2),
        ({"cpu.max": "150000 100000"}, "0::/", 2),
        ({"cpu.max": "10000 100000"}, "0::/", 1),
        ({"a/cpu.max": "400000 100000", "a/b/cpu.max": "max 100000"}, "0::/a/b", 4),
        (
            {"cpu/j/cpu.cfs_quota_us": "300000", "cpu/j/cpu.cfs_period_us": "100000"},
            "3:cpu,cpuacct:/j",
            3,
        ),
        (
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            "3:cpu,cpuacct:/",
            16,
        ),
    ],
)
def test_the_quota_of_the_control_group_counts(node, files, group, expected):
    assert usable_cores(**node(files, group=group)) == expected


@pytest.mark.parametrize(("granted", "expected"), [("4", 4), ("64", 16), ("0", 16), ("?", 16)])
def test_slurm_grants_at_most_what_there_is(node, granted, expected):
    assert usable_cores(**node(environ={"SLURM_CPUS_PER_TASK": granted})) == expected


@pytest.mark.parametrize(
    ("n_jobs", "expected"),
    [(None, 1), (1, 1), (12, 12), (np.int64(3), 3), (-1, 8), (-2, 7), (-8, 1), (-100, 1)],
)
def test_n_jobs_means_what_it_means_in_scikit_learn(monkeypatch, n_jobs, expected):
    monkeypatch.setattr(cores, "usable_cores", lambda: 8)
    assert resolve_n_jobs(n_jobs) == expected


def test_no_jobs_at_all_is_an_error():
    with pytest.raises(ParameterError, match=r"Got 0\. Pass 1"):
        resolve_n_jobs(0)


@pytest.mark.parametrize("n_jobs", [True, 1.0, "2"])
def test_n_jobs_must_be_a_whole_number(n_jobs):
    with pytest.raises(ParameterTypeError, match="-1 for all cores"):
        resolve_n_jobs(n_jobs)
