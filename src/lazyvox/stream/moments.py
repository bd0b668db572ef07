"""Variance, standard deviation and temporal signal-to-noise ratio, in one numerically stable pass.

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
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from lazyvox._typing import Array, override
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.lazyimage.classes import LazyImage
from lazyvox.lazyimage.series import Grid
from lazyvox.stream.consumer import Consumer
from lazyvox.stream.voxelwise import Voxelwise

__all__ = ["TSNR", "Std", "Variance"]


class _Moments:
    """First volume, mean deviation from it, and sum of squared deviations from the mean."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.first = np.zeros(shape, order="F")
        self.mean = np.zeros(shape, order="F")
        self.squares = np.zeros(shape, order="F")
        self.n_volumes = 0
        self._work = (np.empty(shape, order="F"), np.empty(shape, order="F"))

    def take(self, values: Array, slices: slice) -> None:
        """Take some slices of the next volume."""
        if slices.start == 0:
            self.n_volumes += 1
        first, mean = self.first[..., slices], self.mean[..., slices]
        if self.n_volumes == 1:
            first[...] = values
            return
        squares = self.squares[..., slices]
        change, step = (work[..., slices] for work in self._work)
        np.subtract(values, first, out=step)
        np.subtract(step, mean, out=change)
        np.multiply(change, 1.0 / self.n_volumes, out=step)
        np.add(mean, step, out=mean)
        np.multiply(change, step, out=change)
        np.multiply(change, self.n_volumes - 1.0, out=change)
        np.add(squares, change, out=squares)

    def merge(self, other: "_Moments") -> None:
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


class Variance(Voxelwise):
    """Variance over time of every voxel, in float64.

    Parameters
    ----------
    ddof : int, default=0
        The sum of squares is divided by the number of volumes minus `ddof`, as in NumPy.

    Notes
    -----
    Memory: six float64 volumes, shared by all variances, standard deviations and tSNRs of a scan.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.std_img("run.nii.gz", ddof=1).shape
    (12, 14, 10)
    """

    def __init__(self, ddof: int = 0) -> None:
        if isinstance(ddof, bool) or not isinstance(ddof, int | np.integer):
            msg = f"`ddof` must be an integer. Got {ddof!r}."
            raise ParameterTypeError(msg)
        if ddof < 0:
            msg = f"`ddof` must be 0 or larger. Got {ddof}."
            raise ParameterError(msg)
        self._ddof = int(ddof)
        self._moments: _Moments | None = None
        self._leader: Variance | None = None

    @override
    def check(self, grid: Grid) -> None:
        if grid.dtype.kind == "c":
            msg = f"{type(self).__name__} needs real voxels. Got {grid.dtype}."
            raise ParameterTypeError(msg)

    @override
    def lean_on(self, consumers: Sequence[Consumer[Any]]) -> None:
        first = next(one for one in consumers if isinstance(one, Variance))
        self._leader = None if first is self else first

    @override
    def update(self, block: Array, start: int) -> None:
        if self._leader is None:
            super().update(block, start)

    @override
    def merge(self, other: Self) -> None:
        if self._moments is not None and other._moments is not None:
            self._moments.merge(other._moments)

    @override
    def finalize(self) -> LazyImage:
        return self._image(self._state().variance(self._ddof))

    @override
    def state_bytes(self, grid: Grid) -> int:
        n_volumes = 1 if self._leader is not None else 6
        return n_volumes * np.dtype(np.float64).itemsize * grid.n_voxels

    @override
    def _start(self) -> None:
        self._moments = _Moments(self._grid.shape) if self._leader is None else None

    @override
    def _take(self, values: Array, slices: slice, volume: int) -> None:
        if self._moments is not None:
            self._moments.take(values, slices)

    def _state(self) -> _Moments:
        moments = self._moments if self._leader is None else self._leader._moments
        assert moments is not None, "bug in lazyvox: finalize before init"
        return moments


class Std(Variance):
    """Standard deviation over time of every voxel, in float64.

    Parameters
    ----------
    ddof : int, default=0
        As in `Variance`.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.std_img("run.nii.gz").get_data_dtype().name
    'float64'
    """

    @override
    def finalize(self) -> LazyImage:
        spread = self._state().variance(self._ddof)
        return self._image(np.sqrt(spread, out=spread))


class TSNR(Variance):
    """Temporal signal-to-noise ratio of every voxel: mean over standard deviation, in float64.

    Voxels that do not vary have no ratio; they are 0, so that background stays 0.

    Parameters
    ----------
    ddof : int, default=0
        As in `Variance`.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.tsnr_img("run.nii.gz").shape
    (12, 14, 10)
    """

    @override
    def finalize(self) -> LazyImage:
        state = self._state()
        spread = state.variance(self._ddof)
        np.sqrt(spread, out=spread)
        ratio = state.first + state.mean
        # A voxel whose spread is mere rounding of its mean does not vary either.
        still = spread <= 8 * np.finfo(np.float64).eps * np.abs(ratio)
        with np.errstate(divide="ignore", invalid="ignore"):
            np.divide(ratio, spread, out=ratio)
        ratio[still] = 0.0
        return self._image(ratio)

    @override
    def state_bytes(self, grid: Grid) -> int:
        return super().state_bytes(grid) + 3 * 8 * grid.n_voxels
