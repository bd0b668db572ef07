"""Seed maps of real runs: those of `signal.clean`, run by run, and NumPy."""

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.signal import clean


@pytest.mark.filterwarnings("ignore:confounds hold a cosine")  # In one run motion does.
@pytest.mark.parametrize("kind", ["fourier", "cosine"])
def test_four_runs_with_motion(real_data, kind):
    stem = str(real_data / "haxby2001_sub001_run00{}_")
    paths = [f"{stem}25mm_bold.nii.gz".format(run) for run in (1, 2, 3, 4)]
    motion = [np.loadtxt(f"{stem}motion.txt".format(run)) for run in (1, 2, 3, 4)]
    labels = real_data / "haxby2001_sub001_25mm_hoc.nii.gz"
    brain = real_data / "haxby2001_sub001_25mm_brain.nii.gz"
    inside = np.asarray(lv.load(brain).dataobj) != 0
    got = lv.seed_map(
        paths,
        labels,
        mask_img=brain,
        confounds=motion,
        drift_order=1,
        high_pass=0.01,
        filter=kind,
        t_r=2.5,
    )
    seeds = lv.extract(paths, lv.Labels(labels)).values
    voxels = np.concatenate([np.asarray(lv.load(one).dataobj)[inside].T for one in paths])
    both = np.concatenate([seeds, voxels.astype(float)], axis=1)
    runs = np.repeat(range(4), 121)
    if kind == "fourier":
        # Sines and cosines slower than 0.01 Hz are confounds like others.
        n_slow = int(np.ceil(0.01 * 121 * 2.5)) - 1
        phase = 2 * np.pi * np.outer(np.arange(121), np.arange(1, n_slow + 1)) / 121
        slow = np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
        motion = [np.concatenate([one, slow], axis=1) for one in motion]
    high_pass = 0.01 if kind == "cosine" else None
    cleaned = clean(
        both,
        runs,
        standardize=None,
        confounds=np.concatenate(motion),
        high_pass=high_pass,
        filter="cosine" if high_pass else False,
        t_r=2.5,
    )
    n_seeds = seeds.shape[1]
    want = np.corrcoef(cleaned.T)[n_seeds:, :n_seeds]
    values = got.get_fdata()
    assert values.shape == (*inside.shape, n_seeds)
    np.testing.assert_allclose(values[inside], want, atol=1e-9)
    assert not values[~inside].any()
