"""Fisher's z of correlations: one definition for matrices, maps and means."""

import numpy as np

from lazyvox._typing import FloatArray

__all__ = ["LARGEST_Z", "fisher_z"]

#: Largest value of Fisher's z, that of a correlation of 0.999329: as in AFNI.
LARGEST_Z = 4.0


def fisher_z(correlations: FloatArray, out: FloatArray | None = None) -> FloatArray:
    """Return arctanh(r), at most 4 in absolute value, as AFNI's programs have it.

    A correlation of 1 is that of a signal with itself: an infinite z of it would make every mean,
    variance and smoothed map infinite or NaN.

    Parameters
    ----------
    correlations : ndarray, float64
        Correlations.
    out : ndarray, optional
        Array for the result, which may be `correlations`.

    Returns
    -------
    ndarray, float64
        Of the same shape; NaN where a correlation is.

    Examples
    --------
    >>> fisher_z(np.array([0.5, 1.0, -1.0])).round(3)
    array([ 0.549,  4.   , -4.   ])
    """
    with np.errstate(divide="ignore"):
        found: FloatArray = np.arctanh(correlations, out=out)
    return np.clip(found, -LARGEST_Z, LARGEST_Z, out=found)
