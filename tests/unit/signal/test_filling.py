"""Rows of volumes that are left out: dropped, zeros, or between their neighbours."""

import numpy as np
import pytest

from lazyvox.errors import ParameterError
from lazyvox.signal import clean, prepare_cleaning

RNG = np.random.default_rng(5)
SIGNALS = RNG.normal(100, 3, (60, 4))
KEPT = np.setdiff1d(np.arange(60), [0, 1, 17, 18, 19, 40, 59])
OPTIONS = {
    "as they are": {"detrend": False, "standardize": None},
    "filtered": {"low_pass": 0.1, "t_r": 2.0, "standardize": "zscore_sample"},
    "psc": {"standardize": "psc", "confounds": RNG.normal(size=(60, 2))},
}


def between(values, rows, n_volumes):
    """Return rows of all volumes from those of some, by NumPy's interpolation."""
    at = np.arange(n_volumes)
    return np.stack([np.interp(at, rows, column) for column in values.T], axis=1)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
class TestOneRun:
    def test_zeros(self, options):
        dropped = clean(SIGNALS, sample_mask=KEPT, **options)
        found = clean(SIGNALS, sample_mask=KEPT, censored="zero", **options)
        wanted = np.zeros((60, 4))
        wanted[KEPT] = dropped
        np.testing.assert_array_equal(found, wanted)

    def test_between_neighbours(self, options):
        dropped = clean(SIGNALS, sample_mask=KEPT, **options)
        found = clean(SIGNALS, sample_mask=KEPT, censored="interpolate", **options)
        np.testing.assert_array_equal(found[KEPT], dropped)
        np.testing.assert_allclose(found, between(dropped, KEPT, 60), rtol=1e-12)

    def test_nothing_is_left_out(self, options):
        wanted = clean(SIGNALS, **options)
        for censored in ("drop", "keep", "zero", "interpolate"):
            np.testing.assert_array_equal(clean(SIGNALS, censored=censored, **options), wanted)


@pytest.mark.parametrize("order", ["one after the other", "mixed"])
def test_neighbours_are_of_the_same_run(order):
    runs = np.repeat([0, 1], 30) if order == "one after the other" else np.arange(60) % 2
    masks = [[2, 3, 9, 29], [0, 1, 20]]
    options = {"runs": runs, "sample_mask": masks, "detrend": False, "standardize": None}
    dropped = clean(SIGNALS, **options)
    found = clean(SIGNALS, censored="interpolate", **options)
    rows = [np.flatnonzero(runs == run)[mask] for run, mask in enumerate(masks)]
    kept = np.sort(np.concatenate(rows))
    np.testing.assert_array_equal(found[kept], dropped)
    for run, mask in enumerate(masks):
        own = found[runs == run]
        np.testing.assert_allclose(own, between(own[mask], mask, 30), rtol=1e-12)


def test_the_signals_are_overwritten():
    signals = SIGNALS.copy()
    found = clean(signals, sample_mask=KEPT, censored="zero", overwrite=True)
    assert found.base is signals
    assert found.shape == signals.shape


def test_float32_and_blocks_of_columns():
    signals = RNG.normal(size=(60, 3000)).astype(np.float32)
    cleaner = prepare_cleaning(60, sample_mask=KEPT, censored="interpolate", standardize=None)
    whole = cleaner.apply(signals)
    assert whole.dtype == np.float32
    parts = [cleaner.apply(signals[:, start : start + 700]) for start in range(0, 3000, 700)]
    np.testing.assert_allclose(whole, np.concatenate(parts, axis=1), atol=1e-6)


def test_columns_of_zeros_stay_zeros():
    found = clean(np.zeros((60, 2)), sample_mask=KEPT, censored="interpolate")
    assert not found.any()


def test_what_is_refused():
    with pytest.raises(ParameterError, match="`censored` must be one of 'drop', 'keep', 'zero'"):
        clean(SIGNALS, censored="remove")
    with pytest.raises(ParameterError, match="censored='keep' keeps all volumes"):
        clean(SIGNALS, sample_mask=KEPT, censored="keep")


def test_each_run_has_its_own_repetition_time():
    signals = np.concatenate([SIGNALS, SIGNALS])
    runs = np.repeat([0, 1], 60)
    found = prepare_cleaning(120, runs=runs, low_pass=0.1, t_r=[2.0, 3.0]).apply(signals)
    for part, t_r in zip((found[:60], found[60:]), (2.0, 3.0), strict=True):
        np.testing.assert_allclose(part, clean(SIGNALS, low_pass=0.1, t_r=t_r), atol=1e-12)
