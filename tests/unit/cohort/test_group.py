"""Results over runs and subjects: those of NumPy and nilearn over all maps and matrices."""

import csv
import json
import math
import shutil
import warnings
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nilearn.glm.contrasts import compute_fixed_effects

import lazyvox as lv
from lazyvox.cli.main import run as lazyvox
from lazyvox.cohort import OutputSet, RunFilter, prepare_group
from lazyvox.cohort.finished import FinishedOutputs
from lazyvox.cohort.subject_maps import SubjectTask, make_maps
from lazyvox.connectome.matrix_file import read_matrix, write_matrix
from lazyvox.errors import ParameterError
from lazyvox.glm import FirstLevelModel
from lazyvox.runtime.peak import peak_memory

EVENTS = "onset\tduration\ttrial_type\n4\t8\tface\n20\t8\thouse\n36\t8\tface\n52\t8\thouse\n"
OPTIONS = {
    "table": "runs.tsv",
    "mask": "auto",
    "atlases": {"Q": ("atlas.nii.gz", "atlas.tsv")},
    "matrix": ["correlation", "covariance"],
    "glm": True,
    "contrasts": "face",
    "n_jobs": 1,
}
RUNS = [("01", "go", 1), ("01", "go", 2), ("02", "go", 1), ("03", "go", 1), ("03", "rest", 1)]
#: Sessions and runs of one participant.
SESSIONS = [("1", "n/a"), ("2", "n/a"), ("2", "2")]


@pytest.fixture(scope="module")
def whole_study(example_files, tmp_path_factory):
    """Outputs of five runs of three subjects, whose masks differ."""
    folder = shutil.copytree(example_files, tmp_path_factory.mktemp("group") / "study")
    rng = np.random.default_rng(0)
    img, mask = nibabel.load(folder / "run.nii.gz"), nibabel.load(folder / "mask.nii.gz")
    lines = ["sub\ttask\trun\tbold\tmask\tevents"]
    for number, (sub, task, run) in enumerate(RUNS):
        values = (img.get_fdata() + rng.normal(scale=20, size=img.shape)).astype("f4")
        nibabel.save(nibabel.Nifti1Image(values, img.affine, img.header), folder / f"{number}.nii")
        own = np.asarray(mask.dataobj).copy()
        own[: number + 2] = 0
        nibabel.save(nibabel.Nifti1Image(own, mask.affine), folder / f"mask{number}.nii")
        lines.append(f"{sub}\t{task}\t{run}\t{number}.nii\tmask{number}.nii\tevents.tsv")
    (folder / "runs.tsv").write_text("\n".join(lines) + "\n")
    (folder / "events.tsv").write_text(EVENTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert lv.run_cohort(None, "out", **OPTIONS).failed == ()
    return folder


@pytest.fixture
def finished(whole_study, tmp_path, monkeypatch):
    """A copy of the study, which is the current folder."""
    folder = shutil.copytree(whole_study, tmp_path / "study")
    monkeypatch.chdir(folder)
    return folder


def stem(sub, task, run):
    return f"out/sub-{sub}/func/sub-{sub}_task-{task}_run-{run}_"


def read(path):
    with Path(path).open() as file:
        rows = list(csv.reader(file, delimiter="\t"))[1:]
    return np.array([[np.nan if cell == "n/a" else float(cell) for cell in r[1:]] for r in rows])


def by_subject(values):
    """Mean over the runs of each subject of those that have a value."""
    subjects = dict.fromkeys(sub for sub, _ in values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.array(
            [np.nanmean([one for sub, one in values if sub == name], axis=0) for name in subjects]
        )


def test_maps_are_those_of_all_subjects_within_their_masks(finished):
    result = lv.run_group(None, "out", table="runs.tsv")
    assert (result.failed, result.missing) == ((), ())
    maps = []
    for sub, task, run in RUNS[:4]:
        effect = nibabel.load(stem(sub, task, run) + "contrast-face_stat-effect_statmap.nii.gz")
        mask = nibabel.load(stem(sub, task, run) + "mask.nii.gz")
        maps.append((sub, np.where(mask.get_fdata() > 0, effect.get_fdata(), np.nan)))
    each = by_subject(maps)
    count = (~np.isnan(each)).sum(axis=0)
    assert set(count.ravel()) == {0, 1, 2, 3}
    found = {
        label: nibabel.load(
            f"out/group/task-go_contrast-face_stat-effect_desc-{label}_statmap.nii.gz"
        )
        for label in ("mean", "variance", "count")
    }
    np.testing.assert_array_equal(found["count"].get_fdata(), count)
    assert found["count"].get_data_dtype() == np.int32
    total = np.nansum(each, axis=0)
    mean = np.where(count > 0, total / np.maximum(count, 1), 0)
    np.testing.assert_allclose(found["mean"].get_fdata(), mean, rtol=1e-6, atol=1e-6)
    squares = np.nansum((each - mean) ** 2, axis=0)
    variance = np.where(count > 1, squares / np.maximum(count - 1, 1), 0)
    np.testing.assert_allclose(found["variance"].get_fdata(), variance, rtol=1e-5, atol=1e-6)
    record = json.loads(
        (
            finished / "out/group/task-go_contrast-face_stat-effect_desc-mean_statmap.json"
        ).read_text()
    )
    assert (record["NumberOfSubjects"], record["NumberOfRuns"]) == (3, 4)
    assert record["RunsOfSubjects"] == {"sub-01": 2, "sub-02": 1, "sub-03": 1}
    assert len(record["Sources"]) == 4


def test_matrices_are_averaged_as_fishers_z(finished):
    lv.run_group(None, "out", table="runs.tsv")
    stat = "atlas-Q_stat-correlation_relmat.tsv"
    matrices = [(one[0], read(stem(*one) + stat)) for one in RUNS[:4]]
    z = by_subject([(sub, np.arctanh(np.clip(r, -np.tanh(4), np.tanh(4)))) for sub, r in matrices])
    start = "out/group/task-go_atlas-Q_stat-correlation"
    np.testing.assert_allclose(read(f"{start}fisherz_desc-mean_relmat.tsv"), z.mean(axis=0))
    np.testing.assert_allclose(
        read(f"{start}fisherz_desc-variance_relmat.tsv"), z.var(axis=0, ddof=1), atol=1e-12
    )
    mean = np.tanh(z.mean(axis=0))
    np.fill_diagonal(mean, 1)
    np.testing.assert_allclose(read(f"{start}_desc-mean_relmat.tsv"), mean)
    assert (read(f"{start}_desc-count_relmat.tsv") == 3).all()
    covariance = [
        (one[0], read(stem(*one) + stat.replace("correlation", "covariance"))) for one in RUNS[:4]
    ]
    start = "out/group/task-go_atlas-Q_stat-covariance"
    np.testing.assert_allclose(
        read(f"{start}_desc-mean_relmat.tsv"), by_subject(covariance).mean(axis=0)
    )


def test_tasks_are_apart_and_missing_runs_are_named(finished):
    for path in finished.glob(stem("02", "go", 1) + "*"):
        path.unlink()
    result = lv.run_group(None, "out", table="runs.tsv")
    assert result.missing == ("sub-02_task-go_run-1",)
    sets = {one.name: one for one in result.sets}
    assert len(sets) == 6
    go = sets["task-go_contrast-face_stat-effect_statmap.nii.gz"]
    assert (go.n_runs, go.missing) == (3, ("sub-02_task-go_run-1",))
    rest = sets["task-rest_contrast-face_stat-effect_statmap.nii.gz"]
    assert (rest.n_runs, rest.missing) == (1, ())
    assert "3 runs of 2 subjects; missing: sub-02_task-go_run-1" in str(go)
    assert "runs without any output: sub-02_task-go_run-1" in str(result)
    one = lv.run_group(None, "out", table="runs.tsv", task="rest")
    assert {name.name.partition("_")[0] for name in one.sets} == {"task-rest"}


def test_one_subject_has_no_variance(finished):
    lv.run_group(None, "out", table="runs.tsv", task="rest")
    start = "out/group/task-rest_"
    assert np.isnan(read(f"{start}atlas-Q_stat-covariance_desc-variance_relmat.tsv")).all()
    variance = nibabel.load(f"{start}contrast-face_stat-effect_desc-variance_statmap.nii.gz")
    assert not variance.get_fdata().any()


def test_the_result_again_is_the_same_bytes(finished):
    lv.run_group(None, "out", table="runs.tsv")
    before = {one.name: one.read_bytes() for one in (finished / "out/group").iterdir()}
    lv.run_group(None, "out", table="runs.tsv", progress=lambda done, total: None)
    assert {one.name: one.read_bytes() for one in (finished / "out/group").iterdir()} == before
    assert len(before) == 2 * (3 + 4 + 3) * 2


def test_runs_of_other_parameters_are_not_mixed(finished):
    lv.run_cohort(None, "out", participant_label="02", detrend=True, **OPTIONS)
    result = lv.run_group(None, "out", table="runs.tsv", task="go")
    assert result.sets == ()
    assert "the same parameters and version. Got 2 of them" in result.failed[0].message


def test_maps_on_several_grids_are_refused_and_matrices_made(finished):
    first = finished / (stem("02", "go", 1) + "contrast-face_stat-effect_statmap.nii.gz")
    img = nibabel.load(first)
    size = first.stat().st_size
    moved = img.affine.copy()
    moved[0, 3] += 5
    nibabel.save(nibabel.Nifti1Image(np.asarray(img.dataobj), moved, img.header), first)
    record = finished / "out/logs/finished/sub-02_task-go_run-1.json"
    changed = record.read_text().replace(f"{size}\n", f"{first.stat().st_size}\n")
    record.write_text(changed)
    result = lv.run_group(None, "out", table="runs.tsv", task="go")
    (failed,) = result.failed
    assert "images must share one voxel grid" in failed.message
    assert "choose it with `space`" in failed.message
    assert len(result.sets) == 2


def test_maps_in_the_space_of_each_subject_are_refused(finished):
    table = (finished / "runs.tsv").read_text().splitlines()
    rows = [table[0] + "\tspace", *(row + "\tT1w" for row in table[1:])]
    (finished / "runs.tsv").write_text("\n".join(rows) + "\n")
    assert lv.run_cohort(None, "out", **OPTIONS, task="go").failed == ()
    result = lv.run_group(None, "out", table="runs.tsv", task="go")
    (failed,) = result.failed
    assert "`space` must be a standard one for maps over subjects. Got T1w" in failed.message
    assert len(result.sets) == 2


def test_what_does_not_fit_the_budget_or_is_not_there_is_refused(finished):
    (first, *_) = lv.run_group(None, "out", table="runs.tsv", memory=1000).failed
    assert "must hold the moments of one result" in first.message
    with pytest.raises(ParameterError, match=r"must hold maps of models \(`glm`\) or matrices"):
        lv.run_group(None, "empty", table="runs.tsv")
    with pytest.raises(ParameterError, match="`bids_dir` or `table` must say"):
        lv.run_group(None, "out")


def test_memory_stays_below_the_plan(tmp_path):
    rng = np.random.default_rng(0)
    n_regions = 250
    (tmp_path / "runs.csv").write_text("sub,bold\n" + "".join(f"{n},x.nii\n" for n in range(3)))
    for number in range(3):
        path = f"sub-{number}/func/sub-{number}_atlas-A_stat-correlation_relmat.tsv"
        (tmp_path / path).parent.mkdir(parents=True)
        values = rng.uniform(-1, 1, (n_regions, n_regions))
        write_matrix(
            str(tmp_path / path), values, [f"r{n}" for n in range(n_regions)], overwrite=False
        )
        finished = FinishedOutputs(tmp_path)
        finished.make_folder()
        finished.keep(f"sub-{number}", "a-b", [path])
    group = prepare_group(None, tmp_path, tmp_path / "runs.csv", RunFilter())
    assert len(group.run().sets) == 1
    with lv.peak_memory() as peak:
        group.run()
    assert peak.increment <= group.peak_bytes
    assert group.peak_bytes == 101 * n_regions**2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("region\tA\tB\nA\t1\t0\n", "as many rows as columns. Got 1 and 2"),
        ("region\tA\tB\nA\t1\t0\nB\t0\t1\nC\t0\t0\n", "Got 3 and 2"),
        ("region\tA\tB\nA\t1\tx\nB\t0\t1\n", "must hold numbers. It holds other text"),
    ],
)
def test_what_is_no_matrix_is_refused(tmp_path, text, message):
    (tmp_path / "m.tsv").write_text(text)
    with pytest.raises(ParameterError, match=message):
        read_matrix(str(tmp_path / "m.tsv"))


def test_spaces_that_nothing_was_made_in_are_not_missing(finished):
    titles, *rows = (finished / "runs.tsv").read_text().splitlines()
    (finished / "runs.tsv").write_text(
        "\n".join(
            [titles + "\tspace", *(f"{row}\t{one}" for row in rows for one in ("MNI", "T1w"))]
        )
        + "\n"
    )
    assert lv.run_cohort(None, "spaces", **OPTIONS, space="MNI").failed == ()
    result = lv.run_group(None, "spaces", table="runs.tsv")
    assert (result.missing, {one.space for one in result.sets}) == ((), {"MNI"})


def fixed_effects_of(names, **options):
    maps = [f"{one}contrast-face_stat-{{}}_statmap.nii.gz" for one in names]
    mask = math.prod(nibabel.load(f"{one}mask.nii.gz").get_fdata() for one in names)
    free = [
        len(design) - np.linalg.matrix_rank(design)
        for design in (np.loadtxt(f"{one}design.tsv", skiprows=1) for one in names)
    ]
    grid = nibabel.load(maps[0].format("effect")).affine
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = compute_fixed_effects(
            [one.format("effect") for one in maps],
            [one.format("variance") for one in maps],
            nibabel.Nifti1Image(mask.astype("u1"), grid),
            dofs=free,
            **options,
        )
    return mask, dict(zip(("effect", "variance", "t", "z"), found, strict=True)), sum(free)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_fixed_effects_over_runs_are_those_of_nilearn(finished, is_weighted):
    runs = [stem(*one) for one in RUNS[:2]]
    mask, wanted, n_free = fixed_effects_of(runs, precision_weighted=is_weighted)
    result = lv.run_subjects(
        None,
        "out",
        table="runs.tsv",
        participant_label="01",
        precision_weighted=is_weighted,
        n_jobs=1,
    )
    (one,) = result.done
    assert (one.n_runs, result.failed, result.missing) == (2, (), ())
    prefix = "out/sub-01/func/sub-01_task-go_"
    for label, img in wanted.items():
        mine = nibabel.load(f"{prefix}contrast-face_stat-{label}_statmap.nii.gz")
        assert mine.get_data_dtype() == np.float32
        values = mine.get_fdata()
        assert not values[mask == 0].any()
        np.testing.assert_allclose(values, img.get_fdata(), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(nibabel.load(f"{prefix}mask.nii.gz").get_fdata(), mask)
    record = json.loads(Path(f"{prefix}contrast-face_statmap.json").read_text())
    assert (record["NumberOfRuns"], record["DegreesOfFreedom"]) == (2, n_free)
    assert record["Parameters"] == {"precision_weighted": is_weighted}
    assert len(record["Sources"]) == 2
    mask_record = json.loads(Path(f"{prefix}mask.json").read_text())
    assert mask_record["Type"] == "Brain"


def test_fixed_effects_over_runs_are_those_of_one_model_of_them(finished):
    lv.run_subjects(None, "out", table="runs.tsv", participant_label="01", n_jobs=1)
    prefix = "out/sub-01/func/sub-01_task-go_"
    model = FirstLevelModel(t_r=2.0, mask_img=f"{prefix}mask.nii.gz")
    model.fit(["0.nii", "1.nii"], ["events.tsv"] * 2)
    for label, kind in {"effect": "effect_size", "t": "stat", "z": "z_score"}.items():
        mine = nibabel.load(f"{prefix}contrast-face_stat-{label}_statmap.nii.gz").get_fdata()
        wanted = model.compute_contrast(["face", "face"], output_type=kind).get_fdata()
        np.testing.assert_allclose(mine, wanted, rtol=1e-4, atol=1e-4)


def contents_of(folder):
    return {one: one.read_bytes() for one in sorted(Path(folder).rglob("*_statmap.*"))}


def test_fixed_effects_that_are_finished_are_not_made_again(finished):
    options = {"table": "runs.tsv", "n_jobs": 1}
    first = lv.run_subjects(None, "out", **options)
    # Three participants, of which one has two tasks.
    assert (len(first.done), first.finished) == (4, ())
    before = contents_of("out")
    again = lv.run_subjects(None, "out", **options)
    assert (again.done, len(again.finished)) == ((), 4)
    Path("out/sub-02/func/sub-02_task-go_contrast-face_stat-t_statmap.nii.gz").unlink()
    plan = lv.plan(lv.run_subjects, None, "out", **options)
    assert [one.label for one in plan.due] == ["sub-02_task-go_contrast-face"]
    assert "sub-02_task-go_contrast-face: 1 run; to do" in str(plan)
    assert "1 result to make, of 1 run; 3 finished; 0 that cannot be done" in str(plan)
    assert plan.peak_bytes == (4 << 20) + 160 * 12 * 14 * 10
    weighted = lv.run_subjects(None, "out", precision_weighted=True, **options)
    assert len(weighted.done) == 4
    assert len(lv.run_subjects(None, "out", **options).done) == 4
    assert contents_of("out") == before
    assert not Path("out/.unfinished").exists()


@pytest.mark.slow
def test_processes_make_the_same_fixed_effects(finished):
    lv.run_subjects(None, "out", table="runs.tsv", n_jobs=1)
    before = contents_of("out")
    for path in before:
        if "_run-" not in path.name:
            path.unlink()
    assert len(lv.run_subjects(None, "out", table="runs.tsv", n_jobs=2).done) == 4
    assert contents_of("out") == before


def test_runs_that_are_missing_or_damaged_are_named(finished):
    Path(stem(*RUNS[1]) + "contrast-face_stat-effect_statmap.nii.gz").unlink()
    damaged = Path(stem(*RUNS[2]) + "contrast-face_stat-variance_statmap.nii.gz")
    damaged.write_bytes(damaged.read_bytes()[:-100])
    argv = ["cohort", "out", "subject", "--table", "runs.tsv", "--jobs", "1"]
    assert lazyvox(argv) == 3
    result = lv.run_subjects(None, "out", table="runs.tsv", n_jobs=1)
    (failed,) = result.failed
    assert failed.run.startswith("sub-02_task-go_contrast-face")
    assert failed.step == "subject"
    assert not list(Path("out/sub-02/func").glob("sub-02_task-go_contrast*"))
    lines = str(result).splitlines()
    assert lines[0] == "sub-01_task-go_contrast-face: 1 run; missing: sub-01_task-go_run-2"
    assert lines[-1].endswith("0 results done, 3 finished before, 1 failed")
    options = {"table": "runs.tsv", "n_jobs": 1, "precision_weighted": True}
    little = lv.run_subjects(None, "out", memory=1000, **options)
    assert "must hold the maps of one result. Got 1000 B" in little.failed[-1].message


def test_maps_whose_mask_and_design_a_later_call_replaced_are_refused(finished):
    later = {**OPTIONS, "contrasts": "house", "atlases": {}, "matrix": (), "hrf_model": "spm"}
    assert lv.run_cohort(None, "out", **later).failed == ()
    plan = lv.plan(lv.run_subjects, None, "out", table="runs.tsv")
    assert "4 results to make, of 5 runs; 0 finished; 4 that cannot be done" in str(plan)
    assert len(plan.to_dict()["failed"]) == 4
    result = lv.run_subjects(None, "out", table="runs.tsv", n_jobs=1)
    assert all("_contrast-house_" in one.name for one in result.done)
    assert "contrast-face_" in result.failed[0].run
    message = (
        "design and variance of the call that made them. Got sub-01/func/sub-01_task-go_run-1_"
    )
    assert message in result.failed[0].message
    group = lv.run_group(None, "out", table="runs.tsv")
    assert ["_contrast-face_" in one.run for one in group.failed] == [True, True]


def test_masks_without_a_voxel_in_common_are_refused(finished):
    path = Path(stem(*RUNS[1]) + "mask.nii.gz")
    img = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(0 * np.asarray(img.dataobj), img.affine), path)
    (record,) = Path("out/logs/finished").glob("sub-01_task-go_run-2.json")
    sizes = json.loads(record.read_text())
    sizes["sub-01/func/sub-01_task-go_run-2_mask.nii.gz"][1] = path.stat().st_size
    record.write_text(json.dumps(sizes))
    (failed,) = lv.run_subjects(None, "out", table="runs.tsv", n_jobs=1).failed
    assert "must have voxels in common. Got 2 masks" in failed.message


def test_a_run_without_a_label_is_the_only_one_of_its_participant(finished):
    rows = ["sub\tses\trun\tbold\tmask\tevents"]
    rows += [f"01\t{ses}\t{run}\t0.nii\tmask0.nii\tevents.tsv" for ses, run in SESSIONS]
    Path("few.tsv").write_text("\n".join(rows) + "\n")
    options = {**OPTIONS, "table": "few.tsv", "atlases": {}, "matrix": ()}
    assert lv.run_cohort(None, "few", **options).failed == ()
    plan = lv.plan(lv.run_subjects, None, "few", table="few.tsv")
    assert plan.alone == ("sub-01_ses-1_contrast-face",)
    only = lv.run_subjects(None, "few", table="few.tsv", session_label="1", n_jobs=1)
    assert "whose maps stay as they are: sub-01_ses-1_contrast-face\n" in str(only)
    assert only.to_dict()["single_runs"] == ["sub-01_ses-1_contrast-face"]
    assert [one.label for one in plan.due] == ["sub-01_ses-2_contrast-face"]
    (failed,) = lv.run_subjects(None, "few", table="few.tsv", n_jobs=1).failed
    assert "each of several runs must have its own label" in failed.message
    over = lv.run_subjects(None, "few", table="few.tsv", over_sessions=True, n_jobs=1)
    record = json.loads(Path("few/sub-01/func/sub-01_mask.json").read_text())
    assert record["SpatialReference"] == "bids::sub-01/ses-1/func/sub-01_ses-1_mask.nii.gz"
    assert [(one.name, one.n_runs) for one in over.done] == [
        ("sub-01_contrast-face_stat-effect_statmap.nii.gz", 3)
    ]
    assert Path("few/sub-01/func/sub-01_contrast-face_stat-z_statmap.nii.gz").is_file()


def test_fixed_effects_stay_below_their_plan(tmp_path):
    rng = np.random.default_rng(0)
    shape, names = (64, 64, 40), [f"sub-1_run-{run}_" for run in (1, 2, 3)]
    for name in names:
        img = nibabel.Nifti1Image(np.ones(shape, "u1"), np.eye(4))
        nibabel.save(img, tmp_path / f"{name}mask.nii.gz")
        (tmp_path / f"{name}design.tsv").write_text("a\n" + "1\n0\n" * 50)
        for label in ("effect", "variance"):
            img = nibabel.Nifti1Image(rng.random(shape, dtype="f4"), np.eye(4))
            nibabel.save(img, tmp_path / f"{name}contrast-x_stat-{label}_statmap.nii.gz")
    paths = tuple(f"{name}contrast-x_stat-effect_statmap.nii.gz" for name in names)
    found = OutputSet("sub-1_contrast-x_stat-effect_statmap.nii.gz", (("1", paths),), ("a",), ())
    task = SubjectTask(found, str(tmp_path), precision_weighted=False)
    FinishedOutputs(tmp_path).make_folder()
    with peak_memory(with_children=False) as peak:
        make_maps(task, task.peak_bytes())
    assert 0 < peak.increment <= task.peak_bytes()
    assert FinishedOutputs(tmp_path).hold(task.label, task.mark, task.files)
