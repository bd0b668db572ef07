"""Which volumes belong to which run, and which of them are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lazyvox._typing import Array, IntArray
from lazyvox.errors import ImageIndexError, ParameterError, ParameterTypeError

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
            f"sample_mask must keep the volumes that confounds keep. Got {len(used)} and "
            f"{len(kept)} volumes, which differ in {len(differing)}, first in {differing[0]}. "
            f"Leave sample_mask out, or pass the `values` of the confounds with one mask."
        )
        raise ParameterError(msg)


def _masks(sample_mask: Any, n_runs: int) -> list[Any]:
    """Return one mask for each run."""
    if not isinstance(sample_mask, list | tuple | np.ndarray | range):
        msg = (
            "sample_mask must be an array, or a list of one array for each run. Got "
            f"{type(sample_mask).__name__}."
        )
        raise ParameterTypeError(msg)
    is_one = isinstance(sample_mask, np.ndarray | range) or all(
        np.ndim(part) == 0 for part in sample_mask
    )
    masks = [sample_mask] if is_one else list(sample_mask)
    if len(masks) != n_runs:
        msg = f"sample_mask must hold one mask for each of {n_runs} runs. Got {len(masks)}."
        raise ParameterError(msg)
    return masks


def _kept(mask: npt.ArrayLike, n_volumes: int, run: int, n_runs: int) -> IntArray | None:
    """Return the kept volumes of one run."""
    name = "sample_mask" if n_runs == 1 else f"sample_mask of run {run} (counted from 0)"
    values = np.asarray(mask)
    if values.ndim != 1:
        msg = f"{name} must be one-dimensional. Got shape {values.shape}."
        raise ParameterError(msg)
    if values.dtype == bool and len(values) != n_volumes:
        msg = f"{name} has {len(values)} booleans for {n_volumes} volumes; it must have as many."
        raise ImageIndexError(msg)
    kept = np.flatnonzero(values) if values.dtype == bool else _indices(values, name)
    if not len(kept):
        msg = f"{name} must keep at least one of {n_volumes} volumes. Got none."
        raise ParameterError(msg)
    _check_range(kept, n_volumes, name)
    return None if len(kept) == n_volumes else kept


def _indices(values: Array, name: str) -> IntArray:
    if values.dtype.kind not in "iuf" and len(values):
        msg = f"{name} must hold indices of volumes or booleans. Got {values.dtype}."
        raise ParameterTypeError(msg)
    if values.dtype.kind == "f" and not np.array_equal(values, np.trunc(values)):
        bad = values[values != np.trunc(values)][0]
        msg = f"{name} must hold whole numbers, the indices of volumes. Got {bad}."
        raise ParameterError(msg)
    return values.astype(np.intp)


def _check_range(kept: IntArray, n_volumes: int, name: str) -> None:
    if len(kept) > n_volumes:
        msg = (
            f"{name} must hold each of {n_volumes} volumes at most once. Got {len(kept)} indices."
        )
        raise ImageIndexError(msg)
    if kept.min() < 0:
        msg = f"{name} must count volumes from 0. Got {kept.min()}."
        raise ParameterError(msg)
    if kept.max() >= n_volumes:
        msg = (
            f"{name} must hold indices below the number of volumes, {n_volumes}. Got {kept.max()} "
            f"at place {int(kept.argmax())}."
        )
        raise ImageIndexError(msg)
    steps = np.diff(kept)
    if (steps <= 0).any():
        place = int(np.argmax(steps <= 0)) + 1
        msg = (
            f"{name} must hold each volume once, in ascending order. Got {kept[place]} after "
            f"{kept[place - 1]} at place {place}. Pass numpy.unique of it."
        )
        raise ParameterError(msg)
