"""A GLM takes what its plan says, and no more for a longer run."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.testing import assert_bounded, scan_peaks

GRID = (48, 50, 40)
MIB = 1 << 20


def run_of(folder, n_volumes):
    """Return the path of a run with something in each voxel, written fast."""
    few = np.random.default_rng(0).normal(500, 5, (*GRID, 4)).astype("f4")
    values = np.tile(few, n_volumes // 4)
    path = folder / f"run{n_volumes}.nii.gz"
    lv.save(nib.Nifti1Image(values, np.eye(4)), path, compresslevel=1)
    return str(path)


def design_of(n_volumes, n_columns=20):
    rng = np.random.default_rng(1)
    return np.column_stack([rng.standard_normal((n_volumes, n_columns - 1)), np.ones(n_volumes)])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return run_of(tmp_path_factory.mktemp("runs"), 72)


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"noise_model": "ols", "signal_scaling": 1}, marks=pytest.mark.slow),
        pytest.param({"noise_model": "ar2", "bins": 3}, marks=pytest.mark.slow),
    ],
)
def test_a_fit_takes_what_the_plan_says(run, options):
    planned, measured = scan_peaks(run, [lv.GLM(design_of(72), **options)], "1GiB")
    assert_bounded(planned, measured)
    # More than half of it is there: a plan of twice the need would refuse work that fits.
    assert measured > 0.5 * planned


@pytest.mark.slow
def test_a_longer_run_takes_no_more(run, tmp_path):
    long = run_of(tmp_path, 360)
    peaks = [
        scan_peaks(path, [lv.GLM(design_of(n))], "1GiB")[1] for path, n in ((run, 72), (long, 360))
    ]
    assert peaks[1] < peaks[0] + 8 * MIB
