"""Base class of consumers with one column per region: labels, spheres, maps."""

import copy
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lazyvox._typing import Array, IntArray, PathLike, override
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.extraction.cleaning import Cleaning
from lazyvox.extraction.reduction import Regions, Strategy
from lazyvox.extraction.rows import Rows, RowsPlan
from lazyvox.extraction.signals import Placement, Signals
from lazyvox.extraction.tables import TableSpec, check_target
from lazyvox.lazyimage.series import Grid
from lazyvox.store.files.paths import absolute_path
from lazyvox.stream.consumer import Consumer
from lazyvox.stream.gather import VoxelGather, zero_non_finite
from lazyvox.stream.masks import RegionImage

__all__ = ["GatheredRegions", "RegionLayout", "RegionTable", "TableOptions"]


@dataclass(frozen=True, slots=True)
class TableOptions:
    """Path, format and type of the table of a consumer.

    Attributes
    ----------
    dtype : dtype-like, optional
        float64, the default, or float32.
    out : path-like, optional
        File that is written while the series is read.
    overwrite : bool
        Whether an existing file may be replaced.
    ensure_finite : bool
        Whether NaN and infinite voxels count as zero.
    """

    dtype: npt.DTypeLike | None = None
    out: PathLike | None = None
    overwrite: bool = False
    ensure_finite: bool = False


class RegionTable(Consumer[Signals]):
    """A table with one column per region, filled while the series is read.

    A class that derives from this one reads its regions in `_prepare`, and fills rows.

    Parameters
    ----------
    options : TableOptions
        Where the table goes.
    """

    def __init__(self, options: TableOptions) -> None:
        self._dtype = np.dtype(np.float64 if options.dtype is None else options.dtype)
        if self._dtype not in {np.dtype(np.float64), np.dtype(np.float32)}:
            msg = f"`dtype` must be float64 or float32. Got {self._dtype}."
            raise ParameterError(msg)
        self._out = None if options.out is None else absolute_path(options.out)
        self._overwrite = options.overwrite
        self._ensure_finite = options.ensure_finite
        self._cleaning: Cleaning | None = None
        self._grid: Grid | None = None
        self._rows: Rows | None = None
        self._rows_plan: RowsPlan

    @property
    @abstractmethod
    def imgs(self) -> list[Any]:
        """The images that define the regions, as they were given."""

    @abstractmethod
    def _prepare(self, grid: Grid) -> None:
        """Read the regions and place them on a grid."""

    @abstractmethod
    def _column_names(self) -> Sequence[str]:
        """Return the name of each column; called after `_prepare`."""

    @abstractmethod
    def _placement(self) -> Placement:
        """Return which voxels belong to each column."""

    def _labels(self) -> Sequence[int] | None:
        """Return the number of each column's region."""
        return None

    def writing_to(self, out: PathLike, *, overwrite: bool = False) -> Self:
        """Return the same consumer with another output.

        Parameters
        ----------
        out : path-like
            The file.
        overwrite : bool, default=False
            Whether an existing file may be replaced.

        Returns
        -------
        Consumer
            A new consumer.
        """
        other = copy.copy(self)
        other._out, other._overwrite = absolute_path(out), overwrite
        other._grid, other._rows = None, None
        return other

    def cleaned_by(self, cleaning: Cleaning) -> Self:
        """Return the same consumer with signals that are cleaned before they are handed out.

        Parameters
        ----------
        cleaning : Cleaning
            What is done to the signals, for a series of the same length.

        Returns
        -------
        Consumer
            A new consumer.
        """
        other = copy.copy(self)
        other._cleaning = cleaning
        other._grid, other._rows = None, None
        return other

    @override
    def check(self, grid: Grid) -> None:
        if grid.dtype.kind == "c":
            msg = f"{type(self).__name__} needs real voxels. Got {grid.dtype}."
            raise ParameterTypeError(msg)
        if self._grid is not grid:
            self._prepare(grid)
            self._rows_plan = self._planned(grid)
            self._check_target()
            self._grid = grid

    @override
    def init(self, grid: Grid) -> None:
        self.check(grid)
        self._check_target()
        self._rows = self._rows_plan.open()

    @override
    def merge(self, other: Self) -> None:
        self._table.merge(other._table)

    @override
    def finalize(self) -> Signals:
        assert self._grid is not None, "bug in lazyvox: finalize before init"
        values = self._table.finish()
        self._rows = None
        return Signals(
            values,
            grid=self._grid,
            placement=self._placement(),
            names=self._column_names(),
            labels=self._labels(),
        )

    @property
    @override
    def publishes(self) -> bool:
        return self._out is not None

    @override
    def abort(self) -> None:
        if self._rows is not None:
            self._rows.abort()
        self._rows = None

    @property
    @override
    def steps(self) -> tuple[str, ...]:
        return () if self._cleaning is None else self._cleaning.cleaner.steps

    @override
    def scratch_bytes(self, grid: Grid) -> int:
        self.check(grid)
        return self._rows_plan.scratch_bytes

    @property
    def column_names(self) -> Sequence[str]:
        """Name of each column; known once the consumer was checked against a grid."""
        return self._column_names()

    def rows_taken(self, start: int, stop: int) -> Array:
        """Return rows of volumes that were taken, of a table that is in memory and not cleaned.

        Parameters
        ----------
        start, stop : int
            Numbers of the volumes.

        Returns
        -------
        ndarray of shape (n, n_columns)
            A view of the table.
        """
        return self._table.part(start, stop - start)

    @property
    def _table(self) -> Rows:
        assert self._rows is not None, "bug in lazyvox: no table was begun"
        return self._rows

    def _planned(self, grid: Grid) -> RowsPlan:
        names, dtype = self._column_names(), self._dtype
        if self._cleaning is not None:
            dtype = self._cleaning.table_dtype(dtype)
        spec = TableSpec((grid.n_volumes, len(names)), dtype, partial(list, names))
        return RowsPlan(spec, self._out, self._overwrite, self._cleaning)

    def _check_target(self) -> None:
        """Raise if the table cannot be written."""
        if self._out is not None:
            check_target(self._out, self._rows_plan.spec.dtype, overwrite=self._overwrite)


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
        The column of each region. Columns without a region stay zero.
    """

    index: IntArray
    starts: IntArray
    columns: IntArray

    @property
    def column_of_voxel(self) -> IntArray:
        """The column of each voxel."""
        return np.repeat(self.columns, np.diff(self.starts, append=len(self.index)))


class GatheredRegions(RegionTable):
    """Regions whose voxels are gathered from each volume and reduced to one number.

    Parameters
    ----------
    strategy : str
        Statistic over the voxels of a region.
    options : TableOptions
        Where the table goes.
    """

    def __init__(self, strategy: Strategy, options: TableOptions) -> None:
        super().__init__(options)
        self._strategy = strategy
        self._layout: RegionLayout

    @override
    def init(self, grid: Grid) -> None:
        super().init(grid)
        self._gather = VoxelGather(self._layout.index)
        self._regions = Regions(self._layout.starts, len(self._layout.index), grid.dtype)

    @override
    def update(self, block: Array, start: int) -> None:
        n_volumes = block.shape[3]
        volumes = block.reshape(-1, n_volumes, order="F").T
        part = self._table.part(start, n_volumes)
        gathered = self._regions.gathered
        for volume, row in zip(volumes, part, strict=True):
            self._gather.take(volume, gathered)
            self._fill(row)
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
            self._fill(part[0])
            self._table.add(part, volume)

    @override
    def state_bytes(self, grid: Grid) -> int:
        self.check(grid)
        n_voxels = len(self._layout.index)
        # The index, in order too for slabs, the columns of the placement, and the buffers of one
        # volume.
        held = n_voxels * (32 + Regions.bytes_per_voxel(grid.dtype))
        held += sum(one.values.nbytes for one in self.imgs if isinstance(one, RegionImage))
        return held + self._rows_plan.state_bytes

    @override
    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        self.check(grid)
        # A slab looks its voxels up: places and values.
        return len(self._layout.index) * 16 + self._rows_plan.work_bytes(block_volumes)

    @override
    def _placement(self) -> Placement:
        return Placement(self._layout.index, self._layout.column_of_voxel)

    def _fill(self, row: Array) -> None:
        """Reduce the gathered voxels into a row of the table."""
        if self._ensure_finite:
            zero_non_finite(self._regions.gathered)
        if len(self._layout.columns) < len(row):
            row[:] = 0
        if len(self._layout.columns):
            row[self._layout.columns] = self._regions.reduce(self._strategy)
