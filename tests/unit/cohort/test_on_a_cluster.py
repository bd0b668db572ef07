"""A study on the workers of a Dask scheduler: the same files, and errors that say what is wrong."""

import gzip
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

import lazyvox as lv
from lazyvox.cohort import study as study_module
from lazyvox.cohort.api import prepare_cohort
from lazyvox.cohort.atlases import opened_atlases
from lazyvox.cohort.options import CohortOptions
from lazyvox.cohort.runs import RunFilter
from lazyvox.errors import (
    LazyvoxError,
    LazyvoxWarning,
    MissingDependencyError,
    ParameterError,
    ParameterTypeError,
)
from lazyvox.runtime import cluster

distributed = pytest.importorskip("distributed")

ASKED = {
    "atlases": {"Q": ("atlas.nii.gz", "atlas.tsv")},
    "mask": "auto",
    "confound_strategy": "motion6",
    "detrend": True,
    "matrix": "correlation",
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


def test_outputs_are_those_of_processes_here(study, workers, contents):
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


@pytest.fixture
def long_run(study, monkeypatch):
    """A run that is not compressed, and worth parts, beside a short one; the plan of three workers."""
    bold = next((study / "fmriprep/sub-01/func").glob("*bold.nii.gz"))
    plain = bold.with_suffix("")
    plain.write_bytes(gzip.decompress(bold.read_bytes()))
    bold.unlink()
    monkeypatch.setattr("lazyvox.cohort.study._LEAST_PART_BYTES", 1 << 10)
    monkeypatch.setattr(cluster.Cluster, "n_calls", 3)
    return plain


def test_a_long_run_is_read_in_parts(study, long_run, workers, contents):
    asked = {**ASKED, "scrub": 0, "fd_threshold": 0.5, "standardize": "psc"}
    part = study_module.read_part
    with pytest.MonkeyPatch.context() as patch:

        def noted(*args):
            (study / f"part-{args[1]}-of-{args[2]}").touch()
            return part(*args)

        patch.setattr(study_module, "read_part", noted)
        done = lv.run_cohort("fmriprep", "far", scheduler=workers, **asked)
    assert (len(done.done), done.failed) == (2, ())
    assert len(list(study.glob("part-*-of-3"))) == 3
    lv.run_cohort("fmriprep", "near", n_jobs=1, **asked)
    assert contents(study / "far") == contents(study / "near")


def test_a_damaged_part_is_the_failure_of_its_run(study, long_run, workers):
    whole = long_run.read_bytes()
    with pytest.MonkeyPatch.context() as patch:

        def damaged(*args):
            if args[1] == 1:
                long_run.write_bytes(whole[:-100])
            return part(*args)

        part = study_module.read_part
        patch.setattr(study_module, "read_part", damaged)
        done = lv.run_cohort("fmriprep", "far", scheduler=workers, **ASKED)
    assert [(one.run, one.file) for one in done.failed] == [(done.failed[0].run, str(long_run))]
    assert len(done.done) == 1
    assert not list((study / "far/sub-01").rglob("*timeseries.tsv"))


def test_the_plan_says_how_many_parts(study, long_run, workers):
    options = CohortOptions(atlases=opened_atlases({"Q": "atlas.nii.gz"}))
    cohort = prepare_cohort("fmriprep", "far", None, RunFilter(), options)
    plan = cohort.plan(scheduler=workers)
    assert [one.n_parts for one in plan.runs] == [3, 1]
    assert "; read in 3 parts" in str(plan).splitlines()[0]
    whole = prepare_cohort("fmriprep", "far", None, RunFilter(), replace(options, qc=True))
    assert [one.n_parts for one in whole.plan(scheduler=workers).runs] == [1, 1]
    here = cohort.plan(n_jobs=2)
    assert [one.n_parts for one in here.runs] == [1, 1]
    # The states of the parts lie beside the table that they become.
    assert plan.runs[0].peak_bytes > here.runs[0].peak_bytes
    least = cohort.plan(here.runs[0].peak_bytes, scheduler=workers)
    assert [one.n_parts for one in least.runs] == [1, 1]


def test_memory_is_that_of_each_run(study, workers):
    planned = {}
    with cluster.connected(workers) as found:
        planned["limit"] = found.share(None, 64 << 20)
        assert found.share(None, 256 << 20) == planned["limit"] - (192 << 20)
        assert found.n_calls == 1
    assert 400 << 20 < planned["limit"] < 1 << 30
    with pytest.raises(ParameterError, match=r"`memory` must be .* Got 2\.0 GiB; workers of tcp:"):
        lv.run_cohort("fmriprep", "out", scheduler=workers, memory="2GiB", **ASKED)
    little = lv.run_cohort("fmriprep", "out", scheduler=workers, memory="1MiB", **ASKED)
    assert all("budget" in one.message for one in little.failed)
    assert len(little.failed) == 2


def test_threads_of_a_worker_wait_for_each_other():
    inside = threading.Lock()

    def alone(size):
        assert inside.acquire(blocking=False)
        time.sleep(0.01)
        inside.release()
        return size

    with ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(cluster._call, lv.__version__, alone, (), n) for n in range(6)]
    assert [call.result() for call in calls] == list(range(6))


def test_idle_threads_of_workers_are_named(study):
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=3, processes=False, dashboard_address=":0"
        ) as workers,
        pytest.warns(LazyvoxWarning, match=r"one call at a time, .* Got 1 with several, such as"),
        cluster.connected(workers) as found,
    ):
        assert found.n_calls == 1


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
def test_a_worker_that_dies_loses_no_run(study, write_run, contents):
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
