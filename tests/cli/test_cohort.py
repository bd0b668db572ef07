"""`lazyvox cohort`: a study by one command, its plan, its failures, and its end and beginning."""

import errno
import inspect
import json
import os
import time

import click
import pytest

from lazyvox import run_cohort
from lazyvox.cli.cleaning_options import cleaning_options, study_cleaning_options
from lazyvox.cli.cohort import cohort

BASE = ("cohort", "out", "participant", "--table", "runs.tsv", "--jobs", 1)
ATLAS = ("--atlas", "Q=atlas.nii.gz:atlas.tsv")
TABLE = "sub-{0}/func/sub-{0}_task-rest_atlas-Q_stat-mean_timeseries.tsv"


@pytest.fixture(autouse=True)
def runs(folder):
    """Write a table of three runs."""
    rows = [f"{sub}\trest\trun.nii.gz\tmask.nii.gz" for sub in ("01", "02", "03")]
    (folder / "runs.tsv").write_text("\n".join(["sub\ttask\tbold\tmask", *rows]) + "\n")


def contents(out):
    files = [one for one in sorted(out.rglob("*")) if one.is_file()]
    return {
        one.relative_to(out).as_posix(): one.read_bytes()
        for one in files
        if "logs" not in one.parts
    }


def test_runs_are_done_once(lazyvox, folder):
    argv = (*BASE, *ATLAS, "--mask", "auto", "--matrix", "correlation", "--qc", "--detrend")
    done = lazyvox(*argv)
    assert (done.code, done.err) == (0, "")
    assert "3 runs done, 0 finished before, 0 failed" in done.out
    for sub in ("01", "02", "03"):
        assert (folder / "out" / TABLE.format(sub)).is_file()
    assert len((folder / "out/logs/runs.tsv").read_text().splitlines()) == 4
    again = lazyvox(*argv, "--json")
    assert json.loads(again.out)["done"] == []


def test_several_labels_follow_one_option(lazyvox):
    labels = ("--participant-label", "01", "sub-03", "--qc", "--dry-run")
    done = lazyvox(*BASE, *labels)
    assert done.code == 0
    assert "2 runs: 2 to do" in done.out
    assert "sub-02" not in done.out


def test_dry_run_lists_what_was_found_and_writes_nothing(lazyvox, folder):
    done = lazyvox(*BASE, *ATLAS, "--dry-run")
    assert "sub-01_task-rest: mask mask.nii.gz (not used); no confounds; peak " in done.out
    assert "at most 1 at a time" in done.out
    assert not (folder / "out").exists()
    record = json.loads(lazyvox(*BASE, *ATLAS, "--explain", "--json").out)
    assert [one["run"] for one in record["runs"]] == [f"sub-0{n}_task-rest" for n in (1, 2, 3)]


@pytest.mark.filterwarnings("default:.*lie beside 3 of 3 runs:lazyvox.errors.LazyvoxWarning")
def test_models_are_fitted_and_planned(lazyvox, folder):
    (folder / "e.tsv").write_text("onset\tduration\ttrial_type\n4\t8\tface\n30\t8\thouse\n")
    table = folder / "runs.tsv"
    lines = table.read_text().splitlines()
    rows = [
        f"{line}\t{end}"
        for line, end in zip(lines, ["events", "e.tsv", "e.tsv", "n/a"], strict=True)
    ]
    table.write_text("\n".join(rows) + "\n")
    argv = (*BASE, "--mask", "auto", "--glm", "--contrast", "face - house", "--noise-model", "ols")
    plan = lazyvox(*argv, "--dry-run")
    assert "sub-01_task-rest: mask mask.nii.gz; no confounds; events e.tsv; peak" in plan.out
    assert (
        "sub-03_task-rest: mask mask.nii.gz; no confounds; cannot be done: a table of events"
        in plan.out
    )
    assert "There is none, or several fit equally well. Pass --events-dir, or" in plan.out
    assert "2 to do, 0 finished, 1 that cannot be done" in plan.out
    assert "to read in 1 pass over each; disk space" in plan.out
    computed = lazyvox(*BASE, *argv[-5:], "--dry-run")
    assert (
        "sub-01_task-rest: mask of the model computed; mask mask.nii.gz (not used)" in computed.out
    )
    assert "to read in 2 passes over each; disk space" in computed.out
    assert "warning: --mask should say which voxels the maps of --glm have. Masks" in computed.err
    assert "a pass over its run. Pass --mask auto for those beside the runs." in computed.err
    done = lazyvox(*argv)
    assert done.code == 3
    assert "at the step model: a table of events must belong to the run" in done.err
    name = "sub-02_task-rest_contrast-faceMinusHouse_stat-z_statmap.nii.gz"
    assert (folder / "out/sub-02/func" / name).is_file()
    subjects = lazyvox("cohort", "out", "subject", "--table", "runs.tsv", "--dry-run")
    alone = "sub-01_task-rest_contrast-faceMinusHouse, sub-02_task-rest_contrast-faceMinusHouse"
    assert f"the only runs, whose maps stay as they are: {alone}" in subjects.out
    assert "runs without any output: sub-03_task-rest" in subjects.out
    assert "0 results to make, of 0 runs; 0 finished" in subjects.out


def test_results_over_subjects_are_written_and_missing_runs_named(lazyvox, folder):
    assert lazyvox(*BASE, *ATLAS, "--matrix", "correlation").code == 0
    (folder / "out/sub-02/func/sub-02_task-rest_atlas-Q_stat-correlation_relmat.tsv").unlink()
    argv = ("cohort", "out", "group", "--table", "runs.tsv")
    listed = "task-rest_atlas-Q_stat-correlation_relmat.tsv: 2 runs of 2 subjects; missing: sub-02"
    plan = lazyvox(*argv, "--dry-run").out
    assert listed in plan
    assert "1 result to make, of 2 files, read once and one at a time: peak" in plan
    assert json.loads(lazyvox(*argv, "--explain", "--json").out)["peak_bytes"] == 8 * 8 * 101
    assert not (folder / "out/group").exists()
    done = lazyvox(*argv)
    assert (done.code, done.err) == (0, "")
    assert listed in done.out
    assert "1 result, 0 failed" in done.out
    name = "task-rest_atlas-Q_stat-correlation_desc-mean_relmat.tsv"
    assert (folder / "out/group" / name).is_file()
    record = json.loads(lazyvox(*argv, "--json").out)
    assert record["results"][0]["missing"] == ["sub-02_task-rest"]
    assert lazyvox(*argv, "--memory", "100").code == 3


@pytest.mark.filterwarnings("default:.*cannot be done:lazyvox.errors.LazyvoxWarning")
def test_plans_and_scripts_say_which_runs_cannot_be_done(lazyvox, folder):
    table, script = folder / "runs.tsv", ("--array-size", 2, "--sbatch")
    good = table.read_text()
    table.write_text(good.replace("02\trest\trun", "02\trest\tno"))
    plan = lazyvox(*BASE, *ATLAS, "--dry-run")
    assert (plan.code, "3 runs: 2 to do, 0 finished, 1 that cannot be done" in plan.out) == (
        3,
        True,
    )
    said = "1 of 3 runs cannot be done; the first is sub-02_task-rest: "
    assert f"lazyvox: error: {said}" in plan.err
    plan = lazyvox(*BASE, *ATLAS, "--explain", "--json")
    assert (plan.code, json.loads(plan.out)["runs"][0]["problem"]) == (3, None)
    printed = lazyvox(*BASE, *ATLAS, *script)
    assert (printed.code, "#!/bin/bash" in printed.out) == (0, True)
    assert f"lazyvox: warning: {said}" in printed.err
    table.write_text(good.replace("run.nii", "no.nii"))
    refused = lazyvox(*BASE, *ATLAS, *script)
    assert (refused.code, refused.out) == (3, "")
    assert "--sbatch needs runs to do, and there are none: 3 of 3 runs cannot be" in refused.err
    table.write_text(good)
    assert lazyvox(*BASE, *ATLAS).code == 0
    refused = lazyvox(*BASE, *ATLAS, *script)
    assert (refused.code, refused.out) == (2, "")
    assert "there are none: 3 of 3 are finished" in refused.err


def test_estimator_of_matrices_is_recorded_and_part_of_what_is_finished(lazyvox, folder):
    argv = (*BASE, *ATLAS, "--matrix", "correlation,covariance", "--estimator", "empirical")
    assert lazyvox(*argv).code == 0
    func = folder / "out/sub-01/func"
    table = func / "sub-01_task-rest_atlas-Q_stat-mean_timeseries.tsv"
    for kind, stat in (("correlation", "pearsoncorrelation"), ("covariance", "covariance")):
        path = func / f"sub-01_task-rest_atlas-Q_stat-{stat}_relmat.tsv"
        record = json.loads(path.with_suffix(".json").read_text())
        assert record["Parameters"]["estimator"] == "empirical"
        made = ("connectivity", table, "--kind", kind, "--estimator", "empirical", "-o", "a.tsv")
        assert lazyvox(*made, "--overwrite").code == 0
        assert path.read_bytes() == (folder / "a.tsv").read_bytes()
    assert "estimator" not in json.loads(table.with_suffix(".json").read_text())["Parameters"]
    assert "3 finished before" in lazyvox(*argv).out
    assert "3 runs done, 0 finished before" in lazyvox(*argv[:-1], "ledoit-wolf").out


def test_all_options_about_cleaning_of_extract_are_there():
    def options(decorator):
        return {one.name for one in decorator(click.Command("x")).params}

    # Tables lie beside the runs, and each run is cleaned by itself.
    wanted = options(cleaning_options) - {"confounds", "join_runs"}
    assert options(study_cleaning_options) == wanted
    assert wanted <= {one.name for one in cohort.params}
    assert wanted <= set(inspect.signature(run_cohort).parameters)


def test_failures_are_listed_and_the_code_is_3(lazyvox, folder):
    table = folder / "runs.tsv"
    table.write_text(table.read_text().replace("02\trest\trun", "02\trest\tno"))
    done = lazyvox(*BASE, *ATLAS)
    assert done.code == 3
    assert "2 runs done, 0 finished before, 1 failed" in done.out
    assert "1 of 3 runs failed, listed in" in done.err
    assert "sub-02_task-rest, at the step open" in done.err
    row = (folder / "out/failures.tsv").read_text().splitlines()[1].split("\t")
    assert row[0] == "sub-02_task-rest"


def test_tasks_of_an_array_share_the_study(lazyvox, folder):
    for index in range(2):
        argv = ("--array-size", 2, "--array-index", index, *ATLAS)
        assert lazyvox(*BASE, *argv).code == 0
    assert sorted(one.name for one in (folder / "out/logs").glob("*.tsv")) == [
        "runs_array-0.tsv",
        "runs_array-1.tsv",
    ]
    assert json.loads(lazyvox(*BASE, *ATLAS, "--json").out)["done"] == []


def test_script_for_slurm_has_the_command_and_its_memory(lazyvox, folder):
    argv = ("--array-size", 8, "--sbatch", "--memory", "1GiB", "--atlas", "my q=atlas.nii.gz")
    done = lazyvox(*BASE, *argv)
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "#!/bin/bash"
    assert "#SBATCH --array=0-7" in lines
    assert "#SBATCH --mem=1152M" in lines
    assert "--sbatch" not in done.out
    assert "--atlas 'my q=atlas.nii.gz' \\" in done.out
    (folder / "events.tsv").write_text("onset\tduration\ttrial_type\n0\t2\ta\n20\t2\ta\n")
    rows = (folder / "runs.tsv").read_text().splitlines()
    rows = [f"{rows[0]}\tevents", *(f"{row}\tevents.tsv" for row in rows[1:])]
    (folder / "runs.tsv").write_text("\n".join(rows) + "\n")
    model = ("--glm", "--contrast", "a", "--mask", "mask.nii.gz")
    done = lazyvox(*BASE, "--array-size", 8, "--sbatch", "--memory", "1GiB", *model)
    # nilearn is imported in the process that plans and in that which works.
    assert "#SBATCH --mem=1536M" in done.out.splitlines()
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (
            ("a", "out", *BASE[2:], *ATLAS),
            2,
            "must be OUT participant (or subject, group), with --table. Got a out",
        ),
        (("out", "particpant", *BASE[3:5]), 2, "Got out particpant. Did you mean participant?"),
        (("fmripep", "out", "participant", "--qc"), 1, "There is none. Did you mean fmriprep?"),
        (("out", "group", *ATLAS), 2, "must be BIDS_DIR OUT participant (or subject, group)"),
        (
            ("out", "subject", *BASE[3:5], "--qc"),
            2,
            "--qc concerns the level participant, and not",
        ),
        ((*BASE[1:], "--qc", "--over-sessions"), 2, "--over-sessions concerns the level subject"),
        (("out", "group", *BASE[3:5], *ATLAS), 2, "--atlas concerns the level participant"),
        (("out", "group", *BASE[3:]), 2, "--jobs concerns the levels participant and subject"),
        (("out", "group", *BASE[3:5]), 1, "OUT must hold maps of models (--glm) or matrices"),
        (BASE[1:], 1, "--atlas must hold an atlas, or --qc"),
        ((*BASE[1:], "--atlas", "Q"), 2, "--atlas must be NAME=FILE"),
        ((*BASE[1:], "--atlas", "Q=atlas.nii.gz:"), 2, "--atlas must be NAME=FILE"),
        (
            ("--qc", "--participant-label", "01", *BASE[1:3]),
            2,
            "Got nothing. Put them in front of",
        ),
        ((*BASE[1:], *ATLAS, *ATLAS), 1, "--atlas must have names that differ"),
        ((*BASE[1:], *ATLAS, "--matrix", "tangent"), 2, "--matrix must be of correlation"),
        (
            (*BASE[1:], *ATLAS, "--estimator", "empirical"),
            1,
            "--estimator concerns the matrices of --matrix, of which there are none",
        ),
        ((*BASE[1:], *ATLAS, "--task", "go"), 1, "--task must be among those of the runs"),
        (
            (*BASE[1:], *ATLAS, "--bids-filter-file", "runs.tsv"),
            1,
            "runs.tsv: a filter file must be JSON",
        ),
        ((*BASE[1:], *ATLAS, "--array-size", 2), 2, "--array-size and --array-index go together"),
        ((*BASE[1:], *ATLAS, "--sbatch"), 2, "--sbatch needs --array-size"),
        (
            (*BASE[1:], *ATLAS, "--sbatch", "--array-size", 2, "--dry-run"),
            2,
            "without --scheduler, --dry-run",
        ),
        (
            (*BASE[1:], *ATLAS, "--sbatch", "--array-size", 2, "--scheduler", "x"),
            2,
            "without --scheduler",
        ),
        (
            (*BASE[1:5], *ATLAS, "--scheduler", "nonsense"),
            1,
            "missing port number in address 'nonsense'. Start one with",
        ),
        (
            (*BASE[1:], *ATLAS, "--scheduler", "tcp://127.0.0.1:9"),
            1,
            "--jobs concerns processes of this machine, and --scheduler has workers",
        ),
        ((*BASE[1:], "--qc", "--filter", "cosine"), 2, "--filter cosine removes"),
        ((*BASE[1:], "--qc", "--contrast", "a"), 2, "--contrast concerns --glm, which is missing"),
        ((*BASE[1:], "--qc", "--drift-order", 1), 2, "--drift-order concerns --glm"),
        ((*BASE[1:], "--glm", "--mask", "auto"), 1, "--contrast must hold a contrast for --glm"),
        (
            (*BASE[1:], "--glm", "--mask", "auto", "--contrast", "a", "--events-dir", "x"),
            1,
            "--events-dir concerns --glm with a BIDS_DIR",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(lazyvox, folder, argv, code, message):
    (folder / "fmriprep").mkdir()
    done = lazyvox("cohort", *argv)
    assert done.code == code
    assert message in done.err
    assert not (folder / "out").exists()


def test_failures_and_warnings_are_listed_in_the_words_of_the_command(lazyvox, folder):
    rows = ["sub\tbold\tconfounds", "01\trun.nii.gz\tc.tsv", "02\trun.nii.gz\tn/a"]
    (folder / "runs.tsv").write_text("\n".join(rows) + "\n")
    (folder / "c.tsv").write_text("b\n" + "0\n" * 40)
    argv = (*BASE, *ATLAS, "--confound-strategy", "bogus")
    options = {"atlases": {"Q": "atlas.nii.gz"}, "confound_strategy": "bogus", "n_jobs": 1}
    python = run_cohort(None, "py", table="runs.tsv", **options)
    assert lazyvox(*argv).code == 3
    for out, named in (("py", "`confound_strategy`"), ("out", "--confound-strategy")):
        lines = (folder / out / "failures.tsv").read_text().splitlines()
        assert len(lines) == 3
        assert named in "".join(lines)
    assert "`confound_strategy`" in python.failed[0].message
    text = (folder / "out/failures.tsv").read_text()
    assert "`" not in text
    assert "Error" not in text


def test_words_of_python_are_no_messages_of_the_command(lazyvox, folder, monkeypatch):
    def full(*args, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out/a.tsv")

    monkeypatch.setattr("lazyvox.cohort.one_run.write_sidecars", full)
    done = lazyvox(*BASE, "--qc", "--debug")
    assert done.code == 3
    rows = [line.split("\t") for line in (folder / "out/failures.tsv").read_text().splitlines()]
    assert rows[1][2:] == ["write", "out/a.tsv: No space left on device"]
    assert "OSError: [Errno 28]" in done.err
    assert "in _make_outputs" in done.err


@pytest.mark.slow
def test_calls_at_the_same_time_share_a_folder(lazyvox, folder, start):
    rows = [f"{sub}\trun.nii.gz" for sub in range(100, 124)]
    (folder / "runs.tsv").write_text("\n".join(["sub\tbold", *rows]) + "\n")
    argv = ("participant", "--table", "runs.tsv", "--jobs", 1)
    asked = [
        ("--atlas", "Q=atlas.nii.gz"),
        ("--atlas", "Q=atlas.nii.gz"),
        ("--atlas", "L=left.nii.gz"),
    ]
    calls = [start("cohort", "out", *argv, *one) for one in asked]
    assert [one.wait(timeout=100) for one in calls] == [0, 0, 0]
    for one in asked[1:]:
        assert lazyvox("cohort", "apart", *argv, *one).code == 0
    assert contents(folder / "out") == contents(folder / "apart")


@pytest.mark.slow
def test_a_killed_study_goes_on_to_the_same_bytes(lazyvox, folder, start):
    rows = [f"{sub}\trun.nii.gz" for sub in range(100, 124)]
    (folder / "runs.tsv").write_text("\n".join(["sub\tbold", *rows]) + "\n")
    argv = (*ATLAS, "--qc", "--matrix", "correlation", "--table", "runs.tsv", "--jobs", 2)
    for _ in range(2):
        before = len(list((folder / "out").rglob("finished/*.json")))
        process = start("cohort", "out", "participant", *argv)
        end = time.monotonic() + 60
        while len(list((folder / "out").rglob("finished/*.json"))) < before + 5:
            assert time.monotonic() < end
            time.sleep(0.01)
        process.kill()
        process.wait()
    resumed = json.loads(lazyvox("cohort", "out", "participant", *argv, "--json").out)
    assert len(resumed["finished_before"]) >= 10
    assert lazyvox("cohort", "whole", "participant", *argv).code == 0
    assert contents(folder / "out") == contents(folder / "whole")
