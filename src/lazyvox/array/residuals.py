"""Residuals of a polynomial trend in the course of every voxel: sums over them, in one pass.

With ``q_i`` the orthonormal polynomials of the volumes' numbers, ``b_i = sum(q_i * x)`` and ``r`` the
residual, ``sum(r**2) = sum(x**2) - sum_i b_i**2``; the products of neighbours follow in the same
way. Values are taken as differences to the first volume, which every trend with a constant allows:
so what varies keeps its digits.
"""

import numpy as np

from lazyvox._typing import Array, FloatArray, Shape, override
from lazyvox.array.moments import pieces
from lazyvox.array.reduction_states import State
from lazyvox.errors import ParameterError

__all__ = ["Residuals", "polynomials"]


def polynomials(n_volumes: int, order: int = 1) -> FloatArray:
    """Return orthonormal polynomials of the numbers of the volumes.

    Parameters
    ----------
    n_volumes : int
        More than `order`.
    order : int, default=1
        Highest power: 0 for a constant, 1 for a line.

    Returns
    -------
    ndarray of shape (n_volumes, order + 1), float64
        The first column is constant.

    Examples
    --------
    >>> polynomials(4, 1).round(3).tolist()
    [[0.5, -0.671], [0.5, -0.224], [0.5, 0.224], [0.5, 0.671]]
    """
    line = np.arange(n_volumes) - (n_volumes - 1) / 2
    basis: FloatArray
    if order < 2:
        basis = np.full((n_volumes, order + 1), 1 / np.sqrt(n_volumes))
        if order:
            basis[:, 1] = line / np.linalg.norm(line)
        return basis
    # Legendre's polynomials are nearly orthogonal, where powers of time are nearly the same.
    basis, upper = np.linalg.qr(np.polynomial.legendre.legvander(line / line[-1], order))
    basis *= np.sign(np.diagonal(upper))
    return basis


class Residuals(State):
    """First volume, last difference to it, sums of squares and of products with the polynomials.

    Parameters
    ----------
    shape : tuple of int
        Shape of the entries.
    n_values : int
        Values that each entry will have.
    order : int
        Order of the polynomial trend.
    """

    def __init__(self, shape: Shape, n_values: int, order: int) -> None:
        super().__init__(shape)
        self._order = order
        self._basis = polynomials(n_values, min(order, max(n_values - 1, 0)))
        self._neighbours = np.zeros_like(self._basis)
        self._neighbours[:-1] += self._basis[1:]
        self._neighbours[1:] += self._basis[:-1]
        # First volume; last difference to it; sums of squares, of products of neighbours, and of
        # products with each polynomial and with its neighbours.
        self._arrays: list[Array] = []

    @property
    @override
    def nbytes(self) -> int:
        n_arrays = 4 + 2 * int(self._basis.shape[1])
        return 8 * (n_arrays * self._size + (6 + n_arrays) * self._part_size)

    def variance(self, ddof: int) -> Array:
        """Return the sum of squared residuals, divided by the number of values minus `ddof`.

        Parameters
        ----------
        ddof : int
            As in NumPy.

        Returns
        -------
        ndarray of shape `shape`, float64
            0 where residuals are no more than rounding errors of the trend; NaN where a value is
            not finite.
        """
        n_degrees = max(self.count - ddof, 0)
        result = self._new_result()
        for part, arrays in pieces(result, *self._arrays):
            with np.errstate(divide="ignore", invalid="ignore"):
                np.divide(self._squares(arrays), n_degrees, out=part)
        return result

    def tsnr(self, ddof: int) -> Array:
        """Return the mean over the standard deviation of the residuals, 0 where these are zero.

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
        for part, arrays in pieces(result, *self._arrays):
            mean = arrays[0] + arrays[4] * self._basis[0, 0]
            is_still = part == 0
            with np.errstate(divide="ignore", invalid="ignore"):
                np.divide(mean, np.sqrt(part), out=part)
            part[is_still] = 0.0
        return result

    def ar1(self, _: int) -> Array:
        """Return the autocorrelation of lag one of the residuals, 0 where these are zero.

        Returns
        -------
        ndarray of shape `shape`, float64
            ``sum(r[1:] * r[:-1]) / sum(r**2)``.
        """
        result = self._new_result()
        shifted = self._basis[1:].T @ self._basis[:-1]
        n = self._basis.shape[1]
        for part, arrays in pieces(result, *self._arrays):
            squares, products, fitted = self._squares(arrays), arrays[3].copy(), arrays[4 : 4 + n]
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                for i in range(n):
                    products -= fitted[i] * arrays[4 + n + i]
                    for j in range(n):
                        products += fitted[i] * fitted[j] * shifted[i, j]
                np.divide(products, squares, out=part)
            part[squares == 0] = 0.0
        return result

    def _squares(self, arrays: list[Array]) -> Array:
        """Return the sums of squared residuals of a piece."""
        total = arrays[2]
        squares = total.copy()
        with np.errstate(invalid="ignore", over="ignore"):
            for fitted in arrays[4 : 4 + self._basis.shape[1]]:
                squares -= fitted * fitted
        # Differences of numbers of this size are rounding errors.
        squares[squares <= self.count * np.finfo(np.float64).eps * total] = 0.0
        return squares

    def _new_result(self) -> Array:
        return np.empty(self.shape, order="F")

    @override
    def _allocate(self) -> None:
        n_arrays = 4 + 2 * self._basis.shape[1]
        self._arrays = [np.zeros(self.shape, order="F") for _ in range(n_arrays)]

    @override
    def _first(self, values: Array, slices: slice) -> None:
        self._arrays[0][..., slices] = values
        with np.errstate(invalid="ignore"):
            # 0, or NaN of what is not finite: it stays in the sums.
            self._arrays[2][..., slices] = values - self._arrays[0][..., slices]

    @override
    def _next(self, values: Array, slices: slice) -> None:
        first, last, squares, products, *others = (array[..., slices] for array in self._arrays)
        number, n = self.count - 1, self._basis.shape[1]
        with np.errstate(invalid="ignore", over="ignore"):
            now = values - first
            squares += now * now
            products += now * last
            for i in range(n):
                others[i] += now * self._basis[number, i]
                others[n + i] += now * self._neighbours[number, i]
        last[...] = now

    @override
    def _join(self, other: "Residuals") -> None:
        msg = (
            "statistics after a trend was removed cannot be merged: the trend is that of the whole "
            "series. Feed all volumes to one consumer."
        )
        raise ParameterError(msg)
