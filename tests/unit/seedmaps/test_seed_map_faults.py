"""Seeds, options and images that make no map: one message, before the run is read if possible."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.testing import TripwireSource, image_of, image_over, nifti_bytes

SHAPE = (6, 7, 5, 40)
VALUES = np.random.default_rng(0).normal(900, 9, SHAPE).astype("<f4")
VALUES[0] = 0
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
SEED = (6.0, 6.0, 4.0)
MASK = np.zeros(SHAPE[:3], "u1")
MASK[1:4, 1:4, 1:4] = 1
TABLE = np.random.default_rng(1).normal(size=(40, 3))

BEFORE = {
    "no seed": ({"seeds": []}, lv.ParameterError, r"`seeds` must hold at least one mask"),
    "seed outside of the image": (
        {"seeds": [SEED, (90, 0, 0)]},
        lv.RegionError,
        r"1 of 2 hold none: 1 at \(90\.0, 0\.0, 0\.0\)",
    ),
    "voxels as a seed": (
        {"seeds": lv.Voxels(image_of(MASK))},
        lv.ParameterTypeError,
        "`seeds` must be coordinates, masks or labels, whose signals are means",
    ),
    "maps as seeds": (
        {"seeds": image_of(np.stack([MASK, MASK], axis=-1))},
        lv.ParameterTypeError,
        "Pass a list of masks in place of a 4D image",
    ),
    "medians": (
        {"seeds": lv.Labels(image_of(MASK), strategy="median")},
        lv.ParameterTypeError,
        "`seeds` must be coordinates, masks or labels, whose signals are means. Got Labels",
    ),
    "array of another shape": (
        {"seeds": np.zeros((4, 4))},
        lv.RegionError,
        r"`seeds`: an array must hold the seeds of spheres, of shape \(n, 3\)",
    ),
    "probabilities": (
        {"seeds": image_of(MASK * np.linspace(0, 1, 5, dtype="f4"))},
        lv.RegionError,
        "an image in 3D must be a mask",
    ),
    "radius of consumers": (
        {"seeds": lv.Spheres([SEED]), "radius": 3},
        lv.ParameterError,
        "`radius` holds for coordinates",
    ),
    "radius of a mask": (
        {"seeds": image_of(MASK), "radius": 3},
        lv.ParameterError,
        "`radius` holds for seeds of spheres. Got labels images only|Got masks only",
    ),
    "negative radius": ({"radius": -1}, lv.ParameterError, "`radius` must be a length in mm"),
    "a consumer that writes": (
        {"seeds": lv.Spheres([SEED], out="/nowhere/o.npy")},
        lv.ParameterError,
        "`seeds` must not write files themselves",
    ),
    "measure": (
        {"measure": "r"},
        lv.ParameterError,
        "`measure` must be one of 'correlation', 'fi",
    ),
    "filter": (
        {"filter": "fft"},
        lv.ParameterError,
        "`filter` must be one of 'fourier', 'cosine', 'b",
    ),
    "edges exchanged": (
        {"high_pass": 0.2, "low_pass": 0.1},
        lv.ParameterError,
        "`high_pass` must be below `low_pass`",
    ),
    "edge beyond the sampling": (
        {"low_pass": 0.5},
        lv.ParameterError,
        "`low_pass` must be below half of the sampling rate, 0.25 Hz for t_r=2. Got 0.5 Hz",
    ),
    "negative edge": ({"high_pass": -0.1}, lv.ParameterError, "`high_pass` must be a frequency"),
    "no number": ({"high_pass": "0.1"}, lv.ParameterTypeError, "`high_pass` must be a number"),
    "empty band": (
        {"high_pass": 0.101, "low_pass": 0.102},
        lv.ParameterError,
        r"multiples of 0\.0125 Hz, none from 0\.101 to 0\.102 Hz",
    ),
    "cosines from above": (
        {"high_pass": 0.01, "low_pass": 0.1, "filter": "cosine"},
        lv.ParameterError,
        "`low_pass` has no effect with filter='cosine'",
    ),
    "cosines without a cutoff": (
        {"filter": "cosine"},
        lv.ParameterError,
        "filter='cosine' needs `t_r` and `high_pass`",
    ),
    "censored": (
        {"censored": "zero"},
        lv.ParameterError,
        "`censored` must be one of 'drop', 'keep'",
    ),
    "runs": ({"runs": "apart"}, lv.ParameterError, "`runs` must be the run of each volume"),
    "drift order": (
        {"drift_order": -1},
        lv.ParameterError,
        "`drift_order` must be an integer from 0 to 20",
    ),
    "drift order, no number": (
        {"drift_order": True},
        lv.ParameterTypeError,
        "`drift_order` must be an integer from 0 to 20. Got True",
    ),
    "table of another length": (
        {"confounds": TABLE[:30]},
        lv.ParameterError,
        "confounds must have one row for each of the 40 volumes. Got 30 rows",
    ),
    "missing values": (
        {"confounds": np.where(np.arange(40)[:, None] == 0, np.nan, TABLE)},
        lv.ParameterError,
        "confounds must be finite in every volume that is used. Got nan",
    ),
    "too many regressors": (
        {"confounds": np.random.default_rng(0).normal(size=(40, 38))},
        lv.ParameterError,
        "cleaning must leave at least 2 dimensions of a course. 40 volumes are kept",
    ),
    "volumes that do not exist": (
        {"sample_mask": [3, 40]},
        lv.ParameterError,
        "must name volumes from 0 to 39",
    ),
    "one volume": ({"sample_mask": [3]}, lv.ParameterError, "cleaning must leave at least 2"),
    "mask on another grid": (
        {"mask_img": image_of(MASK, np.diag([3.0, 3, 3, 1]))},
        lv.GridMismatchError,
        "resample",
    ),
    "little memory": ({"memory": "9MiB"}, lv.MemoryBudgetError, "MiB"),
}


@pytest.mark.parametrize(("options", "kind", "message"), BEFORE.values(), ids=BEFORE)
def test_faults_that_are_found_before_anything_is_read(options, kind, message):
    _, run = image_over(TripwireSource, VALUES, AFFINE)
    options = {"seeds": SEED, "t_r": 2.0, **options}
    with pytest.raises(kind, match=message):
        lv.seed_map(run, **options)


def test_seconds_that_nobody_says():
    run = image_of(VALUES)
    run.header["pixdim"][4] = 0
    with pytest.raises(lv.ParameterError, match="`t_r`, the seconds between volumes"):
        lv.seed_map(run, SEED, high_pass=0.02)
    # Without a filter they are not needed.
    assert lv.seed_map(run, SEED).shape == SHAPE[:3]


@pytest.mark.parametrize("band", [{}, {"high_pass": 0.02, "low_pass": 0.1, "t_r": 2.0}])
def test_seeds_that_do_not_vary_are_named(band):
    seeds = lv.Spheres([SEED, (0, 6, 4)], 0.5, names=["inside", "outside"])
    with pytest.raises(lv.RegionError, match=r"1 of 2 do not: outside\. Such a seed may lie"):
        lv.seed_map(image_of(VALUES), seeds, **band)
    values = VALUES.copy()
    values[3, 3, 2, 5] = np.nan
    with pytest.raises(lv.RegionError, match="1 of 1 hold values that are not finite"):
        lv.seed_map(image_of(values), SEED, **band)


def test_confounds_that_depend_on_each_other_are_removed_once():
    twice = np.column_stack([TABLE, TABLE[:, 0] * 2, np.ones(40)])
    with pytest.warns(lv.LazyvoxWarning, match=r"The 5 confounds are not independent.*rank is 3"):
        got = lv.seed_map(image_of(VALUES[1:]), SEED, confounds=twice, measure="t")
    want = lv.seed_map(image_of(VALUES[1:]), SEED, confounds=TABLE, measure="t")
    np.testing.assert_allclose(got.get_fdata(), want.get_fdata(), rtol=1e-9)


def test_a_band_that_holds_everything_is_said():
    with pytest.warns(lv.LazyvoxWarning, match="nothing is filtered"):
        got = lv.seed_map(image_of(VALUES[1:]), SEED, high_pass=0.001, t_r=2.0)
    np.testing.assert_allclose(
        got.get_fdata(), lv.seed_map(image_of(VALUES[1:]), SEED).get_fdata()
    )


@pytest.mark.parametrize("kind", ["fourier", "butterworth"])
def test_a_truncated_run(tmp_path, kind):
    path = tmp_path / "run.nii"
    path.write_bytes(nifti_bytes(VALUES)[:-2000])
    with pytest.raises(lv.TruncatedFileError, match=r"run\.nii"):
        lv.seed_map(path, SEED, high_pass=0.05, filter=kind, t_r=2.0)


def test_complex_voxels():
    with pytest.raises(lv.ParameterTypeError, match="real"):
        lv.seed_map(nib.Nifti1Image(VALUES.astype("c8"), np.eye(4)), SEED)


def test_volumes_that_confounds_censor_are_left_out():
    table = lv.Confounds(TABLE, ("a", "b", "c"), np.arange(5, 40), "c.tsv")
    got = lv.seed_map(image_of(VALUES[1:]), SEED, confounds=table)
    want = lv.seed_map(image_of(VALUES[1:, ..., 5:]), SEED, confounds=TABLE[5:])
    np.testing.assert_allclose(got.get_fdata(), want.get_fdata(), atol=1e-12)
    kept = lv.seed_map(image_of(VALUES[1:]), SEED, confounds=table, censored="keep")
    want = lv.seed_map(image_of(VALUES[1:]), SEED, confounds=TABLE)
    np.testing.assert_allclose(kept.get_fdata(), want.get_fdata(), atol=1e-12)
