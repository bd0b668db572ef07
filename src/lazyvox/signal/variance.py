"""Confounds out of the signals that vary most."""

import warnings

import numpy as np

from lazyvox._typing import Array, FloatArray
from lazyvox.errors import LazyvoxWarning, ParameterError, ParameterTypeError
from lazyvox.signal.options import check_flag
from lazyvox.signal.products import N_COLUMNS
from lazyvox.signal.run_cleaning import remove_space, trend_basis
from lazyvox.signal.standardize import warn_of_one_volume

__all__ = ["high_variance_confounds"]


def high_variance_confounds(
    series: Array,
    n_confounds: int = 5,
    percentile: float = 2.0,
    detrend: bool = True,
) -> Array:
    """Return the main time courses of the signals that vary most.

    Parameters
    ----------
    series : ndarray of shape (n_volumes, n_columns)
        Signals, one in each column; unchanged.
    n_confounds : int
        Time courses to return.
    percentile : float
        Percentage of signals, those with the largest sums of squares, to take; 0 to 100.
    detrend : bool
        Whether mean and linear trend are removed first.

    Returns
    -------
    ndarray of shape (n_volumes, n_confounds)
        Orthonormal time courses, the one that explains most first. The sign of each is arbitrary.

    Raises
    ------
    ParameterError
        If shapes or numbers are outside of what is possible.
    ParameterTypeError
        If `series` does not hold real numbers, or `detrend` is not a boolean.

    Notes
    -----
    Memory: the selected signals as float64, one (n_volumes, n_volumes) array and a few MiB. Two
    passes over `series`, the second over the selected signals only.

    References
    ----------
    Behzadi, Y. et al. (2007). A component based noise correction method (CompCor) for BOLD and
    perfusion based fMRI. NeuroImage 37(1).

    Examples
    --------
    >>> from lazyvox.signal import high_variance_confounds
    >>> high_variance_confounds(np.random.default_rng(0).normal(size=(50, 400))).shape
    (50, 5)
    """
    basis = _checked_trend(series, detrend=check_flag(detrend, "detrend"))
    if not 0 <= percentile <= 100 or n_confounds < 1:
        msg = (
            "percentile must be from 0 to 100 and n_confounds at least 1. Got "
            f"percentile={percentile}, n_confounds={n_confounds}."
        )
        raise ParameterError(msg)
    power = np.empty(series.shape[1])
    for start in range(0, series.shape[1], N_COLUMNS):
        piece = _detrended(series[:, start : start + N_COLUMNS], basis)
        power[start : start + N_COLUMNS] = np.einsum("tv,tv->v", piece, piece) / len(series)
    with np.errstate(invalid="ignore"):
        chosen = np.flatnonzero(power > np.nanpercentile(power, 100 - percentile))
    if len(chosen) < n_confounds:
        msg = (
            f"{n_confounds} confounds need at least as many signals. Got {len(chosen)} signals "
            f"above percentile {100 - percentile:g} of {series.shape[1]}: the last confounds are "
            "arbitrary. Raise percentile or lower n_confounds."
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=2)
    strongest = _detrended(series[:, chosen], basis)
    main = _main_courses(strongest @ strongest.T / len(series), n_confounds)
    return main.astype(np.float32) if series.dtype == np.float32 else main


def _checked_trend(series: Array, *, detrend: bool) -> FloatArray | None:
    """Check the signals; return what detrending removes."""
    if series.dtype.kind not in "fiub":
        msg = f"series must be real numbers. Got {series.dtype}."
        raise ParameterTypeError(msg)
    if series.ndim != 2 or not series.size:
        msg = f"series must be of shape (n_volumes, n_columns), not empty. Got {series.shape}."
        raise ParameterError(msg)
    if detrend and len(series) == 1:
        warn_of_one_volume("Detrending")
        return None
    return trend_basis(len(series)) if detrend else None


def _detrended(piece: Array, basis: FloatArray | None) -> FloatArray:
    values = piece.astype(np.float64, order="C")
    if basis is not None:
        remove_space(values, basis)
    return values


def _main_courses(covariance: FloatArray, n_confounds: int) -> FloatArray:
    """Return the eigenvectors with the largest eigenvalues."""
    from scipy import linalg

    # The same routine as nilearn calls, so that signs agree where rounding lets them.
    _, vectors = linalg.eigh(covariance)
    return np.array(vectors[:, ::-1][:, :n_confounds])
