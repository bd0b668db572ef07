"""A study on the workers of a Dask scheduler: the same files, and errors that say what is wrong."""

import os
import signal

import pytest

import lazyvox as lv
from lazyvox.errors import LazyvoxError, MissingDependencyError, ParameterError, ParameterTypeError
from lazyvox.runtime import cluster

distributed = pytest.importorskip("distributed")

ASKED = {
    "atlases": {"Q": ("atlas.nii.gz", "atlas.tsv")},
    "mask": "auto",
    "confound_strategy": "motion6",
    "detrend": True,
    "matrix": "correlation",
}


def contents(folder):
    files = [one for one in sorted(folder.rglob("*")) if one.is_file()]
    return {
        one.relative_to(folder).as_posix(): one.read_bytes()
        for one in files
        if "logs" not in one.parts
    }


@pytest.fixture(scope="module")
def workers():
    """A scheduler and a worker in this process: as real ones do, they pickle what they are sent."""
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        memory_limit="1GiB",
        dashboard_address=":0",
        protocol="tcp",
    ) as made:
        yield made


def test_outputs_are_those_of_processes_here(study, workers):
    done = lv.run_cohort("fmriprep", "far", scheduler=workers.scheduler_address, **ASKED)
    assert (len(done.done), done.failed) == (2, ())
    lv.run_cohort("fmriprep", "near", n_jobs=1, **ASKED)
    assert contents(study / "far") == contents(study / "near")
    again = lv.run_cohort("fmriprep", "far", scheduler=workers, **ASKED)
    assert (len(again.done), len(again.finished)) == (0, 2)


def test_a_client_stays_open_and_failures_are_listed(study, workers):
    bold = next((study / "fmriprep/sub-01/func").glob("*bold.nii.gz"))
    whole = bold.read_bytes()
    bold.write_bytes(whole[: len(whole) // 2])
    with distributed.Client(workers, set_as_default=False) as client:
        found = lv.run_cohort("fmriprep", "out", scheduler=client, **ASKED)
        assert client.status == "running"
    assert [one.step for one in found.failed] == ["read"]
    assert len(found.done) == 1
    assert (study / "out/failures.tsv").exists()


def test_memory_is_that_of_each_run(study, workers):
    planned = {}
    with cluster.connected(workers) as found:
        planned["limit"] = found.share(None)
        assert found.n_calls == 1
    assert 400 << 20 < planned["limit"] < 1 << 30
    with pytest.raises(ParameterError, match=r"`memory` must be .* Got 2\.0 GiB; workers of tcp:"):
        lv.run_cohort("fmriprep", "out", scheduler=workers, memory="2GiB", **ASKED)
    little = lv.run_cohort("fmriprep", "out", scheduler=workers, memory="1MiB", **ASKED)
    assert all("budget" in one.message for one in little.failed)
    assert len(little.failed) == 2


def test_a_folder_that_workers_do_not_see_is_a_failure(study, workers, monkeypatch):
    monkeypatch.setattr("lazyvox.cohort.dataset.Dataset.begin", lambda self: None)
    monkeypatch.setattr("lazyvox.cohort.dataset.Dataset.list_failures", lambda self, failed: None)
    found = lv.run_cohort("fmriprep", "unseen", scheduler=workers, **ASKED)
    assert "the folder of the outputs must be there for every worker" in found.failed[0].message


def test_what_cannot_be_a_scheduler_is_refused(study, monkeypatch):
    monkeypatch.setattr(cluster, "_TIMEOUT_S", 0.2)
    with pytest.raises(ParameterTypeError, match=r"`scheduler` must be an address .* Got int"):
        lv.run_cohort("fmriprep", "out", scheduler=8786, **ASKED)
    with pytest.raises(ParameterError, match=r"Got 'tcp://127\.0\.0\.1:9': Timed out.*`dask sche"):
        lv.run_cohort("fmriprep", "out", scheduler="tcp://127.0.0.1:9", **ASKED)
    with pytest.raises(ParameterError, match="Got 'here': missing port"):
        lv.run_cohort("fmriprep", "out", scheduler="here", **ASKED)
    with pytest.raises(ParameterError, match="`n_jobs` concerns processes of this machine"):
        lv.run_cohort("fmriprep", "out", scheduler="tcp://127.0.0.1:9", n_jobs=2, **ASKED)
    assert not (study / "out").exists()


def test_a_missing_package_is_named(study, monkeypatch):
    monkeypatch.setattr("lazyvox.runtime.optional.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="Schedulers need the package distributed"):
        lv.run_cohort("fmriprep", "out", scheduler="tcp://127.0.0.1:9", **ASKED)


def test_workers_of_another_version_are_refused(study, workers, monkeypatch):
    monkeypatch.setattr(cluster, "__version__", "0.0.1")
    with pytest.raises(LazyvoxError, match=r"must have lazyvox 0\.0\.1, as .* has .*same environ"):
        lv.run_cohort("fmriprep", "out", scheduler=workers, **ASKED)


@pytest.mark.slow
def test_a_worker_that_dies_loses_no_run(study, write_run):
    for subject in ("03", "04", "05", "06"):
        write_run(study / "fmriprep", subject, study)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50
    ) as workers:

        def kill(done, total):
            if done == 1:
                os.kill(next(iter(workers.workers.values())).pid, signal.SIGKILL)

        found = lv.run_cohort("fmriprep", "far", scheduler=workers, progress=kill, **ASKED)
    assert (len(found.done), found.failed) == (6, ())
    lv.run_cohort("fmriprep", "near", n_jobs=1, **ASKED)
    assert contents(study / "far") == contents(study / "near")
    assert not (study / "far/.unfinished").exists()
