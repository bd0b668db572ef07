"""Scaling of signals: standard scores and percent signal change."""

import warnings

import numpy as np

from lazyvox._typing import Array, DType, FloatArray
from lazyvox.array.residuals import polynomials
from lazyvox.errors import LazyvoxWarning, ParameterError, ParameterTypeError
from lazyvox.planning.arguments import check_flag
from lazyvox.signal.options import Standardize, check_standardize
from lazyvox.signal.products import N_COLUMNS
from lazyvox.signal.run_cleaning import remove_space

__all__ = [
    "ROUNDING",
    "largest",
    "scale_columns",
    "standardize_signal",
    "warn_of_one_volume",
    "warn_of_zero_means",
]

#: A column whose variation is below this part of its values is rounding error.
ROUNDING = 256 * float(np.finfo(np.float64).eps)
_EPS = float(np.finfo(np.float64).eps)
#: The mean of float32 values is rounding error below this part of them: their own mean was removed
#: before they were stored.
_SINGLE = 256 * float(np.finfo(np.float32).eps)


def largest(signals: FloatArray) -> FloatArray:
    """Return the largest absolute value of each column.

    Parameters
    ----------
    signals : ndarray of shape (n_volumes, n_columns), float64
        Columns.

    Returns
    -------
    ndarray of shape (n_columns,), float64
        Largest values.
    """
    highest: FloatArray = np.maximum(signals.max(axis=0), -signals.min(axis=0))
    return highest


def scale_columns(
    signals: FloatArray, how: Standardize, size: FloatArray, *, is_single: bool = False
) -> int:
    """Standardise columns in place.

    Parameters
    ----------
    signals : ndarray of shape (n_volumes, n_columns), float64
        Columns.
    how : {"zscore_sample", "psc"}
        What to do.
    size : ndarray of shape (n_columns,), float64
        Largest absolute value of each column before it was cleaned; variation or means far below
        it are rounding errors, and the column becomes 0.
    is_single : bool
        Whether values were stored as float32: then means are rounded as those.

    Returns
    -------
    int
        Number of columns that have no mean to relate to.
    """
    means = signals.mean(axis=0)
    signals -= means
    if how == "psc":
        divisor = np.abs(means)
        is_void = (divisor < _EPS) | (divisor <= (_SINGLE if is_single else ROUNDING) * size)
        # A constant less its rounded mean is no change.
        is_zero = is_void | (largest(signals) <= ROUNDING * size)
        factor = 100 / np.where(is_zero, 1, divisor)
    else:
        divisor = np.sqrt(np.einsum("tv,tv->v", signals, signals) / (len(signals) - 1))
        is_zero = is_void = divisor <= ROUNDING * size
        factor = 1 / np.where(is_void | (divisor < _EPS), 1, divisor)
    signals *= factor
    if is_zero.any():
        signals[:, is_zero] = 0
    return int(is_void.sum()) if how == "psc" else 0


def warn_of_zero_means(n_columns: int) -> None:
    """Warn of columns that percent signal change makes no sense for.

    Parameters
    ----------
    n_columns : int
        Their number; none gives no warning.
    """
    if n_columns:
        msg = (
            f"standardize='psc' relates signals to their means. Got {n_columns} signal(s) with a "
            "mean of 0: they are set to 0. Leave them out, or pass 'zscore_sample'."
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=4)


def warn_of_one_volume(what: str) -> None:
    """Warn that a step is left out.

    Parameters
    ----------
    what : str
        The step.
    """
    msg = f"{what} needs at least two volumes. Got one: it is left as it is."
    warnings.warn(msg, LazyvoxWarning, stacklevel=4)


def standardize_signal(
    signals: Array,
    detrend: bool = False,
    standardize: Standardize | bool | None = "zscore_sample",
) -> Array:
    """Return signals without trend, as standard scores or percent signal change.

    Parameters
    ----------
    signals : ndarray of shape (n_volumes, n_columns)
        Signals, one in each column; unchanged.
    detrend : bool
        Whether mean and linear trend are removed first.
    standardize : {"zscore_sample", "psc", True, False} or None
        Mean 0 and variance 1 (with n_volumes - 1 degrees of freedom), or percent of the mean.
        True is "zscore_sample", False is None.

    Returns
    -------
    ndarray of shape (n_volumes, n_columns)
        A new array; float32 for float32, else float64, or unchanged where nothing is asked for.

    Raises
    ------
    ParameterError
        If `signals` is not two-dimensional, or `standardize` is something else.
    ParameterTypeError
        If `detrend` is not a boolean, or `signals` are not real numbers.

    Notes
    -----
    Memory: the result, and a few MiB. A signal without variation becomes exactly 0.

    Examples
    --------
    >>> from lazyvox.signal import standardize_signal
    >>> standardize_signal(np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])).tolist()
    [[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]
    """
    removes_trend = check_flag(detrend, "detrend")
    how = check_standardize(standardize, warns_on_bool=False)
    _check_signals(signals)
    removes_trend = _needs_rows(signals, "Detrending", is_asked=removes_trend)
    if not _needs_rows(signals, "Standardising", is_asked=how is not None):
        how = None
    if not removes_trend and how is None:
        return signals.copy()
    result = np.empty(signals.shape, _dtype(signals.dtype, detrended=removes_trend))
    basis = polynomials(len(signals)) if removes_trend else None
    n_void = 0
    for start in range(0, signals.shape[1], N_COLUMNS):
        piece = signals[:, start : start + N_COLUMNS].astype(np.float64)
        size = largest(piece)
        if basis is not None:
            remove_space(piece, basis)
        if how is not None:
            n_void += scale_columns(piece, how, size, is_single=signals.dtype == np.float32)
        result[:, start : start + N_COLUMNS] = piece
    warn_of_zero_means(n_void)
    return result


def _needs_rows(signals: Array, what: str, *, is_asked: bool) -> bool:
    """Return whether a step is done: it is requested and there are volumes enough; else warn."""
    if is_asked and len(signals) == 1:
        warn_of_one_volume(what)
        return False
    return is_asked


def _dtype(dtype: DType, *, detrended: bool) -> DType:
    if dtype == np.float32 or (detrended and dtype.kind in "iub" and dtype.itemsize <= 4):
        return np.dtype(np.float32)
    return np.dtype(np.float64)


def _check_signals(signals: Array) -> None:
    if signals.dtype.kind not in "fiub":
        msg = f"signals must be real numbers. Got {signals.dtype}."
        raise ParameterTypeError(msg)
    if signals.ndim != 2 or not len(signals):
        msg = (
            "signals must be of shape (n_volumes, n_columns), with volumes. Got shape "
            f"{signals.shape}."
        )
        raise ParameterError(msg)
