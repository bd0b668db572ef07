"""The check of sample masks: which volumes of a series are taken; and such lists as text."""

import numpy as np
import numpy.typing as npt

from lazyvox._typing import Array, IntArray
from lazyvox.errors import ImageIndexError, ParameterError, ParameterTypeError

__all__ = ["VolumeNumberError", "checked_sample_mask", "listed_ranges"]


class VolumeNumberError(ImageIndexError, ParameterError):
    """A sample mask names a volume that the series has not."""


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


def listed_ranges(numbers: IntArray) -> str:
    """Return ascending numbers as text.

    Examples
    --------
    >>> listed_ranges(np.array([0, 1, 2, 7, 20, 21]))
    '0-2, 7, 20-21'
    """
    parts = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return ", ".join(f"{one[0]}-{one[-1]}" if len(one) > 1 else f"{one[0]}" for one in parts)
