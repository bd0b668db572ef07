"""The volumes of each run, and those that sample masks keep of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lazyvox._typing import IntArray
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.planning.sample_mask import checked_sample_mask

__all__ = ["RunVolumes", "SampleMask", "split_runs"]

SampleMask = npt.ArrayLike | Sequence[npt.ArrayLike]


@dataclass(frozen=True, slots=True, eq=False)
class RunVolumes:
    """The volumes of one run.

    Attributes
    ----------
    rows : ndarray of int
        Rows of the signals that belong to the run, ascending.
    kept : ndarray of int or None
        Volumes to keep, counted within the run, ascending; None for all.
    """

    rows: IntArray
    kept: IntArray | None

    @property
    def kept_rows(self) -> IntArray:
        """Rows of the signals that are kept."""
        return self.rows if self.kept is None else self.rows[self.kept]

    @property
    def n_kept(self) -> int:
        """Number of kept volumes."""
        return len(self.kept_rows)


def split_runs(
    n_volumes: int,
    runs: npt.ArrayLike | None,
    sample_mask: SampleMask | None,
    kept: IntArray | None = None,
) -> tuple[RunVolumes, ...]:
    """Return the runs of a series, in the order of their labels.

    Parameters
    ----------
    n_volumes : int
        Length of the series.
    runs : array-like of shape (n_volumes,), optional
        The run that each volume belongs to, any labels.
    sample_mask : array-like or sequence of array-like, optional
        For each run the volumes to keep: indices that ascend, or a boolean for each volume.
    kept : ndarray of int, optional
        Volumes of the whole series that confounds keep.

    Returns
    -------
    tuple of RunVolumes
        One for each run.

    Raises
    ------
    ParameterError
        If there are no volumes, lengths and numbers do not fit, or `sample_mask` and `kept`
        disagree.
    ParameterTypeError
        If a mask does not hold indices or booleans.
    ImageIndexError
        If a mask names a volume that does not exist.
    """
    if n_volumes == 0:
        msg = "signals must have at least one volume (row). Got none."
        raise ParameterError(msg)
    if runs is None:
        rows = [np.arange(n_volumes)]
    else:
        labels = np.asarray(runs)
        if labels.shape != (n_volumes,):
            msg = (
                f"runs must have one label for each of the {n_volumes} volumes. Got shape "
                f"{labels.shape}."
            )
            raise ParameterError(msg)
        rows = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    masks: list[Any] = [None] * len(rows)
    if sample_mask is not None:
        masks = _masks(sample_mask, len(rows))
    elif kept is not None:
        masks = [np.isin(own, kept) for own in rows]
    found = tuple(
        RunVolumes(own, None if mask is None else _kept(mask, len(own), i, len(rows)))
        for i, (own, mask) in enumerate(zip(rows, masks, strict=True))
    )
    if kept is not None:
        _check_agreement(np.sort(np.concatenate([run.kept_rows for run in found])), kept)
    return found


def _check_agreement(used: IntArray, kept: IntArray) -> None:
    """Refuse a sample mask beside confounds that keep other volumes."""
    if not np.array_equal(used, kept):
        differing = np.setxor1d(used, kept)
        msg = (
            f"`sample_mask` must keep the volumes that confounds keep. Got {len(used)} and "
            f"{len(kept)} volumes, which differ in {len(differing)}, first in {differing[0]}. "
            f"Leave it out, or pass the `values` of the confounds with one mask."
        )
        raise ParameterError(msg)


def _kept(mask: npt.ArrayLike, n_volumes: int, run: int, n_runs: int) -> IntArray | None:
    """Return the kept volumes of one run, None where all are."""
    of_run = "" if n_runs == 1 else f" of run {run} (counted from 0)"
    kept = checked_sample_mask(mask, n_volumes, f"`sample_mask`{of_run}")
    return None if len(kept) == n_volumes else kept


def _masks(sample_mask: Any, n_runs: int) -> list[Any]:
    """Return one mask for each run."""
    if not isinstance(sample_mask, list | tuple | np.ndarray | range):
        msg = (
            "`sample_mask` must be an array, or a list of one array for each run. Got "
            f"{type(sample_mask).__name__}."
        )
        raise ParameterTypeError(msg)
    is_one = isinstance(sample_mask, np.ndarray | range) or all(
        np.ndim(part) == 0 for part in sample_mask
    )
    masks = [sample_mask] if is_one else list(sample_mask)
    if len(masks) != n_runs:
        msg = f"`sample_mask` must hold one mask for each of {n_runs} runs. Got {len(masks)}."
        raise ParameterError(msg)
    return masks
