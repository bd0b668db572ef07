"""`Cleaner`: everything about cleaning that does not depend on the signals.

What depends on time only (runs, kept volumes, filter, confounds) is checked immediately, and computed
with the first columns; then any columns can be cleaned, block by block. All arithmetic is float64 on a few MiB at a time, whatever
the type of the signals.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from lazyvox._threads import Workers
from lazyvox._typing import Array, DType, FloatArray, IntArray
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.runtime.once import OncePerProcess
from lazyvox.signal.builder import RunOutline
from lazyvox.signal.filling import Filling
from lazyvox.signal.options import Standardize
from lazyvox.signal.products import N_COLUMNS
from lazyvox.signal.run_cleaning import RunCleaning
from lazyvox.signal.standardize import largest, scale_columns, warn_of_zero_means

__all__ = ["Cleaner"]


@dataclass(frozen=True, slots=True, eq=False)
class Cleaner:
    """Cleaning of signals of one length with one set of options; made by `prepare_cleaning`.

    Attributes
    ----------
    n_volumes, n_rows_out : int
        Volumes of signals, and of results.
    runs : tuple of RunOutline
        What is done to each run; computed in full with the first columns.
    standardize : {"zscore_sample", "psc"} or None
        What comes last.
    ensure_finite : bool
        Whether values that are not finite are taken as 0.
    is_double : bool
        Whether results are float64 whatever the signals are.
    filling : Filling or None
        Values of the volumes that are left out; None where they have no row.
    keeps_mean : bool
        Whether the mean of each run is what it was.
    stored_dtype : dtype or None
        Type of the voxels that signals are means of; None where it is that of the signals.
    steps : tuple of str
        The steps that were asked for, for people to read.
    rows_out : ndarray of int, or None
        Numbers of the volumes that results have rows of; None for all.
    """

    n_volumes: int
    n_rows_out: int
    runs: tuple[RunOutline, ...]
    standardize: Standardize | None
    ensure_finite: bool
    is_double: bool = False
    filling: Filling | None = None
    keeps_mean: bool = False
    stored_dtype: DType | None = None
    steps: tuple[str, ...] = ()
    rows_out: IntArray | None = field(default=None, repr=False)
    _prepared: OncePerProcess[tuple[RunCleaning, ...]] = field(
        default_factory=OncePerProcess, repr=False
    )

    def result_dtype(self, dtype: DType) -> DType:
        """Return the type of the results for a type of signals.

        Parameters
        ----------
        dtype : dtype
            That of the signals.

        Returns
        -------
        dtype
            float32 for float32 and integers of at most 4 bytes, else float64.
        """
        is_single = dtype == np.float32 or (dtype.kind in "iub" and dtype.itemsize <= 4)
        return np.dtype(np.float32 if is_single and not self.is_double else np.float64)

    def work_bytes(self, n_columns: int, n_jobs: int = 1) -> int:
        """Return an upper bound of the bytes held while columns are cleaned.

        Parameters
        ----------
        n_columns : int
            Columns of a block.
        n_jobs : int
            Threads.

        Returns
        -------
        int
            Bytes besides block and result.
        """
        rows = self.n_volumes + max(run.work_rows for run in self.runs)
        if self.filling is not None:
            rows = max(rows, self.n_volumes + 4 * len(self.filling.rows))
        # Regressors are filtered in blocks too, before the first columns are cleaned.
        of_thread = 8 * rows * min(N_COLUMNS, max(n_columns, self._n_regressors, 1))
        return of_thread * n_jobs + sum(run.shared_bytes for run in self.runs)

    @property
    def _n_regressors(self) -> int:
        """Largest number of regressors of a run."""
        return max(0 if run.regressors is None else run.regressors.n_columns for run in self.runs)

    def apply(self, block: Array, out: Array | None = None, *, n_jobs: int = 1) -> Array:
        """Clean the columns of a block.

        Parameters
        ----------
        block : ndarray of shape (n_volumes, n_columns)
            Signals, one in each column; unchanged unless it is `out`.
        out : ndarray of shape (n_rows_out, n_columns), optional
            Where results go; may be the first rows of `block`.
        n_jobs : int
            Threads.

        Returns
        -------
        ndarray of shape (n_rows_out, n_columns)
            The cleaned signals.

        Raises
        ------
        ParameterError
            If the block is of another shape.
        ParameterTypeError
            If it does not hold real numbers.

        Notes
        -----
        Memory: the result and `work_bytes`. How columns are cut into blocks changes results by
        rounding errors at most.
        """
        self._check(block)
        runs = self._prepared.get(lambda: tuple(one.prepare() for one in self.runs))
        if out is None:
            shape = (self.n_rows_out, block.shape[1])
            out = np.empty(shape, self.result_dtype(block.dtype))
        pieces = list(self._pieces(block.shape[1]))
        if n_jobs == 1 or len(pieces) < 2:
            n_void = sum(
                self._clean_piece(runs, block[:, piece], out[:, piece]) for piece in pieces
            )
        else:
            with Workers(min(n_jobs, len(pieces)), "lazyvox-clean") as workers:
                jobs = [
                    workers.submit(self._clean_piece, runs, block[:, piece], out[:, piece])
                    for piece in pieces
                ]
                n_void = sum(job.result() for job in jobs)
        warn_of_zero_means(n_void)
        return out

    def _check(self, block: Array) -> None:
        if block.ndim != 2 or len(block) != self.n_volumes:
            msg = (
                f"signals must be of shape ({self.n_volumes}, n_columns), one row for each volume. "
                f"Got shape {block.shape}."
            )
            raise ParameterError(msg)
        if block.dtype.kind not in "fiub":
            msg = f"signals must be real numbers. Got {block.dtype}."
            raise ParameterTypeError(msg)

    @staticmethod
    def _pieces(n_columns: int) -> Iterator[slice]:
        for start in range(0, n_columns, N_COLUMNS):
            yield slice(start, min(start + N_COLUMNS, n_columns))

    def _clean_piece(self, runs: Sequence[RunCleaning], block: Array, out: Array) -> int:
        """Clean some columns; return how many have no mean to relate to."""
        # Most of a volume is air, in many files as zeros, of which cleaning leaves zeros.
        if not block[0].any() and not block.any():
            out[...] = 0
            n_scaled = sum(len(run.rows_out) > 1 for run in runs)
            return n_scaled * block.shape[1] if self.standardize == "psc" else 0
        # Columns with NaN or infinity become NaN; that needs no warning from each operation.
        with np.errstate(invalid="ignore", over="ignore"):
            values = block.astype(np.float64, order="C")
            if self.ensure_finite:
                values[~np.isfinite(values)] = 0
            is_whole = len(runs) == 1 and len(runs[0].rows_out) == self.n_volumes
            n_void = 0
            is_single = np.dtype(np.float32) in (block.dtype, self.stored_dtype)
            for run in runs:
                own = values if is_whole else values[run.rows_in]
                cleaned, n_own = self._clean_run(run, own, is_single=is_single)
                out[run.rows_out] = cleaned
                n_void += n_own
            if self.filling is not None:
                self.filling.apply(out)
        return n_void

    def _clean_run(
        self, run: RunCleaning, signals: FloatArray, *, is_single: bool
    ) -> tuple[FloatArray, int]:
        size = largest(signals)
        before = signals.mean(axis=0) if self.keeps_mean else None
        cleaned, means = run.apply(signals)
        if before is not None:
            cleaned += before - cleaned.mean(axis=0)
        if self.standardize is None or len(cleaned) == 1:
            return cleaned, 0
        if self.standardize == "psc" and run.restores_mean:
            cleaned += means
        n_void = scale_columns(cleaned, self.standardize, size, is_single=is_single)
        return cleaned, n_void
