"""One value per voxel over time: sum, mean, minimum, maximum."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from lazyvox._typing import Array, DType, override
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.lazyimage.classes import LazyImage
from lazyvox.lazyimage.derive import image_on_grid
from lazyvox.lazyimage.series import Grid
from lazyvox.stream.consumer import Consumer

__all__ = ["Max", "Mean", "Min", "Sum", "Voxelwise"]


class Voxelwise(Consumer[LazyImage]):
    """Base of the consumers whose result is one volume; feeds one part of a volume at a time."""

    _grid: Grid

    @override
    def init(self, grid: Grid) -> None:
        self._grid = grid
        self._start()

    @override
    def update(self, block: Array, start: int) -> None:
        everything = slice(0, block.shape[2])
        for i in range(block.shape[3]):
            self._take(block[..., i], everything, start + i)

    @property
    @override
    def takes_slabs(self) -> bool:
        return True

    @override
    def update_slab(self, slab: Array, volume: int, k: int) -> None:
        self._take(slab[..., 0], slice(k, k + slab.shape[2]), volume)

    @abstractmethod
    def _start(self) -> None:
        """Make the state for a new pass."""

    @abstractmethod
    def _take(self, values: Array, slices: slice, volume: int) -> None:
        """Take some slices of one volume."""

    def _image(self, values: Array) -> LazyImage:
        return image_on_grid(self._grid.template, values, self._grid.affine)


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

    @override
    def _start(self) -> None:
        self._total = np.zeros(self._grid.shape, _sum_dtype(self._grid.dtype), order="F")
        # 8-byte integers can overflow their sum: their upper halves are summed apart.
        is_wide = self._grid.dtype.kind in "iu" and self._grid.dtype.itemsize == 8
        self._high = np.zeros(self._grid.shape, np.int64, order="F") if is_wide else None

    @override
    def _take(self, values: Array, slices: slice, volume: int) -> None:
        total = self._total[..., slices]
        if self._high is None:
            np.add(total, values, out=total)
            return
        high = self._high[..., slices]
        upper = values >> 32
        np.add(high, upper.astype(np.int64), out=high)
        np.add(total, values - (upper << 32), out=total)

    @override
    def merge(self, other: Self) -> None:
        self._total += other._total
        if self._high is not None and other._high is not None:
            self._high += other._high

    @override
    def finalize(self) -> LazyImage:
        if self._high is None:
            return self._image(self._total)
        limits = np.iinfo(self._total.dtype)
        high, low = self._high, self._total
        carried = high + (low >> 32).astype(np.int64)
        if carried.min() < limits.min >> 32 or carried.max() > limits.max >> 32:
            msg = (
                f"the sum of {self._grid.dtype} voxels must fit 64 bits, and one does not. Load "
                f"the image with dtype=numpy.float64."
            )
            raise ParameterError(msg)
        exact = (high.astype(low.dtype) << 32) + low
        return self._image(exact)

    @override
    def state_bytes(self, grid: Grid) -> int:
        size = _sum_dtype(grid.dtype).itemsize * grid.n_voxels
        return size if grid.dtype.itemsize < 8 or grid.dtype.kind not in "iu" else 5 * size

    @override
    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        is_wide = grid.dtype.itemsize == 8 and grid.dtype.kind in "iu"
        return 4 * 8 * grid.n_voxels if is_wide else 0


class Mean(Voxelwise):
    """Mean over time of every voxel, accumulated in float64 (complex128 for complex voxels).

    The result is a float64 image, bit-identical for every block size.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.mean_img("run.nii.gz").get_data_dtype().name
    'float64'
    """

    @override
    def _start(self) -> None:
        self._total = np.zeros(self._grid.shape, _mean_dtype(self._grid.dtype), order="F")
        self._n_volumes = 0

    @override
    def _take(self, values: Array, slices: slice, volume: int) -> None:
        total = self._total[..., slices]
        np.add(total, values, out=total)
        self._n_volumes += slices.start == 0

    @override
    def merge(self, other: Self) -> None:
        self._total += other._total
        self._n_volumes += other._n_volumes

    @override
    def finalize(self) -> LazyImage:
        np.divide(self._total, self._n_volumes, out=self._total)
        return self._image(self._total)

    @override
    def state_bytes(self, grid: Grid) -> int:
        return _mean_dtype(grid.dtype).itemsize * grid.n_voxels


class _Extremum(Voxelwise):
    """Base of Min and Max: the type of the voxels is kept, NaN is passed on, as in NumPy."""

    _pick: Callable[..., Any]

    @override
    def check(self, grid: Grid) -> None:
        if grid.dtype.kind == "c":
            msg = f"{type(self).__name__} needs voxels that can be ordered. Got {grid.dtype}."
            raise ParameterTypeError(msg)

    @override
    def _start(self) -> None:
        self._best = np.empty(self._grid.shape, self._grid.dtype, order="F")
        self._seen = [False] * max(self._grid.shape[2], 1)

    @override
    def _take(self, values: Array, slices: slice, volume: int) -> None:
        best = self._best[..., slices]
        if self._seen[slices.start]:
            type(self)._pick(best, values, out=best)
        else:
            best[...] = values
            self._seen[slices] = [True] * (slices.stop - slices.start)

    @override
    def merge(self, other: Self) -> None:
        type(self)._pick(self._best, other._best, out=self._best)

    @override
    def finalize(self) -> LazyImage:
        return self._image(self._best)

    @override
    def state_bytes(self, grid: Grid) -> int:
        return grid.volume_bytes


class Min(_Extremum):
    """Smallest value over time of every voxel, in the type of the voxels.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.min_img("run.nii.gz").shape
    (12, 14, 10)
    """

    _pick = staticmethod(np.minimum)


class Max(_Extremum):
    """Largest value over time of every voxel, in the type of the voxels.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.max_img("run.nii.gz").shape
    (12, 14, 10)
    """

    _pick = staticmethod(np.maximum)


def _sum_dtype(dtype: DType) -> DType:
    if dtype.kind == "f" and dtype.itemsize < 8:
        return np.dtype(np.float64)
    if dtype.kind == "c" and dtype.itemsize < 16:
        return np.dtype(np.complex128)
    summed: DType = np.add.reduce(np.zeros(1, dtype)).dtype
    return summed


def _mean_dtype(dtype: DType) -> DType:
    joint: DType = np.result_type(dtype, np.float64)
    return joint
