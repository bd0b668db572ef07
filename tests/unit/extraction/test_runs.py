"""Runs of a list are cleaned each by itself, each with its own repetition time."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.cli.main import run as command
from lazyvox.errors import LazyvoxWarning, ParameterError

CLEANING = {"detrend": True, "low_pass": 0.1, "standardize": "zscore_sample"}


@pytest.fixture
def files(example_folder, monkeypatch):
    """Make a second run with another repetition time, in the folder of the examples."""
    monkeypatch.chdir(example_folder)
    img = nib.load("run.nii.gz")
    values = img.get_fdata()[..., :30] + np.random.default_rng(1).normal(size=(1, 1, 1, 30))
    for name, t_r in (("three", 3.0), ("two", 2.0)):
        other = nib.Nifti1Image(values.astype("f4"), img.affine)
        other.header.set_zooms((*img.header.get_zooms()[:3], t_r))
        other.header.set_xyzt_units("mm", "sec")
        nib.save(other, f"{name}.nii.gz")
    return example_folder


def each(*runs, **options):
    return np.concatenate([lv.extract(run, "atlas.nii.gz", **options).values for run in runs])


@pytest.mark.parametrize("second", ["two.nii.gz", "three.nii.gz"])
class TestByThemselves:
    def test_in_python(self, files, second):
        found = lv.extract(["run.nii.gz", second], "atlas.nii.gz", **CLEANING)
        np.testing.assert_allclose(found.values, each("run.nii.gz", second, **CLEANING))
        assert found.t_r == (2.0 if second == "two.nii.gz" else None)

    def test_on_the_command_line(self, files, second):
        arguments = ["run.nii.gz", second, "--labels", "atlas.nii.gz", "--detrend"]
        options = ["--low-pass", "0.1", "--standardize", "zscore_sample", "-o", "out.npy"]
        assert command(["extract", *arguments, *options]) == 0
        np.testing.assert_allclose(np.load("out.npy"), each("run.nii.gz", second, **CLEANING))

    def test_a_sample_mask_counts_through(self, files, second):
        kept = [*range(25), *range(45, 70)]
        found = lv.extract(["run.nii.gz", second], "atlas.nii.gz", sample_mask=kept, detrend=True)
        first = lv.extract("run.nii.gz", "atlas.nii.gz", sample_mask=range(25), detrend=True)
        rest = lv.extract(second, "atlas.nii.gz", sample_mask=range(5, 30), detrend=True)
        np.testing.assert_allclose(found.values, np.concatenate([first.values, rest.values]))

    def test_a_mask_for_each_run(self, files, second):
        masks = [range(25), range(5, 30)]
        runs = ["run.nii.gz", second]
        found = lv.extract(runs, "atlas.nii.gz", sample_mask=masks, detrend=True)
        kept = [*range(25), *range(45, 70)]
        wanted = lv.extract(runs, "atlas.nii.gz", sample_mask=kept, detrend=True)
        assert np.array_equal(found, wanted)


def test_joined_runs_are_one_series(files):
    runs = ["run.nii.gz", "two.nii.gz"]
    found = lv.extract(runs, "atlas.nii.gz", runs="joined", **CLEANING)
    series = lv.extract(lv.image.concat_imgs(runs), "atlas.nii.gz", **CLEANING)
    np.testing.assert_allclose(found.values, series.values, atol=1e-5)
    arguments = [*runs, "--labels", "atlas.nii.gz", "--detrend", "--low-pass", "0.1"]
    options = ["--standardize", "zscore_sample", "--join-runs", "-o", "out.npy"]
    assert command(["extract", *arguments, *options]) == 0
    np.testing.assert_array_equal(np.load("out.npy"), found.values)


def test_runs_that_are_given_win(files):
    runs = np.repeat([0, 1, 2], [20, 20, 30])
    found = lv.extract(["run.nii.gz", "three.nii.gz"], "atlas.nii.gz", runs=runs, **CLEANING)
    assert found.shape == (70, 8)
    wanted = lv.extract("three.nii.gz", "atlas.nii.gz", **CLEANING)
    np.testing.assert_allclose(found.values[40:], wanted.values)


def test_volumes_of_a_list_are_one_run(files):
    img = lv.load("run.nii.gz")
    for number in range(5):
        lv.save(img.slicer[..., number], f"volume{number}.nii")
    names = [f"volume{number}.nii" for number in range(5)]
    found = lv.extract(names, "atlas.nii.gz", detrend=True)
    wanted = lv.extract(img.slicer[..., :5], "atlas.nii.gz", detrend=True)
    np.testing.assert_allclose(found.values, wanted.values, atol=1e-5)


def test_runs_of_two_repetition_times_cannot_be_filtered_as_one(files):
    runs = ["run.nii.gz", "three.nii.gz"]
    match = r"must have one repetition time\. Got 2 s in .*run\.nii\.gz, 3 s in .*three\.nii"
    with pytest.raises(ParameterError, match=match):
        lv.extract(runs, "atlas.nii.gz", runs="joined", low_pass=0.1)
    mixed = np.zeros(70)
    with pytest.raises(ParameterError, match=match):
        lv.extract(runs, "atlas.nii.gz", runs=mixed, low_pass=0.1)
    # What is given holds for all of them.
    found = lv.extract(runs, "atlas.nii.gz", runs="joined", low_pass=0.1, t_r=2.0)
    assert found.t_r == 2.0


def test_runs_are_given_once(files):
    runs = np.zeros(40)
    with pytest.raises(ParameterError, match="`runs` must be given once"):
        lv.extract("run.nii.gz", "atlas.nii.gz", runs=runs, clean_args={"runs": runs})
    with pytest.raises(ParameterError, match=r"'joined' or None\. Got 'all'"):
        lv.extract("run.nii.gz", "atlas.nii.gz", runs="all", detrend=True)


@pytest.mark.parametrize("t_r", [0, -2.0, np.nan])
def test_a_repetition_time_is_checked_without_a_filter_too(files, t_r):
    with pytest.raises(ParameterError, match="must be above 0 and finite"):
        lv.extract("run.nii.gz", "atlas.nii.gz", t_r=t_r)


@pytest.mark.parametrize("censored", ["zero", "interpolate"])
@pytest.mark.parametrize("options", [{}, {"detrend": True}], ids=["as they are", "cleaned"])
@pytest.mark.parametrize("rois", ["mask.nii.gz", "atlas.nii.gz"])
def test_rows_of_volumes_that_are_left_out(files, censored, options, rois):
    kept = np.setdiff1d(np.arange(40), [0, 7, 8])
    dropped = lv.extract("run.nii.gz", rois, sample_mask=kept, **options)
    found = lv.extract("run.nii.gz", rois, sample_mask=kept, censored=censored, **options)
    assert found.shape == (40, dropped.shape[1])
    np.testing.assert_allclose(found.values[kept], dropped.values, rtol=1e-6, atol=1e-4)
    wanted = np.zeros(dropped.shape[1])
    if censored == "interpolate":
        wanted = (found.values[6] + (found.values[9] - found.values[6]) / 3).astype(found.dtype)
    np.testing.assert_allclose(found.values[7], wanted, rtol=1e-5, atol=1e-4)


@pytest.mark.filterwarnings("default")
def test_a_joined_image_of_two_repetition_times_is_warned_of(files, capsys):
    match = r"should have one repetition time\. Got 2 s .*run.nii.gz\), 3 s .*three"
    with pytest.warns(LazyvoxWarning, match=match):
        img = lv.image.concat_imgs(["run.nii.gz", "three.nii.gz"])
    assert img.header.get_zooms()[3] == 2
    assert command(["concat", "run.nii.gz", "three.nii.gz", "-o", "joined.nii.gz"]) == 0
    assert capsys.readouterr().err.count("should have one repetition time") == 1
    lv.image.concat_imgs(["run.nii.gz", "two.nii.gz"])


def test_the_side_file_of_two_repetition_times_has_none(files):
    (files / "results").mkdir()
    for name, number in (("run", 1), ("three", 2)):
        (files / f"{name}.nii.gz").rename(f"sub-1_task-rest_run-{number}_bold.nii.gz")
    names = [f"sub-1_task-rest_run-{number}_bold.nii.gz" for number in (1, 2)]
    assert command(["extract", *names, "--labels", "atlas.nii.gz", "-o", "results"]) == 0
    (path,) = (files / "results").glob("*.json")
    assert "SamplingFrequency" not in json.loads(path.read_text())


@pytest.mark.parametrize("censored", ["drop", "keep", "zero", "interpolate"])
def test_volumes_that_confounds_censor(files, censored):
    rows = "".join(f"{number % 7}\t{3 if number == 9 else 0.1}\n" for number in range(40))
    Path("sub-1_desc-confounds_timeseries.tsv").write_text(
        "trans_x\tframewise_displacement\n" + rows
    )
    found = lv.load_confounds(
        "sub-1_desc-confounds_timeseries.tsv", "scrub", columns="trans_x", scrub=0,
        std_dvars_threshold=np.inf,
    )  # fmt: skip
    signals = lv.extract("run.nii.gz", "atlas.nii.gz", confounds=found, censored=censored)
    assert len(signals) == (39 if censored == "drop" else 40)
    if censored == "keep":
        plain = lv.extract("run.nii.gz", "atlas.nii.gz", confounds=found.values)
        assert np.array_equal(signals, plain)


def test_confounds_of_each_run(files):
    rng = np.random.default_rng(2)
    tables = [rng.normal(size=(40, 2)), rng.normal(size=(30, 2))]
    np.savetxt("second.txt", tables[1])
    runs = ["run.nii.gz", "three.nii.gz"]
    wanted = [
        lv.extract(run, "atlas.nii.gz", confounds=table).values
        for run, table in zip(runs, tables, strict=True)
    ]
    for given in (tables, [tables[0], "second.txt"], np.concatenate(tables)):
        found = lv.extract(runs, "atlas.nii.gz", confounds=given)
        np.testing.assert_allclose(found.values, np.concatenate(wanted))
    # Tables of all volumes stand side by side.
    both = np.concatenate(tables)
    found = lv.extract(runs, "atlas.nii.gz", confounds=[both[:, :1], both[:, 1:]])
    np.testing.assert_allclose(found.values, np.concatenate(wanted))
    with pytest.raises(ParameterError, match="one row for each of the 30 volumes"):
        lv.extract(runs, "atlas.nii.gz", confounds=[tables[0], tables[0]])


def test_volumes_between_series_are_a_run(files):
    img = lv.load("run.nii.gz")
    volumes = [img.slicer[..., number] for number in range(4)]
    found = lv.extract([img, *volumes, "two.nii.gz"], "atlas.nii.gz", detrend=True)
    parts = [img, img.slicer[..., :4], "two.nii.gz"]
    wanted = [lv.extract(part, "atlas.nii.gz", detrend=True).values for part in parts]
    np.testing.assert_allclose(found.values, np.concatenate(wanted), atol=1e-5)


def test_volumes_leave_the_repetition_time_to_series(files):
    img = lv.load("run.nii.gz")
    assert lv.extract([img, img.slicer[..., 3]], "atlas.nii.gz").t_r == 2.0
    assert lv.extract([img.slicer[..., 3], img.slicer[..., 4]], "atlas.nii.gz").t_r is None


def test_a_sample_mask_of_each_run_without_cleaning(example_files):
    runs, atlas = [example_files / "run.nii.gz"] * 2, example_files / "atlas.nii.gz"
    every = lv.extract(runs, atlas).values
    found = lv.extract(runs, atlas, sample_mask=[[0, 3], np.arange(40) == 7])
    np.testing.assert_array_equal(found.values, every[[0, 3, 47]])
    assert found.volumes.tolist() == [0, 3, 47]
    halves = lv.extract(runs[0], atlas, runs=[0] * 20 + [1] * 20, sample_mask=[[1], [2]])
    np.testing.assert_array_equal(halves.values, every[[1, 22]])
    with pytest.raises(ParameterError, match=r"one mask for each of 2 runs\. Got 3"):
        lv.extract(runs, atlas, sample_mask=[[0], [1], [2]])
    with pytest.raises(ParameterError, match=r"of run 1 \(counted from 0\)"):
        lv.extract(runs, atlas, sample_mask=[[0], []])


def test_confounds_that_a_run_does_not_have_are_logged(example_files, caplog):
    pandas = pytest.importorskip("pandas")
    values = np.random.default_rng(0).normal(size=(40, 2))
    both = pandas.DataFrame(values, columns=["csf", "cosine01"])
    runs, atlas = [example_files / "run.nii.gz"] * 2, example_files / "atlas.nii.gz"
    with caplog.at_level("INFO", "lazyvox"):
        lv.extract(runs, atlas, confounds=[both, both[["csf"]]], detrend=True)
    assert "run 1 has no confound cosine01; zero there" in caplog.text


def test_two_confounds_of_one_name_are_two(example_files):
    pandas = pytest.importorskip("pandas")
    values = np.random.default_rng(0).normal(size=(40, 2))
    table = pandas.DataFrame(values, columns=["csf", "csf"])
    run, atlas = example_files / "run.nii.gz", example_files / "atlas.nii.gz"
    found = lv.extract([run, run], atlas, confounds=[table, table]).values
    wanted = lv.extract(run, atlas, confounds=values).values
    np.testing.assert_allclose(found, np.concatenate([wanted, wanted]), atol=1e-9)
