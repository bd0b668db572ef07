"""Cubic splines through the kept volumes, as weights of the kept volumes near by.

The weight of a kept volume at least halves with each kept volume between it and the one that is
interpolated. So a stretch of volumes needs only the kept ones around it: memory grows with the
length of a series, not with its square.
"""

from dataclasses import dataclass

import numpy as np

from lazyvox._typing import FloatArray, IntArray
from lazyvox.signal.products import multiply

__all__ = ["Spline", "SplineWindow", "spline_weights", "spline_windows"]

#: Interpolated volumes of one product.
_STEP = 32
#: Kept volumes on each side that take part: the weights of others are below 2**-64.
_REACH = 64


@dataclass(frozen=True, slots=True)
class SplineWindow:
    """A stretch of interpolated volumes, and the kept volumes that it is made from.

    Attributes
    ----------
    wanted, around : slice
        Places among the interpolated, and among the kept volumes.
    """

    wanted: slice
    around: slice

    @property
    def weight_bytes(self) -> int:
        """Size of its weights."""
        n_wanted = self.wanted.stop - self.wanted.start
        return int(8 * n_wanted * (self.around.stop - self.around.start))


def spline_windows(kept: IntArray, wanted: IntArray) -> tuple[SplineWindow, ...]:
    """Return the stretches that are interpolated by one product each.

    Parameters
    ----------
    kept, wanted : ndarray of int
        Volumes, ascending.

    Returns
    -------
    tuple of SplineWindow
        All of `wanted`.
    """
    windows = []
    for start in range(0, len(wanted), _STEP):
        stop = min(start + _STEP, len(wanted))
        first, last = np.searchsorted(kept, wanted[[start, stop - 1]])
        around = slice(max(int(first) - _REACH, 0), min(int(last) + _REACH, len(kept)))
        windows.append(SplineWindow(slice(start, stop), around))
    return tuple(windows)


@dataclass(frozen=True, slots=True, eq=False)
class Spline:
    """The cubic spline through kept volumes, at other volumes.

    Attributes
    ----------
    windows : tuple of SplineWindow
        Stretches of volumes.
    weights : tuple of ndarray
        Weights of each stretch.
    """

    windows: tuple[SplineWindow, ...]
    weights: tuple[FloatArray, ...]

    @classmethod
    def through(cls, kept: IntArray, wanted: IntArray) -> "Spline":
        """Return the spline through kept volumes, at wanted ones; both ascend."""
        windows = spline_windows(kept, wanted)
        weights = [spline_weights(kept[one.around], wanted[one.wanted]) for one in windows]
        return cls(windows, tuple(weights))

    def values(self, signals: FloatArray) -> FloatArray:
        """Return the values at the wanted volumes, of the kept volumes of columns."""
        result = np.empty((self.windows[-1].wanted.stop, signals.shape[1]))
        for window, weights in zip(self.windows, self.weights, strict=True):
            result[window.wanted] = multiply(weights, signals[window.around])
        return result


def spline_weights(kept: IntArray, wanted: IntArray) -> FloatArray:
    """Return the weights that take values at some volumes to their spline at other volumes.

    Parameters
    ----------
    kept : ndarray of int, of length at least 2
        Volumes with values, ascending.
    wanted : ndarray of int
        Volumes to interpolate, or to extrapolate with the pieces at the ends.

    Returns
    -------
    ndarray of shape (n_wanted, n_kept), float64
        Weights; ``weights @ values`` is the cubic spline with not-a-knot ends. Three volumes
        give a parabola, two a line.

    Notes
    -----
    Memory: three arrays of the shape of the result.
    """
    x, at = kept.astype(np.float64), wanted.astype(np.float64)
    if len(x) <= 3:
        return _lagrange_weights(x, at)
    piece = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
    width = np.diff(x)[piece]
    u = (at - x[piece]) / width
    rows = np.arange(len(at))
    on_slopes = np.zeros((len(at), len(x)))
    on_slopes[rows, piece] = u * (1 - u) ** 2 * width
    on_slopes[rows, piece + 1] = u**2 * (u - 1) * width
    weights = _slopes_to_values(_solve_transposed(x, on_slopes), x)
    weights[rows, piece] += (1 + 2 * u) * (1 - u) ** 2
    weights[rows, piece + 1] += u**2 * (3 - 2 * u)
    return weights


def _lagrange_weights(x: FloatArray, at: FloatArray) -> FloatArray:
    """Return the weights of the polynomial through all knots."""
    weights = np.ones((len(at), len(x)))
    for i, own in enumerate(x):
        for other in np.delete(x, i):
            weights[:, i] *= (at - other) / (own - other)
    return weights


def _solve_transposed(x: FloatArray, rows: FloatArray) -> FloatArray:
    """Solve ``result @ M = rows`` in place, M being the tridiagonal system of the slopes."""
    dx = np.diff(x)
    diagonal = np.concatenate([[dx[1]], 2 * (dx[:-1] + dx[1:]), [dx[-2]]])
    above = np.concatenate([[x[2] - x[0]], dx[:-1]])
    below = np.concatenate([dx[1:], [x[-1] - x[-3]]])
    # Column j of the product: above[j-1] r[j-1] + diagonal[j] r[j] + below[j] r[j+1].
    for j in range(1, len(x)):
        factor = above[j - 1] / diagonal[j - 1]
        diagonal[j] -= factor * below[j - 1]
        rows[:, j] -= factor * rows[:, j - 1]
    rows[:, -1] /= diagonal[-1]
    for j in range(len(x) - 2, -1, -1):
        rows[:, j] = (rows[:, j] - below[j] * rows[:, j + 1]) / diagonal[j]
    return rows


def _slopes_to_values(weights: FloatArray, x: FloatArray) -> FloatArray:
    """Turn weights of the right-hand sides of the system into weights of the values."""
    dx = np.diff(x)
    first, last = x[2] - x[0], x[-1] - x[-3]
    inner = weights[:, 1:-1]
    on_secants = np.zeros((len(weights), len(dx)))
    on_secants[:, :-1] += inner * (3 * dx[1:])
    on_secants[:, 1:] += inner * (3 * dx[:-1])
    on_secants[:, 0] += weights[:, 0] * (dx[0] + 2 * first) * dx[1] / first
    on_secants[:, 1] += weights[:, 0] * dx[0] ** 2 / first
    on_secants[:, -2] += weights[:, -1] * dx[-1] ** 2 / last
    on_secants[:, -1] += weights[:, -1] * (2 * last + dx[-1]) * dx[-2] / last
    on_secants /= dx
    on_values = np.zeros_like(weights)
    on_values[:, 1:] += on_secants
    on_values[:, :-1] -= on_secants
    return on_values
