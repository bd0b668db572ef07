"""Labels: values that are integers, but for the rounding of a scale."""

import numpy as np

from lazyvox._typing import Array, BoolArray
from lazyvox.errors import RegionError

__all__ = ["as_labels", "in_few_bytes", "is_integral", "nearest_integers", "shown_values"]

#: Distance to an integer that the scale of a header may leave: 255 * float32(1 / 255) say. A scale
#: is rounded relative to its size, so that large labels may lie further off; and labels become
#: multiples of it, up to half a step away.
_TOLERANCE = 1e-4
_RELATIVE_TOLERANCE = 2.0**-22
_MOST = 1e-2

#: Largest label that float64, in which labels may be read, tells from its neighbours.
_LARGEST = 2**53


def nearest_integers(values: Array, slope: float = 1.0) -> Array | None:
    """Return values that are integers but for rounding as whole numbers, None for others.

    Parameters
    ----------
    values : ndarray
        Finite real numbers.
    slope : float
        The scale in the header, of which they are multiples, apart from its intercept: integers
        that were stored by it have become the nearest of those.

    Returns
    -------
    ndarray or None
        The very array where the type is one of integers; else floats without a fraction.
    """
    if values.dtype.kind != "f":
        return values
    whole = np.rint(values)
    return whole if bool(_is_near(values, whole, slope).all()) else None


def is_integral(values: Array, slope: float = 1.0) -> bool:
    """Return whether all values are integers but for rounding, of whatever type."""
    return nearest_integers(values, slope) is not None


def _is_near(values: Array, whole: Array, slope: float) -> BoolArray:
    """Return which values are the integers beside them, but for rounding."""
    half_a_step = 0.0 if slope == 1.0 else abs(slope) / 2
    allowed = np.minimum(_TOLERANCE + half_a_step + _RELATIVE_TOLERANCE * np.abs(whole), _MOST)
    near: BoolArray = np.abs(values - whole) <= allowed
    return near


def as_labels(values: Array, name: str, slope: float = 1.0) -> Array:
    """Return labels as integers.

    Parameters
    ----------
    values : ndarray
        Finite real numbers.
    name : str
        The labels image, for messages.
    slope : float
        The scale in its header, as in `nearest_integers`.

    Returns
    -------
    ndarray of int32, or int64 where labels need it
        The nearest integers.

    Raises
    ------
    RegionError
        If a value is further from an integer than rounding takes it, or beyond 2**53.

    Examples
    --------
    >>> as_labels(np.array([0, 2.9999999, 6.00004]), "atlas.nii").tolist()
    [0, 3, 6]
    """
    whole = nearest_integers(values, slope)
    if whole is None:
        raise RegionError(_of_fractions(values, name, slope))
    if (largest := _largest(whole)) > _LARGEST:
        msg = f"{name}: labels must be within 2**53. Got {largest:g}."
        raise RegionError(msg)
    return in_few_bytes(whole)


def in_few_bytes(whole: Array) -> Array:
    """Return whole numbers as int32, or as int64 where one of them needs it."""
    largest = _largest(whole)
    return whole.astype(np.int32 if largest < 2**31 else np.int64) if largest < 2**63 else whole


def _largest(whole: Array) -> float:
    return max(-whole.min().item(), whole.max().item()) if whole.size else 0


def shown_values(values: Array) -> str:
    """Return the first distinct values of an array, for messages.

    Parameters
    ----------
    values : ndarray
        Numbers.

    Returns
    -------
    str
        Up to six of them, with digits enough to tell a fraction from an integer.
    """
    distinct = np.unique(values)
    shown = ", ".join(f"{value:.10g}" for value in distinct[:6].tolist())
    return shown + (f", ... ({len(distinct)} values)" if len(distinct) > 6 else "")


def _of_fractions(values: Array, name: str, slope: float) -> str:
    fractions = values[~_is_near(values, np.rint(values), slope)]
    hint = (
        "It looks like probabilities, or like labels that were interpolated: resample labels by "
        "nearest neighbour."
    )
    if slope != 1.0:
        hint = (
            f"The header scales what is stored by {slope:.10g} (scl_slope): labels are to be "
            f"stored without a scale. {hint}"
        )
    return (
        f"{name}: labels must be integers. Got {shown_values(fractions)} at {fractions.size} "
        f"voxels. {hint}"
    )
