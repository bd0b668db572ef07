"""Slow cosines, the regressors of drifts."""

import warnings

import numpy as np
import numpy.typing as npt

from lazyvox._typing import FloatArray
from lazyvox.errors import LazyvoxWarning, ParameterError
from lazyvox.signal.products import N_COLUMNS, multiply

__all__ = ["cosine_columns", "count_cosines", "create_cosine_drift", "has_cosine"]

#: From this correlation on a confound is taken for one of the cosines.
_SAME = 0.9


def create_cosine_drift(high_pass: float, frame_times: npt.ArrayLike) -> FloatArray:
    """Return the cosines that are slower than a cutoff.

    Parameters
    ----------
    high_pass : float
        Cutoff in Hz.
    frame_times : array-like of shape (n_volumes,)
        Time of each volume in seconds, evenly spaced.

    Returns
    -------
    ndarray of shape (n_volumes, n_cosines + 1), float64
        Orthonormal cosines (DCT-II), slowest first, and a last column of ones.

    Raises
    ------
    ParameterError
        If there are fewer than two volumes, or the cutoff is no frequency.

    Notes
    -----
    Memory: that of the result.

    Examples
    --------
    >>> from lazyvox.signal import create_cosine_drift
    >>> create_cosine_drift(0.01, np.arange(100) * 2.0).shape
    (100, 5)
    """
    times = np.asarray(frame_times, dtype=np.float64)
    n_volumes = len(times)
    n_cosines = _n_cosines(high_pass, times[[0, -1]] if n_volumes else times, n_volumes)
    drift = np.ones((n_volumes, n_cosines + 1))
    drift[:, :-1] = cosine_columns(n_volumes, 0, n_cosines)
    return drift


def cosine_columns(n_volumes: int, start: int, stop: int) -> FloatArray:
    """Return some of the orthonormal cosines (DCT-II), the slowest one of number 0 first.

    Parameters
    ----------
    n_volumes : int
        Number of volumes.
    start, stop : int
        Numbers of the cosines.

    Returns
    -------
    ndarray of shape (n_volumes, stop - start), float64
        The cosines.
    """
    phase = np.pi / n_volumes * (np.arange(n_volumes) + 0.5)
    waves = np.outer(phase, np.arange(start + 1, stop + 1))
    np.cos(waves, out=waves)
    waves *= np.sqrt(2 / n_volumes)
    return waves


def count_cosines(n_volumes: int, high_pass: float, t_r: float) -> int:
    """Return the number of cosines that a cutoff asks for, with a warning if there is none.

    Parameters
    ----------
    n_volumes : int
        Number of volumes.
    high_pass : float
        Cutoff in Hz.
    t_r : float
        Seconds between volumes.

    Returns
    -------
    int
        Number of columns of `cosine_columns`.

    Raises
    ------
    ParameterError
        As `create_cosine_drift`.
    """
    n_cosines = _n_cosines(high_pass, np.array([0, (n_volumes - 1) * t_r]), n_volumes)
    if not n_cosines:
        msg = (
            f"No cosine is slower than high_pass={high_pass} Hz within {n_volumes * t_r:g} s: "
            "nothing is filtered."
        )
        warning = LazyvoxWarning(
            msg,
            hint="Raise `high_pass`, or pass filter=None.",
            cli_hint="Raise `high_pass`, or leave out `filter`.",
        )
        warnings.warn(warning, stacklevel=6)
    return n_cosines


def has_cosine(confounds: FloatArray, n_cosines: int) -> bool:
    """Return whether a confound without missing values correlates with a cosine.

    Parameters
    ----------
    confounds : ndarray of shape (n_volumes, n_confounds), float64
        Confounds, unchanged.
    n_cosines : int
        Number of cosines.

    Returns
    -------
    bool
        True from a correlation of 0.9 on.

    Notes
    -----
    Memory: a few blocks of 64 columns.
    """
    for first in range(0, confounds.shape[1], N_COLUMNS):
        block = confounds[:, first : first + N_COLUMNS]
        finite = block[:, np.isfinite(block).all(axis=0)]
        centred = finite - finite.mean(axis=0)
        norms = np.linalg.norm(centred, axis=0)
        least = _SAME * np.where(norms == 0, np.inf, norms)
        for start in range(0, n_cosines, N_COLUMNS):
            # The cosines are centred and of norm 1.
            cosines = cosine_columns(len(block), start, min(start + N_COLUMNS, n_cosines))
            if (multiply(np.ascontiguousarray(cosines.T), centred) > least).any():
                return True
    return False


def _n_cosines(high_pass: float, ends: FloatArray, n_volumes: int) -> int:
    """Return the number of cosines that are slower than a cutoff, from the first and last time."""
    if n_volumes < 2:
        msg = f"Cosine drifts need at least 2 volumes. Got {n_volumes}."
        raise ParameterError(msg)
    spacing = (ends[1] - ends[0]) / (n_volumes - 1)
    if not 0 <= high_pass < np.inf or not 0 < spacing < np.inf:
        msg = (
            "`high_pass` must be a frequency of at least 0 Hz, and frame_times must ascend. Got "
            f"high_pass={high_pass} and a spacing of {spacing} s."
        )
        raise ParameterError(msg)
    if high_pass * spacing >= 0.5:
        msg = (
            f"high_pass={high_pass} Hz is not below half of the sampling rate, "
            f"{0.5 / spacing:g} Hz: the cosines span every signal. Lower `high_pass`."
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=3)
    return min(n_volumes - 1, int(np.floor(2 * n_volumes * high_pass * spacing)))
