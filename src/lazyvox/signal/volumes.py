"""The volumes of each run, and the check of sample masks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lazyvox._typing import Array, IntArray
from lazyvox.errors import ImageIndexError, ParameterError, ParameterTypeError

__all__ = ["RunVolumes", "SampleMask", "VolumeNumberError", "checked_sample_mask", "split_runs"]

SampleMask = npt.ArrayLike | Sequence[npt.ArrayLike]


class VolumeNumberError(ImageIndexError, ParameterError):
    """A sample mask names a volume that the series has not."""


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


def checked_sample_mask(
    mask: npt.ArrayLike, n_volumes: int, name: str = "`sample_mask`"
) -> IntArray:
    """Return the numbers of the volumes that a sample mask keeps.

    Parameters
    ----------
    mask : array-like
        Numbers of volumes, ascending, or one boolean per volume.
    n_volumes : int
        Number of volumes that there are.
    name : str
        The mask, for messages.

    Returns
    -------
    ndarray of int
        The numbers.

    Raises
    ------
    ParameterError
        If no volume is kept, or they do not ascend.
    VolumeNumberError
        If a number is none of a volume, or there is not one boolean for each.
    ParameterTypeError
        If it is not one-dimensional, or holds neither numbers nor booleans.

    Examples
    --------
    >>> checked_sample_mask([False, True, True], 3)
    array([1, 2])
    """
    values = np.asarray(mask)
    if values.ndim != 1 or (values.dtype.kind not in "biuf" and values.size):
        msg = (
            f"{name} must be a list of volume numbers, or one boolean per volume. Got shape "
            f"{values.shape} and type {values.dtype}."
        )
        raise ParameterTypeError(msg)
    if values.dtype == bool:
        if len(values) != n_volumes:
            msg = (
                f"{name} must have one boolean per volume. Got {len(values)} for {n_volumes} "
                f"volumes."
            )
            raise VolumeNumberError(msg)
        values = np.flatnonzero(values)
    if not len(values):
        msg = f"{name} must keep at least one of {n_volumes} volumes. Got none."
        raise ParameterError(msg)
    if not np.array_equal(values, np.trunc(values)):
        msg = f"{name} must hold whole numbers. Got {values[values != np.trunc(values)][0]}."
        raise ParameterError(msg)
    _check_order(values, n_volumes, name)
    return values.astype(np.intp)


def _check_order(numbers: Array, n_volumes: int, name: str) -> None:
    if len(numbers) > n_volumes:
        msg = (
            f"{name} must hold each of {n_volumes} volumes at most once. Got {len(numbers)} "
            f"numbers."
        )
        raise VolumeNumberError(msg)
    if numbers.min() < 0 or numbers.max() >= n_volumes:
        msg = (
            f"{name} must name volumes from 0 to {n_volumes - 1}. Got {numbers.min()} to "
            f"{numbers.max()}."
        )
        raise VolumeNumberError(msg)
    # Unsigned numbers have no negative difference.
    is_late = numbers[1:] <= numbers[:-1]
    if is_late.any():
        place = int(np.argmax(is_late)) + 1
        msg = (
            f"{name} must ascend, and name each volume once. Got {numbers[place]} after "
            f"{numbers[place - 1]} at place {place}."
        )
        hint = "Sort it with numpy.unique."
        raise ParameterError(msg, hint=hint, cli_hint="Sort the numbers, each once.")
