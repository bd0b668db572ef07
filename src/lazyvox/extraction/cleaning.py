"""Cleaning of the signals of regions and voxels: options, runs, and the cleaning of tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from lazyvox._typing import Array, DType, IntArray
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.extraction.table_writers import TableSpec
from lazyvox.lazyimage.series import Series
from lazyvox.planning.sample_mask import checked_sample_mask
from lazyvox.signal.cleaner import Cleaner
from lazyvox.signal.cleaning import prepare_cleaning
from lazyvox.signal.confounds import stack_confounds
from lazyvox.signal.filling import check_censored
from lazyvox.signal.volumes import split_runs

__all__ = ["Cleaning", "CleaningOptions", "ColumnTable"]

#: Columns that are read from a table on disk at a time: wide enough that each row is one long
#: read, and small against any budget.
_BLOCK_BYTES = 8 << 20

_CLEAN_ARGS = ("runs", "ensure_finite", "extrapolate", "trend_degree", "keep_mean")


@dataclass(frozen=True, slots=True, eq=False)
class CleaningOptions:
    """Cleaning of signals after they were extracted; see `lazyvox.extract`.

    Attributes
    ----------
    confounds : array-like, table, path, or list of these, optional
        Signals to remove.
    detrend : bool
        Whether mean and linear trend are removed.
    standardize : {"zscore_sample", "psc"} or None
        What is done last.
    standardize_confounds : bool
        Whether means are removed from confounds.
    filter : {"butterworth", "cosine", False} or None
        Kind of temporal filter; None is a Butterworth filter where there is a cutoff.
    low_pass, high_pass : float or None
        Cutoffs in Hz.
    t_r : float or None
        Seconds between volumes; None takes those of the header.
    clean_args : mapping
        Further options of `lazyvox.signal.clean`.
    runs : array-like, "joined" or None
        The run of each volume; None takes each image of a list for a run.
    censored : {"drop", "keep", "zero", "interpolate"}
        Treatment of the volumes that confounds or a sample mask leave out.
    """

    confounds: Any = None
    detrend: bool = False
    standardize: str | bool | None = None
    standardize_confounds: bool = True
    filter: str | bool | None = None
    low_pass: float | None = None
    high_pass: float | None = None
    t_r: float | None = None
    clean_args: Mapping[str, Any] = field(default_factory=dict)
    runs: Any = None
    censored: str = "drop"

    @property
    def are_set(self) -> bool:
        """True where anything is to be done."""
        is_filtered = self.low_pass is not None or self.high_pass is not None or bool(self.filter)
        is_scaled = self.detrend is not False or self.standardize is not None
        is_filled = check_censored(self.censored) in {"zero", "interpolate"}
        is_cleaned = is_filtered or is_scaled or self.confounds is not None
        return is_cleaned or is_filled or bool(self.clean_args)

    def prepare(
        self, series: Series, sample_mask: Any, *, n_jobs: int, largest_table: int
    ) -> "Cleaning":
        """Check all options against a series, and work out what does not depend on its voxels.

        Parameters
        ----------
        series : Series
            The series, all of its volumes.
        sample_mask : array-like, or list of one for each run, optional
            The volumes to keep.
        n_jobs : int
            Threads.
        largest_table : int
            See `Cleaning`.

        Returns
        -------
        Cleaning
            What is done to each table of signals.

        Raises
        ------
        ParameterError
            If an option is out of range, has no effect, or does not fit the series.
        ParameterTypeError
            If an option is of the wrong type, or unknown.
        """
        self._check()
        labels = self._labels(series)
        periods = self._periods(series, labels)
        for t_r in periods:
            self._check_cutoffs(t_r)
        options: Any = {
            "runs": labels,
            "sample_mask": _mask_of_runs(sample_mask, labels, series.grid.n_volumes),
            "confounds": self._stacked_confounds(series),
            "detrend": self.detrend,
            "standardize": self.standardize,
            "standardize_confounds": self.standardize_confounds,
            "filter": "butterworth" if self.filter is None else self.filter,
            "low_pass": self.low_pass,
            "high_pass": self.high_pass,
            "t_r": periods,
            "censored": self.censored,
        }
        further = {name: one for name, one in self.clean_args.items() if name != "runs"}
        cleaner = prepare_cleaning(series.grid.n_volumes, **options, **further)
        return Cleaning(replace(cleaner, stored_dtype=series.grid.dtype), n_jobs, largest_table)

    def kept_volumes(self, series: Series, sample_mask: Any) -> list[int]:
        """Return the volumes that a sample mask keeps of a series that is not cleaned.

        Parameters
        ----------
        series : Series
            The series.
        sample_mask : array-like, or list of one for each run
            The volumes to keep.

        Returns
        -------
        list of int
            Their numbers in the whole series, ascending.

        Raises
        ------
        ParameterError
            If masks do not fit the runs.
        """
        n_volumes = series.grid.n_volumes
        if not _is_nested(sample_mask):
            whole: list[int] = checked_sample_mask(sample_mask, n_volumes).tolist()
            return whole
        runs = split_runs(n_volumes, self._labels(series), sample_mask)
        kept: list[int] = np.sort(np.concatenate([run.kept_rows for run in runs])).tolist()
        return kept

    def _stacked_confounds(self, series: Series) -> Any:
        """Return confounds of the series; a list holds those of each run, where runs are images."""
        given, lengths = self.confounds, [run.n_volumes for run in series.runs]
        are_of_runs = self.runs is None and "runs" not in self.clean_args and len(lengths) > 1
        if not are_of_runs or not isinstance(given, list | tuple) or len(given) != len(lengths):
            return given
        # Tables of the whole series stand side by side; they need not be read to be told apart.
        is_whole = all(len(np.shape(one)) > 0 and len(one) == sum(lengths) for one in given)
        return given if is_whole else stack_confounds(given, lengths)

    def _labels(self, series: Series) -> Any:
        """Return the run of each volume, None where all are of one."""
        given = self.clean_args.get("runs", self.runs)
        if isinstance(given, str):
            if given == "joined":
                return None
            msg = f"`runs` must be the run of each volume, 'joined' or None. Got {given!r}."
            raise ParameterError(msg, value=given)
        if given is not None or len(series.runs) == 1:
            return given
        return np.repeat(np.arange(len(series.runs)), [run.n_volumes for run in series.runs])

    def periods(self, series: Series) -> list[float | None]:
        """Return the repetition time of each run of a series, or one for all of them."""
        return self._periods(series, self._labels(series))

    def _periods(self, series: Series, labels: Any) -> list[float | None]:
        if self.t_r is not None or series.grid.t_r is not None or not self._is_filtered:
            return [series.grid.t_r if self.t_r is None else self.t_r]
        runs = [np.nan if run.t_r is None else run.t_r for run in series.runs]
        of_volumes = np.repeat(runs, [run.n_volumes for run in series.runs])
        if labels is None or np.shape(labels) != of_volumes.shape:
            parts = [of_volumes]
        else:
            parts = [of_volumes[np.asarray(labels) == one] for one in np.unique(labels)]
        found = [np.unique(part) for part in parts]
        if all(np.isnan(one).all() for one in found):
            return [None]
        if all(len(one) == 1 and np.isfinite(one[0]) for one in found):
            return [float(one[0]) for one in found]
        shown = ", ".join(
            f"{'none' if run.t_r is None else f'{run.t_r:g} s'} in {run.name}"
            for run in series.runs
        )
        msg = f"runs that are filtered as one must have one repetition time. Got {shown}."
        hint = "Pass `t_r`, or clean each run by itself."
        raise ParameterError(msg, parameter="t_r", hint=hint)

    @property
    def _is_filtered(self) -> bool:
        return self.low_pass is not None or self.high_pass is not None

    def _check_cutoffs(self, t_r: float | None) -> None:
        """Refuse cutoffs that volumes so far apart cannot tell from slower changes."""
        given: tuple[Any, ...] = (t_r, self.low_pass, self.high_pass)
        if self.filter not in {None, "butterworth"} or t_r is None:
            return
        # Other types are refused where types are checked.
        if not all(one is None or isinstance(one, int | float) for one in given) or not t_r > 0:
            return
        fastest = 0.5 / t_r
        for name, cutoff in (("low_pass", self.low_pass), ("high_pass", self.high_pass)):
            if cutoff is not None and cutoff >= fastest:
                msg = (
                    f"`{name}` must be below half of the sampling rate, {fastest:.6g} Hz for "
                    f"t_r={t_r}. Got {cutoff} Hz. Check `t_r`, or leave `{name}` out."
                )
                raise ParameterError(msg, value=cutoff)

    def _check(self) -> None:
        if self.runs is not None and "runs" in self.clean_args:
            msg = "`runs` must be given once. Got it in `clean_args` too."
            raise ParameterError(msg)
        if self.filter is False and not (self.low_pass is None and self.high_pass is None):
            msg = (
                f"`filter` must be 'butterworth' or 'cosine' where there is a cutoff. Got False "
                f"with low_pass={self.low_pass} and high_pass={self.high_pass}."
            )
            raise ParameterError(msg)
        unknown = [
            name
            for name in self.clean_args
            if name not in _CLEAN_ARGS and not name.startswith("butterworth__")
        ]
        if unknown:
            msg = (
                f"`clean_args` must hold {', '.join(_CLEAN_ARGS)} or butterworth__... keywords "
                f"only. Got {unknown[0]!r}."
            )
            raise ParameterTypeError(msg)


def _mask_of_runs(sample_mask: Any, labels: Any, n_volumes: int) -> Any:
    """Return the volumes to keep, counted within each run where there are several.

    A list of masks, one for each run, is taken as it is.
    """
    runs = np.zeros(n_volumes) if labels is None else np.asarray(labels)
    # Labels of another shape are refused where volumes are split into runs.
    if sample_mask is None or _is_nested(sample_mask) or runs.shape != (n_volumes,):
        return sample_mask
    kept = np.zeros(n_volumes, bool)
    kept[checked_sample_mask(sample_mask, n_volumes)] = True
    return [np.flatnonzero(kept[runs == one]) for one in np.unique(runs)]


def _is_nested(sample_mask: Any) -> bool:
    return isinstance(sample_mask, list | tuple) and any(np.ndim(one) for one in sample_mask)


class ColumnTable(Protocol):
    """A table whose columns can be read and replaced, in memory or on disk."""

    def column_blocks(self, block_bytes: int) -> Sequence[tuple[int, int]]:
        """Return where the blocks of columns that are cleaned at a time start and stop."""

    def read_columns(self, start: int, stop: int) -> Array:
        """Return columns, all of their rows; to be overwritten."""

    def write_columns(self, start: int, values: Array) -> None:
        """Replace the first rows of columns."""


@dataclass(frozen=True, slots=True, eq=False)
class Cleaning:
    """Cleaning of every table of signals of one series.

    Attributes
    ----------
    cleaner : Cleaner
        Cleans blocks of columns.
    n_jobs : int
        Threads.
    largest_table : int or None
        Bytes above which a table that goes to a file is kept on disk until it is cleaned; None
        keeps every table in memory.
    """

    cleaner: Cleaner
    n_jobs: int = 1
    largest_table: int | None = None

    @property
    def n_rows_out(self) -> int:
        """Number of volumes that are left."""
        return self.cleaner.n_rows_out

    @property
    def volumes(self) -> IntArray | None:
        """Numbers of the volumes that are left, None for all."""
        return self.cleaner.rows_out

    def table_dtype(self, dtype: DType) -> DType:
        """Return the floating-point type in which signals of a type are held and cleaned."""
        # float32 holds integers of 16 bits exactly, and no larger ones.
        return self.cleaner.result_dtype(np.result_type(dtype, np.float32))

    def work_bytes(self, spec: TableSpec, *, is_spooled: bool) -> int:
        """Return the bytes that cleaning a table allocates for its duration."""
        block = min(_BLOCK_BYTES, spec.nbytes) if is_spooled else 0
        return block + self.cleaner.work_bytes(spec.shape[1], self.n_jobs)

    def clean(self, table: ColumnTable) -> None:
        """Clean all columns of a table in place; the first `n_rows_out` rows hold the result."""
        for start, stop in table.column_blocks(_BLOCK_BYTES):
            values = table.read_columns(start, stop)
            cleaned = values[: self.n_rows_out]
            self.cleaner.apply(values, cleaned, n_jobs=self.n_jobs)
            table.write_columns(start, cleaned)
