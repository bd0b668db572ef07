"""Rows of cleaned signals for volumes that are left out: zeros, or values between neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from lazyvox._typing import Array, FloatArray, IntArray
from lazyvox.planning.arguments import check_choice
from lazyvox.signal.volumes import RunVolumes

__all__ = ["CENSORED", "Censored", "Filling", "check_censored"]

Censored: TypeAlias = Literal["drop", "keep", "zero", "interpolate"]
CENSORED: tuple[Censored, ...] = get_args(Censored)


@dataclass(frozen=True, slots=True, eq=False)
class Filling:
    """Values of the rows that no volume gave.

    Attributes
    ----------
    rows : ndarray of int
        The rows to fill.
    before, after : ndarray of int
        The nearest kept rows of the same run, one row twice at its ends.
    share : ndarray of shape (n_rows, 1), float64, or None
        Part of the value that comes from `after`; None for zeros.
    """

    rows: IntArray
    before: IntArray
    after: IntArray
    share: FloatArray | None

    @classmethod
    def of(cls, runs: Sequence[RunVolumes], censored: Censored) -> "Filling | None":
        """Return the filling of the volumes that runs leave out, None where rows are dropped."""
        if censored not in {"zero", "interpolate"}:
            return None
        parts = [_neighbours(run) for run in runs]
        rows, before, after = (np.concatenate(one) for one in zip(*parts, strict=True))
        share = None
        if censored == "interpolate":
            gap = after - before
            share = np.where(gap == 0, 0, (rows - before) / np.where(gap == 0, 1, gap))[:, None]
        return cls(rows, before, after, share)

    def apply(self, signals: Array) -> None:
        """Fill rows of signals in place, the kept rows being there."""
        if self.share is None:
            signals[self.rows] = 0
            return
        low, high = signals[self.before], signals[self.after]
        signals[self.rows] = low + (high - low) * self.share


def check_censored(value: object) -> Censored:
    """Return the treatment of volumes that are left out.

    Parameters
    ----------
    value : object
        An argument.

    Returns
    -------
    {"drop", "keep", "zero", "interpolate"}
        The treatment.

    Raises
    ------
    ParameterError
        If it is something else.
    """
    return check_choice(value, "censored", CENSORED)


def _neighbours(run: RunVolumes) -> tuple[IntArray, IntArray, IntArray]:
    """Return the rows that a run leaves out, and the nearest kept rows before and after each."""
    kept = run.kept_rows
    left_out = np.setdiff1d(run.rows, kept)
    place = np.searchsorted(kept, left_out)
    before = kept[np.maximum(place - 1, 0)]
    after = kept[np.minimum(place, len(kept) - 1)]
    # At the ends of a run there is a neighbour on one side only.
    return (
        left_out,
        np.where(place == 0, after, before),
        np.where(place == len(kept), before, after),
    )
