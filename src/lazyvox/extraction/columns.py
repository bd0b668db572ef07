"""Columns of a table of signals: the voxels that they belong to, and the regions."""

from dataclasses import dataclass

import numpy as np

from lazyvox._typing import Array, IntArray, Shape
from lazyvox.extraction.coverage import Coverage
from lazyvox.extraction.linear_maps import LinearMaps

__all__ = ["Placement", "RegionSummary"]


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Voxels of the columns of a table.

    Attributes
    ----------
    index : ndarray of shape (n,), intp
        Voxels, numbered in Fortran order.
    column : ndarray of shape (n,), intp, or None
        The column of each; None where voxel n is column n, or where there are `maps`.
    share : ndarray of shape (n,), or None
        What each entry adds to its voxel, where voxels are listed more than once.
    maps : LinearMaps or None
        Weights of all columns at each voxel.
    """

    index: IntArray
    column: IntArray | None = None
    share: Array | None = None
    maps: LinearMaps | None = None

    @property
    def is_of_voxels(self) -> bool:
        """True if each column is one voxel."""
        return self.column is None and self.maps is None

    def fill(self, full: Array, lines: Array) -> None:
        """Put signals, of shape (n_volumes, n_columns), at their voxels of volumes of zeros."""
        if self.maps is not None:
            full[:, self.index] = self.maps.combine(lines)
        elif self.share is not None and self.column is not None:
            values = lines[:, self.column] * self.share
            np.add.at(full.T, self.index, values.T.astype(full.dtype, copy=False))
        else:
            full[:, self.index] = lines if self.column is None else lines[:, self.column]

    def voxel_names(self, shape: Shape) -> list[str]:
        """Return the indices of every voxel as text, such as "12_3_40"."""
        ijk = np.stack(np.unravel_index(self.index, shape, order="F"), axis=1)
        return [f"{i}_{j}_{k}" for i, j, k in ijk.tolist()]


@dataclass(frozen=True, slots=True, eq=False)
class RegionSummary:
    """Regions of a table of signals, each of which has a column for each strategy.

    Attributes
    ----------
    names : tuple of str
        Name of each region.
    labels : tuple of int, or None
        Its label.
    strategies : tuple of str
        Statistics over its voxels.
    coverage : Coverage
        Its voxels, and how many of them hold signal.
    """

    names: tuple[str, ...]
    labels: tuple[int, ...] | None
    strategies: tuple[str, ...]
    coverage: Coverage

    def coverage_rows(self) -> list[tuple[str, int | str, int, int, float]]:
        """Return name, label, voxels, covered voxels and coverage of each region."""
        labels = self.labels or ("n/a",) * len(self.names)
        found = self.coverage
        columns = (found.n_voxels.tolist(), found.n_covered.tolist(), found.fraction.tolist())
        return list(zip(self.names, labels, *columns, strict=True))
