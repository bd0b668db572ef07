"""Mean and variance of values that come one after the other, in one numerically stable pass.

The update is Welford's, on values from which the first volume was subtracted. That subtraction
is exact or nearly so and takes away what voxels have in common, so that data with a large mean
lose nothing: the relative error stays near that of a two-pass computation in float64.

References
----------
Welford, B. P. (1962). Note on a method for calculating corrected sums of squares and products.
Technometrics 4(3). Chan, T. F., Golub, G. H., LeVeque, R. J. (1983). Algorithms for computing the
sample variance. The American Statistician 37(3), for `merge`.
"""

import math
import warnings
from typing import Self

import numpy as np

from lazyvox._typing import Array

__all__ = ["Moments"]

#: Values updated at a time: what the steps pass on to each other stays in the processor's cache.
PIECE_VALUES = 1 << 15


class Moments:
    """First volume, mean deviation from it, and sum of squared deviations from the mean."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.first = np.zeros(shape, order="F")
        self.mean = np.zeros(shape, order="F")
        self.squares = np.zeros(shape, order="F")
        self.n_volumes = 0
        self._work: tuple[Array, Array] | None = None

    @staticmethod
    def nbytes(shape: tuple[int, ...]) -> int:
        """Return the bytes of the state, with the two arrays that an update works in."""
        n_work = max(PIECE_VALUES, math.prod(shape[:-1]))
        return 8 * (3 * math.prod(shape) + 2 * min(n_work, math.prod(shape)))

    @classmethod
    def of(cls, values: Array, axes: tuple[int, ...]) -> Self:
        """Return the moments over some axes, which are kept with length 1."""
        mean = np.mean(values, axis=axes, dtype=np.float64, keepdims=True)
        moments = cls(mean.shape)
        moments.first[...] = mean
        deviations = values - mean
        np.multiply(deviations, deviations, out=deviations)
        moments.squares[...] = deviations.sum(axis=axes, keepdims=True)
        moments.n_volumes = values.size // max(mean.size, 1)
        return moments

    def take(self, values: Array, slices: slice) -> None:
        """Take some slices of the next volume."""
        if slices.start == 0:
            self.n_volumes += 1
        if self.n_volumes == 1:
            self.first[..., slices] = values
            return
        n_each = max(PIECE_VALUES // max(math.prod(values.shape[:-1]), 1), 1)
        for start in range(0, values.shape[-1], n_each):
            part = values[..., start : start + n_each]
            begin = slices.start + start
            self._update(part, slice(begin, begin + part.shape[-1]))

    def _update(self, values: Array, slices: slice) -> None:
        first, mean = self.first[..., slices], self.mean[..., slices]
        squares = self.squares[..., slices]
        if self._work is None or self._work[0].shape[-1] < values.shape[-1]:
            empty = np.empty(values.shape, order="F")
            self._work = empty, np.empty_like(empty)
        change, step = (work[..., : values.shape[-1]] for work in self._work)
        np.subtract(values, first, out=step)
        np.subtract(step, mean, out=change)
        np.multiply(change, 1.0 / self.n_volumes, out=step)
        np.add(mean, step, out=mean)
        np.multiply(change, step, out=change)
        np.multiply(change, self.n_volumes - 1.0, out=change)
        np.add(squares, change, out=squares)

    def merge(self, other: "Moments") -> None:
        """Take over what was seen of other volumes."""
        n_all = self.n_volumes + other.n_volumes
        if not other.n_volumes:
            return
        shift = (other.first - self.first) + (other.mean - self.mean)
        self.mean += shift * (other.n_volumes / n_all)
        self.squares += other.squares + shift**2 * (self.n_volumes * other.n_volumes / n_all)
        self.n_volumes = n_all

    def variance(self, ddof: int) -> Array:
        """Return the variance, NaN where NumPy gives it."""
        if self.n_volumes <= ddof:
            # The category and the value are NumPy's.
            warnings.warn("degrees of freedom <= 0: too few volumes", RuntimeWarning, stacklevel=2)
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.squares / max(self.n_volumes - ddof, 0)
