"""Trends of any degree, and means that are kept, beside their definition."""

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import ParameterError
from lazyvox.signal import clean

SIGNALS = np.random.default_rng(0).normal(50, 3, (60, 4)) + np.arange(60)[:, None] ** 2 / 99


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 9])
def test_trend_is_the_fitted_polynomial(degree):
    time = np.linspace(-1, 1, 60)
    fits = np.polynomial.polynomial.polyfit(time, SIGNALS, degree)
    left = SIGNALS - np.polynomial.polynomial.polyval(time, fits).T
    np.testing.assert_allclose(
        clean(SIGNALS, standardize=None, trend_degree=degree), left, atol=1e-9
    )


def test_confounds_lose_the_same_trend():
    confound = np.arange(60.0)[:, None] ** 2
    found = clean(SIGNALS, standardize=None, trend_degree=2)
    with pytest.warns(lv.LazyvoxWarning, match="their rank is 0"):
        more = clean(SIGNALS, standardize=None, trend_degree=2, confounds=confound)
    np.testing.assert_allclose(more, found, atol=1e-9)


def test_means_are_those_of_kept_volumes_of_each_run():
    runs, keep = np.repeat([0, 1], 30), [np.arange(2, 30), np.arange(0, 28)]
    options = {"runs": runs, "sample_mask": keep, "standardize": None, "t_r": 2.0}
    filtered = clean(SIGNALS, low_pass=0.1, **options)
    found = clean(SIGNALS, low_pass=0.1, keep_mean=True, **options)
    for part, rows in ((slice(0, 28), keep[0]), (slice(28, 56), 30 + keep[1])):
        means = SIGNALS[rows].mean(axis=0)
        wanted = filtered[part] - filtered[part].mean(axis=0) + means
        np.testing.assert_allclose(found[part], wanted, rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trend_degree": -1}, "`trend_degree` must be 0, 1 or a larger integer. Got -1."),
        ({"trend_degree": 1.5}, "must be 0, 1 or a larger integer. Got 1.5."),
        ({"trend_degree": True}, "must be 0, 1 or a larger integer. Got True."),
        ({"trend_degree": 60}, "must be below the number of volumes of each run. Got 60 for 60."),
        ({"trend_degree": 2, "detrend": False}, "`trend_degree` concerns `detrend`, which is False"),
        ({"keep_mean": True, "standardize": "psc"}, "`keep_mean` keeps the means that standardize='psc' removes"),
    ],
)  # fmt: skip
def test_wrong_options(options, message):
    with pytest.raises(ParameterError, match=message.replace(".", r"\.")):
        clean(SIGNALS, **{"standardize": None, **options})
