"""Base class of consumers that gather the voxels of regions: labels and spheres."""

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from lazyvox._typing import Array, FloatArray, IntArray, override
from lazyvox.errors import LazyvoxWarning
from lazyvox.extraction.cleaning import ColumnTable
from lazyvox.extraction.columns import Placement, RegionSummary
from lazyvox.extraction.coverage import Coverage, VoxelsSeen, checked_coverage
from lazyvox.extraction.eigenvariate import KeptVoxels, KeptVoxelsPlan
from lazyvox.extraction.reduction import Regions, Strategies
from lazyvox.extraction.region_table import RegionTable, TableOptions
from lazyvox.extraction.rows import RowsPlan
from lazyvox.extraction.signals import Signals
from lazyvox.extraction.tables import TableSpec
from lazyvox.lazyimage.series import Grid
from lazyvox.runtime.budget import resolve_budget
from lazyvox.stream.gather import VoxelGather, zero_non_finite
from lazyvox.stream.masks import RegionImage

__all__ = ["GatheredRegions", "RegionLayout"]


@dataclass(frozen=True, slots=True, eq=False)
class RegionLayout:
    """Voxels of regions, one region after the other.

    Attributes
    ----------
    index : ndarray of shape (n_voxels,), intp
        Voxels, numbered in Fortran order; those of region r begin at ``starts[r]``.
    starts : ndarray of shape (n_regions,), intp
        Where each region begins; none is empty.
    columns : ndarray of shape (n_regions,), intp
        The place of each region among all; those that are not here stay zero.
    n_voxels : ndarray of shape (n_all_regions,), intp, or None
        Voxels of each of all regions on the grid, before a mask took any away; None where none
        did.
    """

    index: IntArray
    starts: IntArray
    columns: IntArray
    n_voxels: IntArray | None = None

    @property
    def column_of_voxel(self) -> IntArray:
        """The column of each voxel."""
        return np.repeat(self.columns, self.sizes)

    @property
    def sizes(self) -> IntArray:
        """Number of voxels of each region."""
        return np.diff(self.starts, append=len(self.index))


class GatheredRegions(RegionTable):
    """Regions whose voxels are gathered from each volume and reduced to a number, or several.

    Parameters
    ----------
    strategy : str or sequence of str
        Statistics over the voxels of a region, each of which has a column.
    options : TableOptions
        Where the table goes, and which regions have values in it.
    """

    def __init__(self, strategy: str | Sequence[str], options: TableOptions) -> None:
        super().__init__(options)
        self._strategies = Strategies.of(strategy)
        self._min_coverage = checked_coverage(options.min_coverage)
        self._layout: RegionLayout
        self._kept: KeptVoxels | None = None

    @property
    def voxels(self) -> IntArray:
        """Voxels of all regions, numbered in Fortran order; known once the consumer was checked."""
        return self._layout.index

    @property
    def are_means(self) -> bool:
        """True if the mean is the only column of each region, whatever its coverage."""
        return self._strategies.given == ("mean",) and self._min_coverage is None

    @abstractmethod
    def _region_names(self) -> Sequence[str]:
        """Return the name of each region; called after `_prepare`."""

    def _region_labels(self) -> Sequence[int] | None:
        """Return the number of each region."""
        return None

    @override
    def init(self, grid: Grid) -> None:
        super().init(grid)
        n_voxels = len(self._layout.index)
        self._gather = VoxelGather(self._layout.index)
        self._regions = Regions(self._layout.starts, n_voxels, grid.dtype)
        self._seen = VoxelsSeen(n_voxels)
        self._kept = None if self._kept_plan is None else self._kept_plan.open()

    @override
    def update(self, block: Array, start: int) -> None:
        n_volumes = block.shape[3]
        volumes = block.reshape(-1, n_volumes, order="F").T
        part = self._table.part(start, n_volumes)
        for number, (volume, row) in enumerate(zip(volumes, part, strict=True), start):
            self._gather.take(volume, self._regions.gathered)
            self._fill(row, number)
        self._table.add(part, start)

    @property
    @override
    def takes_slabs(self) -> bool:
        return True

    @override
    def update_slab(self, slab: Array, volume: int, k: int) -> None:
        assert self._grid is not None, "bug in lazyvox: update before init"
        self._gather.take_slab(slab, k, self._regions.gathered)
        if k + slab.shape[2] == self._grid.shape[2]:
            part = self._table.part(volume, 1)
            self._fill(part[0], volume)
            self._table.add(part, volume)

    @override
    def merge(self, other: Self) -> None:
        self._seen.merge(other._seen.flags)
        if self._kept is not None and other._kept is not None:
            self._kept.merge(other._kept)
        super().merge(other)

    @override
    def part_step(self, grid: Grid) -> int:
        self.check(grid)
        return 0 if self._kept_plan is not None else super().part_step(grid)

    @override
    def state(self) -> Any:
        return self._seen.flags, super().state()

    @override
    def absorb(self, state: Any) -> None:
        flags, rows = state
        self._seen.merge(flags)
        super().absorb(rows)

    @override
    def finalize(self) -> Signals:
        signals = super().finalize()
        self._let_go()
        return signals

    @override
    def abort(self) -> None:
        super().abort()
        self._let_go()

    def _let_go(self) -> None:
        if self._kept is not None:
            self._kept.close()
        self._kept = None

    @override
    def state_bytes(self, grid: Grid) -> int:
        self.check(grid)
        n_voxels = len(self._layout.index)
        # The index, in order too for slabs, the columns of the placement, and the buffers of one
        # volume.
        per_voxel = 32 + Regions.bytes_per_voxel(grid.dtype) + VoxelsSeen.BYTES_PER_VOXEL
        held = n_voxels * per_voxel
        held += sum(one.values.nbytes for one in self.imgs if isinstance(one, RegionImage))
        held += 0 if self._kept_plan is None else self._kept_plan.state_bytes
        return held + self._rows_plan.state_bytes

    @override
    def scratch_bytes(self, grid: Grid) -> int:
        self.check(grid)
        kept = 0 if self._kept_plan is None else self._kept_plan.scratch_bytes
        return super().scratch_bytes(grid) + kept

    @override
    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        self.check(grid)
        # A slab looks its voxels up: places and values.
        return len(self._layout.index) * 16 + self._rows_plan.work_bytes(block_volumes)

    @override
    def _planned(self, grid: Grid) -> RowsPlan:
        self._kept_plan: KeptVoxelsPlan | None = None
        if self._strategies.eigenvariate is not None:
            spec = TableSpec((grid.n_volumes, len(self._layout.index)), grid.dtype, list)
            self._kept_plan = KeptVoxelsPlan(spec, self._layout.sizes, resolve_budget(None))
        return replace(
            super()._planned(grid),
            fill=None if self._kept_plan is None else self._fill_eigenvariates,
            blank=None if self._min_coverage is None else self._blank,
        )

    @override
    def _column_names(self) -> Sequence[str]:
        return self._strategies.column_names(self._region_names())

    @override
    def _labels(self) -> Sequence[int] | None:
        labels = self._region_labels()
        return None if labels is None else [one for one in labels for _ in self._strategies.given]

    @override
    def _placement(self) -> Placement:
        return Placement(self._layout.index, self._layout.column_of_voxel)

    @override
    def _summary(self) -> RegionSummary:
        coverage = self._coverage()
        if self._min_coverage is not None:
            self._warn_of_uncovered(coverage.fraction, self._min_coverage)
        names, labels = self._region_names(), self._region_labels()
        return RegionSummary(
            tuple(names),
            None if labels is None else tuple(labels),
            self._strategies.given,
            coverage,
        )

    def _coverage(self) -> Coverage:
        """Return the coverage of all regions; called after the last volume."""
        n_regions = len(self._region_names())
        covered, sizes = np.zeros(n_regions, np.intp), np.zeros(n_regions, np.intp)
        if len(self._layout.columns):
            covered[self._layout.columns] = self._seen.count(self._layout.starts)
            sizes[self._layout.columns] = self._layout.sizes
        return Coverage(covered, sizes if self._layout.n_voxels is None else self._layout.n_voxels)

    def _fill_eigenvariates(self, table: ColumnTable) -> None:
        """Compute what needs all volumes."""
        place = self._strategies.eigenvariate
        assert self._kept is not None, "bug in lazyvox: no voxels were kept"
        assert place is not None, "bug in lazyvox: no eigenvariate is wanted"
        columns = self._layout.columns * len(self._strategies) + place
        self._kept.fill(table, columns, self._layout.starts)

    def _blank(self, table: ColumnTable) -> None:
        """Put NaN into the columns of regions of too little coverage."""
        assert self._min_coverage is not None, "bug in lazyvox: nothing to blank"
        n_each = len(self._strategies)
        for region in np.flatnonzero(self._coverage().fraction < self._min_coverage).tolist():
            first = region * n_each
            values = table.read_columns(first, first + n_each)
            values[...] = np.nan
            table.write_columns(first, values)

    def _warn_of_uncovered(self, fraction: FloatArray, least: float) -> None:
        """Name the regions that have no values."""
        names = self._region_names()
        low = np.flatnonzero(fraction < least).tolist()
        if not low:
            return
        shown = ", ".join(f"{names[region]} ({fraction[region]:.2g})" for region in low[:6])
        msg = (
            f"{len(low)} of {len(names)} regions are covered by less than {least:g} of their "
            f"voxels, and have no values (n/a): {shown}{', ...' * (len(low) > 6)}."
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=2)

    def _fill(self, row: Array, volume: int) -> None:
        """Reduce the gathered voxels into a row of the table."""
        self._seen.add(self._regions.gathered)
        if self._ensure_finite:
            zero_non_finite(self._regions.gathered)
        if self._kept is not None:
            self._kept.add(volume, self._regions.gathered)
        columns = self._layout.columns
        # A view: a row is contiguous.
        by_region = row.reshape(-1, len(self._strategies))
        if len(columns) < len(by_region):
            by_region[:] = 0
        if len(columns):
            for place, strategy in self._strategies.of_volumes:
                by_region[columns, place] = self._regions.reduce(strategy)
