"""Checks of arguments that several functions share."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.planning.arguments import checked_integer

__all__ = ["checked_border", "checked_fraction", "checked_list", "checked_opening"]


def checked_fraction(value: Any, name: str) -> float:
    """Return a fraction; refuse other values than numbers from 0 to 1.

    Parameters
    ----------
    value : object
        What the user gave.
    name : str
        The parameter.

    Returns
    -------
    float
        The fraction.

    Raises
    ------
    ParameterTypeError
        If it is no number.
    ParameterError
        If it is below 0 or above 1.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        msg = f"`{name}` must be a number from 0 to 1. Got {type(value).__name__}."
        raise ParameterTypeError(msg)
    fraction = float(value)
    if not 0 <= fraction <= 1:
        msg = f"`{name}` must be from 0 to 1. Got {fraction:g}."
        raise ParameterError(msg)
    return fraction


def checked_opening(opening: Any) -> int:
    """Return the number of erosions of an opening.

    Parameters
    ----------
    opening : object
        What the user gave: True is 1, False is none.

    Returns
    -------
    int
        0 or more.

    Raises
    ------
    ParameterTypeError
        If it is neither a whole number nor a bool.
    ParameterError
        If it is negative.
    """
    return checked_integer(int(opening) if isinstance(opening, bool) else opening, "opening")


def checked_border(border_size: Any) -> int:
    """Return the thickness of a border in voxels.

    Parameters
    ----------
    border_size : object
        What the user gave.

    Returns
    -------
    int
        1 or more.

    Raises
    ------
    ParameterTypeError
        If it is no whole number.
    ParameterError
        If it is smaller than 1.
    """
    return checked_integer(border_size, "border_size", 1)


def checked_list(imgs: Any, name: str) -> list[Any]:
    """Return a list of images; refuse other arguments.

    Parameters
    ----------
    imgs : object
        What the user gave.
    name : str
        The parameter.

    Returns
    -------
    list
        At least one item.

    Raises
    ------
    ParameterTypeError
        If it is empty or no list.
    """
    if not isinstance(imgs, Sequence) or isinstance(imgs, str | bytes) or not imgs:
        got = "an empty list" if isinstance(imgs, list | tuple) else type(imgs).__name__
        msg = f"`{name}` must be a list of at least one image. Got {got}."
        raise ParameterTypeError(msg)
    return list(imgs)
