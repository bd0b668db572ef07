"""Outputs of `lazyvox extract` in the form of BIDS derivatives."""

import hashlib
import json
import platform

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.cli.outputs import split_image_target

RUN = "sub-01_task-rest_run-1_space-T1w_desc-preproc_bold.nii.gz"
SECOND = RUN.replace("run-1", "run-2")
COLUMNS = ["csf", "white_matter", "framewise_displacement", "std_dvars"]


@pytest.fixture
def dataset(folder):
    """A BIDS dataset around the examples, with a folder for results."""
    (folder / "dataset_description.json").write_text("{}")
    (folder / "results").mkdir()
    for name in (RUN, SECOND):
        (folder / name).write_bytes((folder / "run.nii.gz").read_bytes())
    rng = np.random.default_rng(0)
    values = np.column_stack([rng.normal(size=(40, 2)), np.full((40, 2), 0.1)])
    values[20, 2] = 2
    lines = ["\t".join(f"{value:.5f}" for value in row) for row in values]
    (folder / "confounds.tsv").write_text("\n".join(["\t".join(COLUMNS), *lines]) + "\n")
    return folder


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_folder_gets_bids_names_and_a_json_file_beside_each(lazyvox, dataset):
    (dataset / "seeds.tsv").write_text("x\ty\tz\n-8\t0\t0\n")
    done = lazyvox(
        "extract", RUN, "--mask", "left.nii.gz", "--labels", "atlas.nii.gz", "--lut", "atlas.tsv",
        "--seeds", "seeds.tsv", "--radius", "5", "-o", "results/",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    stem = "sub-01_task-rest_run-1_space-T1w"
    assert names_in(dataset / "results") == [
        f"{stem}_{name}_timeseries.{ending}"
        for name in ("atlas-atlas_stat-mean", "atlas-seeds_stat-mean", "label-left")
        for ending in ("json", "tsv")
    ]
    found = np.loadtxt(
        f"results/{stem}_atlas-atlas_stat-mean_timeseries.tsv", delimiter="\t", skiprows=1
    )
    np.testing.assert_array_equal(found, lv.extract("run.nii.gz", "atlas.nii.gz").values)


def test_json_file_tells_sources_masks_parameters_censored_plan_and_peak(lazyvox, dataset):
    done = lazyvox(
        "extract", RUN, "--labels", "atlas.nii.gz", "--lut", "atlas.tsv", "--mask-img",
        "mask.nii.gz", "--confounds", "confounds.tsv", "--confound-strategy", "wm_csf",
        "--fd-threshold", "0.5", "--std-dvars-threshold", "inf", "--scrub", "0",
        "--high-pass", "0.01", "-o", "results",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    (path,) = (dataset / "results").glob("*.json")
    record = json.loads(path.read_text())
    assert record["Sources"] == [
        f"bids::{name}"
        for name in (RUN, "atlas.nii.gz", "mask.nii.gz", "atlas.tsv", "confounds.tsv")
    ]
    assert record["RegionsSHA256"] == {
        f"bids::{name}": hashlib.sha256((dataset / name).read_bytes()).hexdigest()
        for name in ("atlas.nii.gz", "mask.nii.gz")
    }
    parameters = record["Parameters"]
    wanted = {
        "strategy": "mean", "high_pass": 0.01, "detrend": False, "confound_strategy": "wm_csf",
        "fd_threshold": 0.5, "std_dvars_threshold": "inf", "scrub": 0,
        "confounds": ["csf", "white_matter"],
    }  # fmt: skip
    assert {name: parameters[name] for name in wanted} == wanted
    assert record["CensoredVolumes"] == [20]
    assert (record["NumberOfVolumes"], record["SamplingFrequency"]) == (40, 0.5)
    assert record["SoftwareVersions"]["Python"] == platform.python_version()
    assert record["SoftwareVersions"]["numpy"] == np.__version__
    assert record["Plan"]["passes"] == 1
    assert "source" not in record["Plan"]
    assert record["PeakBytes"] > 0
    assert len(path.with_suffix(".tsv").read_text().splitlines()) == 1 + 39


def test_joined_runs_have_the_name_that_they_share(lazyvox, dataset):
    assert lazyvox("extract", RUN, SECOND, "--mask", "left.nii.gz", "-o", "results").code == 0
    assert "sub-01_task-rest_space-T1w_label-left_timeseries.tsv" in names_in(dataset / "results")


def test_names_of_atlases_and_masks_are_those_of_their_entities(lazyvox, dataset):
    atlas = "tpl-X_atlas-Big2018_desc-100Parcels_dseg.nii.gz"
    (dataset / atlas).write_bytes((dataset / "atlas.nii.gz").read_bytes())
    for folder in ("a", "b"):
        (dataset / folder).mkdir()
        (dataset / folder / "roi.nii.gz").write_bytes((dataset / "left.nii.gz").read_bytes())
    done = lazyvox(
        "extract", RUN, "--labels", atlas, "--mask", "a/roi.nii.gz", "--mask", "b/roi.nii.gz",
        "--strategy", "sum", "-o", "results",
    )  # fmt: skip
    assert done.code == 0
    entities = [name.split("T1w_")[1] for name in names_in(dataset / "results")]
    assert entities[1::2] == [
        "atlas-Big2018100Parcels_stat-sum_timeseries.tsv",
        "stat-sum_label-aRoi_timeseries.tsv",
        "stat-sum_label-bRoi_timeseries.tsv",
    ]


@pytest.mark.parametrize(
    ("name", "has_json"),
    [("sub-01_desc-mine_timeseries.tsv", True), ("signals.tsv", False), ("sub_x.npy", False)],
)
def test_json_file_is_written_beside_bids_names_only(lazyvox, dataset, name, has_json):
    done = lazyvox("extract", "run.nii.gz", "--mask", "left.nii.gz", "-o", f"results/{name}")
    assert (done.code, done.out) == (0, f"results/{name} (left): 40 x 260, float32\n")
    json_names = ["sub-01_desc-mine_timeseries.json"] if has_json else []
    assert names_in(dataset / "results") == sorted([name, *json_names])


REFUSED = [
    (["run.nii.gz", "--mask", "left.nii.gz", "-o", "results"],
     "--output results is a folder, where files get BIDS names. run.nii.gz: a BIDS name must be"),
    ([RUN, RUN.replace("01", "02"), "--mask", "left.nii.gz", "-o", "results"],
     "runs that are joined must be of one subject. Got sub-01, sub-02. Extract"),
    ([RUN, "--mask", "left.nii.gz", "-o", "absent/"], "there is no folder"),
    ([RUN, "--mask", "left.nii.gz", "-o", "taken"],
     "label-left_timeseries.json: the file exists. Pass --overwrite"),
    ([RUN, "--mask", "left.nii.gz", "--labels", "atlas.nii.gz", "-o", "sub-01_timeseries.tsv"],
     "a BIDS name is that of one table, and there are 2 region sets. Pass a folder"),
    ([RUN, "--mask", "left.nii.gz", "--inverse", RUN], "--inverse " + RUN + ": this is an input"),
    ([RUN, "--mask", "left.nii.gz", "--inverse", "x.tsv"], "--inverse x.tsv: the name must end in"),
    ([RUN, "--labels", "x.nii.gz", "--seeds", "x.tsv", "-o", "results"],
     "each region set must have a name of its own. Got sub-01_task-rest_run-1_space-T1w_atlas"),
]  # fmt: skip


@pytest.mark.parametrize(("argv", "message"), REFUSED, ids=[case[1][:40] for case in REFUSED])
def test_outputs_that_cannot_be_are_refused_first(refuses, dataset, argv, message):
    (dataset / "taken").mkdir()
    taken = RUN.replace("desc-preproc_bold.nii.gz", "label-left_timeseries.json")
    (dataset / "taken" / taken).write_text("old")
    if "x.tsv" in argv and "x.nii.gz" in argv:
        # Both have the name x, and with means the same statistic.
        (dataset / "x.tsv").write_text("x\ty\tz\n0\t0\t0\n")
        (dataset / "x.nii.gz").write_bytes((dataset / "atlas.nii.gz").read_bytes())
    refuses("extract", *argv, code=2, message=message)
    assert names_in(dataset / "results") == []


def test_plan_writes_nothing_into_the_folder(lazyvox, dataset):
    done = lazyvox("extract", RUN, "--labels", "atlas.nii.gz", "-o", "results", "--explain")
    assert (done.code, done.err) == (0, "")
    assert names_in(dataset / "results") == []


def test_names_are_inserted_before_the_endings_of_images():
    names = ["left", "a/b"]
    assert split_image_target("d/x.y.nii.gz", names) == ["d/x.y_left.nii.gz", "d/x.y_a_b.nii.gz"]
