"""Histogram of all voxels of a series."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from lazyvox._typing import Array, override
from lazyvox.array.value_range import ValueRange
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.lazyimage.series import Grid
from lazyvox.stream.consumer import Consumer, check_real

__all__ = ["Extent", "Histogram"]


class Extent(Consumer[tuple[float, float]]):
    """Smallest and largest value of a series, NaN if one voxel is NaN.

    Parameters
    ----------
    finite : bool, default=False
        Whether values that are not finite are left out; (0, 0) if none is left.
    """

    def __init__(self, *, finite: bool = False) -> None:
        self._finite = finite

    @override
    def init(self, grid: Grid) -> None:
        self._seen = ValueRange("not finite" if self._finite else "")

    @override
    def update(self, block: Array, start: int) -> None:
        self._seen.take(block)

    @property
    @override
    def takes_slabs(self) -> bool:
        return True

    @override
    def update_slab(self, slab: Array, volume: int, k: int) -> None:
        self._seen.take(slab)

    @override
    def merge(self, other: Self) -> None:
        self._seen.merge(other._seen)

    @override
    def finalize(self) -> tuple[float, float]:
        return self._seen.limits

    @override
    def state_bytes(self, grid: Grid) -> int:
        return 1024

    @override
    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        # A mask and the values that it leaves.
        itemsize = 1 + grid.dtype.itemsize
        return block_volumes * grid.n_voxels * itemsize if self._finite else 0


class Histogram(Consumer[tuple[Array, Array]]):
    """Histogram of all voxels of all volumes: the pair (counts, edges) of `numpy.histogram`.

    Parameters
    ----------
    bins : int or sequence of float, default=256
        Number of equal bins, or the edges.
    range : (float, float), optional
        Lower and upper end of the bins. Without it, and without edges, an extra pass over the
        file finds the smallest and the largest value.

    Notes
    -----
    NaN is counted in no bin. Counts are exact and do not depend on the block size.

    Examples
    --------
    >>> import lazyvox as lv
    >>> counts, edges = lv.histogram("run.nii.gz", bins=16)
    >>> int(counts.sum()), edges.shape
    (67200, (17,))
    """

    def __init__(
        self,
        bins: int | Sequence[float] = 256,
        range: tuple[float, float] | None = None,
    ) -> None:
        self._bins = bins
        # The numbers as they are given: float32 limits have other edges than float64 ones.
        self._range: tuple[Any, Any] | None = None if range is None else (range[0], range[1])
        _check_bins(bins)
        if self._range is not None and not -np.inf < self._range[0] <= self._range[1] < np.inf:
            msg = (
                f"`range` must be (lower, upper), both finite, the lower one first. Got "
                f"{self._range}."
            )
            raise ParameterError(msg)
        self._found: tuple[Any, Any] | None = None

    @override
    def check(self, grid: Grid) -> None:
        check_real(grid, "Histogram needs")
        self._dtype = grid.dtype
        if self._range is not None:
            self._edges_of(self._range)

    @override
    def prepass(self, grid: Grid) -> Consumer[Any] | None:
        needs_range = isinstance(self._bins, int | np.integer) and self._range is None
        return Extent() if needs_range else None

    @override
    def configure(self, result: Any) -> None:
        if not np.isfinite(result).all():
            msg = (
                f"without `range`, all voxels must be finite. Got values from {result[0]} to "
                f"{result[1]}."
            )
            raise ParameterError(msg, hint="Pass range=(lower, upper).")
        # As numpy.histogram has them, the limits are values of the series.
        low, high = np.array(result, self._dtype)
        self._found = low, high
        self._edges_of(self._found)

    @override
    def init(self, grid: Grid) -> None:
        self._dtype = grid.dtype
        self._limits = self._range or self._found or (0.0, 1.0)
        self._edges = self._edges_of(self._limits)
        self._counts = np.zeros(len(self._edges) - 1, np.int64)

    @override
    def update(self, block: Array, start: int) -> None:
        values = block.reshape(-1, order="F")
        self._counts += np.histogram(values, self._bins, self._limits)[0]

    @property
    @override
    def takes_slabs(self) -> bool:
        return True

    @override
    def update_slab(self, slab: Array, volume: int, k: int) -> None:
        self.update(slab, volume)

    @override
    def merge(self, other: Self) -> None:
        self._counts += other._counts

    @override
    def finalize(self) -> tuple[Array, Array]:
        return self._counts, self._edges

    @override
    def state_bytes(self, grid: Grid) -> int:
        n_bins = self._bins if isinstance(self._bins, int | np.integer) else len(self._bins)
        return 4 * 8 * (int(n_bins) + 1)

    @override
    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        # numpy.histogram works through pieces of 65,536 values, with some ten arrays of them.
        return 10 * 8 * 65_536

    def _edges_of(self, limits: tuple[Any, Any]) -> Array:
        """Return the edges in the type in which numpy.histogram compares."""
        try:
            return np.histogram_bin_edges(np.empty(0, self._dtype), self._bins, limits)
        except ValueError as error:
            msg = (
                f"the `bins` must be wider than the digits of {self._dtype}. Got {self._bins} bins "
                f"from {limits[0]} to {limits[1]}."
            )
            raise ParameterError(msg, hint="Pass fewer bins, or a wider range.") from error


def _check_bins(bins: Any) -> None:
    if isinstance(bins, int | np.integer) and not isinstance(bins, bool):
        if bins < 1:
            msg = f"`bins` must be at least 1. Got {bins}."
            raise ParameterError(msg)
        return
    edges = np.asarray(bins)
    if edges.ndim != 1 or edges.dtype.kind not in "iuf":
        msg = f"`bins` must be an integer or a sequence of edges. Got {bins!r}."
        raise ParameterTypeError(msg)
    if len(edges) < 2 or not (np.diff(edges) >= 0).all():
        msg = f"the edges in `bins` must be at least two, and ascend. Got {edges.tolist()}."
        raise ParameterError(msg)
