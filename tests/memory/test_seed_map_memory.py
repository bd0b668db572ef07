"""Seed maps take at most what their plan says, by regression and through the spool."""

from functools import partial

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.testing import assert_bounded, peak_of

MIB = 1 << 20
GRID = (48, 48, 30)
N_VOLUMES = 160


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """44 MB decoded, of four volumes that differ: it is written fast."""
    path = tmp_path_factory.mktemp("seeds") / "run.nii"
    few = np.random.default_rng(0).normal(1000, 50, (*GRID, 4)).astype("f4")
    values = np.broadcast_to(few[..., None, :], (*GRID, N_VOLUMES // 4, 4))
    img = nib.Nifti1Image(values.reshape(*GRID, N_VOLUMES, order="F"), np.diag([3.0, 3, 3, 1]))
    img.header.set_zooms((3, 3, 3, 2))
    lv.save(img, path)
    return str(path)


CALLS = {
    "band": {"high_pass": 0.01, "low_pass": 0.24, "smoothing_fwhm": 6},
    "Butterworth": {"high_pass": 0.01, "filter": "butterworth", "memory": "96MiB"},
}


@pytest.mark.parametrize("options", CALLS.values(), ids=CALLS)
def test_seed_maps_take_what_the_plan_says(run, options):
    call = partial(lv.seed_map, run, [(30, 30, 30), (60, 60, 60)], radius=6, t_r=2.0, **options)
    planned = lv.plan(call)
    measured = peak_of(call)
    assert_bounded(planned.peak_bytes, measured)
    assert planned.peak_bytes <= 1.6 * measured + 8 * MIB
    assert planned.peak_bytes == sum(term.nbytes for term in planned.memory)
