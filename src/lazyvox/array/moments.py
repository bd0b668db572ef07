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

import warnings
from collections.abc import Iterator
from typing import Self

import numpy as np

from lazyvox._typing import Array, Shape, override
from lazyvox.array.reduction_states import PIECE_VALUES, State

__all__ = ["Moments", "TrendMoments", "pieces"]


class Moments(State):
    """First volume, mean deviation from it, and sum of squared deviations from the mean."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self._first_values: Array = np.empty(0)
        self._mean: Array = np.empty(0)
        self._squares: Array = np.empty(0)
        self._work: tuple[Array, Array] | None = None

    @property
    @override
    def nbytes(self) -> int:
        return 8 * (3 * self._size + 2 * self._part_size)

    @override
    def over_space(self, values: Array, axes: tuple[int, ...]) -> Self:
        deviations = values.astype(np.float64)
        mean = np.asarray(np.mean(deviations, axis=axes, keepdims=True))
        part = type(self)(mean.shape)
        part._first_values, part._mean = mean, np.zeros_like(mean)
        np.subtract(deviations, mean, out=deviations)
        np.multiply(deviations, deviations, out=deviations)
        part._squares = np.add.reduce(deviations, axis=axes, keepdims=True)
        part.count = values.size // max(mean.size, 1)
        return part

    def variance(self, ddof: int) -> Array:
        """Return the variance, NaN where NumPy gives it.

        Parameters
        ----------
        ddof : int
            The sum of squares is divided by the number of values minus this.

        Returns
        -------
        ndarray of shape `shape`, float64
            A new array.
        """
        if self.count <= ddof:
            # The category and the value are NumPy's.
            warnings.warn("degrees of freedom <= 0: too few volumes", RuntimeWarning, stacklevel=2)
        with np.errstate(divide="ignore", invalid="ignore"):
            result = np.asfortranarray(self._squares / max(self.count - ddof, 0))
        for part, (first, mean) in pieces(result, self._first_values, self._mean):
            # Nothing is left of a finite mean, and NaN of an infinite one.
            center = first + mean
            center -= center
            np.add(part, center, out=part)
        return result

    def mean_square(self) -> Array:
        """Return the mean of the squares of the values.

        Returns
        -------
        ndarray of shape `shape`, float64
            A new array.
        """
        result = self.variance(0)
        for part, (first, mean) in pieces(result, self._first_values, self._mean):
            center = first + mean
            np.add(part, center * center, out=part)
        return result

    def tsnr(self, ddof: int) -> Array:
        """Return the ratio of mean and standard deviation, 0 where values do not vary.

        Parameters
        ----------
        ddof : int
            As for `variance`.

        Returns
        -------
        ndarray of shape `shape`, float64
            A new array.
        """
        result = self.variance(ddof)
        for part, (first, mean) in pieces(result, self._first_values, self._mean):
            spread, center = np.sqrt(part), first + mean
            # A voxel whose spread is mere rounding of its mean does not vary either.
            is_still = spread <= 8 * np.finfo(np.float64).eps * np.abs(center)
            with np.errstate(divide="ignore", invalid="ignore"):
                np.divide(center, spread, out=part)
            part[is_still] = 0.0
        return result

    @override
    def _allocate(self) -> None:
        self._first_values = np.empty(self.shape, order="F")
        self._mean = np.zeros(self.shape, order="F")
        self._squares = np.zeros(self.shape, order="F")

    @override
    def _first(self, values: Array, slices: slice) -> None:
        self._first_values[..., slices] = values

    @override
    def _next(self, values: Array, slices: slice) -> None:
        first, mean = self._first_values[..., slices], self._mean[..., slices]
        squares = self._squares[..., slices]
        if self._work is None or self._work[0].shape[-1] < values.shape[-1]:
            empty = np.empty(values.shape, order="F")
            self._work = empty, np.empty_like(empty)
        change, step = (work[..., : values.shape[-1]] for work in self._work)
        np.subtract(values, first, out=step)
        np.subtract(step, mean, out=change)
        np.multiply(change, 1.0 / self.count, out=step)
        np.add(mean, step, out=mean)
        self._add_products(change, slices)
        np.multiply(change, step, out=change)
        np.multiply(change, self.count - 1.0, out=change)
        np.add(squares, change, out=squares)

    def _add_products(self, change: Array, slices: slice) -> None:
        """Take the deviations of a volume from the mean of those before; nothing by default."""

    def _shift(self, other: Self) -> Array:
        """Return the mean of later values minus that of these."""
        shift: Array = (other._first_values - self._first_values) + (other._mean - self._mean)
        return shift

    @override
    def _join(self, other: Self) -> None:
        n_all = self.count + other.count
        shift = self._shift(other)
        self._mean += shift * (other.count / n_all)
        self._squares += other._squares + shift**2 * (self.count * other.count / n_all)


class TrendMoments(Moments):
    """Moments, and sums of the products of deviations of values and of times from their means."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self._products: Array = np.empty(0)

    @property
    @override
    def nbytes(self) -> int:
        return super().nbytes + 8 * (self._size + self._part_size)

    def detrended_mean_square(self) -> Array:
        """Return the mean of the squares of what mean and linear trend leave.

        Returns
        -------
        ndarray of shape `shape`, float64
            A new array; NaN where a value is not finite.
        """
        result, n = self.variance(0), self.count
        if n > 1:
            # The sum of squares of the times about their mean is n (n^2 - 1) / 12.
            for part, (products,) in pieces(result, self._products):
                trend = products**2 * (12 / (n**2 * (n**2 - 1.0)))
                np.subtract(part, trend, out=part)
                np.maximum(part, 0, out=part)
        return result

    @override
    def _allocate(self) -> None:
        super()._allocate()
        self._products = np.zeros(self.shape, order="F")

    @override
    def _add_products(self, change: Array, slices: slice) -> None:
        # The time of a volume is (count - 1) / 2 after the mean of the times up to it.
        self._products[..., slices] += change * ((self.count - 1) / 2)

    @override
    def _join(self, other: Self) -> None:
        n_apart = self.count * other.count / 2
        self._products += other._products + self._shift(other) * n_apart
        super()._join(other)


def pieces(result: Array, *arrays: Array) -> Iterator[tuple[Array, list[Array]]]:
    """Yield parts of arrays that fit the processor's cache.

    Parameters
    ----------
    result : ndarray
        In Fortran order, as the others.
    *arrays : ndarray
        Of the same size.

    Yields
    ------
    ndarray
        A part of `result`, flat; writing to it writes to `result`.
    list of ndarray
        The same part of each of the others.
    """
    flat, *others = (one.reshape(-1, order="F") for one in (result, *arrays))
    for start in range(0, flat.size, PIECE_VALUES):
        part = slice(start, start + PIECE_VALUES)
        yield flat[part], [one[part] for one in others]
