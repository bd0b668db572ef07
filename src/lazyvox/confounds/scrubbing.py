"""Stretches between censored volumes that are too short to keep. Pure."""

from itertools import pairwise

import numpy as np

from lazyvox._typing import BoolArray

__all__ = ["drop_short_segments"]


def drop_short_segments(outliers: BoolArray, shortest: int) -> BoolArray:
    """Return outliers to which stretches between them that are too short were added.

    Parameters
    ----------
    outliers : ndarray of shape (n_volumes,), bool
        Volumes that are censored.
    shortest : int
        Stretches of fewer volumes than this are censored too. A run without any outlier stays
        whole, however short.

    Returns
    -------
    ndarray of shape (n_volumes,), bool
        A new array.

    References
    ----------
    J. D. Power et al., "Methods to detect, characterize, and remove motion artifact in resting
    state fMRI", NeuroImage 84 (2014), 320-341.

    Examples
    --------
    >>> drop_short_segments(np.array([0, 0, 0, 1, 0, 1, 0, 0, 0]) > 0, 2).nonzero()[0]
    array([3, 4, 5])
    """
    result = outliers.copy()
    if not outliers.any():
        return result
    ends = np.concatenate(([-1], np.flatnonzero(outliers), [len(outliers)]))
    for before, after in pairwise(ends):
        if after - before - 1 < shortest:
            result[before + 1 : after] = True
    return result
