"""Derivatives of XCP-D: names, tables of three files, volumes it has left out, CIFTI."""

import csv
import json

import nibabel
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.cli.main import run
from lazyvox.cohort.bids_folder import find_runs
from lazyvox.cohort.runs import RunFilter
from lazyvox.errors import LazyvoxWarning, ParameterError

STEM = "sub-01_task-rest_run-01"
OUTLIERS = [5, 6, 20]


def write_table(path, columns):
    rows = zip(*columns.values(), strict=True)
    lines = ["\t".join(columns), *("\t".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def xcp_d(example_folder, monkeypatch):
    """Folder of a run, named as version 0.10 does, within which the current folder is above."""
    monkeypatch.chdir(example_folder)
    func = example_folder / "xcp_d/sub-01/func"
    func.mkdir(parents=True)
    rng = np.random.default_rng(0)
    motion = {
        f"{kind}_{axis}": rng.normal(scale=0.01, size=40)
        for kind in ("trans", "rot")
        for axis in "xyz"
    }
    write_table(
        func / f"{STEM}_motion.tsv", {**motion, "framewise_displacement": np.full(40, 0.1)}
    )
    flags = np.zeros(40, int)
    flags[OUTLIERS] = 1
    write_table(func / f"{STEM}_outliers.tsv", {"framewise_displacement": flags})
    design = {
        "white_matter": rng.normal(size=40),
        "csf": rng.normal(size=40),
        "trans_x": motion["trans_x"],
    }
    write_table(func / f"{STEM}_desc-preproc_design.tsv", design)
    for desc in ("denoised", "denoisedSmoothed"):
        target = func / f"{STEM}_space-MNI_res-2_desc-{desc}_bold.nii.gz"
        target.write_bytes((example_folder / "run.nii.gz").read_bytes())
    return func


def values(path):
    with path.open() as file:
        return np.array(
            [list(map(float, row)) for row in list(csv.reader(file, delimiter="\t"))[1:]]
        )


def bold(func):
    return func / f"{STEM}_space-MNI_res-2_desc-denoised_bold.nii.gz"


def test_a_run_is_found_with_its_tables(xcp_d):
    (found,) = find_runs("xcp_d", RunFilter())
    assert found.bold == str(bold(xcp_d))
    assert found.confounds == str(xcp_d / f"{STEM}_motion.tsv")


def test_three_tables_are_one(xcp_d):
    found = lv.load_confounds(bold(xcp_d), "motion6,wm_csf", demean=False)
    motion, design = (
        values(xcp_d / f"{STEM}_motion.tsv"),
        values(xcp_d / f"{STEM}_desc-preproc_design.tsv"),
    )
    assert found.names[:2] == ("csf", "rot_x")
    np.testing.assert_array_equal(found.values[:, found.names.index("trans_y")], motion[:, 1])
    np.testing.assert_array_equal(found.values[:, found.names.index("csf")], design[:, 1])
    flagged = lv.load_confounds(bold(xcp_d), columns="motion_outlier_xcpd")
    assert flagged.censored.tolist() == OUTLIERS
    assert (
        lv.load_confounds(bold(xcp_d), "scrub", std_dvars_threshold=np.inf).censored.tolist() == []
    )


def test_a_study_cleans_and_censors_by_them(xcp_d):
    options = {"atlases": {"Q": "atlas.nii.gz"}, "qc": True, "n_jobs": 1}
    strategy = {"confound_strategy": "motion6", "confound_columns": "motion_outlier_xcpd"}
    # Without DVARS their limit is infinite, which JSON does not have.
    strategy |= {"fd_threshold": 0.5, "std_dvars_threshold": np.inf, "scrub": 0}
    result = lv.run_cohort("xcp_d", "out", **options, **strategy)
    assert result.failed == ()
    stem = f"out/sub-01/func/{STEM}_space-MNI"
    table = values(xcp_d.parents[2] / f"{stem}_atlas-Q_res-2_stat-mean_timeseries.tsv")
    wanted = lv.extract(
        bold(xcp_d),
        "atlas.nii.gz",
        confounds=lv.load_confounds(bold(xcp_d), "motion6", "motion_outlier_xcpd"),
    )
    sidecar = next(xcp_d.parents[2].glob("out/sub-01/func/*timeseries.json"))
    assert json.loads(sidecar.read_text())["Parameters"]["std_dvars_threshold"] == "inf"
    np.testing.assert_allclose(table, wanted.values, rtol=1e-12, atol=1e-12)
    assert len(table) == 40 - len(OUTLIERS)
    quality = (xcp_d.parents[2] / f"{stem}_res-2_qc.tsv").read_text().splitlines()
    assert quality[0].endswith("framewise_displacement")


def test_volumes_that_it_has_left_out_have_no_rows(xcp_d):
    kept = np.setdiff1d(np.arange(40), OUTLIERS)
    img = nibabel.load("run.nii.gz")
    nibabel.save(
        nibabel.Nifti1Image(img.get_fdata(dtype=np.float32)[..., kept], img.affine, img.header),
        bold(xcp_d),
    )
    found = lv.load_confounds(bold(xcp_d), "motion6", n_volumes=len(kept), demean=False)
    np.testing.assert_array_equal(
        found.values[:, 3], values(xcp_d / f"{STEM}_motion.tsv")[kept, 0]
    )
    options = {"atlases": {"Q": "atlas.nii.gz"}, "qc": True, "n_jobs": 1}
    result = lv.run_cohort("xcp_d", "out", confound_strategy="motion6", **options)
    assert result.failed == ()
    assert "XCP-D has left volumes out" in " ".join(result.done[0].warnings)
    stem = f"out/sub-01/func/{STEM}_space-MNI"
    assert len(values(xcp_d.parents[2] / f"{stem}_atlas-Q_res-2_stat-mean_timeseries.tsv")) == len(
        kept
    )
    assert "framewise" not in (xcp_d.parents[2] / f"{stem}_res-2_qc.tsv").read_text()


def test_rows_of_another_length_are_a_failure(xcp_d):
    lv.save(lv.load("run.nii.gz").slicer[..., :30], bold(xcp_d))
    options = {"atlases": {"Q": "atlas.nii.gz"}, "confound_strategy": "motion6", "n_jobs": 1}
    (failed,) = lv.run_cohort("xcp_d", "out", **options).failed
    assert failed.step == "confounds"
    assert "40" in failed.message


def test_signals_of_xcp_d_keep_their_name_as_matrices(xcp_d):
    name = f"{STEM}_space-MNI_seg-4S156Parcels_stat-mean_timeseries.tsv"
    write_table(xcp_d / name, {"A": range(9), "B": [n**2 for n in range(9)]})
    (xcp_d.parents[2] / "m").mkdir()
    assert run(["connectivity", str(xcp_d / name), "-o", "m/"]) == 0
    wanted = f"{STEM}_space-MNI_seg-4S156Parcels_stat-correlation_relmat.tsv"
    assert wanted in [one.name for one in (xcp_d.parents[2] / "m").rglob("*.tsv")]


def test_cifti_is_said_to_be_left_out(xcp_d):
    (xcp_d / f"{STEM}_space-fsLR_den-91k_desc-denoised_bold.dtseries.nii").touch()
    assert len(find_runs("xcp_d", RunFilter())) == 1
    (xcp_d / "sub-01_task-go_space-fsLR_den-91k_bold.dtseries.nii").touch()
    (xcp_d / "sub-01_task-go_space-fsLR_den-91k_desc-denoisedSmoothed_bold.dtseries.nii").touch()
    with pytest.warns(
        LazyvoxWarning, match=r"as .dtseries.nii only are left out: 1, the first sub-01_task-go"
    ):
        find_runs("xcp_d", RunFilter())
    assert len(find_runs("xcp_d", RunFilter(task=("rest",)))) == 1
    wanted = RunFilter(task=("go",), space=("MNI",))
    with (
        pytest.warns(LazyvoxWarning, match="CIFTI is not supported"),
        pytest.raises(ParameterError, match=r"`task` must be among those of the runs. Got go"),
    ):
        find_runs("xcp_d", wanted)
    for one in xcp_d.glob("*.nii.gz"):
        one.unlink()
    with pytest.raises(ParameterError, match=r"There is none, but 2 of CIFTI \(.dtseries.nii\)"):
        find_runs("xcp_d", RunFilter())


def test_runs_without_names_of_bids_are_said_to_be_left_out(xcp_d):
    (xcp_d / "sub-01_rest_desc-preproc_bold.nii.gz").touch()
    (xcp_d / "sub-01_rest_desc-brain_mask.nii.gz").touch()
    with pytest.warns(
        LazyvoxWarning, match=r"Those without are left out: 1, the first sub-01_rest_"
    ):
        assert len(find_runs("xcp_d", RunFilter())) == 1
