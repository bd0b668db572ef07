"""Errors and warnings of `clean`, and its results for degenerate signals."""

import numpy as np
import pytest

from lazyvox.errors import (
    ImageIndexError,
    ImageNotFoundError,
    LazyvoxWarning,
    ParameterError,
    ParameterTypeError,
)
from lazyvox.signal import butterworth, clean, create_cosine_drift, standardize_signal


@pytest.fixture
def signals():
    return np.random.default_rng(7).normal(size=(60, 4)) + 100


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("level", [5.0, 1234.567, 1e-6, 1e9])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"detrend": False},
        {"high_pass": 0.01},
        {"high_pass": 0.01, "low_pass": 0.1, "detrend": False},
        {"low_pass": 0.1},
        {"high_pass": 0.01, "sample_mask": np.r_[9:70, 80:190], "extrapolate": True},
        {"filter": "cosine", "high_pass": 0.01},
    ],
)
def test_a_constant_signal_becomes_exactly_zero(level, dtype, options):
    cleaned = clean(np.full((200, 3), level, dtype), t_r=2.0, **options)
    assert not cleaned.any()


def test_a_signal_that_confounds_explain_becomes_exactly_zero(signals):
    assert not clean(signals[:, :1] * 3, confounds=signals).any()


@pytest.mark.parametrize("n_volumes", [2, 3])
def test_a_line_without_its_trend_is_exactly_zero(n_volumes):
    assert not clean(np.arange(n_volumes)[:, None] * 3.3 + 1e4).any()


def test_signals_with_mean_zero_have_no_percent_change():
    wave = np.sin(2 * np.pi * np.arange(40) / 10)[:, None]
    with pytest.warns(LazyvoxWarning, match=r"Got 1 signal\(s\) with a mean of 0"):
        cleaned = clean(np.hstack([wave, wave + 10]), detrend=False, standardize="psc")
    assert not cleaned[:, 0].any()
    np.testing.assert_allclose(cleaned[:, 1], 10 * wave[:, 0], atol=1e-12)


def test_one_volume_is_left_as_it_is():
    one = np.array([[3.0, 4.0]])
    with pytest.warns(LazyvoxWarning) as seen:
        cleaned = clean(one)
    assert cleaned.tolist() == [[3.0, 4.0]]
    assert [str(w.message).split(" needs")[0] for w in seen] == ["Detrending", "Standardising"]


def test_columns_with_nan_stay_apart_and_can_be_filled(signals):
    signals[3, 1] = np.nan
    signals[9, 2] = np.inf
    cleaned = clean(signals, high_pass=0.01, t_r=2.0, confounds=signals[:, 0] ** 2)
    assert np.isnan(cleaned).all(axis=0).tolist() == [False, True, True, False]
    assert np.isfinite(cleaned[:, [0, 3]]).all()
    filled = np.nan_to_num(signals, posinf=0)
    np.testing.assert_array_equal(clean(signals, ensure_finite=True), clean(filled))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"high_pass": 0.01, "t_r": None}, ValueError, "need `t_r`"),
        ({"high_pass": 0.01, "t_r": 0}, ValueError, "must be above 0 and finite. Got 0"),
        ({"high_pass": 0.01, "t_r": -2.0}, ValueError, "must be above 0 and finite. Got -2"),
        ({"high_pass": 0.01, "t_r": np.nan}, ValueError, "must be above 0 and finite. Got nan"),
        ({"t_r": "2"}, TypeError, "`t_r` must be a number or None. Got '2'"),
        ({"low_pass": True}, TypeError, "`low_pass` must be a number or None. Got True"),
        ({"high_pass": 0.1, "low_pass": 0.1}, ValueError, "`high_pass` must be below `low_pass`"),
        ({"high_pass": 0}, ValueError, "above 0, in Hz. Got 0.0. Pass None"),
        ({"high_pass": np.nan}, ValueError, "above 0, in Hz. Got nan"),
        ({"filter": "fir"}, ValueError, "Got 'fir'"),
        ({"filter": "cosine"}, ValueError, "needs `t_r` and `high_pass`"),
        ({"filter": "cosine", "high_pass": -1}, ValueError, "at least 0. Got -1"),
        ({"standardize": "zscore"}, ValueError, "Pass 'zscore_sample'"),
        ({"standardize": 3}, ValueError, "Got 3"),
        ({"detrend": "yes"}, TypeError, "`detrend` must be True or False. Got 'yes'"),
        ({"standardize_confounds": 1}, TypeError, "`standardize_confounds` must be True or False"),
        ({"ensure_finite": None}, ValueError, "ensure_finite must be True or False"),
        ({"butterwurst__order": 2}, TypeError, "Unknown keyword 'butterwurst__order'"),
        (
            {"butterworth__order": 0},
            ValueError,
            "`butterworth__order` must be an integer, 1 or larger",
        ),
        ({"butterworth__order": 2.5}, TypeError, "`butterworth__order` must be an integer"),
        ({"butterworth__padtype": "zero"}, ValueError, "Got 'zero'"),
        ({"n_jobs": 0}, ValueError, "n_jobs must be"),
        ({"runs": np.zeros(59)}, ValueError, r"each of the 60 volumes. Got shape \(59,\)"),
    ],
)
def test_options_outside_of_what_is_possible_are_refused(signals, options, error, text):
    with pytest.raises(error, match=text):
        clean(signals, **options)


def test_a_filter_that_is_longer_than_the_signals_names_the_least_number_of_volumes():
    with pytest.raises(ParameterError, match=r"at least 34 volumes\. Got 33"):
        clean(np.zeros((33, 1)), high_pass=0.01, low_pass=0.1, t_r=2.0)
    clean(np.zeros((34, 1)), high_pass=0.01, low_pass=0.1, t_r=2.0)
    clean(np.zeros((6, 1)), high_pass=0.01, t_r=2.0, butterworth__padlen=5)


def test_a_filter_that_is_too_long_names_another_only_where_that_does_the_same():
    with pytest.raises(ParameterError, match=r"or filter='cosine'\.$"):
        clean(np.zeros((10, 1)), high_pass=0.01, t_r=2.0)
    for low_pass in ({"low_pass": 0.1}, {"low_pass": 0.1, "high_pass": 0.01}):
        with pytest.raises(ParameterError, match=r"butterworth__padlen in clean\)\.$"):
            clean(np.zeros((10, 1)), t_r=2.0, **low_pass)


def test_a_cutoff_above_nyquist_warns_once_and_filters_nothing(signals):
    with pytest.warns(LazyvoxWarning, match=r"below half of the sampling rate, 0\.25 Hz") as seen:
        cleaned = clean(signals, low_pass=0.3, t_r=2.0)
    assert len(seen) == 1
    np.testing.assert_allclose(cleaned, clean(signals), atol=1e-3)


def test_two_cutoffs_above_nyquist_leave_signals_unfiltered(signals):
    with pytest.warns(LazyvoxWarning) as seen:
        cleaned = clean(signals, high_pass=0.4, low_pass=0.5, t_r=2.0)
    assert "stay unfiltered" in str(seen[-1].message)
    np.testing.assert_array_equal(cleaned, clean(signals))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"filter": False, "low_pass": 0.1}, "have no effect with filter=False"),
        ({"filter": "cosine", "high_pass": 0.05, "low_pass": 0.1}, "low_pass=0.1 has no effect"),
        ({"filter": "cosine", "high_pass": 1e-5}, "nothing is filtered"),
        ({"high_pass": -0.01}, "must be a frequency above 0. Got -0.01"),
    ],
)
def test_options_without_effect_warn(signals, options, text):
    with pytest.warns(LazyvoxWarning, match=text):
        clean(signals, **options)


@pytest.mark.parametrize(("flag", "word"), [(True, "zscore_sample"), (False, None)])
def test_a_boolean_standardize_warns_as_nilearn_does(signals, flag, word):
    with pytest.warns(FutureWarning, match=f"Got {flag}"):
        cleaned = clean(signals, standardize=flag)
    np.testing.assert_array_equal(cleaned, clean(signals, standardize=word))


@pytest.mark.parametrize(
    ("mask", "error", "text"),
    [
        ([0, 1, 60], ImageIndexError, "from 0 to 59. Got 0 to 60"),
        ([-1, 1], ParameterError, "from 0 to 59. Got -1 to 1"),
        ([], ParameterError, "keep at least one of 60"),
        (np.zeros(60, bool), ParameterError, "keep at least one of 60"),
        (np.ones(59, bool), ImageIndexError, "Got 59 for 60 volumes"),
        ([3, 2], ParameterError, "Got 2 after 3 at place 1"),
        ([3, 3], ParameterError, "Got 3 after 3 at place 1"),
        (np.array([3, 2], np.uint8), ParameterError, "Got 2 after 3 at place 1"),
        (np.zeros(61, int), ImageIndexError, "at most once. Got 61"),
        ([0.5, 1], ParameterError, "whole numbers. Got 0.5"),
        (["a", "b"], ParameterTypeError, "volume numbers, or one boolean"),
        ("ab", ParameterTypeError, "Got str"),
        ([[1, 2], [3]], ParameterError, "each of 1 runs. Got 2"),
    ],
)
def test_sample_masks_that_make_no_sense_are_refused(signals, mask, error, text):
    with pytest.raises(error, match=text):
        clean(signals, sample_mask=mask)


def test_one_kept_volume_cannot_be_interpolated(signals):
    with pytest.raises(ParameterError, match=r"from at least 2 kept volumes\. Got 1"):
        clean(signals, sample_mask=[5], high_pass=0.01, t_r=2.0, extrapolate=True)


@pytest.mark.parametrize(
    ("confounds", "error", "text"),
    [
        (np.zeros((59, 2)), ParameterError, r"60 volumes\. Got 59 rows"),
        (np.zeros((2, 60)), ParameterError, "look transposed: pass confounds.T"),
        (np.zeros((60, 2, 2)), ParameterError, r"Got shape \(60, 2, 2\)"),
        (np.zeros((60, 61)), ParameterError, "61 confounds for 60 volumes"),
        (np.full((60, 1), "n/a", object), ParameterError, "Got 'n/a' in column 0, row 0"),
        (np.zeros((60, 1), complex), ParameterTypeError, "must be real numbers"),
        (5, ParameterTypeError, "Got int"),
        ("missing.tsv", ImageNotFoundError, "missing.tsv: no such file"),
    ],
)
def test_confounds_that_do_not_fit_are_refused(signals, confounds, error, text):
    with pytest.raises(error, match=text):
        clean(signals, confounds=confounds)


def test_a_missing_value_in_confounds_is_named_unless_its_volume_is_left_out(signals):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"csf": signals[:, 0], "dvars": signals[:, 1]}, index=range(9, 69))
    table.iloc[0, 1] = np.nan
    with pytest.raises(ParameterError, match="nan in column dvars, row 0"):
        clean(signals, confounds=table)
    kept = range(1, 60)
    expected = clean(signals[1:], confounds=signals[1:, :2])
    np.testing.assert_allclose(
        clean(signals, confounds=table, sample_mask=kept), expected, atol=1e-12
    )


@pytest.mark.parametrize("wrap", [clean, standardize_signal])
def test_percent_of_a_mean_that_is_rounding_error_is_zero_and_counted(wrap):
    values = np.random.default_rng(0).normal(1000, 10, (40, 66)).astype(np.float32)
    demeaned = values - values.mean(axis=0, keepdims=True)
    with pytest.warns(LazyvoxWarning, match=r"Got 66 signal\(s\) with a mean of 0"):
        assert not wrap(demeaned, standardize="psc", detrend=False).any()
    in_double = wrap((demeaned + np.float32(1)).astype(float), standardize="psc", detrend=False)
    in_single = wrap(demeaned + np.float32(1), standardize="psc", detrend=False)
    np.testing.assert_allclose(in_single, in_double, rtol=1e-5)


@pytest.mark.parametrize("wrap", [clean, standardize_signal])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_percent_of_a_constant_is_exactly_zero(wrap, dtype):
    constants = np.full((40, 3), [0.1, 1e6 / 3, -7e-5], dtype)
    assert not wrap(constants, standardize="psc", detrend=False).any()


@pytest.mark.parametrize("factor", [1.0, 1000.0])
def test_dependent_confounds_warn_and_count_once(signals, factor):
    base = np.random.default_rng(1).normal(size=(60, 2))
    many = np.hstack([base, base[:, :1] * factor, np.full((60, 1), factor)])
    with pytest.warns(LazyvoxWarning, match=r"rank is 2\. Without variation: 3\."):
        cleaned = clean(signals, confounds=many)
    np.testing.assert_allclose(cleaned, clean(signals, confounds=base), atol=1e-12)


def test_a_column_of_zeros_is_no_confound(signals):
    base = np.random.default_rng(1).normal(size=(60, 2))
    runs = np.arange(60) // 30
    further = np.where(runs == 0, np.cos(np.arange(60)), 0)[:, None]
    cleaned = clean(signals, runs=runs, confounds=np.hstack([base, further]))
    expected = clean(signals[30:], confounds=base[30:])
    np.testing.assert_allclose(cleaned[30:], expected, atol=1e-12)


def test_as_many_confounds_as_volumes_warn(signals):
    with pytest.warns(LazyvoxWarning) as seen:
        clean(signals, confounds=np.random.default_rng(1).normal(size=(60, 60)))
    assert "Nothing but rounding errors is left" in str(seen[-1].message)


def test_confounds_of_unknown_mean_warn(signals):
    with pytest.warns(LazyvoxWarning, match="detrend or standardize_confounds should be True"):
        clean(signals, confounds=signals[:, 0], detrend=False, standardize_confounds=False)


@pytest.mark.parametrize(
    ("values", "error", "text"),
    [
        (np.zeros((0, 3)), ParameterError, "at least one volume"),
        (np.zeros(5), ParameterError, r"signals\[:, None\] for one signal"),
        (np.zeros((5, 2), complex), ParameterTypeError, "Got complex128"),
        ([["a"], ["b"]], ParameterTypeError, "must be real numbers"),
    ],
)
def test_signals_that_are_no_table_of_numbers_are_refused(values, error, text):
    with pytest.raises(error, match=text):
        clean(values)


def test_an_array_that_cannot_hold_the_result_is_not_overwritten(signals):
    for values in (signals.tolist(), signals.astype(int), np.broadcast_to(signals[0], (60, 4))):
        with pytest.raises(ParameterTypeError, match="overwrite=True needs signals as a writable"):
            clean(values, overwrite=True)


def test_siblings_refuse_the_same():
    with pytest.raises(ParameterTypeError, match=r"floating point with copy=False\. Got int64"):
        butterworth(np.zeros(100, np.int64), 1.0, low_pass=0.1)
    with pytest.raises(ParameterError, match="sampling_rate must be above 0"):
        butterworth(np.zeros(100), 0.0, low_pass=0.1)
    with pytest.raises(ParameterError, match=r"Got shape \(2, 2, 2\)"):
        butterworth(np.zeros((2, 2, 2)), 1.0)
    with pytest.raises(ParameterError, match="at least 2 volumes"):
        create_cosine_drift(0.1, [0.0])
    with pytest.raises(ParameterError, match=r"Got shape \(3,\)"):
        standardize_signal(np.zeros(3))
    with pytest.warns(LazyvoxWarning, match="the cosines span every signal"):
        create_cosine_drift(0.5, np.arange(10) * 2.0)
