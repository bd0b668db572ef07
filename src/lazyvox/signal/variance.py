"""Confounds out of the signals that vary most."""

import warnings

import numpy as np

from lazyvox._typing import Array, BoolArray, FloatArray
from lazyvox.array.residuals import polynomials
from lazyvox.errors import LazyvoxWarning, ParameterError, ParameterTypeError
from lazyvox.planning.arguments import check_flag
from lazyvox.signal.products import N_COLUMNS
from lazyvox.signal.run_cleaning import remove_space
from lazyvox.signal.standardize import warn_of_one_volume

__all__ = [
    "check_numbers",
    "detrending_basis",
    "high_variance_confounds",
    "main_courses",
    "strongest",
]


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
    check_numbers(percentile, n_confounds)
    power = np.empty(series.shape[1])
    for start in range(0, series.shape[1], N_COLUMNS):
        piece = _detrended(series[:, start : start + N_COLUMNS], basis)
        power[start : start + N_COLUMNS] = np.einsum("tv,tv->v", piece, piece) / len(series)
    chosen = np.flatnonzero(strongest(power, percentile))
    return main_courses(
        series[:, chosen], n_confounds, basis, percentile=percentile, n_candidates=len(power)
    )


def check_numbers(percentile: float, n_confounds: int) -> None:
    """Raise `ParameterError` for numbers that no signals can be chosen by."""
    if not 0 <= percentile <= 100 or n_confounds < 1:
        msg = (
            f"`percentile` must be from 0 to 100, and `n_confounds` at least 1. Got {percentile:g} "
            f"and {n_confounds}."
        )
        raise ParameterError(msg)


def strongest(power: FloatArray, percentile: float, among: BoolArray | None = None) -> BoolArray:
    """Return where the power is above that of all but a percentage.

    Parameters
    ----------
    power : ndarray
        Mean square of each signal; where it is NaN, the signal is never chosen.
    percentile : float
        The percentage that is chosen.
    among : ndarray of bool, optional
        The signals to choose from; by default all.

    Returns
    -------
    ndarray of bool, of the shape of `power`
        The choice.
    """
    candidates = power if among is None else power[among]
    with np.errstate(invalid="ignore"):
        chosen: BoolArray = power > np.nanpercentile(candidates, 100 - percentile)
    return chosen if among is None else chosen & among


def main_courses(
    series: Array,
    n_confounds: int,
    basis: FloatArray | None,
    *,
    percentile: float,
    n_candidates: int,
) -> Array:
    """Return the main time courses of signals that were chosen.

    Parameters
    ----------
    series : ndarray of shape (n_volumes, n_chosen)
        The signals.
    n_confounds : int
        Time courses to return.
    basis : ndarray of shape (n_volumes, n) or None
        What is removed from each signal first.
    percentile : float
        What they were chosen by, for the warning.
    n_candidates : int
        How many there were to choose from.

    Returns
    -------
    ndarray of shape (n_volumes, n_confounds)
        Orthonormal time courses, the one that explains most first.
    """
    n_volumes, n_chosen = series.shape
    if n_chosen < n_confounds:
        msg = (
            f"{n_confounds} confounds need at least as many signals. Got {n_chosen} signals "
            f"above percentile {100 - percentile:g} of {n_candidates}: the last confounds are "
            "arbitrary. Raise percentile or lower n_confounds."
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=3)
    chosen = _detrended(series, basis)
    main = _eigenvectors(chosen @ chosen.T / n_volumes, n_confounds)
    return main.astype(np.float32) if series.dtype == np.float32 else main


def _checked_trend(series: Array, *, detrend: bool) -> FloatArray | None:
    """Check the signals; return the trends that detrending removes."""
    if series.dtype.kind not in "fiub":
        msg = f"series must be real numbers. Got {series.dtype}."
        raise ParameterTypeError(msg)
    if series.ndim != 2 or not series.size:
        msg = f"series must be of shape (n_volumes, n_columns), not empty. Got {series.shape}."
        raise ParameterError(msg)
    return detrending_basis(len(series), detrend=detrend)


def detrending_basis(n_volumes: int, *, detrend: bool) -> FloatArray | None:
    """Return the trends that detrending removes from signals; None for no detrending."""
    if detrend and n_volumes == 1:
        warn_of_one_volume("Detrending")
        return None
    return polynomials(n_volumes) if detrend else None


def _detrended(piece: Array, basis: FloatArray | None) -> FloatArray:
    values = piece.astype(np.float64, order="C")
    if basis is not None:
        remove_space(values, basis)
    return values


def _eigenvectors(covariance: FloatArray, n_confounds: int) -> FloatArray:
    """Return the eigenvectors with the largest eigenvalues."""
    from scipy import linalg

    # The same routine as nilearn calls, so that signs agree where rounding lets them.
    _, vectors = linalg.eigh(covariance)
    return np.array(vectors[:, ::-1][:, :n_confounds])
