"""Checks of arguments of public functions: choices, integers, booleans."""

from collections.abc import Iterable
from numbers import Integral
from typing import TypeVar

import numpy as np

from lazyvox.errors import ParameterError, ParameterTypeError

__all__ = ["check_choice", "check_flag", "checked_integer"]

T = TypeVar("T")


def check_choice(value: object, name: str, allowed: Iterable[T]) -> T:
    """Return an argument that must be one of a few.

    Parameters
    ----------
    value : object
        The argument.
    name : str
        Name of the parameter.
    allowed : iterable
        The choices.

    Returns
    -------
    object
        The choice.

    Raises
    ------
    ParameterError
        If it is none of them.
    """
    choices = tuple(allowed)
    # An array would compare element by element.
    if not isinstance(value, np.ndarray):
        for choice in choices:
            if value == choice:
                return choice
    msg = f"`{name}` must be one of {', '.join(map(repr, choices))}. Got {value!r}."
    raise ParameterError(msg, value=value if isinstance(value, str) else None)


def check_flag(value: object, name: str) -> bool:
    """Return a boolean option.

    Parameters
    ----------
    value : object
        The argument.
    name : str
        Name of the parameter.

    Returns
    -------
    bool
        The value.

    Raises
    ------
    ParameterTypeError
        If it is not a boolean.
    """
    if not isinstance(value, bool | np.bool_):
        msg = f"`{name}` must be True or False. Got {value!r} of type {type(value).__name__}."
        raise ParameterTypeError(msg)
    return bool(value)


def checked_integer(value: object, name: str, least: int = 0, most: int | None = None) -> int:
    """Return an integer argument.

    Parameters
    ----------
    value : object
        The argument.
    name : str
        Name of the parameter.
    least, most : int
        Its bounds.

    Returns
    -------
    int
        The value.

    Raises
    ------
    ParameterTypeError
        If it is not an integer.
    ParameterError
        If it is out of bounds.
    """
    bounds = f", {least} or larger" if most is None else f" from {least} to {most}"
    rule = f"`{name}` must be an integer{bounds}."
    if isinstance(value, bool) or not isinstance(value, Integral):
        msg = f"{rule} Got {value!r}."
        raise ParameterTypeError(msg, parameter=name, value=str(value))
    number = int(value)
    if number < least or (most is not None and number > most):
        msg = f"{rule} Got {number}."
        raise ParameterError(msg, parameter=name, value=number)
    return number
