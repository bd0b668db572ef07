"""FSL's robust range: the 2nd and the 98th percentile, by histograms that leave out long tails."""

from collections.abc import Callable

import numpy as np

from lazyvox._typing import Array

__all__ = ["N_BINS", "count_in_bins", "robust_range"]

N_BINS = 1000

#: The last histogram is that of the whole range again, without its first and last bin.
_MOST_LOOKS = 10

#: One of so many values lies in a tail.
_TAIL = 50


def robust_range(
    low: float, high: float, count: Callable[[float, float], Array]
) -> tuple[float, float]:
    """Return the ends of the range that most values lie in.

    Bins from the lower end on are left out until they hold 2 % of the values, and so from the
    upper end. While what is left is less than a tenth of the range, the same is done with a
    histogram of what is left and a bin more on each side.

    Parameters
    ----------
    low, high : float
        Smallest and largest value.
    count : callable
        Gives the histogram between two limits, as `count_in_bins` does.

    Returns
    -------
    (float, float)
        Edges of bins; the smallest and the largest value of fewer than 50 values.

    References
    ----------
    The range of ``fslstats -r``, as the source of FSL's library newimage has it (find_thresholds).
    """
    smallest, largest = low, high
    for look in range(1, _MOST_LOOKS + 1):
        is_last = look == _MOST_LOOKS
        if is_last or low == high:
            low, high = smallest, largest
        if low == high:
            return low, high
        counts = count(low, high)
        if is_last:
            counts[[0, -1]] = 0
        n_tail = int(counts.sum()) // _TAIL
        if not n_tail:
            return smallest, largest
        bottom = int(np.searchsorted(np.cumsum(counts), n_tail))
        top = N_BINS - 1 - int(np.searchsorted(np.cumsum(counts[::-1]), n_tail))
        width = (high - low) / N_BINS
        robust = low + bottom * width, low + (top + 1) * width
        if is_last or robust[1] - robust[0] >= (high - low) / 10:
            break
        low, high = low + max(bottom - 1, 0) * width, low + min(top + 2, N_BINS) * width
    return robust


def count_in_bins(values: Array, low: float, high: float) -> Array:
    """Return the histogram of values; those beyond the limits count in the first and last bin.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Finite real values.
    low, high : float
        The limits, which differ.

    Returns
    -------
    ndarray of shape (1000,), int64
        The counts.

    Examples
    --------
    >>> counts = count_in_bins(np.array([0.0, 0.0015, 1.0, 7.0]), 0, 1)
    >>> counts[:3].tolist(), counts[-1].tolist()
    ([1, 1, 0], 2)
    """
    places = values.astype(np.float64)
    places *= N_BINS / (high - low)
    places -= N_BINS * low / (high - low)
    np.clip(places, 0, N_BINS - 1, out=places)
    counts: Array = np.bincount(places.astype(np.intp), minlength=N_BINS)
    return counts
