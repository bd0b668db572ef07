"""Reductions of lazy arrays in one pass: over time, over space, or over both."""

from collections.abc import Callable, Collection
from typing import Any, Self

import numpy as np

from lazyvox._typing import Array, DType, Shape, override
from lazyvox.array.expression import cast, elementwise
from lazyvox.array.lazy_array import LazyArray
from lazyvox.lazyimage.classes import LazyNifti1Image
from lazyvox.lazyimage.series import Grid
from lazyvox.stream.consumer import Consumer
from lazyvox.stream.moments import Variance
from lazyvox.stream.scan import Scan
from lazyvox.stream.voxelwise import Max, Mean, Min, Sum

__all__ = [
    "OVER_TIME",
    "TimeStatistics",
    "as_scannable",
    "reduced_over_space",
    "statistics_over_time",
]

#: What each reduction needs to know about the course of every voxel.
OVER_TIME: dict[str, tuple[str, ...]] = {
    "mean": ("mean",),
    "std": ("mean", "var"),
    "var": ("mean", "var"),
    "sum": ("sum",),
    "min": ("min",),
    "max": ("max",),
    "any": ("max",),
    "all": ("min",),
}

#: Statistics of every voxel over time, by name: volumes of shape (i, j, k).
TimeStatistics = dict[str, Array]


def statistics_over_time(array: LazyArray, names: Collection[str]) -> TimeStatistics:
    """Return statistics over time of every voxel, all of them from one pass.

    Parameters
    ----------
    array : LazyArray
        4D.
    names : collection of str
        Among "mean", "var" (divided by the number of volumes), "sum", "min", "max".

    Returns
    -------
    dict of str to ndarray of shape (i, j, k)
        In the types of the consumers of a scan.

    Notes
    -----
    One pass. Memory: what the consumers hold, and the block buffers.
    """
    makers: dict[str, Callable[[], Consumer[Any]]] = {
        "mean": Mean,
        "var": Variance,
        "sum": Sum,
        "min": Min,
        "max": Max,
    }
    scan = Scan(as_scannable(array))
    handles = {name: scan.add(makers[name]()) for name in sorted(names)}
    scan.run()
    return {name: np.asarray(handle.result().dataobj) for name, handle in handles.items()}


def reduced_over_space(
    array: LazyArray, function: Callable[..., Any], axes: tuple[int, ...], options: dict[str, Any]
) -> Array:
    """Return what a reduction gives for every volume by itself.

    Parameters
    ----------
    array : LazyArray
        4D.
    function : callable
        A function of NumPy with `axis`.
    axes : tuple of int
        Some or all of 0, 1, 2.
    options : dict
        Further keyword arguments of the function.

    Returns
    -------
    ndarray
        As NumPy gives it, volumes last.

    Notes
    -----
    One pass. Memory: the result, three float64 blocks and the block buffers.
    """
    scan = Scan(as_scannable(array))
    result = scan.add(_OverSpace(function, axes, options))
    scan.run()
    return result.result()


def as_scannable(array: LazyArray) -> LazyNifti1Image:
    """Return an image of an array, in a type that images and sums can have."""
    if array.dtype.kind == "b":
        array = elementwise(cast, array, dtype=np.dtype(np.uint8))
    elif array.dtype == np.float16:
        array = elementwise(cast, array, dtype=np.dtype(np.float32))
    native = array.dtype.newbyteorder("=")
    image_class: Any = LazyNifti1Image
    img: LazyNifti1Image = image_class(array, np.eye(4), dtype=native)
    return img


class _OverSpace(Consumer[Array]):
    """A reduction over axes of space, volume by volume."""

    def __init__(
        self, function: Callable[..., Any], axes: tuple[int, ...], options: dict[str, Any]
    ) -> None:
        self._function = function
        self._axes = axes
        self._options = options

    @override
    def init(self, grid: Grid) -> None:
        shape, dtype = self._result_of(grid)
        self._result: Array = np.empty(shape, dtype)
        self._is_seen = np.zeros(grid.n_volumes, bool)

    @override
    def update(self, block: Array, start: int) -> None:
        for place in range(block.shape[3]):
            volume = block[..., place : place + 1]
            reduced = self._function(volume, axis=self._axes, **self._options)
            self._result[..., start + place : start + place + 1] = reduced
        self._is_seen[start : start + block.shape[3]] = True

    @override
    def merge(self, other: Self) -> None:
        self._result[..., other._is_seen] = other._result[..., other._is_seen]
        self._is_seen |= other._is_seen

    @override
    def finalize(self) -> Array:
        return self._result

    @override
    def state_bytes(self, grid: Grid) -> int:
        shape, dtype = self._result_of(grid)
        return int(np.prod(shape, dtype=np.int64)) * dtype.itemsize

    @override
    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        return 3 * 16 * grid.n_voxels

    def _result_of(self, grid: Grid) -> tuple[Shape, DType]:
        example = np.ones((1, 1, 1, 1), grid.dtype)
        with np.errstate(all="ignore"):
            reduced = np.asarray(self._function(example, axis=self._axes, **self._options))
        keeps = reduced.ndim == 4
        lengths = [*grid.shape, grid.n_volumes]
        kept = [1 if i in self._axes else n for i, n in enumerate(lengths)]
        if not keeps:
            kept = [n for i, n in enumerate(lengths) if i not in self._axes]
        return tuple(kept), reduced.dtype
