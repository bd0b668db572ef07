"""Values that are not finite, and volumes of zeros, counted in a pass."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from lazyvox._typing import Array, BoolArray, IntArray, override
from lazyvox.lazyimage.series import Grid
from lazyvox.stream.consumer import Consumer

__all__ = ["Findings", "FindingsConsumer"]


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """Oddities in the values of every volume.

    Attributes
    ----------
    n_non_finite : ndarray of shape (n_volumes,), int64
        Values that are NaN or infinite.
    is_zero : ndarray of shape (n_volumes,), bool
        Whether all values are 0.
    """

    n_non_finite: IntArray
    is_zero: BoolArray

    @property
    def n_zero_at_end(self) -> int:
        """Volumes of zeros at the end, as interrupted copies have them."""
        filled = np.flatnonzero(~self.is_zero)
        return len(self.is_zero) - (int(filled[-1]) + 1 if filled.size else 0)


class FindingsConsumer(Consumer[Findings]):
    """Count what `Findings` holds.

    Parameters
    ----------
    room : int, default=0
        Bytes to keep free besides: those of figures that are drawn while results are held.
    """

    def __init__(self, room: int = 0) -> None:
        self._room = room

    @override
    def init(self, grid: Grid) -> None:
        self._n_non_finite = np.zeros(grid.n_volumes, np.int64)
        self._is_zero = np.ones(grid.n_volumes, bool)

    @override
    def update(self, block: Array, start: int) -> None:
        for i in range(block.shape[3]):
            self._take(block[..., i], start + i)

    @property
    @override
    def takes_slabs(self) -> bool:
        return True

    @override
    def update_slab(self, slab: Array, volume: int, k: int) -> None:
        self._take(slab, volume)

    def _take(self, values: Array, volume: int) -> None:
        if values.dtype.kind in "fc":
            n_finite = np.count_nonzero(np.isfinite(values))
            self._n_non_finite[volume] += values.size - int(n_finite)
        if self._is_zero[volume]:
            self._is_zero[volume] = not values.any()

    @override
    def merge(self, other: Self) -> None:
        self._n_non_finite += other._n_non_finite
        self._is_zero &= other._is_zero

    @override
    def finalize(self) -> Findings:
        return Findings(self._n_non_finite, self._is_zero)

    @override
    def state_bytes(self, grid: Grid) -> int:
        return 9 * grid.n_volumes + self._room

    @override
    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        return grid.n_voxels

    @override
    def describe(self) -> str:
        return "checks, and room for figures" if self._room else "checks"
