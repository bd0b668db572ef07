"""Signals of many images: those of `extract`, in order, resumable, errors at their image."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import GridMismatchError, ImageFileError, ParameterError, ParameterTypeError


@pytest.fixture(autouse=True)
def runs(example_folder, monkeypatch):
    """Three runs in the current folder, of different lengths."""
    monkeypatch.chdir(example_folder)
    for name, n_volumes in (("a", 40), ("b", 30), ("c", 20)):
        lv.save(lv.load("run.nii.gz").slicer[..., -n_volumes:], f"{name}.nii.gz")
    return ["a.nii.gz", "b.nii.gz", "c.nii.gz"]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_signals_are_those_of_extract(n_jobs, runs):
    rng = np.random.default_rng(0)
    confounds = [rng.normal(size=(40, 3)), None, rng.normal(size=(20, 3))]
    masks = [None, range(5, 30), np.arange(20) % 5 > 0]
    rois = {"atlas": "atlas.nii.gz", "left": "left.nii.gz"}
    options = {"strategy": "mean", "detrend": True, "standardize": "psc"}
    imgs = [runs[0], lv.load(runs[1]), [runs[2]]]
    found = lv.extract_all(
        imgs, rois, confounds=confounds, sample_masks=masks, n_jobs=n_jobs, **options
    )
    for signals, img, table, mask in zip(found, runs, confounds, masks, strict=True):
        wanted = lv.extract(img, rois, confounds=table, sample_mask=mask, **options)
        assert list(signals) == ["atlas", "left"]
        for key in rois:
            np.testing.assert_array_equal(signals[key].values, wanted[key].values)
            assert signals[key].names == wanted[key].names


def test_tables_are_made_once(runs, monkeypatch, contents):
    masks = [None, range(20), None]
    options = {"out_dir": "tables", "sample_masks": masks, "detrend": True}
    paths = lv.extract_all(runs, "atlas.nii.gz", n_jobs=1, **options)
    assert [Path(one).name for one in paths] == ["a.tsv", "b.tsv", "c.tsv"]
    lv.extract(runs[1], "atlas.nii.gz", sample_mask=range(20), detrend=True, out="b.tsv")
    assert Path(paths[1]).read_bytes() == Path("b.tsv").read_bytes()
    before, times = contents("tables"), [Path(one).stat().st_mtime_ns for one in paths]
    assert lv.extract_all(runs, "atlas.nii.gz", n_jobs=1, **options) == paths
    assert [Path(one).stat().st_mtime_ns for one in paths] == times
    # A table that is gone, and an image that is another.
    Path(paths[0]).unlink()
    shutil.copyfile("b.nii.gz", "c.nii.gz")
    lv.extract_all(runs, "atlas.nii.gz", n_jobs=1, **options)
    after = contents("tables")
    assert (after["a.tsv"], after["b.tsv"]) == (before["a.tsv"], before["b.tsv"])
    assert len(after["c.tsv"].splitlines()) == 31
    assert Path(paths[1]).stat().st_mtime_ns == times[1]
    lv.extract_all(runs, "atlas.nii.gz", n_jobs=1, **{**options, "detrend": False})
    assert contents("tables")["b.tsv"] != before["b.tsv"]


def test_region_sets_have_tables_of_their_own(runs):
    options = {"out_dir": "tables", "names": ["1", "2", "3"], "n_jobs": 1}
    rois = {"L": "left.nii.gz", "R": "right.nii.gz"}
    found = lv.extract_all(runs, rois, strategy="mean", **options)
    assert [Path(found[1][key]).name for key in rois] == ["2_L.tsv", "2_R.tsv"]
    assert lv.extract_all(runs, rois, strategy="mean", **options) == found
    (gathered, *_) = lv.extract_all(runs, rois, ending=".npz", **options)
    assert sorted(np.load(gathered)) == ["L", "R"]


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_an_error_is_that_of_its_image(n_jobs, runs, contents):
    whole = Path(runs[1]).read_bytes()
    Path(runs[1]).write_bytes(whole[: len(whole) // 2])
    options = {"out_dir": "tables", "n_jobs": n_jobs}
    with pytest.raises(ImageFileError, match=r"b\.nii\.gz") as caught:
        lv.extract_all(runs, "atlas.nii.gz", **options)
    assert "extract_all: raised for image 1 (b.nii.gz)." in caught.value.__notes__
    assert "b.tsv" not in contents("tables")
    found = lv.extract_all(runs, "atlas.nii.gz", on_error="return", **options)
    assert isinstance(found[1], ImageFileError)
    assert [Path(found[number]).name for number in (0, 2)] == ["a.tsv", "c.tsv"]
    Path(runs[1]).write_bytes(whole)
    assert Path(lv.extract_all(runs, "atlas.nii.gz", **options)[1]).exists()


def test_another_grid_is_known_before_anything_is_read(runs):
    lv.save(lv.load("run.nii.gz").slicer[1:], "b.nii.gz")
    with pytest.raises(GridMismatchError, match="grid") as caught:
        lv.extract_all(runs, "atlas.nii.gz", out_dir="tables", n_jobs=1)
    assert "extract_all: raised for image 1 (b.nii.gz)." in caught.value.__notes__
    assert not Path("tables").exists()
    found = lv.extract_all([*runs, "no.nii"], "atlas.nii.gz", on_error="return", n_jobs=1)
    assert [type(one).__name__ for one in found[1::2]] == [
        "GridMismatchError",
        "ImageNotFoundError",
    ]
    assert found[2].shape == (20, 8)


def test_the_plan_is_that_of_the_largest(runs):
    planned = lv.plan(lv.extract_all, runs, "atlas.nii.gz", out_dir="tables")
    each = [lv.plan(lv.extract, one, "atlas.nii.gz", out="x.tsv").peak_bytes for one in runs]
    assert planned.peak_bytes == max(each)
    assert not Path("tables").exists()
    with pytest.raises(lv.MemoryBudgetError, match="Pass memory"):
        lv.extract_all(runs, "atlas.nii.gz", memory="1MB")


def test_nothing_to_do():
    assert lv.extract_all([], "atlas.nii.gz") == []


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"imgs": "a.nii.gz"}, ParameterTypeError, "`imgs` must be a list"),
        ({"confounds": "c.tsv"}, ParameterTypeError, "`confounds` must be a list with one"),
        ({"sample_masks": [[1]]}, ParameterError, "`sample_masks` must have 3 items.*Got 1"),
        (
            {"imgs": ["a.nii.gz"] * 2, "out_dir": "x"},
            ParameterError,
            "`out_dir` .*Got a for.*names",
        ),
        ({"out_dir": "x", "names": ["a"]}, ParameterError, "`names` must have 3"),
        ({"out_dir": "x", "ending": ".xls"}, ParameterError, r"must end in .* Got '.xls'"),
        ({"out_dir": "a.nii.gz"}, lv.OutputError, "outputs must be in a folder"),
        ({"on_error": "skip"}, ParameterError, "`on_error` must be"),
        ({"n_jobs": 0}, ParameterError, "n_jobs must be"),
        ({"strategy": "mode"}, ParameterError, "`strategy`"),
        ({"names": ["a", "b", "c"]}, ParameterError, "`names` .* `out_dir`"),
        ({"ending": ".npy"}, ParameterError, "`ending` .* `out_dir`"),
    ],
)
def test_wrong_arguments_are_refused(options, kind, message, runs):
    with pytest.raises(kind, match=message):
        lv.extract_all(**{"imgs": runs, "rois": "atlas.nii.gz", "n_jobs": 1, **options})
    assert not Path("x").exists()
