"""The space of the courses that cleaning by regression leaves of one run, or that it removes.

A course y becomes ``y - B B'y`` where the orthonormal columns of B span what is removed, and
``C C'y`` where those of C span what is left. Whichever of them has fewer columns is kept: a pass
accumulates one number for each column and voxel.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from lazyvox._typing import FloatArray, IntArray
from lazyvox.array.residuals import polynomials
from lazyvox.errors import LazyvoxWarning, ParameterError
from lazyvox.signal.fourier import fourier_columns, split_by_band
from lazyvox.signal.regressors import orthonormal_columns
from lazyvox.signal.volumes import RunVolumes

__all__ = ["Band", "CleanSpace", "clean_space"]


@dataclass(frozen=True, slots=True)
class Band:
    """The frequencies that a filter by sines and cosines keeps.

    Attributes
    ----------
    high_pass, low_pass : float or None
        Its edges in Hz.
    t_r : float
        Seconds between volumes.
    """

    high_pass: float | None
    low_pass: float | None
    t_r: float


@dataclass(frozen=True, slots=True, eq=False)
class CleanSpace:
    """Directions of the courses of one run.

    Attributes
    ----------
    volumes : ndarray of shape (n_kept,), int
        The volumes of the series that are taken, ascending.
    basis : ndarray of shape (n_kept, n_columns), float64
        Orthonormal columns.
    is_left : bool
        Whether the columns span what is left; else what is removed.
    """

    volumes: IntArray
    basis: FloatArray
    is_left: bool = False

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return int(self.basis.shape[1])

    @property
    def n_left(self) -> int:
        """Number of dimensions that are left of a course."""
        return self.n_columns if self.is_left else len(self.volumes) - self.n_columns


def clean_space(
    run: RunVolumes,
    regressors: FloatArray,
    *,
    drift_order: int = 0,
    band: Band | None = None,
) -> CleanSpace:
    """Return what is left of the courses of a run when regressors are removed.

    Parameters
    ----------
    run : RunVolumes
        The volumes of the run, and those that are kept.
    regressors : ndarray of shape (n_kept, n), float64
        Confounds and cosines at the kept volumes.
    drift_order : int, default=0
        Highest order of the polynomials that are removed: 0 is the mean, 1 the linear trend.
    band : Band, optional
        Frequencies to keep; sines and cosines of all others are removed. They are those of the
        whole run, volumes that are left out included.

    Returns
    -------
    CleanSpace
        The space.

    Raises
    ------
    ParameterError
        If fewer than two dimensions are left, or the band holds no frequency.

    Warns
    -----
    LazyvoxWarning
        If regressors depend on each other.

    Notes
    -----
    Memory: a few times the columns that are removed, or left, whichever are fewer.

    References
    ----------
    ``3dTproject`` of AFNI removes regressors, polynomials and frequencies in this way.
    """
    n_volumes, n_kept = len(run.rows), run.n_kept
    if n_kept < 3 or drift_order >= n_volumes:
        raise _too_few(n_kept, n_kept)
    drifts = polynomials(n_volumes, drift_order)
    kept = slice(None) if run.kept is None else run.kept
    own = np.concatenate([drifts[kept, 1:], _independent(regressors)], axis=1)
    inside, outside = np.empty(0, int), np.empty(0, int)
    if band is not None:
        inside, outside = split_by_band(n_volumes, band.t_r, band.high_pass, band.low_pass)
    if len(inside) and 2 * len(inside) < 1 + own.shape[1] + 2 * len(outside):
        columns = _left_of_band(run, own, fourier_columns(n_volumes, inside))
        space = CleanSpace(run.kept_rows, columns, is_left=True)
    else:
        removed = [drifts[kept, :1], own, fourier_columns(n_volumes, outside)[kept]]
        columns = orthonormal_columns(_of_one_size(np.concatenate(removed, axis=1)))
        space = CleanSpace(run.kept_rows, columns)
    if space.n_left < 2:
        raise _too_few(n_kept, n_kept - space.n_left)
    return space


def _too_few(n_kept: int, n_removed: int) -> ParameterError:
    msg = (
        f"cleaning must leave at least 2 dimensions of a course. {n_kept} volumes are kept of a "
        f"run, and {n_removed} dimensions are removed. Remove less, or keep more volumes."
    )
    return ParameterError(msg)


def _independent(regressors: FloatArray) -> FloatArray:
    """Return columns that span regressors without their means, with a warning if these depend."""
    centred = regressors - regressors.mean(axis=0)
    size = np.abs(regressors).max(axis=0, initial=0)
    # What rounding leaves of a constant.
    centred[:, np.abs(centred).max(axis=0, initial=0) <= 256 * np.finfo(float).eps * size] = 0
    basis = orthonormal_columns(_of_one_size(centred))
    # A column that a run lacks is given as zeros.
    n_given = int(np.count_nonzero(size))
    if basis.shape[1] < n_given:
        msg = (
            f"The {n_given} confounds are not independent: over {len(regressors)} volumes their "
            f"rank is {basis.shape[1]}. The space that they span is removed once; check that no "
            f"column is constant or given twice."
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=4)
    return basis


def _of_one_size(columns: FloatArray) -> FloatArray:
    """Return columns, each divided by its largest value: so that units do not decide on ranks."""
    size = np.abs(columns).max(axis=0, initial=0)
    scaled: FloatArray = columns / np.where(size == 0, 1, size)
    return scaled


def _left_of_band(run: RunVolumes, own: FloatArray, waves: FloatArray) -> FloatArray:
    """Return a basis of the courses of a band that are orthogonal to other regressors.

    A course of the kept volumes is orthogonal to the frequencies outside of the band exactly if,
    with zeros at the volumes that are left out, it is a sum of the waves of the band.
    """
    kept = slice(None) if run.kept is None else run.kept
    conditions = waves[kept].T @ own
    if run.kept is not None:
        left_out = np.delete(waves, run.kept, axis=0)
        conditions = np.concatenate([conditions, left_out.T], axis=1)
    forbidden = orthonormal_columns(conditions)
    n_forbidden = forbidden.shape[1]
    turned, _ = np.linalg.qr(forbidden, mode="complete")
    basis: FloatArray = waves[kept] @ turned[:, n_forbidden:]
    return basis
