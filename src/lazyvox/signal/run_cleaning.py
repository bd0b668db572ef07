"""Cleaning of the volumes of one run: the steps that depend on time only."""

from dataclasses import dataclass

import numpy as np

from lazyvox._typing import FloatArray, IntArray
from lazyvox.signal.products import multiply
from lazyvox.signal.recursion import TwoWayFilter
from lazyvox.signal.spline import Spline

__all__ = ["RunCleaning", "TemporalSteps", "remove_space"]


def remove_space(signals: FloatArray, basis: FloatArray) -> None:
    """Make columns orthogonal to a basis, in place.

    Parameters
    ----------
    signals : ndarray of shape (n_volumes, n_columns), float64
        Columns.
    basis : ndarray of shape (n_volumes, rank), float64
        Orthonormal columns.
    """
    signals -= multiply(basis, multiply(basis.T, signals))


@dataclass(frozen=True, slots=True, eq=False)
class TemporalSteps:
    """Steps that are applied to signals and confounds alike.

    Attributes
    ----------
    n_volumes : int
        Volumes that are filtered; those that are not kept are interpolated.
    filled : ndarray of int, or None
        The interpolated ones; None where there are none.
    kept : ndarray of int, or None
        The others; None for all.
    spline : Spline or None
        The interpolation; None where nothing is interpolated.
    trend : ndarray of shape (n_volumes, degree + 1) or None
        What detrending removes.
    band : TwoWayFilter or None
        The filter.
    """

    n_volumes: int
    filled: IntArray | None
    kept: IntArray | None
    spline: Spline | None
    trend: FloatArray | None
    band: TwoWayFilter | None

    def fill(self, signals: FloatArray) -> FloatArray:
        """Interpolate the volumes that are not kept.

        Parameters
        ----------
        signals : ndarray of shape (n_kept, n_columns), float64
            The kept volumes.

        Returns
        -------
        ndarray of shape (n_volumes, n_columns), float64
            All of them; `signals` itself where nothing is missing.
        """
        if self.spline is None:
            return signals
        whole = np.empty((self.n_volumes, signals.shape[1]))
        whole[self.kept] = signals
        whole[self.filled] = self.spline.values(signals)
        return whole

    def apply(self, filled: FloatArray) -> FloatArray:
        """Detrend, filter, and leave out the interpolated volumes.

        Parameters
        ----------
        filled : ndarray of shape (n_volumes, n_columns), float64
            What `fill` returned; overwritten.

        Returns
        -------
        ndarray of shape (n_kept, n_columns), float64
            The kept volumes.
        """
        signals = filled
        if self.trend is not None:
            remove_space(signals, self.trend)
        if self.band is not None:
            signals = self.band.apply(signals)
        return signals if self.spline is None else signals[self.kept]


@dataclass(frozen=True, slots=True, eq=False)
class RunCleaning:
    """The linear part of cleaning one run.

    Attributes
    ----------
    rows_in, rows_out : ndarray of int
        Kept volumes, as rows of the signals and of the result.
    steps : TemporalSteps
        Interpolation, detrending and filter.
    basis : ndarray of shape (n_kept, rank) or None
        The confounds to remove.
    restores_mean : bool
        Whether percent signal change needs the mean of before: the steps have removed it.
    removes_level : bool
        Whether nothing is left of a constant. Then signals are taken relative to their first
        volume, so that a constant one becomes exactly 0 and a large mean costs no precision.
    """

    rows_in: IntArray
    rows_out: IntArray
    steps: TemporalSteps
    basis: FloatArray | None
    restores_mean: bool = False
    removes_level: bool = False

    def apply(self, signals: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Clean columns, without standardising them.

        Parameters
        ----------
        signals : ndarray of shape (n_kept, n_columns), float64
            The kept volumes; overwritten.

        Returns
        -------
        cleaned : ndarray of shape (n_kept, n_columns), float64
            The result.
        means : ndarray of shape (n_columns,), float64
            Means before, interpolated volumes included.
        """
        level = signals[0].copy() if self.removes_level else 0
        if self.removes_level:
            signals -= level
        filled = self.steps.fill(signals)
        means = filled.mean(axis=0) + level
        cleaned = self.steps.apply(filled)
        if self.basis is not None:
            remove_space(cleaned, self.basis)
        return cleaned, means
