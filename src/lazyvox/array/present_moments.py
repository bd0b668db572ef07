"""Mean and variance of arrays of which entries may be missing, one array after the other."""

import numpy as np

from lazyvox._typing import FloatArray, IntArray, Shape

__all__ = ["PresentMoments"]


class PresentMoments:
    """Number, mean and squared deviations of the values of each entry, without NaN.

    Parameters
    ----------
    shape : tuple of int
        Shape of the arrays.

    Attributes
    ----------
    count : ndarray, int32
        Number of values of each entry.

    Notes
    -----
    Welford's update, as in `lazyvox.array.moments`, with a number for each entry. Memory: `nbytes`.

    Examples
    --------
    >>> moments = PresentMoments((2,))
    >>> for values in ([1.0, 5.0], [3.0, np.nan]):
    ...     moments.add(np.array(values))
    >>> moments.mean.tolist(), moments.variance().tolist(), moments.count.tolist()
    ([2.0, 5.0], [2.0, nan], [2, 1])
    """

    def __init__(self, shape: Shape) -> None:
        self.count: IntArray = np.zeros(shape, np.int32)
        self._mean: FloatArray = np.zeros(shape)
        self._squares: FloatArray = np.zeros(shape)

    @staticmethod
    def nbytes(n_entries: int) -> int:
        """Return the most bytes of the state, of adding an array, and of the results."""
        # Count, mean and squares; the array, what of it is there, and two differences; results.
        return n_entries * (4 + 2 * 8 + 3 * 8 + 1 + 2 * 8)

    def add(self, values: FloatArray) -> None:
        """Take an array; NaN is what is missing."""
        is_there = ~np.isnan(values)
        self.count += is_there
        change = np.where(is_there, values - self._mean, 0.0)
        self._mean += change / np.maximum(self.count, 1)
        change *= np.where(is_there, values - self._mean, 0.0)
        self._squares += change

    @property
    def mean(self) -> FloatArray:
        """Mean of each entry, NaN without a value."""
        return np.where(self.count > 0, self._mean, np.nan)

    def variance(self) -> FloatArray:
        """Return the variance of each entry, of n - 1 degrees of freedom; NaN below two values."""
        left = self.count - 1
        return np.where(left > 0, self._squares / np.maximum(left, 1), np.nan)
