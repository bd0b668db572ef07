"""Cleaning agrees with its plain path, and has the symmetries that it must have."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline
from scipy.signal import butter, sosfiltfilt

from lazyvox.signal import prepare_cleaning

N_VOLUMES = 90


def plain_clean(signals, confounds, kept, cutoffs, *, detrend):
    """Clean by one matrix for all volumes, made of SciPy's functions, without standardising."""
    first, last = kept[0], kept[-1]
    times = np.arange(first, last + 1)

    def steps(values):
        whole = CubicSpline(kept, values[kept])(times)
        whole[kept - first] = values[kept]
        if detrend:
            design = np.stack([np.ones(len(times)), times], axis=1)
            whole -= design @ np.linalg.lstsq(design, whole)[0]
        sos = butter(5, cutoffs, "band", output="sos", fs=0.5)
        return sosfiltfilt(sos, whole, axis=0)[kept - first]

    regressors = steps(confounds)
    regressors -= regressors.mean(axis=0)
    basis = np.linalg.qr(regressors)[0]
    cleaned = steps(signals)
    return cleaned - basis @ (basis.T @ cleaned)


@st.composite
def problems(draw):
    """Draw signals, confounds, kept volumes, cutoffs and whether to detrend."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dropped = draw(st.sets(st.integers(0, N_VOLUMES - 1), max_size=30))
    kept = np.setdiff1d(np.arange(N_VOLUMES), sorted(dropped))
    low = draw(st.floats(0.005, 0.1))
    cutoffs = (low, low + draw(st.floats(0.05, 0.12)))
    signals = rng.normal(size=(N_VOLUMES, 5)) + draw(st.floats(-1e4, 1e4))
    return signals, rng.normal(size=(N_VOLUMES, 3)), kept, cutoffs, draw(st.booleans())


def options_of(confounds, kept, cutoffs, detrend):
    high_pass, low_pass = cutoffs
    return {
        "confounds": confounds,
        "sample_mask": kept,
        "high_pass": high_pass,
        "low_pass": low_pass,
        "detrend": detrend,
        "t_r": 2.0,
    }


@given(problems())
def test_blocks_of_volumes_agree_with_the_plain_path(problem):
    signals, *rest = problem
    cleaner = prepare_cleaning(N_VOLUMES, standardize=None, **options_of(*rest))
    confounds, kept, cutoffs, detrend = rest
    expected = plain_clean(signals, confounds, kept, cutoffs, detrend=detrend)
    scale = 1e-12 * np.abs(signals).max() + 1e-9
    np.testing.assert_allclose(cleaner.apply(signals), expected, rtol=0, atol=100 * scale)


@given(problems(), st.floats(-100, 100), st.floats(0.01, 100))
def test_level_and_unit_of_signals_do_not_matter_to_standard_scores(problem, level, factor):
    signals, *rest = problem
    cleaner = prepare_cleaning(N_VOLUMES, **options_of(*rest))
    moved = cleaner.apply(signals * factor + level)
    np.testing.assert_allclose(moved, cleaner.apply(signals), rtol=0, atol=1e-6)


@given(problems())
def test_nothing_of_the_confounds_is_left(problem):
    signals, *rest = problem
    cleaner = prepare_cleaning(N_VOLUMES, **options_of(*rest))
    mixed = rest[0] @ np.array([[1.0, 2.0], [-3.0, 0.0], [0.0, 1.0]])
    assert not cleaner.apply(mixed).any()
    cleaned = cleaner.apply(signals)
    variance = cleaned.var(axis=0, ddof=1)
    np.testing.assert_allclose(variance, 1, atol=1e-9)
