"""A study as a whole: its outputs, failures, resuming, and the plan."""

import csv
import dataclasses
import json
import multiprocessing
import os

import numpy as np
import psutil
import pytest

import lazyvox as lv
from lazyvox.cohort import Atlas, CohortOptions, CohortResult, Done, RunFilter, prepare_cohort
from lazyvox.cohort.prepared_run import prepare_run
from lazyvox.errors import (
    GridMismatchError,
    ImageNotFoundError,
    OutputError,
    ParameterError,
    ParameterTypeError,
)

SIGNALS = "sub-{}/func/sub-{}_task-rest_space-MNI_atlas-Q_stat-mean_timeseries.tsv"
EVERYTHING = {
    "atlases": {"Q": ("atlas.nii.gz", "atlas.tsv")},
    "mask": "auto",
    "confound_strategy": "motion6",
    "fd_threshold": 0.5,
    "detrend": True,
    "matrix": "correlation",
    "qc": True,
    "n_jobs": 1,
}


ONE = {"atlases": {"Q": "atlas.nii.gz"}}


def read(path):
    with path.open() as file:
        return list(csv.reader(file, delimiter="\t"))


def test_outputs_are_those_of_the_single_functions(study):
    result = lv.run_cohort("fmriprep", "out", **EVERYTHING)
    assert (len(result.done), result.failed) == (2, ())
    run = next((study / "fmriprep/sub-01/func").glob("*bold.nii.gz"))
    mask = next((study / "fmriprep/sub-01/func").glob("*mask.nii.gz"))
    confounds = lv.load_confounds(run, "motion6,scrub", fd_threshold=0.5)
    signals = lv.extract(
        run, "atlas.nii.gz", lut="atlas.tsv", mask_img=mask, confounds=confounds, detrend=True
    )
    titles, *rows = read(study / "out" / SIGNALS.format("01", "01"))
    assert titles == list(signals.names)
    np.testing.assert_allclose(np.array(rows, float), signals.values, rtol=1e-12, atol=1e-12)
    assert len(rows) < 40
    stem = "sub-01/func/sub-01_task-rest_space-MNI"
    matrix = read(study / "out" / f"{stem}_atlas-Q_stat-correlation_relmat.tsv")
    wanted = lv.connectivity(signals).values
    np.testing.assert_allclose(np.array([r[1:] for r in matrix[1:]], float), wanted, atol=1e-12)
    beside = json.loads(
        (study / "out" / f"{stem}_atlas-Q_stat-correlation_relmat.json").read_text()
    )
    assert beside["RelationshipMeasure"] == beside["Parameters"]["kind"] == "correlation"
    assert beside["Parameters"]["estimator"] == "ledoit-wolf"
    coverage = read(study / "out" / f"{stem}_atlas-Q_stat-coverage_bold.tsv")
    assert [float(row[-1]) for row in coverage[1:]] == pytest.approx(signals.coverage)
    quality = lv.qc(run, mask_img=mask)
    table = read(study / "out" / f"{stem}_qc.tsv")
    assert table[0][-1] == "framewise_displacement"
    place = table[0].index("global_signal")
    found = [float(row[place]) for row in table[1:]]
    np.testing.assert_allclose(found, quality["global_signal"], rtol=1e-12)
    sidecar = json.loads(
        (study / "out" / SIGNALS.format("01", "01")).with_suffix(".json").read_text()
    )
    assert sidecar["CensoredVolumes"] == [int(one) for one in confounds.censored]
    assert "PeakBytes" not in sidecar
    description = json.loads((study / "out/dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"


def test_everything_takes_one_pass(study):
    (run, _) = prepare_cohort("fmriprep", "out", None, RunFilter(), CohortOptions(qc=True)).runs
    atlases = (Atlas.opened("Q", "atlas.nii.gz"), Atlas.opened("R", "left.nii.gz"))
    options = CohortOptions(atlases=atlases, qc=True, detrend=True, confound_strategy=("motion6",))
    prepared = prepare_run(run, options)
    assert len(prepared.scans) == 1
    assert sum(plan.passes for plan in prepared.plans()) == 1
    assert len(prepare_run(run, dataclasses.replace(options, smoothing_fwhm=6.0)).scans) == 2


def test_quality_is_that_of_volumes_as_they_are(study):
    options = {"atlases": {"Q": "atlas.nii.gz"}, "qc": True, "n_jobs": 1}
    lv.run_cohort("fmriprep", "plain", participant_label="01", **options)
    lv.run_cohort("fmriprep", "smooth", participant_label="01", smoothing_fwhm=8, **options)
    tables = [next((study / one).rglob("*_qc.tsv")) for one in ("plain", "smooth")]
    assert tables[0].read_bytes() == tables[1].read_bytes()


def test_processes_write_the_same_bytes(study, contents):
    one = lv.run_cohort("fmriprep", "one", **EVERYTHING)
    two = lv.run_cohort("fmriprep", "two", **{**EVERYTHING, "n_jobs": 2})
    assert len(one.done) == len(two.done) == 2
    assert contents(study / "one") == contents(study / "two")


def test_what_is_finished_is_not_done_again(study, contents):
    lv.run_cohort("fmriprep", "out", **EVERYTHING)
    before = contents(study / "out")
    again = lv.run_cohort("fmriprep", "out", **EVERYTHING)
    assert (len(again.done), len(again.finished)) == (0, 2)
    # An output that is gone, and an input that is another file.
    (study / "out" / SIGNALS.format("01", "01")).unlink()
    bold = next((study / "fmriprep/sub-02/func").glob("*bold.nii.gz"))
    os.utime(bold, ns=(1, 1))
    again = lv.run_cohort("fmriprep", "out", **EVERYTHING)
    assert len(again.done) == 2
    assert contents(study / "out") == before
    changed = lv.run_cohort("fmriprep", "out", **{**EVERYTHING, "detrend": False})
    assert len(changed.done) == 2
    assert contents(study / "out") != before


def test_two_studies_share_a_folder(study):
    options = {"participant_label": "01", "n_jobs": 1}
    lv.run_cohort("fmriprep", "out", atlases={"Q": "atlas.nii.gz"}, **options)
    lv.run_cohort("fmriprep", "out", atlases={"Other": "atlas.nii.gz"}, **options)
    again = lv.run_cohort("fmriprep", "out", atlases={"Q": "atlas.nii.gz"}, **options)
    assert (len(again.done), len(again.finished)) == (0, 1)


def test_others_go_on_when_a_run_fails(study):
    bold = next((study / "fmriprep/sub-01/func").glob("*bold.nii.gz"))
    whole = bold.read_bytes()
    bold.write_bytes(whole[: len(whole) // 2])
    result = lv.run_cohort("fmriprep", "out", **EVERYTHING)
    assert [one.run for one in result.done] == ["sub-02_task-rest_space-MNI"]
    (failed,) = result.failed
    assert failed.step == "read"
    titles, row = read(study / "out/failures.tsv")
    assert titles == ["run", "file", "step", "message"]
    assert row[:3] == ["sub-01_task-rest_space-MNI", str(bold), "read"]
    assert not list((study / "out").rglob("sub-01*.tsv"))
    assert not (study / "out/.unfinished").exists()
    bold.write_bytes(whole)
    assert len(lv.run_cohort("fmriprep", "out", **EVERYTHING).done) == 1
    assert not (study / "out/failures.tsv").exists()


def test_missing_masks_and_confounds_are_failures(study):
    next((study / "fmriprep/sub-01/func").glob("*mask.nii.gz")).unlink()
    next((study / "fmriprep/sub-02/func").glob("*timeseries.tsv")).unlink()
    first, second = lv.run_cohort("fmriprep", "out", **EVERYTHING).failed
    assert "a mask must lie beside the run" in first.message
    assert "the table of confounds must lie beside the image" in second.message
    (study / "runs.csv").write_text("sub,bold\n1,run.nii.gz\n")
    options = {**EVERYTHING, "mask": None}
    (third,) = lv.run_cohort(None, "other", table="runs.csv", **options).failed
    assert third.step == "confounds"


def test_a_run_on_another_grid_stops_no_other(study):
    bold = next((study / "fmriprep/sub-01/func").glob("*bold.nii.gz"))
    bold.unlink()
    lv.save(lv.load("run.nii.gz").slicer[1:], bold)
    options = {"atlases": {"Q": "atlas.nii.gz"}, "n_jobs": 1}
    result = lv.run_cohort("fmriprep", "out", **options)
    assert len(result.done) == 1
    (failed,) = result.failed
    assert (failed.step, type(failed.error)) == ("plan", GridMismatchError)
    again = lv.run_cohort("fmriprep", "out", resample=True, **options)
    assert (len(again.done), again.failed) == (2, ())


def test_a_failing_disk_leaves_no_output(study, monkeypatch):
    real = os.replace

    def fail(source, target):
        if "relmat" in str(target):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", fail)
    result = lv.run_cohort("fmriprep", "out", participant_label="01", **EVERYTHING)
    assert [one.step for one in result.failed] == ["write"]
    assert not list((study / "out").rglob("sub-01*.tsv"))


def test_a_plan_reads_no_run_and_writes_nothing(study, monkeypatch):
    options = CohortOptions(atlases=(Atlas.opened("Q", "atlas.nii.gz"),), qc=True)
    cohort = prepare_cohort("fmriprep", "out", None, RunFilter(), options)
    plan = cohort.plan(memory="1GiB", n_jobs=2)
    assert plan.n_workers == 2
    assert "2 runs: 2 to do" in str(plan)
    assert "confounds sub-01_task-rest_desc-confounds_timeseries.tsv" in str(plan)
    assert plan.to_dict()["runs"][0]["output_bytes"] == 25 * 40 * (8 + 6)
    assert not (study / "out").exists()
    little = cohort.plan(memory=max(one.peak_bytes for one in plan.runs) // 50, n_jobs=2)
    assert "budget" in little.runs[0].failed.message
    result = cohort.run(memory=max(one.peak_bytes for one in plan.runs) * 3 // 2, n_jobs=2)
    assert len(result.done) == 2


def test_shares_are_disjoint_and_complete(study):
    options = CohortOptions(qc=True)
    cohort = prepare_cohort("fmriprep", "out", None, RunFilter(), options)
    parts = [cohort.share(2, index) for index in range(2)]
    assert [len(one.runs) for one in parts] == [1, 1]
    assert {run.label for one in parts for run in one.runs} == {r.label for r in cohort.runs}
    with pytest.raises(ParameterError, match="`array_index` must be from 0"):
        cohort.share(2, 2)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({}, ParameterError, "`atlases` must hold an atlas, or `qc`"),
        (
            {"matrix": "correlation", "qc": True},
            ParameterError,
            "`matrix` concerns the signals of `atlases`",
        ),
        ({"atlases": "atlas.nii.gz"}, ParameterTypeError, "`atlases` must be a dict"),
        ({**ONE, "matrix": "tangent"}, ParameterError, "`matrix` must be one of 'correlation'"),
        (
            {"atlases": {"A 1": "atlas.nii.gz", "A_1": "atlas.nii.gz"}},
            ParameterError,
            "`atlases` must have names that differ .* Got A1, A1",
        ),
        (
            {"atlases": {"Q": "atlas.nii.gz"}, "strategy": "mean,std", "matrix": "correlation"},
            ParameterError,
            "one signal for each region",
        ),
        ({**ONE, "standardize": "zscore"}, ValueError, "standardize must be"),
        ({**ONE, "censored": "skip"}, ParameterError, "`censored`"),
        ({**ONE, "smoothing_fwhm": -3}, ParameterError, r"fwhm"),
        ({**ONE, "min_coverage": 2}, ParameterError, "`min_coverage`"),
        ({"atlases": {"Q": "atlas.nii.gz"}, "strategy": "mode"}, ParameterError, "`strategy`"),
        ({"qc": True, "task": 3}, ParameterTypeError, "`task` must be a text, or a list"),
    ],
)
def test_what_cannot_be_done_is_refused(study, options, kind, message):
    with pytest.raises(kind, match=message):
        lv.run_cohort("fmriprep", "out", **options)
    assert not (study / "out").exists()


def test_images_in_the_place_of_paths_are_answered_with_the_path(study):
    img = lv.load("atlas.nii.gz")
    name = "Got LazyNifti1Image. An image is none: pass the name of its file, .*atlas.nii.gz"
    with pytest.raises(ParameterTypeError, match=rf"`atlases` must be a str.* {name}"):
        lv.run_cohort("fmriprep", "out", atlases={"Q": img})
    with pytest.raises(ParameterTypeError, match=rf"`mask` must be a str.* {name}"):
        lv.run_cohort("fmriprep", "out", atlases={"Q": "atlas.nii.gz"}, mask=img)
    with pytest.raises(
        ParameterTypeError, match="An image is none: save it, and pass the name of"
    ):
        lv.run_cohort("fmriprep", "out", atlases={"Q": lv.image.math_img("img * 1", img=img)})


def test_the_folder_of_outputs_must_be_another_and_writable(study):
    with pytest.raises(ParameterError, match="`out` must be another folder"):
        lv.run_cohort("fmriprep", "fmriprep", qc=True)
    with pytest.raises(ParameterError, match="`bids_dir` or `table` must say"):
        lv.run_cohort(None, "out", qc=True)
    (study / "file").touch()
    with pytest.raises(OutputError, match="outputs must be in a folder"):
        lv.run_cohort("fmriprep", "file", qc=True, n_jobs=1)


def test_atlases_of_maps_have_no_coverage(study):
    atlas = lv.load("atlas.nii.gz")
    values = np.asarray(atlas.dataobj)
    maps = np.stack([values == label for label in (1, 2)], axis=3).astype(np.float32)
    lv.save(lv.image.new_img_like(atlas, maps), "maps.nii.gz")
    options = {"participant_label": "01", "n_jobs": 1}
    result = lv.run_cohort("fmriprep", "out", atlases={"M": "maps.nii.gz"}, **options)
    assert result.failed == ()
    names = sorted(one.name for one in (study / "out/sub-01/func").iterdir())
    stem = "sub-01_task-rest_space-MNI_atlas-M"
    assert [one.removeprefix(stem) for one in names] == ["_timeseries.json", "_timeseries.tsv"]


def test_nothing_is_written_beside_the_runs(study):
    inputs = study / "fmriprep"
    before = {one: one.stat().st_mtime_ns for one in sorted(inputs.rglob("*"))}
    for one in before:
        # Root may write all the same, so that the files are looked at too.
        one.chmod(0o555 if one.is_dir() else 0o444)
    result = lv.run_cohort("fmriprep", "out", **EVERYTHING)
    assert (len(result.done), result.failed) == (2, ())
    assert {one: one.stat().st_mtime_ns for one in sorted(inputs.rglob("*"))} == before
    for one in before:
        one.chmod(0o755)


def kill_a_worker():
    """Kill a process that works on runs, and not the one that it was forked from."""
    begun = [psutil.Process(one.pid) for one in multiprocessing.active_children()]
    workers = [child for one in begun for child in one.children()] or begun
    workers[0].kill()
    workers[0].wait()


@pytest.mark.slow
def test_500_runs_of_which_one_takes_its_process_along(study):
    rows = [f"{number:03}\trun.nii.gz\tmask.nii.gz" for number in range(500)]
    (study / "runs.tsv").write_text("\n".join(["sub\tbold\tmask", *rows]) + "\n")
    options = {
        **ONE,
        "table": "runs.tsv",
        "mask": "auto",
        "detrend": True,
        "qc": True,
        "n_jobs": 2,
    }

    def kill(done, total):
        if done == 100:
            kill_a_worker()

    first = lv.run_cohort(None, "out", progress=kill, **options)
    assert len(first.done) + len(first.failed) == 500
    assert len(first.failed) <= 1
    assert all(one.step == "process" for one in first.failed)
    again = lv.run_cohort(None, "out", **options)
    assert (len(again.finished), len(again.done)) == (len(first.done), len(first.failed))
    tables = {one.read_bytes() for one in (study / "out").rglob("*_timeseries.tsv")}
    assert len(tables) == 1
    assert len(list((study / "out").rglob("*_timeseries.tsv"))) == 500
    assert not (study / "out/.unfinished").exists()


@pytest.mark.slow
def test_a_process_that_dies_takes_one_run_with_it(study, write_run):
    for subject in ("03", "04"):
        write_run(study / "fmriprep", subject, study)

    def kill(done, total):
        if done == 1:
            kill_a_worker()

    options = {**EVERYTHING, "n_jobs": 2, "progress": kill}
    result = lv.run_cohort("fmriprep", "out", **options)
    assert len(result.done) + len(result.failed) == 4
    assert len(result.done) >= 3
    assert all(one.step == "process" for one in result.failed)
    result = lv.run_cohort("fmriprep", "out", **EVERYTHING)
    assert (len(result.finished) + len(result.done), result.failed) == (4, ())


def test_a_plan_says_what_is_read_and_what_is_not(study):
    atlas = Atlas.opened("Q", "atlas.nii.gz")
    for options, note, unused in (
        (CohortOptions((atlas,)), " (not used)", ["mask", "confounds"]),
        (CohortOptions((atlas,), "auto", confound_strategy=("csf",)), "", []),
    ):
        plan = prepare_cohort("fmriprep", "out", None, RunFilter(), options).plan(n_jobs=1)
        line = str(plan).splitlines()[0]
        assert f"brain_mask.nii.gz{note}; " in line
        assert f"timeseries.tsv{note}; " in line
        assert plan.to_dict()["runs"][0]["unused"] == unused
    given = CohortOptions((atlas,), str(study / "left.nii.gz"))
    plan = prepare_cohort("fmriprep", "out", None, RunFilter(), given).plan(n_jobs=1)
    assert ": mask left.nii.gz; " in str(plan)
    assert plan.to_dict()["runs"][0]["mask"] == given.mask


def test_errors_name_the_parameters_of_the_study(study):
    (failed, _) = lv.run_cohort("fmriprep", "out", **ONE, confound_strategy="motion25").failed
    assert failed.message.startswith("`confound_strategy` must name strategies, columns")
    with pytest.raises(ImageNotFoundError, match="Auto: no such file"):
        lv.run_cohort("fmriprep", "other", **ONE, mask="Auto")
    assert not (study / "other").exists()


def test_a_result_counts_runs_with_warnings():
    done = (Done("sub-01", 1.0, 1, (UserWarning("rank"),)), Done("sub-02", 1.0, 1))
    assert str(CohortResult("out", done, (), ())).endswith(
        "out: 2 runs done, 0 finished before, 0 failed; 1 with warnings, listed in logs/"
    )
    assert CohortResult("out", done, (), ()).to_dict()["warnings"] == {"sub-01": ["rank"]}


def test_lv_plan_of_a_study_lists_its_runs_and_writes_nothing(study):
    plan = lv.plan(lv.run_cohort, "fmriprep", "out", **EVERYTHING)
    assert [one.files.label for one in plan.due] == [
        "sub-01_task-rest_space-MNI",
        "sub-02_task-rest_space-MNI",
    ]
    assert not (study / "out").exists()
    assert lv.run_cohort("fmriprep", "out", **EVERYTHING).failed == ()
    (one,) = lv.plan(lv.run_group, "fmriprep", "out").sets
    assert one.n_runs == 2
    assert not (study / "out/group").exists()


def test_files_that_are_not_read_change_nothing(study):
    assert lv.run_cohort("fmriprep", "out", **ONE, n_jobs=1).failed == ()
    for path in study.glob("fmriprep/sub-*/func/*timeseries.tsv"):
        path.write_text("")
    assert len(lv.run_cohort("fmriprep", "out", **ONE, n_jobs=1).finished) == 2
