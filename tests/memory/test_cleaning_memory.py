"""Cleaning of long series takes what its plan says, and planning takes next to nothing."""

from functools import partial

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.signal.spline import Spline, spline_weights
from lazyvox.testing import peak_of

MIB = 1 << 20
N_VOLUMES = 20_000
RNG = np.random.default_rng(0)
KEPT = np.flatnonzero(RNG.random(N_VOLUMES) < 0.7)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a run of 20,000 small volumes, a mask, and a table of 200 confounds."""
    path = tmp_path_factory.mktemp("long")
    values = np.random.default_rng(0).integers(90, 110, (5, 5, 2, N_VOLUMES)).astype("i1")
    run = nib.Nifti1Image(values, np.diag([3.0, 3, 3, 1]))
    run.header.set_zooms((3, 3, 3, 1))
    run.header.set_xyzt_units("mm", "sec")
    nib.save(run, path / "run.nii.gz")
    nib.save(nib.Nifti1Image(np.ones((5, 5, 2), "u1"), run.affine), path / "mask.nii")
    np.save(path / "confounds.npy", np.random.default_rng(1).normal(size=(N_VOLUMES, 200)))
    return path


OPTIONS = {
    "left out": {"low_pass": 0.1, "sample_mask": KEPT},
    "cosines": {"filter": "cosine", "high_pass": 0.01},
    "confounds": {"confounds": "confounds.npy"},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_long_series(files, monkeypatch, name):
    monkeypatch.chdir(files)
    call = partial(lv.extract, "run.nii.gz", "mask.nii", t_r=1.0, **OPTIONS[name])
    predicted = lv.plan(call).peak_bytes
    measured = peak_of(call)
    assert measured <= predicted, f"{measured / MIB:.0f} MiB where {predicted / MIB:.0f} were said"
    table = np.load("confounds.npy").nbytes if name == "confounds" else 0
    assert peak_of(lv.plan, call) <= 2 * table + 12 * MIB


def test_an_interpolation_by_stretches_is_the_spline_through_all():
    kept = np.flatnonzero(np.random.default_rng(2).random(1500) < 0.6)
    kept = kept[(kept < 700) | (kept > 790)]
    wanted = np.setdiff1d(np.arange(-20, 1520), kept)
    signals = np.random.default_rng(3).normal(size=(len(kept), 3))
    expected = spline_weights(kept, wanted) @ signals
    np.testing.assert_allclose(
        Spline.through(kept, wanted).values(signals), expected, rtol=1e-11, atol=1e-11
    )
