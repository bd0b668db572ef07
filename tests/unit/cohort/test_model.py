"""First-level models in a study: the numbers of the single functions, in the same pass."""

import errno
import json
import os

import nibabel
import numpy as np
import pandas as pd
import pytest

import lazyvox as lv
from lazyvox.cli.main import run as lazyvox
from lazyvox.cohort import Atlas, CohortOptions, RunFilter, prepare_cohort
from lazyvox.cohort.model import StudyModel
from lazyvox.cohort.prepared_run import prepare_run
from lazyvox.errors import LazyvoxWarning, ParameterError
from lazyvox.glm import FirstLevelModel

STEM = "sub-{0}/func/sub-{0}_task-rest_space-MNI_"
MAP = STEM + "contrast-{1}_stat-{2}_statmap.nii.gz"
GLM = {
    "mask": "auto",
    "glm": True,
    "contrasts": ["face - house", "faces=face"],
    "confound_strategy": "motion6",
    "n_jobs": 1,
}
ATLASES = {"atlases": {"Q": "atlas.nii.gz"}, "qc": True, "detrend": True}


def write_events(path, shift=0.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = ["face", "house", "face", "house"]
    table = {"onset": np.array([4.0, 20, 36, 52]) + shift, "duration": 8.0, "trial_type": kinds}
    pd.DataFrame(table).to_csv(path, sep="\t", index=False)
    return path


@pytest.fixture
def task(study):
    """The study as derivatives inside of a raw dataset, with events for both participants."""
    raw = study / "raw"
    for number, sub in enumerate(("01", "02")):
        write_events(raw / f"sub-{sub}/func/sub-{sub}_task-rest_events.tsv", number)
    (raw / "derivatives").mkdir()
    (study / "fmriprep").rename(raw / "derivatives/fmriprep")
    return study


def bold_of(task, sub):
    return next((task / f"raw/derivatives/fmriprep/sub-{sub}/func").glob("*bold.nii.gz"))


def options_of(**more):
    return CohortOptions(
        mask="auto", glm=StudyModel(("face - house",)), confound_strategy=("motion6",), **more
    )


@pytest.mark.parametrize(
    "more",
    [
        {},
        {**ATLASES, "fd_threshold": 0.5},
        {**ATLASES, "smoothing_fwhm": 5.0},
        {"fd_threshold": 0.5, "noise_model": "ols", "drift_model": "polynomial", "drift_order": 2},
        {"hrf_model": "spm + derivative", "high_pass": 0.02, "slice_time_ref": 0.5, "t_r": 2.5},
    ],
)
def test_files_are_those_of_the_command_glm(task, more):
    result = lv.run_cohort("raw", "out", participant_label="02", **GLM, **more)
    assert result.failed == ()
    bold = bold_of(task, "02")
    argv = ["glm", str(bold), "-o", "single", "--no-report", "--contrast", "face - house"]
    argv += ["--events", "raw/sub-02/func/sub-02_task-rest_events.tsv", "--contrast", "faces=face"]
    argv += ["--mask", str(next(bold.parent.glob("*mask.nii.gz")))]
    argv += ["--confounds", str(next(bold.parent.glob("*timeseries.tsv")))]
    argv += ["--confound-strategy", "motion6"]
    for name, value in more.items():
        if name not in ATLASES:
            argv += [f"--{name.replace('_', '-')}", str(value)]
    assert lazyvox(argv) == 0
    prefix, folders = "sub-02_task-rest_space-MNI_", (task / "out/sub-02/func", task / "single")
    for contrast in ("faceMinusHouse", "faces"):
        for label in ("effect", "variance", "t", "z"):
            name = f"{prefix}contrast-{contrast}_stat-{label}_statmap.nii.gz"
            mine, single = (nibabel.load(one / name) for one in folders)
            assert mine.get_data_dtype() == single.get_data_dtype() == np.float32
            np.testing.assert_array_equal(mine.dataobj, single.dataobj)
    for name in (f"{prefix}design.tsv", f"{prefix}contrasts.json"):
        assert len({(one / name).read_bytes() for one in folders}) == 1


def test_numbers_are_those_of_glm_and_of_the_class(task):
    lv.run_cohort("raw", "out", participant_label="01", **GLM)
    bold = bold_of(task, "01")
    mask = next(bold.parent.glob("*mask.nii.gz"))
    confounds = lv.load_confounds(bold, "motion6")
    frame = pd.DataFrame(confounds.values, columns=confounds.names)
    events = task / "raw/sub-01/func/sub-01_task-rest_events.tsv"
    model = FirstLevelModel(t_r=2.0, mask_img=str(mask)).fit(str(bold), str(events), frame)
    scan = lv.Scan(bold)
    glm = scan.add(lv.GLM(model.design_matrices_[0], mask_img=mask))
    scan.run()
    for label, kind in {
        "effect": "effect_size",
        "variance": "effect_variance",
        "t": "stat",
    }.items():
        found = nibabel.load(task / "out" / MAP.format("01", "faceMinusHouse", label)).get_fdata()
        for one in (model, glm.result()):
            wanted = one.compute_contrast("face - house", output_type=kind).get_fdata()
            np.testing.assert_array_equal(found, wanted.astype(np.float32))


def test_a_model_is_fitted_in_the_pass_of_everything_else(task):
    plain = options_of(atlases=(Atlas.opened("Q", "atlas.nii.gz"),), qc=True, detrend=True)
    (run, _) = prepare_cohort("raw", "out", None, RunFilter(), plain).runs
    assert len(prepare_run(run, plain).scans) == 1
    censored = options_of(
        atlases=(Atlas.opened("Q", "atlas.nii.gz"),), qc=True, fd_threshold=0.5, detrend=True
    )
    assert len(prepare_run(run, censored).scans) == 1
    smoothed = options_of(
        atlases=(Atlas.opened("Q", "atlas.nii.gz"),), qc=True, smoothing_fwhm=5.0
    )
    assert len(prepare_run(run, smoothed).scans) == 3
    plan = prepare_cohort("raw", "out", None, RunFilter(), smoothed).plan(n_jobs=1)
    assert "to read in 3 passes over each" in str(plan)
    assert plan.runs[0].to_dict()["passes"] == 3


def test_everything_beside_a_model_is_as_without(task):
    lv.run_cohort("raw", "with", fd_threshold=0.5, **GLM, **ATLASES)
    without = {**GLM, **ATLASES, "glm": False, "contrasts": ()}
    lv.run_cohort("raw", "without", fd_threshold=0.5, **without)
    for path in (task / "without").rglob("sub-*.tsv"):
        same = task / "with" / path.relative_to(task / "without")
        assert same.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("more", [{}, {**ATLASES, "smoothing_fwhm": 5.0, "fd_threshold": 0.5}])
def test_a_mask_that_is_not_given_is_computed_as_by_the_command_glm(task, more):
    options = {**GLM, "mask": None, "participant_label": "02", **more}
    with pytest.warns(LazyvoxWarning, match=r"Masks lie beside 1 of 1 run, .* Pass mask='auto'"):
        plan = lv.plan(lv.run_cohort, "raw", "out", **options)
    assert "mask of the model computed; mask sub-02" in str(plan)
    (planned,) = plan.runs
    assert planned.passes == (2 if not more else 4)
    assert planned.to_dict()["bytes_read"] == planned.passes * bold_of(task, "02").stat().st_size
    with pytest.warns(LazyvoxWarning, match="are not used"):
        result = lv.run_cohort("raw", "out", memory=planned.peak_bytes, **options)
    assert result.failed == ()
    bold = bold_of(task, "02")
    argv = ["glm", str(bold), "-o", "single", "--no-report", "--contrast", "face - house"]
    argv += ["--events", "raw/sub-02/func/sub-02_task-rest_events.tsv"]
    argv += ["--confounds", str(next(bold.parent.glob("*timeseries.tsv")))]
    argv += ["--confound-strategy", "motion6"]
    for name in sorted({"smoothing_fwhm", "fd_threshold"} & set(more)):
        argv += [f"--{name.replace('_', '-')}", str(more[name])]
    assert lazyvox(argv) == 0
    prefix, folders = "sub-02_task-rest_space-MNI_", (task / "out/sub-02/func", task / "single")
    for name in ("mask", "contrast-faceMinusHouse_stat-z_statmap"):
        mine, single = (nibabel.load(one / f"{prefix}{name}.nii.gz") for one in folders)
        np.testing.assert_array_equal(mine.dataobj, single.dataobj)
    record = json.loads((folders[0] / f"{prefix}mask.json").read_text())
    assert record["Type"] == "Brain"
    assert record["Description"].endswith("computed of the run.")
    assert record["Sources"][0].endswith("bold.nii.gz")


def test_a_run_without_a_mask_is_silent_about_masks(task):
    bold_of(task, "01").with_name("sub-01_task-rest_space-MNI_desc-brain_mask.nii.gz").unlink()
    options = {**GLM, "mask": None, "participant_label": "01"}
    plan = lv.plan(lv.run_cohort, "raw", "out", **options)
    assert "sub-01_task-rest_space-MNI: mask of the model computed; confounds" in str(plan)


def test_sources_and_settings_are_told(task):
    lv.run_cohort("raw", "out", participant_label="01", noise_model="ols", **GLM)
    record = json.loads((task / "out" / (STEM.format("01") + "design.json")).read_text())
    assert "../../../raw/sub-01/func/sub-01_task-rest_events.tsv" in record["Sources"]
    assert record["Parameters"]["noise_model"] == "ols"
    assert record["Parameters"]["contrasts"] == ["face - house", "faces=face"]
    record = json.loads((task / "out" / (STEM.format("01") + "mask.json")).read_text())
    assert record["Type"] == "Brain"
    assert record["SpatialReference"].endswith(bold_of(task, "01").name)


def test_events_are_an_input(task):
    first = lv.run_cohort("raw", "out", **GLM)
    assert len(first.done) == 2
    write_events(task / "raw/sub-01/func/sub-01_task-rest_events.tsv", 2.5)
    again = lv.run_cohort("raw", "out", **GLM)
    assert [one.run for one in again.done] == ["sub-01_task-rest_space-MNI"]
    assert len(lv.run_cohort("raw", "out", **{**GLM, "contrasts": "face"}).done) == 2


def test_a_run_without_events_stops_no_other(task):
    (task / "raw/sub-01/func/sub-01_task-rest_events.tsv").unlink()
    result = lv.run_cohort("raw", "out", **GLM)
    assert len(result.done) == 1
    (failed,) = result.failed
    assert failed.step == "model"
    assert "a table of events must belong to the run, such as" in failed.message
    assert not list((task / "out/sub-01").rglob("*.nii.gz"))


def test_a_contrast_of_no_column_is_the_failure_of_its_run(task):
    path = task / "raw/sub-01/func/sub-01_task-rest_events.tsv"
    path.write_text(path.read_text().replace("house", "cat"))
    (failed,) = lv.run_cohort("raw", "out", **GLM).failed
    assert failed.step == "model"
    assert "'house' is none of them. Columns: cat, face" in failed.message
    path.write_text("no table\n")
    (failed,) = lv.run_cohort("raw", "out", **GLM).failed
    assert "a table of events must have the columns onset and duration" in failed.message


def test_a_table_of_runs_has_events(task):
    lines = ["sub\tbold\tmask\tevents"]
    lines += ["1\trun.nii.gz\tmask.nii.gz\traw/sub-01/func/sub-01_task-rest_events.tsv"]
    lines += ["2\trun.nii.gz\tmask.nii.gz\tn/a"]
    (task / "runs.tsv").write_text("\n".join(lines) + "\n")
    options = {**GLM, "confound_strategy": ()}
    result = lv.run_cohort(None, "out", table="runs.tsv", **options)
    assert [one.run for one in result.done] == ["sub-1"]
    assert len(list((task / "out/sub-1/func").glob("*_statmap.nii.gz"))) == 8


def test_runs_that_take_more_than_the_one_like_them_wait_for_the_whole_budget(task):
    first = next((task / "raw/derivatives/fmriprep/sub-01/func").glob("*mask.nii.gz"))
    img = nibabel.load(first)
    small = np.zeros_like(np.asarray(img.dataobj))
    small[5, 6:8, 5] = 1
    nibabel.save(nibabel.Nifti1Image(small, img.affine), first)
    cohort = prepare_cohort("raw", "out", None, RunFilter(), options_of())
    planned = cohort.plan(n_jobs=2)
    assert planned.runs[0].peak_bytes == planned.runs[1].peak_bytes
    result = cohort.run(memory=planned.runs[0].peak_bytes * 2, n_jobs=2)
    assert (len(result.done), result.failed) == (2, ())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"contrasts": ()}, "`contrasts` must hold a contrast for `glm`"),
        ({"contrasts": ["face", "x=a", "x=b"]}, "`contrasts` must be given once for each name"),
        ({"glm": False}, "`contrasts` concerns `glm`, which is not asked for"),
        ({"glm": False, "contrasts": (), "noise_model": "ols"}, "`noise_model` concerns `glm`"),
        ({"hrf_model": "gamma"}, "`hrf_model` must be one of 'glover', 'spm'"),
        ({"noise_model": "arma"}, "`noise_model`"),
        ({"drift_order": -1}, "`drift_order` must be a number of at least 0"),
        ({"slice_time_ref": 2}, "`slice_time_ref` must be from 0 to 1"),
        (
            {"drift_model": "none", "high_pass": 0.01},
            "`high_pass` concerns drifts that are cosines",
        ),
        ({"detrend": True}, "`detrend` concerns the signals of `atlases`"),
        ({"events_dir": "nowhere"}, "`events_dir` must be a folder. There is none at"),
    ],
)
def test_a_model_of_no_run_is_refused(task, options, message):
    with pytest.raises(ParameterError, match=message):
        lv.run_cohort("raw", "out", **{**GLM, "qc": True, **options})
    assert not (task / "out").exists()


def test_events_that_cannot_be_looked_for_fail_their_run(task, monkeypatch):
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("raw/sub-01/func"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    plan = prepare_cohort("raw", "out", None, RunFilter(), options_of()).plan(n_jobs=1)
    first, second = plan.runs
    assert (first.failed.step, second.failed) == ("find", None)
    assert "raw/sub-01/func: a folder of tables of events must be" in first.failed.message
