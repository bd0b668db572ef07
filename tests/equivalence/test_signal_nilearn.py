"""`lazyvox.signal` gives what nilearn gives, and what is right where nilearn does not."""

import itertools
import warnings

import nilearn.signal
import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from scipy.signal import butter, sosfiltfilt

import lazyvox.signal
from lazyvox.errors import LazyvoxWarning
from lazyvox.signal.spline import spline_weights

N_VOLUMES = 120
FILTERS = {
    "low": {"low_pass": 0.1},
    "high": {"high_pass": 0.01},
    "band": {"low_pass": 0.1, "high_pass": 0.01},
    "order": {
        "low_pass": 0.1,
        "high_pass": 0.02,
        "butterworth__order": 2,
        "butterworth__padtype": "even",
        "butterworth__padlen": 20,
    },
    "unpadded": {"low_pass": 0.1, "butterworth__padtype": None},
    "constant": {"high_pass": 0.03, "butterworth__padtype": "constant"},
    "extrapolate": {"low_pass": 0.1, "high_pass": 0.01, "extrapolate": True},
    "cosine": {"filter": "cosine", "high_pass": 0.01},
    "none": {"filter": False},
}
#: nilearn interpolates or drops a censored volume only where its mirror image is kept, as here.
MASKS = {
    "all": None,
    "head": np.arange(6, 120, dtype=np.int32),
    "tail": np.arange(0, 111, dtype=np.int32),
    "inside": np.r_[0:7, 9:30, 33:120].astype(np.int32),
    "both": np.r_[3:20, 24:120].astype(np.int32),
}


def assert_agree(ours, theirs, tolerance):
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


@pytest.fixture(scope="module")
def signals():
    rng = np.random.default_rng(11)
    return rng.normal(size=(N_VOLUMES, 4)).cumsum(axis=0) + 500


@pytest.fixture(scope="module")
def confounds():
    return np.random.default_rng(12).normal(size=(N_VOLUMES, 4)).cumsum(axis=0)


@pytest.mark.parametrize(
    ("name", "mask"),
    [
        *itertools.product(("low", "high", "band", "cosine", "none"), ("all", "tail", "both")),
        *itertools.product(("order", "unpadded", "constant", "extrapolate"), ("head", "inside")),
    ],
)
def test_clean_over_a_grid_of_options(signals, confounds, name, mask):
    for detrend, how, centre in itertools.product(
        (True, False), ("zscore_sample", "psc", None), (None, True, False)
    ):
        options = {"detrend": detrend, "standardize": how, "t_r": 2.0, **FILTERS[name]}
        if centre is not None:
            options |= {"confounds": confounds, "standardize_confounds": centre}
        with warnings.catch_warnings():
            # Both say that confounds should be centred.
            warnings.filterwarnings("ignore", ".*standardize_confounds", UserWarning)
            # It shifts the mask that it is given.
            kept = None if MASKS[mask] is None else MASKS[mask].copy()
            theirs = nilearn.signal.clean(signals, sample_mask=kept, **options)
            ours = lazyvox.signal.clean(signals, sample_mask=MASKS[mask], **options)
        # What is extrapolated by a cubic is large, and so is its rounding error.
        assert_agree(ours, theirs, 1e-6 if "extrapolate" in options else 1e-8)


@pytest.mark.parametrize("name", ["band", "cosine", "none"])
def test_float32_is_at_least_as_exact_as_nilearn(signals, confounds, name):
    single = signals.astype(np.float32)
    options = {"confounds": confounds, "t_r": 2.0, **FILTERS[name]}
    exact = nilearn.signal.clean(single.astype(np.float64), **options)
    theirs = nilearn.signal.clean(single, **options)
    ours = lazyvox.signal.clean(single, **options)
    assert ours.dtype == theirs.dtype == np.float32
    assert np.abs(ours - exact).max() <= np.abs(theirs - exact).max()
    assert_agree(ours, theirs, 1e-4)


@pytest.mark.parametrize("dtype", ["i2", "u1", "i4", "i8", "?"])
def test_integer_signals(dtype):
    values = (np.random.default_rng(0).random((60, 4)) * 200).astype(dtype)
    options = {"high_pass": 0.02, "t_r": 2.0}
    theirs = nilearn.signal.clean(values, **options)
    assert_agree(lazyvox.signal.clean(values, **options), theirs, 1e-4)


def test_runs_and_masks_of_runs(signals, confounds):
    runs = np.repeat([0, 1, 2], 40)
    masks = [np.r_[0:5, 7:40], np.arange(40), np.r_[2:40]]
    options = {"low_pass": 0.1, "t_r": 2.0, "confounds": confounds}
    theirs = nilearn.signal.clean(signals, runs=runs, sample_mask=masks, **options)
    assert_agree(
        lazyvox.signal.clean(signals, runs=runs, sample_mask=masks, **options), theirs, 1e-8
    )


def test_confounds_in_all_forms(signals, confounds, tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(confounds, columns=list("abcd"))
    frame.to_csv(tmp_path / "c.csv", index=False)
    frame.to_csv(tmp_path / "c.tsv", index=False, sep="\t")
    np.savetxt(tmp_path / "c.txt", confounds)
    files = [str(tmp_path / name) for name in ("c.csv", "c.tsv", "c.txt")]
    for given in (frame, confounds[:, 0], [confounds[:, :1], frame[["c"]]], *files):
        theirs = nilearn.signal.clean(signals, confounds=given)
        assert_agree(lazyvox.signal.clean(signals, confounds=given), theirs, 1e-8)


def test_cosines_that_confounds_hold_already_are_not_added(signals, confounds):
    drift = nilearn.signal.create_cosine_drift(0.01, np.arange(N_VOLUMES) * 2.0)
    options = {"filter": "cosine", "high_pass": 0.01, "t_r": 2.0}
    options["confounds"] = np.hstack([confounds, drift[:, 1:2] * 3])
    with pytest.warns(UserWarning, match="exist in user supplied"):
        theirs = nilearn.signal.clean(signals, **options)
    with pytest.warns(LazyvoxWarning, match="hold a cosine drift already"):
        ours = lazyvox.signal.clean(signals, **options)
    assert_agree(ours, theirs, 1e-8)


@pytest.mark.parametrize("cutoffs", [(0.3, None), (None, 0.3), (None, -0.1), (0.3, 0.01)])
def test_cutoffs_outside_of_the_range_are_moved(signals, cutoffs):
    options = dict(zip(("low_pass", "high_pass"), cutoffs, strict=True)) | {"t_r": 2.0}
    with pytest.warns(UserWarning, match="has been"):
        theirs = nilearn.signal.clean(signals, standardize=None, **options)
    with pytest.warns(LazyvoxWarning, match="is taken"):
        ours = lazyvox.signal.clean(signals, standardize=None, **options)
    # Next to the end of the range SciPy's filter has few exact digits.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 * np.ptp(signals))


@pytest.mark.parametrize("shape", [(200,), (200, 3)])
@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_butterworth(shape, copy, dtype):
    values = np.random.default_rng(5).normal(size=shape).astype(dtype)
    mine, other = values.copy(), values.copy()
    options = {"sampling_rate": 0.5, "low_pass": 0.12, "high_pass": 0.02, "copy": copy}
    ours = lazyvox.signal.butterworth(mine, **options)
    assert_agree(ours, nilearn.signal.butterworth(other, **options), 1e-6)
    assert (ours is mine) is not copy
    np.testing.assert_allclose(mine, other, atol=1e-5)


@pytest.mark.parametrize("order", [1, 2, 3, 5, 6])
@pytest.mark.parametrize(
    ("kind", "cutoffs"),
    [("low", [0.3]), ("high", [0.0005]), ("band", [0.02, 0.3]), ("band", [0.1, 0.11])],
)
def test_filters_are_those_of_scipy(order, kind, cutoffs):
    values = np.random.default_rng(6).normal(size=(400, 3)) + 3
    nyquist = cutoffs if kind == "band" else cutoffs[0]
    expected = sosfiltfilt(butter(order, nyquist, kind, output="sos"), values, axis=0)
    low = cutoffs[-1] / 2 if kind != "high" else None
    high = cutoffs[0] / 2 if kind != "low" else None
    filtered = lazyvox.signal.butterworth(values, 1.0, low, high, order, copy=True)
    np.testing.assert_allclose(filtered, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize(("n_kept", "n_volumes"), [(2, 5), (3, 9), (4, 9), (10, 40), (60, 100)])
def test_splines_are_those_of_scipy(n_kept, n_volumes):
    rng = np.random.default_rng(n_kept)
    kept = np.sort(rng.choice(n_volumes, n_kept, replace=False))
    wanted = np.setdiff1d(np.arange(n_volumes), kept)
    values = rng.normal(size=(n_kept, 3))
    expected = CubicSpline(kept, values)(wanted)
    ours = spline_weights(kept, wanted) @ values
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("n_volumes", [10, 77, 200])
def test_create_cosine_drift(n_volumes):
    times = np.arange(n_volumes) * 1.5
    theirs = nilearn.signal.create_cosine_drift(0.02, times)
    assert_agree(lazyvox.signal.create_cosine_drift(0.02, times), theirs, 1e-12)


@pytest.mark.parametrize("detrend", [True, False])
@pytest.mark.parametrize("how", ["zscore_sample", "psc", None, True, False])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2"])
def test_standardize_signal(signals, detrend, how, dtype):
    values = signals.astype(dtype)
    if how == "psc" and detrend:
        # Means are rounding errors: nilearn divides by them.
        with pytest.warns(LazyvoxWarning, match="mean of 0"):
            assert not lazyvox.signal.standardize_signal(values, detrend, how).any()
        return
    theirs = nilearn.signal.standardize_signal(values, detrend, how)
    assert_agree(lazyvox.signal.standardize_signal(values, detrend, how), theirs, 1e-4)


@pytest.mark.parametrize("detrend", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_high_variance_confounds(detrend, dtype):
    rng = np.random.default_rng(8)
    series = (rng.normal(size=(60, 900)) * rng.exponential(size=900)).astype(dtype)
    theirs = nilearn.signal.high_variance_confounds(series, 4, 3.0, detrend)
    ours = lazyvox.signal.high_variance_confounds(series, 4, 3.0, detrend)
    assert ours.dtype == theirs.dtype
    if dtype is np.float64:
        assert_agree(ours, theirs, 1e-8)
    else:
        np.testing.assert_allclose(np.abs((ours * theirs).sum(axis=0)), 1, atol=1e-4)


def test_censored_volumes_leak_in_nilearn_and_not_here(signals):
    kept = np.delete(np.arange(N_VOLUMES), [30, N_VOLUMES - 31])
    spiked = signals.copy()
    spiked[[30, N_VOLUMES - 31]] += 1e4
    options = {"low_pass": 0.1, "t_r": 2.0, "standardize": None, "sample_mask": kept}
    expected = lazyvox.signal.clean(signals, **options)
    np.testing.assert_allclose(lazyvox.signal.clean(spiked, **options), expected, atol=1e-9)
    assert np.abs(nilearn.signal.clean(spiked, **options) - expected).max() > 100


def test_options_reach_every_run_here(signals):
    options = {"high_pass": 0.02, "t_r": 2.0, "butterworth__order": 2}
    one = lazyvox.signal.clean(signals, **options)
    assert_agree(one, nilearn.signal.clean(signals, **options), 1e-8)
    runs = np.full(N_VOLUMES, "only")
    np.testing.assert_array_equal(lazyvox.signal.clean(signals, runs=runs, **options), one)
    assert np.abs(nilearn.signal.clean(signals, runs=runs, **options) - one).max() > 1e-3
