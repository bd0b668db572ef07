"""Base class of consumers with one column per region: labels, spheres, maps."""

import copy
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lazyvox._typing import Array, PathLike, override
from lazyvox.errors import ParameterError
from lazyvox.extraction.cleaning import Cleaning
from lazyvox.extraction.columns import Placement, RegionSummary
from lazyvox.extraction.rows import FileRows, Rows, RowsPlan
from lazyvox.extraction.signals import Signals
from lazyvox.extraction.tables import TableSpec, check_target
from lazyvox.lazyimage.series import Grid
from lazyvox.store.files.paths import absolute_path
from lazyvox.stream.consumer import Consumer, check_real

__all__ = ["RegionTable", "TableOptions"]


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
    min_coverage : float, optional
        Part of its voxels that must hold signal for a region to have values.
    """

    dtype: npt.DTypeLike | None = None
    out: PathLike | None = None
    overwrite: bool = False
    ensure_finite: bool = False
    min_coverage: float | None = None


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

    def _summary(self) -> RegionSummary | None:
        """Return what is known of the regions besides their signals, after the last volume."""
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
        check_real(grid, f"{type(self).__name__} needs")
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
    def part_step(self, grid: Grid) -> int:
        return 1 if self._out is None else 0

    @override
    def state(self) -> Any:
        rows = self._table
        assert not isinstance(rows, FileRows), "bug in lazyvox: rows of a file do not travel"
        return rows.taken()

    @override
    def absorb(self, state: Any) -> None:
        rows = self._table
        assert not isinstance(rows, FileRows), "bug in lazyvox: rows of a file do not travel"
        rows.absorb(state)

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
            regions=self._summary(),
            volumes=None if self._cleaning is None else self._cleaning.volumes,
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

        Raises
        ------
        ParameterError
            If values depend on volumes that are still to come.
        """
        if self._rows_plan.is_completed:
            msg = (
                "signals that are used while the images are read must not depend on later volumes: "
                "neither on `strategy` 'eigenvariate' nor on `min_coverage`."
            )
            raise ParameterError(msg)
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
