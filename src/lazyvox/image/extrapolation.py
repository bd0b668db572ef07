"""Values for voxels that have none, from their neighbours."""

import numpy as np

from lazyvox._typing import Array, BoolArray

__all__ = ["extrapolated"]

#: Layers of voxels that get a value; beyond them it is 0.
_N_LAYERS = 2


def extrapolated(values: Array, missing: BoolArray) -> Array:
    """Return a volume whose missing voxels have the mean of those neighbours that have a value.

    Parameters
    ----------
    values : ndarray of shape (i, j, k)
        The volume; not changed.
    missing : ndarray of bool of shape (i, j, k)
        Voxels without a value.

    Returns
    -------
    ndarray of shape (i, j, k)
        A copy in Fortran order. Missing voxels next to others get the mean of their neighbours
        that are not (of six), those next to them in a second step; the rest is 0.

    Examples
    --------
    >>> line = np.array([5.0, np.nan, np.nan, np.nan]).reshape(4, 1, 1)
    >>> extrapolated(line, np.isnan(line)).ravel()
    array([5., 5., 5., 0.])
    """
    filled = values.copy(order="F")
    filled[missing] = 0
    known = ~missing
    for _ in range(_N_LAYERS):
        sums = np.zeros_like(filled)
        counts = np.zeros(filled.shape, np.uint8, order="F")
        for axis in range(3):
            # Voxels that are not known are 0 in `filled`, so that sums pass over them.
            for one, other in ((slice(1, None), slice(-1)), (slice(-1), slice(1, None))):
                here = (*[slice(None)] * axis, one)
                there = (*[slice(None)] * axis, other)
                sums[here] += filled[there]
                counts[here] += known[there]
        layer = (counts > 0) & ~known
        filled[layer] = sums[layer] / counts[layer]
        known |= layer
    return filled
