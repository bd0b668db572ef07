"""Consumers with one value per voxel: the reductions over time of `lazyvox.array.reductions`."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from lazyvox._typing import Array, override
from lazyvox.array.reduction_states import State
from lazyvox.array.reductions import REDUCTIONS, Reduction
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.lazyimage.classes import LazyImage, image_like
from lazyvox.lazyimage.series import Grid, name_of
from lazyvox.stream.consumer import Consumer, ResultT

__all__ = ["TSNR", "Max", "Mean", "Min", "OneVolume", "Std", "Sum", "Variance", "Voxelwise"]


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


class Voxelwise(OneVolume[LazyImage]):
    """Base class of the consumers whose result is the image of a reduction over time."""

    _name: ClassVar[str]
    _ddof: int = 0
    _leader: "Voxelwise | None" = None

    @override
    def check(self, grid: Grid) -> None:
        reduction = self._reduction
        if not reduction.takes(grid.dtype):
            wanted = {"ordered": "voxels that can be ordered"}.get(reduction.needs, "real voxels")
            msg = f"{type(self).__name__} needs {wanted}. Got {grid.dtype}."
            raise ParameterTypeError(msg)

    @override
    def lean_on(self, consumers: Sequence[Consumer[Any]]) -> None:
        self._leader = None
        # The states of others are used up by their results.
        if self._reduction.family != "moments":
            return
        families = (one for one in consumers if isinstance(one, Voxelwise))
        first = next(one for one in families if one._reduction.family == "moments")
        self._leader = None if first is self else first

    @override
    def init(self, grid: Grid) -> None:
        self._grid = grid
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
        state = self._state if self._leader is None else self._leader._state
        try:
            values = self._reduction.finalize(state, self._ddof)
        except ParameterError as error:
            raise error.at(name_of(self._grid.template)) from error
        return image_like(self._grid.template, values, self._grid.affine, is_new_kind=True)

    @override
    def state_bytes(self, grid: Grid) -> int:
        if self._leader is not None:
            return 8 * self._reduction.n_extra * grid.n_voxels
        return self._reduction.nbytes(grid.shape, grid.dtype, grid.n_volumes)

    @property
    def _reduction(self) -> Reduction:
        return REDUCTIONS[self._name]


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

    Notes
    -----
    Memory: three float64 volumes, shared by all variances, standard deviations and tSNRs of a
    scan, and the result: one float64 volume.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.std_img("run.nii.gz", ddof=1).shape
    (12, 14, 10)
    """

    _name = "var"

    def __init__(self, ddof: int = 0) -> None:
        if isinstance(ddof, bool) or not isinstance(ddof, int | np.integer):
            msg = f"`ddof` must be an integer. Got {ddof!r}."
            raise ParameterTypeError(msg)
        if ddof < 0:
            msg = f"`ddof` must be 0 or larger. Got {ddof}."
            raise ParameterError(msg)
        self._ddof = int(ddof)


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

    _name = "std"


class TSNR(Variance):
    """Temporal signal-to-noise ratio of every voxel: mean over standard deviation, in float64.

    Voxels that do not vary have no ratio; they are 0, so that background stays 0. The ratio of a
    voxel with an infinite value is NaN.

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

    _name = "tsnr"
