"""Images that are computed when they are read: measured peaks stay below the plan's."""

import functools

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.image import clean_img, math_img, smooth_img
from lazyvox.testing import assert_bounded, peak_of, scan_peaks

MIB = 1 << 20
GRID = (48, 48, 30)
Z_SCORE = "(img - np.mean(img, axis=-1, keepdims=True)) / np.std(img, axis=-1, keepdims=True)"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """About 26 MB decoded."""
    few = np.random.default_rng(0).integers(0, 200, (*GRID, 4)).astype("f4")
    values = np.broadcast_to(few[..., None, :], (*GRID, 24, 4)).reshape(*GRID, 96, order="F")
    path = tmp_path_factory.mktemp("runs") / "run.nii"
    lv.save(nib.Nifti1Image(values + np.arange(96, dtype="f4"), np.eye(4)), path)
    return str(path)


@pytest.mark.parametrize(("memory", "has_file"), [("80MiB", True), ("600MiB", False)])
def test_cleaning(run, memory, has_file):
    with lv.memory_budget(memory):
        img = clean_img(run, standardize="zscore_sample", high_pass=0.01, t_r=2.0)
    assert bool(img.dataobj.reader.scratch_bytes) is has_file
    predicted, measured = scan_peaks(img, [lv.Mean()], memory)
    assert_bounded(predicted, measured)
    if has_file:
        assert predicted < 60 * MIB


def test_saving_what_was_cleaned(run, tmp_path):
    with lv.memory_budget("80MiB"):
        img = clean_img(run, standardize="psc")
    predicted = lv.plan(lv.save, img, tmp_path / "out.nii").peak_bytes
    assert_bounded(predicted, peak_of(lv.save, img, str(tmp_path / "out.nii")))


@pytest.mark.parametrize("formula", ["np.exp(img / 200) * 2 - img ** 2 / (img + 1)", "img + 1j"])
def test_formulas(run, formula):
    img = math_img(formula, img=run)
    predicted, measured = scan_peaks(img, [lv.Mean()])
    assert_bounded(predicted, measured)


@pytest.mark.parametrize("kind", ["run", "volume"])
def test_stages_that_take_part_again_and_again(run, kind, tmp_path):
    img = lv.load(run) if kind == "run" else lv.load(run).slicer[..., 0]
    for _ in range(8):
        img = smooth_img(img, 3) + img * 0.5
    predicted = lv.plan(lv.save, img, tmp_path / "out.nii").peak_bytes
    assert_bounded(predicted, peak_of(lv.save, img, str(tmp_path / "out.nii")))
    if kind == "run":
        assert_bounded(*scan_peaks(img, [lv.Mean()]))


def test_reductions_read_in_blocks(run):
    """Six float64 volumes for the deviations, and the blocks of the pass."""
    peak = peak_of(functools.partial(math_img, img=run), Z_SCORE)
    assert peak < 45 * MIB, f"{peak / MIB:.1f} MiB"
