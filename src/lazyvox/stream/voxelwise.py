"""Consumers with one value per voxel: the reductions over time of `lazyvox.array.reductions`."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from lazyvox._typing import Array, override
from lazyvox.array.reductions import (
    REDUCTIONS,
    Reduction,
    checked_percentile,
    reduction_of_residuals,
)
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.planning.arguments import checked_integer
from lazyvox.stream.consumer import Consumer, ResultT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lazyvox.array.reduction_states import State
    from lazyvox.lazyimage.classes import LazyImage
    from lazyvox.lazyimage.series import Grid

__all__ = [
    "AR1",
    "TSNR",
    "Max",
    "Mean",
    "Median",
    "Min",
    "OneVolume",
    "Percentile",
    "Std",
    "Sum",
    "Variance",
    "Voxelwise",
]


class OneVolume(Consumer[ResultT]):
    """Base class of the consumers with one state per voxel; takes whole volumes and slabs."""

    _state: State

    @override
    def init(self, grid: Grid) -> None:
        self._state = self._new_state(grid)

    def _new_state(self, grid: Grid) -> State:
        """Return the state of a new pass."""
        raise NotImplementedError

    @override
    def update(self, block: Array, start: int) -> None:
        everything = slice(0, block.shape[2])
        for i in range(block.shape[3]):
            self._state.take(block[..., i], everything)

    @property
    @override
    def takes_slabs(self) -> bool:
        return True

    @override
    def update_slab(self, slab: Array, volume: int, k: int) -> None:
        self._state.take(slab[..., 0], slice(k, k + slab.shape[2]))

    @override
    def merge(self, other: Self) -> None:
        if self._state.count:
            self._state.merge(other._state)
        else:
            self._state = other._state


class Voxelwise(OneVolume["LazyImage"]):
    """Base class of the consumers whose result is the image of a reduction over time."""

    _name: ClassVar[str]
    #: The number that the reduction takes.
    _option: float = 0
    #: Order of the polynomial trend that is removed first, if one is.
    _detrend: int | None = None
    _leader: Voxelwise | None = None
    _n_results: int = 1
    _is_plain: bool = False

    def as_values(self) -> Self:
        """Return the same consumer with the array for its result, which nibabel is no part of.

        Returns
        -------
        Voxelwise
            A new consumer.
        """
        other = copy.copy(self)
        other._is_plain = True
        return other

    @override
    def check(self, grid: Grid) -> None:
        reduction = self._reduction
        if not reduction.takes(grid.dtype):
            wanted = {"ordered": "voxels that can be ordered"}.get(reduction.needs, "real voxels")
            msg = f"{grid.name}: {type(self).__name__} needs {wanted}. Got {grid.dtype}."
            raise ParameterTypeError(msg)
        if self._detrend is not None and self._detrend >= grid.n_volumes:
            msg = (
                f"`detrend` must be smaller than the number of volumes. Got detrend={self._detrend} "
                f"and {grid.n_volumes} volumes."
            )
            raise ParameterError(msg, parameter="detrend", value=self._detrend)

    @override
    def lean_on(self, consumers: Sequence[Consumer[Any]]) -> None:
        self._leader, self._n_results = None, 1
        if not self._reduction.shares_state:
            return
        family = self._reduction.family
        alike = [
            one
            for one in consumers
            if isinstance(one, Voxelwise) and one._reduction.family == family
        ]
        self._leader = None if alike[0] is self else alike[0]
        self._n_results = len(alike)

    @override
    def init(self, grid: Grid) -> None:
        self._grid = grid
        self._n_waiting = self._n_results
        super().init(grid)

    @override
    def _new_state(self, grid: Grid) -> State:
        return self._reduction.new_state(grid.shape, grid.dtype, grid.n_volumes)

    @override
    def update(self, block: Array, start: int) -> None:
        if self._leader is None:
            super().update(block, start)

    @override
    def update_slab(self, slab: Array, volume: int, k: int) -> None:
        if self._leader is None:
            super().update_slab(slab, volume, k)

    @override
    def finalize(self) -> LazyImage:
        leader = self if self._leader is None else self._leader
        try:
            values = self._reduction.finalize(leader._state, self._option)
        except ParameterError as error:
            raise error.at(self._grid.name) from error
        leader._n_waiting -= 1
        if not leader._n_waiting:
            # Gives back memory, or the space on disk, while the results of others are made.
            leader._state = self._new_state(self._grid)
        if self._is_plain:
            return cast("LazyImage", values)
        return self._grid.image_of(values)

    @override
    def state_bytes(self, grid: Grid) -> int:
        if self._leader is not None:
            return 8 * self._reduction.n_extra * grid.n_voxels
        return self._reduction.nbytes(grid.shape, grid.dtype, grid.n_volumes)

    @override
    def scratch_bytes(self, grid: Grid) -> int:
        if self._leader is not None:
            return 0
        return self._reduction.file_bytes(grid.shape, grid.dtype, grid.n_volumes)

    @override
    def abort(self) -> None:
        if hasattr(self, "_grid"):
            self._state = self._new_state(self._grid)

    @property
    def _reduction(self) -> Reduction:
        if self._detrend is None:
            return REDUCTIONS[self._name]
        return reduction_of_residuals(self._name, self._detrend)


class Sum(Voxelwise):
    """Sum over time of every voxel, in float64, complex128, or 64-bit integers.

    The result is an image of the type that `numpy.sum` gives, except that float32 is summed, and
    returned, in float64. Integer sums are exact; one that does not fit 64 bits is an error.

    Examples
    --------
    >>> import lazyvox as lv
    >>> scan = lv.Scan("run.nii.gz")
    >>> total = scan.add(lv.Sum())
    >>> scan.run()
    >>> total.result().shape
    (12, 14, 10)
    """

    _name = "sum"


class Mean(Voxelwise):
    """Mean over time of every voxel, accumulated in float64 (complex128 for complex voxels).

    The result is a float64 image, bit-identical for every block size.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.mean_img("run.nii.gz").get_data_dtype().name
    'float64'
    """

    _name = "mean"


class Min(Voxelwise):
    """Smallest value over time of every voxel, in the type of the voxels; NaN is passed on.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.min_img("run.nii.gz").shape
    (12, 14, 10)
    """

    _name = "min"


class Max(Voxelwise):
    """Largest value over time of every voxel, in the type of the voxels; NaN is passed on.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.max_img("run.nii.gz").shape
    (12, 14, 10)
    """

    _name = "max"


class Variance(Voxelwise):
    """Variance over time of every voxel, in float64; NaN where a value is infinite, as by NumPy.

    Parameters
    ----------
    ddof : int, default=0
        The sum of squares is divided by the number of volumes minus `ddof`, as in NumPy.
    detrend : int, optional
        Order of the polynomial that is removed from the course of every voxel first: 0 for its
        mean, which changes nothing, 1 for a line. By default none.

    Notes
    -----
    Memory: three float64 volumes, shared by all variances, standard deviations and tSNRs of a
    scan, and the result: one float64 volume. With `detrend`, 6 + 2 `detrend` volumes in place of
    the three.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.std_img("run.nii.gz", ddof=1).shape
    (12, 14, 10)
    """

    _name = "var"

    def __init__(self, ddof: int = 0, *, detrend: int | None = None) -> None:
        self._option = checked_integer(ddof, "ddof")
        self._detrend = None if detrend is None else checked_integer(detrend, "detrend")


class Std(Variance):
    """Standard deviation over time of every voxel, in float64.

    Parameters
    ----------
    ddof : int, default=0
        As in `Variance`.
    detrend : int, optional
        As in `Variance`.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.std_img("run.nii.gz").get_data_dtype().name
    'float64'
    """

    _name = "std"


class TSNR(Variance):
    """Temporal signal-to-noise ratio of every voxel: mean over standard deviation, in float64.

    Voxels that do not vary have no ratio; they are 0, so that background stays 0. The ratio of a
    voxel with an infinite value is NaN.

    Parameters
    ----------
    ddof : int, default=0
        As in `Variance`.
    detrend : int, optional
        As in `Variance`; the mean is that of the values as they are.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.tsnr_img("run.nii.gz").shape
    (12, 14, 10)
    """

    _name = "tsnr"


class AR1(Voxelwise):
    """Autocorrelation of lag one of every voxel, the coefficient of an AR(1) model, in float64.

    It is ``sum(r[1:] * r[:-1]) / sum(r**2)``, the estimate of Yule and Walker, of the residuals ``r``
    of a polynomial trend. 0 where nothing varies.

    Parameters
    ----------
    detrend : int, default=0
        Order of the polynomial: 0 for the mean.

    Notes
    -----
    One pass. Memory: 6 + 2 `detrend` float64 volumes, shared by all statistics with the same
    `detrend`, and the result: one float64 volume.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.ar1_img("run.nii.gz").shape
    (12, 14, 10)
    """

    _name = "ar1"

    def __init__(self, *, detrend: int = 0) -> None:
        self._detrend = checked_integer(detrend, "detrend")


class Median(Voxelwise):
    """Median over time of every voxel, in float64; NaN where a value is NaN.

    Of an even number of volumes it is the mean of the two in the middle, as by NumPy.

    Notes
    -----
    The pass writes all values to a nameless temporary file, in the folder that TMPDIR names, or
    keeps them in memory where they take at most 8 MiB; medians and percentiles of one scan share
    it. Memory: about 12 MiB, and one float64 volume.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.median_img("run.nii.gz").shape
    (12, 14, 10)
    """

    _name = "median"


class Percentile(Voxelwise):
    """Percentile over time of every voxel, in float64; NaN where a value is NaN.

    Between two values it is interpolated linearly, as by `numpy.percentile`.

    Parameters
    ----------
    q : float
        0 to 100.

    Notes
    -----
    Values are kept as those of `Median`.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.percentile_img("run.nii.gz", 90).shape
    (12, 14, 10)
    """

    _name = "percentile"

    def __init__(self, q: float) -> None:
        self._option = checked_percentile(q)

    @override
    def describe(self) -> str:
        return f"Percentile({self._option:g})"
