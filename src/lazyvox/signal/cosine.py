"""Slow cosines that stand for drifts."""

import warnings

import numpy as np
import numpy.typing as npt

from lazyvox._typing import FloatArray
from lazyvox.errors import LazyvoxWarning, ParameterError

__all__ = ["add_cosines", "create_cosine_drift"]

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
    if n_volumes < 2:
        msg = f"Cosine drifts need at least 2 volumes. Got {n_volumes}."
        raise ParameterError(msg)
    spacing = (times[-1] - times[0]) / (n_volumes - 1)
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
        warnings.warn(msg, LazyvoxWarning, stacklevel=2)
    n_cosines = min(n_volumes - 1, int(np.floor(2 * n_volumes * high_pass * spacing)))
    phase = np.pi / n_volumes * (np.arange(n_volumes) + 0.5)
    drift = np.ones((n_volumes, n_cosines + 1))
    np.cos(np.outer(phase, np.arange(1, n_cosines + 1)), out=drift[:, :-1])
    drift[:, :-1] *= np.sqrt(2 / n_volumes)
    return drift


def add_cosines(
    confounds: FloatArray | None, n_volumes: int, high_pass: float, t_r: float
) -> FloatArray | None:
    """Return confounds with the cosines, unless they hold one of them already.

    Parameters
    ----------
    confounds : ndarray of shape (n_volumes, n_confounds) or None
        Confounds.
    n_volumes : int
        Number of volumes.
    high_pass : float
        Cutoff in Hz.
    t_r : float
        Seconds between volumes.

    Returns
    -------
    ndarray or None
        Confounds, and cosines after them.
    """
    cosines = create_cosine_drift(high_pass, np.arange(n_volumes) * t_r)[:, :-1]
    if not cosines.shape[1]:
        msg = (
            f"No cosine is slower than high_pass={high_pass} Hz within {n_volumes * t_r:g} s: "
            "nothing is filtered."
        )
        warning = LazyvoxWarning(
            msg,
            hint="Raise `high_pass`, or pass filter=None.",
            cli_hint="Raise `high_pass`, or leave out `filter`.",
        )
        warnings.warn(warning, stacklevel=4)
        return confounds
    if confounds is None:
        return cosines
    if _has_cosine(confounds, cosines):
        msg = "confounds hold a cosine drift already: no further cosines are made."
        hint = "{} if that is what you want."
        warning = LazyvoxWarning(
            msg, hint=hint.format("Pass filter=None"), cli_hint=hint.format("Leave out `filter`")
        )
        warnings.warn(warning, stacklevel=4)
        return confounds
    return np.hstack([confounds, cosines])


def _has_cosine(confounds: FloatArray, cosines: FloatArray) -> bool:
    """Return whether a confound without missing values correlates with a cosine."""
    finite = confounds[:, np.isfinite(confounds).all(axis=0)]
    centred = finite - finite.mean(axis=0)
    norms = np.linalg.norm(centred, axis=0)
    # The cosines are centred and of norm 1.
    return bool((cosines.T @ centred > _SAME * np.where(norms == 0, np.inf, norms)).any())
