"""Variance, standard deviation and temporal signal-to-noise ratio, in one stable pass."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from lazyvox._typing import Array, override
from lazyvox.array.moments import Moments
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.lazyimage.classes import LazyImage
from lazyvox.lazyimage.series import Grid
from lazyvox.stream.consumer import Consumer
from lazyvox.stream.voxelwise import Voxelwise

__all__ = ["TSNR", "Std", "Variance"]


class Variance(Voxelwise):
    """Variance over time of every voxel, in float64.

    Parameters
    ----------
    ddof : int, default=0
        The sum of squares is divided by the number of volumes minus `ddof`, as in NumPy.

    Notes
    -----
    Memory: three float64 volumes, shared by all variances, standard deviations and tSNRs of a
    scan, and the result: one float64 volume, for a tSNR four while it is computed.

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
        self._moments: Moments | None = None
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
        result = np.dtype(np.float64).itemsize * grid.n_voxels
        return result if self._leader is not None else result + Moments.nbytes(grid.shape)

    @override
    def _start(self) -> None:
        self._moments = Moments(self._grid.shape) if self._leader is None else None

    @override
    def _take(self, values: Array, slices: slice, volume: int) -> None:
        if self._moments is not None:
            self._moments.take(values, slices)

    def _state(self) -> Moments:
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
