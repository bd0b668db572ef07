"""Cleaning of the courses that seed maps relate: by regression in one pass, or through the spool."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lazyvox._typing import FloatArray, IntArray
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.spool import SpooledReader
from lazyvox.errors import ParameterError
from lazyvox.extraction.cleaning import CleaningOptions
from lazyvox.image.cleaning import MOST_THREADS, CleaningJob
from lazyvox.lazyimage.series import Series
from lazyvox.planning.arguments import check_choice, checked_integer
from lazyvox.runtime.cores import numeric_threads
from lazyvox.seedmaps.space import Band, CleanSpace, clean_space
from lazyvox.signal.cleaner import Cleaner
from lazyvox.signal.options import check_number, check_seconds
from lazyvox.signal.volumes import RunVolumes

__all__ = ["FILTERS", "CleanedSeries", "SeedCleaning"]

#: Kinds of filters; all but the last are regressions.
FILTERS = ("fourier", "cosine", "butterworth")


@dataclass(frozen=True, slots=True, eq=False)
class CleanedSeries:
    """A series, and what is still to be removed of its courses.

    Attributes
    ----------
    series : Series
        The volumes to read.
    spaces : tuple of CleanSpace
        One for each run.
    n_lost : int
        Dimensions that were removed of the courses of the series already.
    """

    series: Series
    spaces: tuple[CleanSpace, ...]
    n_lost: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class SeedCleaning:
    """Cleaning of the courses of voxels and seeds; see `lazyvox.seed_map`.

    Attributes
    ----------
    confounds : array-like, table, path, or list of these, optional
        Signals to remove.
    sample_mask : array-like, optional
        The volumes to keep.
    drift_order : int or None
        Order of the polynomials to remove; None is 0, the mean.
    high_pass, low_pass : float or None
        Cutoffs in Hz.
    filter : {"fourier", "cosine", "butterworth"}
        Kind of filter.
    t_r : float or None
        Seconds between volumes; None takes those of the header.
    runs : array-like, "joined" or None
        The run of each volume; None takes each image of a list for a run.
    censored : {"drop", "keep"}
        Treatment of the volumes that confounds censor.
    """

    confounds: Any = None
    sample_mask: Any = None
    drift_order: int | None = None
    high_pass: float | None = None
    low_pass: float | None = None
    filter: str = "fourier"
    t_r: float | None = None
    runs: Any = None
    censored: str = "drop"

    @property
    def is_spooled(self) -> bool:
        """True if voxels wait in a spool to be filtered."""
        return self.filter == "butterworth" and self._is_filtered

    def prepare(
        self, series: Series, budget: int, needed: IntArray | None = None
    ) -> CleanedSeries:
        """Check the options against a series, and work out what does not depend on its voxels.

        Parameters
        ----------
        series : Series
            All volumes.
        budget : int
            Bytes that a pass through the spool may take.
        needed : ndarray of int, optional
            Voxels that will be looked at, in Fortran order; a spool holds no others.

        Returns
        -------
        CleanedSeries
            The series to read; with a Butterworth filter it is that of a spool.

        Raises
        ------
        ParameterError
            If an option is out of range, or does not fit the series.
        ParameterTypeError
            If an option is of the wrong type.
        """
        order = checked_integer(
            0 if self.drift_order is None else self.drift_order, "drift_order", 0, 20
        )
        options = self._options
        if self.is_spooled and self.drift_order is not None:
            degree = {} if order == 1 else {"trend_degree": order}
            options = replace(options, detrend=True, clean_args=degree)
        if self.filter == "fourier":
            options = replace(options, filter=None, high_pass=None, low_pass=None)
        cleaner = options.prepare(series, self.sample_mask, n_jobs=1, largest_table=budget).cleaner
        if self.is_spooled:
            return _spooled(series, cleaner, budget, needed)
        periods = self._periods(series, len(cleaner.runs))
        spaces = tuple(
            clean_space(
                run.volumes,
                _regressors(run),
                drift_order=order,
                band=self._band(t_r),
            )
            for run, t_r in zip(cleaner.runs, periods, strict=True)
        )
        return CleanedSeries(series, spaces)

    @property
    def _options(self) -> CleaningOptions:
        """The options that cleaning of signals has too."""
        check_choice(self.filter, "filter", FILTERS)
        check_choice(self.censored, "censored", ("drop", "keep"))
        if self.filter == "cosine" and self.low_pass is not None:
            msg = (
                f"`low_pass` has no effect with filter='cosine', which removes slow changes only. "
                f"Got {self.low_pass} Hz. Leave it out, or take filter='fourier'."
            )
            raise ParameterError(msg)
        return CleaningOptions(
            confounds=self.confounds,
            filter=self.filter,
            high_pass=check_number(self.high_pass, "high_pass"),
            low_pass=check_number(self.low_pass, "low_pass"),
            t_r=self.t_r,
            runs=self.runs,
            censored=self.censored,
        )

    @property
    def _is_filtered(self) -> bool:
        return self.high_pass is not None or self.low_pass is not None

    def _periods(self, series: Series, n_runs: int) -> list[float | None]:
        found = self._options.periods(series)
        return found if len(found) == n_runs else found * n_runs

    def _band(self, t_r: float | None) -> Band | None:
        if self.filter != "fourier" or not self._is_filtered:
            return None
        if t_r is None:
            msg = (
                "`high_pass` and `low_pass` need `t_r`, the seconds between volumes. The header "
                "has none. Pass `t_r`."
            )
            raise ParameterError(msg, parameter="t_r")
        check_seconds(t_r)
        return Band(self.high_pass, self.low_pass, t_r)


def _regressors(run: Any) -> FloatArray:
    if run.regressors is None:
        return np.empty((run.volumes.n_kept, 0))
    found: FloatArray = run.regressors.kept_columns()
    return found


def _spooled(
    series: Series, cleaner: Cleaner, budget: int, needed: IntArray | None
) -> CleanedSeries:
    """Return the series of cleaned volumes, read from a spool."""
    n_threads = min(numeric_threads(), MOST_THREADS)
    job = CleaningJob.prepared(series.array, cleaner, needed, budget, n_threads)
    job = replace(job, zeroes=False)
    array = LazyArray.over(SpooledReader(job, budget // 4))
    grid = replace(series.grid, n_volumes=cleaner.n_rows_out, dtype=array.dtype, is_uniform=True)
    spaces = tuple(
        clean_space(RunVolumes(run.rows_out, None), np.empty((len(run.rows_out), 0)))
        for run in cleaner.runs
    )
    return CleanedSeries(replace(series, array=array, grid=grid), spaces, _n_lost(cleaner))


def _n_lost(cleaner: Cleaner) -> int:
    """Return how many dimensions trend and confounds take, besides the mean."""
    regressors = [run.regressors for run in cleaner.runs]
    n_confounds = sum(0 if one is None else one.n_columns for one in regressors)
    return n_confounds + sum(run.degree or 0 for run in cleaner.runs)
