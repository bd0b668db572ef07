"""Coverage: the part of the voxels of a region that hold signal over a run."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lazyvox._typing import Array, BoolArray, FloatArray, IntArray
from lazyvox.errors import ParameterError

__all__ = ["Coverage", "VoxelsSeen", "checked_coverage"]


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """Voxels of regions, and how many of them hold signal.

    A voxel is covered if it is finite in all volumes, not zero in all of them, and inside of the
    mask that regions are confined to.

    Attributes
    ----------
    n_covered : ndarray of shape (n_regions,), intp
        Covered voxels of each region.
    n_voxels : ndarray of shape (n_regions,), intp
        All voxels of each region, on the grid of the series.
    """

    n_covered: IntArray
    n_voxels: IntArray

    @property
    def fraction(self) -> FloatArray:
        """Covered part of each region, from 0 to 1; 0 for one without voxels."""
        fraction: FloatArray = self.n_covered / np.maximum(self.n_voxels, 1)
        return fraction


class VoxelsSeen:
    """Voxels of a series that were finite, and that were not zero, in the volumes so far.

    Parameters
    ----------
    n_voxels : int
        Number of voxels.
    """

    #: Two flags, and what comparing one volume makes.
    BYTES_PER_VOXEL = 3

    def __init__(self, n_voxels: int) -> None:
        self._is_zero = np.ones(n_voxels, bool)
        self._is_finite = np.ones(n_voxels, bool)
        # A new array for each volume may be memory that is mapped and given back each time.
        self._compared = np.empty(n_voxels, bool)

    def add(self, values: Array) -> None:
        """Take the voxels of one volume."""
        if self._is_zero.any():
            np.equal(values, 0, out=self._compared)
            self._is_zero &= self._compared
        if values.dtype.kind != "f":
            return
        # One sum tells that all are finite, several times faster than asking each.
        with np.errstate(over="ignore", invalid="ignore"):
            is_doubtful = not np.isfinite(values.sum())
        if is_doubtful:
            self._is_finite &= np.isfinite(values, out=self._compared)

    @property
    def flags(self) -> tuple[BoolArray, BoolArray]:
        """Flags of each voxel: zero in all volumes so far, and finite in all of them."""
        return self._is_zero, self._is_finite

    def merge(self, flags: tuple[BoolArray, BoolArray]) -> None:
        """Take over what was seen of other volumes, their `flags`."""
        is_zero, is_finite = flags
        self._is_zero &= is_zero
        self._is_finite &= is_finite

    def count(self, starts: IntArray) -> IntArray:
        """Return the covered voxels of regions that begin at `starts`; none is empty."""
        is_covered = self._is_finite & ~self._is_zero
        return np.add.reduceat(is_covered, starts, dtype=np.intp)


def checked_coverage(min_coverage: Any) -> float | None:
    """Return the least coverage of a region that has values, or say what it must be."""
    if min_coverage is None:
        return None
    is_number = isinstance(min_coverage, int | float | np.number)
    if not is_number or isinstance(min_coverage, bool) or not 0 <= min_coverage <= 1:
        msg = f"`min_coverage` must be a fraction, from 0 to 1. Got {min_coverage!r}."
        raise ParameterError(msg, value=min_coverage)
    return float(min_coverage)
