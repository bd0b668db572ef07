"""Regressors of one run: the space that confounds and cosines span, made in blocks of columns."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lazyvox._typing import Array, BoolArray, FloatArray
from lazyvox.errors import LazyvoxWarning
from lazyvox.signal.confounds import JoinedConfounds
from lazyvox.signal.cosine import cosine_columns, has_cosine
from lazyvox.signal.products import N_COLUMNS
from lazyvox.signal.run_cleaning import TemporalSteps
from lazyvox.signal.standardize import ROUNDING, largest
from lazyvox.signal.volumes import RunVolumes

__all__ = ["Regressors", "orthonormal_columns"]

#: Rows that are decomposed at a time, unless columns are more.
_N_ROWS = 512


@dataclass(frozen=True, slots=True, eq=False)
class Regressors:
    """Confounds of one run and slow cosines, not yet filtered.

    Attributes
    ----------
    volumes : RunVolumes
        The run.
    confounds : JoinedConfounds or None
        Confounds of all runs.
    n_cosines : int
        Number of cosines to add, unless the confounds hold one of them.
    standardize : bool
        Whether means are removed.
    """

    volumes: RunVolumes
    confounds: JoinedConfounds | None
    n_cosines: int
    standardize: bool

    @property
    def n_columns(self) -> int:
        """Largest number of columns that there can be."""
        return self.n_cosines + (0 if self.confounds is None else len(self.confounds.names))

    @property
    def peak_bytes(self) -> int:
        """Memory of confounds and basis, and of finding the basis."""
        n_confounds = self.n_columns - self.n_cosines
        held = len(self.volumes.rows) * n_confounds + self.volumes.n_kept * self.n_columns
        work = 8 * (self.n_columns + _N_ROWS) * self.n_columns
        return 8 * (held + work)

    def basis(self, steps: TemporalSteps) -> FloatArray:
        """Return an orthonormal basis of the space, after the steps that signals go through.

        Parameters
        ----------
        steps : TemporalSteps
            Interpolation, detrending and filter.

        Returns
        -------
        ndarray of shape (n_kept, rank), float64
            The basis.

        Warns
        -----
        LazyvoxWarning
            If columns are dependent, or nothing is left of signals.
        """
        n_confounds = self.n_columns - self.n_cosines
        n_columns = n_confounds + self._n_own_cosines()
        filtered = np.empty((self.volumes.n_kept, n_columns))
        scale = np.empty(n_columns)
        for bounds in ((0, n_confounds), (n_confounds, n_columns)):
            for start in range(*bounds, N_COLUMNS):
                columns = slice(start, min(start + N_COLUMNS, bounds[1]))
                own = self._columns(columns, n_confounds)
                scale[columns] = largest(own)
                filtered[:, columns] = steps.apply(np.array(steps.fill(own)))
        if self.standardize:
            filtered -= filtered.mean(axis=0)
        size = largest(filtered)
        is_empty = size <= ROUNDING * scale
        filtered *= np.where(is_empty, 0, 1 / np.where(is_empty, 1, size))
        basis = orthonormal_columns(filtered)
        # A column that a run lacks, such as a further cosine, is given as zeros.
        n_given = int(np.count_nonzero(scale))
        if basis.shape[1] < n_given:
            names = () if self.confounds is None else self.confounds.names
            _warn_of_rank(basis.shape[1], is_empty, filtered.shape, names)
        n_trend = 0 if steps.trend is None else steps.trend.shape[1]
        n_left = self.volumes.n_kept - basis.shape[1] - n_trend
        if n_left <= 0 and self.volumes.n_kept > 1:
            msg = (
                f"Nothing but rounding errors is left of signals: {basis.shape[1]} independent "
                f"confounds and cosines are removed from {self.volumes.n_kept} volumes. Use fewer."
            )
            warnings.warn(msg, LazyvoxWarning, stacklevel=6)
        return basis

    def kept_columns(self) -> FloatArray:
        """Return the kept volumes of confounds and cosines as they are: (n_kept, n_columns)."""
        n_confounds = self.n_columns - self.n_cosines
        n_columns = n_confounds + self._n_own_cosines()
        parts = [slice(0, n_confounds), slice(n_confounds, n_columns)]
        return np.concatenate([self._columns(part, n_confounds) for part in parts], axis=1)

    def _n_own_cosines(self) -> int:
        """Return how many cosines are added."""
        if self.confounds is None or not self.n_cosines:
            return self.n_cosines
        rows = self.volumes.rows
        confounds = self.confounds.values
        own = confounds if len(rows) == len(confounds) else confounds[rows]
        if not has_cosine(own, self.n_cosines):
            return self.n_cosines
        msg = "confounds hold a cosine drift already: no further cosines are made."
        hint = "{} if that is what you want."
        warning = LazyvoxWarning(
            msg, hint=hint.format("Pass filter=None"), cli_hint=hint.format("Leave out `filter`")
        )
        warnings.warn(warning, stacklevel=6)
        return 0

    def _columns(self, columns: slice, n_confounds: int) -> FloatArray:
        """Return the kept volumes of some confounds, or of some cosines."""
        if columns.start < n_confounds:
            assert self.confounds is not None, "bug in lazyvox: confounds have columns"
            kept: FloatArray = self.confounds.values[self.volumes.kept_rows, columns]
            return kept
        start, stop = columns.start - n_confounds, columns.stop - n_confounds
        cosines = cosine_columns(len(self.volumes.rows), start, stop)
        return cosines if self.volumes.kept is None else cosines[self.volumes.kept]


def orthonormal_columns(values: FloatArray) -> FloatArray:
    """Return an orthonormal basis of the space that columns span, in their place.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns), float64
        Columns; overwritten.

    Returns
    -------
    ndarray of shape (n_rows, rank), float64
        Part of `values`.

    Notes
    -----
    The right singular vectors come from the triangle of a QR decomposition, which is found a few
    rows at a time; the columns times these, divided by the singular values, are the left ones. The
    same once more makes up for what rounding did to those of small singular values.

    Memory: a few times n_columns squared.
    """
    turns, singular = _right_vectors(values)
    least = singular.max(initial=0) * max(values.shape) * np.finfo(np.float64).eps
    rank = int((singular > least).sum())
    basis = values[:, :rank]
    _turn(values, turns[:, :rank] / singular[:rank], basis)
    turns, singular = _right_vectors(basis)
    _turn(basis, turns / singular, basis)
    return basis


def _right_vectors(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the right singular vectors, one in each column, and the singular values."""
    n_columns = values.shape[1]
    step = max(n_columns, _N_ROWS)
    triangle: Array = np.empty((0, n_columns))
    for start in range(0, len(values), step):
        rows = np.concatenate([triangle, values[start : start + step]])
        triangle = np.asarray(np.linalg.qr(rows, mode="r"))
    _, singular, right = np.linalg.svd(triangle, full_matrices=False)
    return right.T, singular


def _turn(values: FloatArray, matrix: FloatArray, out: FloatArray) -> None:
    """Multiply rows by a matrix; `out` may be a part of them."""
    for start in range(0, len(values), _N_ROWS):
        rows = slice(start, start + _N_ROWS)
        out[rows] = values[rows] @ matrix


def _warn_of_rank(
    rank: int, is_empty: BoolArray | Array, shape: tuple[int, ...], names: Sequence[str]
) -> None:
    constant = [name for name, empty in zip(names, is_empty, strict=False) if empty]
    also = f" Without variation: {', '.join(constant[:5])}." if constant else ""
    msg = (
        f"The {shape[1]} confounds are not independent: as used, over {shape[0]} volumes, their "
        f"rank is {rank}.{also} The space that they span is removed once; check that no column is "
        "constant or given twice."
    )
    warnings.warn(msg, LazyvoxWarning, stacklevel=7)
