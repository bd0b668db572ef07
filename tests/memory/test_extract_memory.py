"""Extraction of maps and spheres, and cleaning, take at most what their plans say."""

import subprocess
import sys
from functools import partial

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.testing import assert_bounded, peak_of, scan_peaks

MIB = 1 << 20
GRID = (48, 48, 30)
N_VOLUMES = 120
BUDGET = "1GiB"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a run of 33 MB decoded, a mask of 41,000 voxels, and maps."""
    path = tmp_path_factory.mktemp("regions")
    rng = np.random.default_rng(0)
    few = rng.normal(1000, 50, (*GRID, 4)).astype("f4")
    values = np.broadcast_to(few[..., None, :], (*GRID, N_VOLUMES // 4, 4))
    run = nib.Nifti1Image(values.reshape(*GRID, N_VOLUMES, order="F"), np.diag([3.0, 3, 3, 1]))
    run.header.set_zooms((3, 3, 3, 2))
    lv.save(run, path / "run.nii")
    mask = rng.random(GRID) < 0.6
    lv.save(nib.Nifti1Image(mask.astype("u1"), run.affine), path / "mask.nii.gz")
    maps = rng.random((*GRID, 24), "f4") * mask[..., None]
    lv.save(nib.Nifti1Image(maps, run.affine), path / "maps.nii")
    maps[..., 23] = maps[..., 0]
    lv.save(nib.Nifti1Image(maps, run.affine), path / "dependent.nii")
    return path


def test_maps(folder):
    maps = lv.Maps(str(folder / "maps.nii"))
    predicted, measured = scan_peaks(str(folder / "run.nii"), [maps], BUDGET)
    assert_bounded(predicted, measured)
    assert predicted <= 2 * measured + 8 * MIB


@pytest.mark.filterwarnings("ignore:.*should not depend on each other")
def test_maps_that_depend_on_each_other(folder):
    maps = lv.Maps(str(folder / "dependent.nii"))
    assert_bounded(*scan_peaks(str(folder / "run.nii"), [maps], BUDGET))


def test_spheres(folder):
    seeds = np.random.default_rng(1).uniform(20, 70, (100, 3))
    spheres = lv.Spheres(seeds, 5, allow_overlap=True)
    assert_bounded(*scan_peaks(str(folder / "run.nii"), [spheres], BUDGET))


CLEANING = {"detrend": True, "high_pass": 0.01, "low_pass": 0.1, "standardize": "zscore_sample"}


@pytest.mark.parametrize("options", [{}, {"smoothing_fwhm": 6, "sample_mask": range(3, 100)}])
def test_cleaned_voxels(folder, options):
    call = partial(
        lv.extract, str(folder / "run.nii"), str(folder / "mask.nii.gz"), **CLEANING, **options
    )
    assert_bounded(lv.plan(call).peak_bytes, peak_of(call))


def test_cleaned_voxels_that_wait_on_disk(folder, tmp_path):
    call = partial(
        lv.extract,
        str(folder / "run.nii"),
        str(folder / "mask.nii.gz"),
        out=tmp_path / "voxels.npy",
        memory="44MiB",
        **CLEANING,
    )
    planned = lv.plan(call)
    assert planned.scratch_bytes > 15 * MIB
    assert planned.peak_bytes <= 44 * MIB
    assert_bounded(planned.peak_bytes, peak_of(call))


FIRST_PARQUET = """
import sys
import lazyvox as lv
run, mask, folder = sys.argv[1:]
lv.extract(run, mask, out=folder + "/first.npy")
call = {"imgs": run, "rois": mask, "out": folder + "/a.parquet", "memory": "60MiB"}
planned = lv.plan(lv.extract, **call).peak_bytes
with lv.peak_memory() as peak:
    lv.extract(**call)
print(planned, peak.increment)
"""


def test_the_first_parquet_file_of_a_process(folder, tmp_path):
    pytest.importorskip("pyarrow")
    few = np.random.default_rng(2).random(GRID) < 0.02
    lv.save(nib.Nifti1Image(few.astype("u1"), np.diag([3.0, 3, 3, 1])), tmp_path / "few.nii")
    command = [
        sys.executable,
        "-c",
        FIRST_PARQUET,
        folder / "run.nii",
        tmp_path / "few.nii",
        tmp_path,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert_bounded(*map(int, done.stdout.split()))


def test_maps_that_do_not_fit_are_refused_before_most_of_them_are_read(folder, tmp_path):
    """Of 40 maps of 61 x 73 x 61 voxels, about 130 MiB, a budget of 60 MB holds less than half."""
    maps = np.random.default_rng(0).random((61, 73, 61, 4)).astype("f4")
    many = np.concatenate([maps] * 10, axis=-1)
    lv.save(nib.Nifti1Image(many, np.diag([3.0, 3, 3, 1])), tmp_path / "maps.nii")
    run = np.zeros((61, 73, 61, 2), "f4")
    lv.save(nib.Nifti1Image(run, np.diag([3.0, 3, 3, 1])), tmp_path / "run.nii")
    call = partial(_refused, str(tmp_path / "run.nii"), str(tmp_path / "maps.nii"), "60MB")
    assert peak_of(call) < 80 * MIB


def _refused(run, maps, memory):
    with pytest.raises(lv.MemoryBudgetError, match="must hold the regions"):
        lv.plan(lv.extract, run, lv.Maps(maps), memory=memory)
