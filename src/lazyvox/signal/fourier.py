"""Sines and cosines of the frequencies of a run, and the division of these by a band."""

import warnings

import numpy as np

from lazyvox._typing import FloatArray, IntArray
from lazyvox.errors import LazyvoxWarning, ParameterError

__all__ = ["fourier_columns", "split_by_band"]

#: Part of the step between two frequencies up to which one lies on the edge of a band.
_AT_EDGE = 1e-6


def split_by_band(
    n_volumes: int, t_r: float, high_pass: float | None, low_pass: float | None
) -> tuple[IntArray, IntArray]:
    """Return which frequencies of a run lie in a band, and which do not; 0 Hz is neither.

    Parameters
    ----------
    n_volumes : int
        Number of volumes; frequencies are whole multiples of ``1 / (n_volumes * t_r)``.
    t_r : float
        Seconds between volumes.
    high_pass, low_pass : float or None
        Edges of the band in Hz. A frequency on an edge lies in the band.

    Returns
    -------
    tuple of two ndarrays of int
        The multiples in the band, and the others, ascending.

    Raises
    ------
    ParameterError
        If an edge is no frequency of such a run, or no frequency lies in the band.

    Warns
    -----
    LazyvoxWarning
        If all frequencies lie in the band: nothing is filtered.

    Examples
    --------
    >>> inside, outside = split_by_band(10, 2.0, 0.05, 0.15)
    >>> inside, outside
    (array([1, 2, 3]), array([4, 5]))
    """
    fastest, step = 0.5 / t_r, 1 / (n_volumes * t_r)
    for name, edge in (("high_pass", high_pass), ("low_pass", low_pass)):
        if edge is not None and not 0 <= edge < np.inf:
            msg = f"`{name}` must be a frequency in Hz, at least 0. Got {edge}."
            raise ParameterError(msg, value=edge)
        if edge is not None and edge >= fastest:
            msg = (
                f"`{name}` must be below half of the sampling rate, {fastest:.6g} Hz for "
                f"t_r={t_r:g}. Got {edge} Hz. Check `t_r`, or leave `{name}` out."
            )
            raise ParameterError(msg, value=edge)
    low, high = high_pass or 0.0, np.inf if low_pass is None else low_pass
    if low >= high:
        msg = (
            f"`high_pass` must be below `low_pass`: frequencies between them are kept. Got "
            f"high_pass={high_pass} Hz and low_pass={low_pass} Hz. Were they exchanged?"
        )
        raise ParameterError(msg)
    numbers = np.arange(1, n_volumes // 2 + 1)
    is_inside = (numbers >= low / step - _AT_EDGE) & (numbers <= high / step + _AT_EDGE)
    shown = f"{low:g} to {high:g} Hz" if np.isfinite(high) else f"{low:g} Hz on"
    if not is_inside.any():
        msg = (
            f"`high_pass` and `low_pass` must have a frequency of the run between them. "
            f"{n_volumes} volumes at t_r={t_r:g} have multiples of {step:.4g} Hz, none from "
            f"{shown}. Take a wider band, or a longer run."
        )
        raise ParameterError(msg)
    if is_inside.all():
        msg = (
            f"All frequencies of {n_volumes} volumes at t_r={t_r:g}, from {step:.4g} Hz on, are "
            f"kept by the band from {shown}: nothing is filtered."
        )
        warnings.warn(LazyvoxWarning(msg), stacklevel=2)
    return numbers[is_inside], numbers[~is_inside]


def fourier_columns(n_volumes: int, numbers: IntArray) -> FloatArray:
    """Return orthonormal cosines and sines of some frequencies of a run.

    Parameters
    ----------
    n_volumes : int
        Number of volumes.
    numbers : ndarray of int
        Frequencies as multiples of the lowest one, from 1 to ``n_volumes // 2``.

    Returns
    -------
    ndarray of shape (n_volumes, n_columns), float64
        All cosines, then all sines. Half of the sampling rate, which an even number of volumes
        has, has a cosine only.

    Notes
    -----
    Memory: twice the result.

    Examples
    --------
    >>> columns = fourier_columns(6, np.array([1, 2, 3]))
    >>> columns.shape, bool(np.allclose(columns.T @ columns, np.eye(5)))
    ((6, 5), True)
    """
    is_fastest = 2 * numbers == n_volumes
    waves = np.concatenate([numbers, numbers[~is_fastest]])
    # Whole periods are taken off as integers: so the phase keeps its digits in long runs.
    phase = np.outer(np.arange(n_volumes), waves) % n_volumes * (2 * np.pi / n_volumes)
    n_cosines = len(numbers)
    np.cos(phase[:, :n_cosines], out=phase[:, :n_cosines])
    np.sin(phase[:, n_cosines:], out=phase[:, n_cosines:])
    scale = np.full(len(waves), np.sqrt(2 / n_volumes))
    scale[:n_cosines][is_fastest] = np.sqrt(1 / n_volumes)
    phase *= scale
    return phase
