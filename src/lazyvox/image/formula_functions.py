"""Functions of formulas over lazy arrays: some stay lazy, others read the whole array."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from lazyvox.array.expression import elementwise
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.numpy_functions import power_of
from lazyvox.runtime.strict import check_materialization

__all__ = [
    "apply_elementwise",
    "apply_whole",
    "power",
    "taken",
    "whole",
]

_BASIC = {int, slice, type(None), type(Ellipsis)}


def apply_elementwise(function: Callable[..., Any], *operands: Any, **options: Any) -> Any:
    """Return an element-wise function of operands: lazy where one of them is lazy.

    Parameters
    ----------
    function : callable
        Acts on each element by itself.
    *operands : object
        Lazy arrays, arrays and numbers.
    **options : object
        Keyword arguments of the function.

    Returns
    -------
    LazyArray, ndarray or scalar
        Of the shape and type that NumPy gives; read where that has more than four axes.
    """
    if not any(isinstance(operand, LazyArray) for operand in operands):
        return function(*operands, **options)
    shapes = [one.shape if isinstance(one, LazyArray) else np.shape(one) for one in operands]
    if len(np.broadcast_shapes(*shapes)) <= 4:
        return elementwise(function, *operands, **options)
    return apply_whole(function, *operands, **options)


def apply_whole(function: Callable[..., Any], *operands: Any, **options: Any) -> Any:
    """Return a function of operands that are read whole where they are lazy.

    Parameters
    ----------
    function : callable
        Any function of arrays.
    *operands : object
        Lazy arrays, arrays and numbers.
    **options : object
        Keyword arguments of the function.

    Returns
    -------
    object
        What the function returns.

    Raises
    ------
    MaterializationError
        If a lazy operand is 4D and `lazyvox.strict` is in force.
    """
    name = getattr(function, "__name__", "the function")
    read = {key: whole(value, name) for key, value in options.items()}
    return function(*(whole(operand, name) for operand in operands), **read)


def whole(value: Any, what: str) -> Any:
    """Return the values of a lazy array, and anything else as it is.

    Parameters
    ----------
    value : object
        A lazy array, or anything.
    what : str
        What needs the values, for the message under `lazyvox.strict`.

    Returns
    -------
    object
        An ndarray for a lazy array.
    """
    if not isinstance(value, LazyArray):
        return value
    if value.ndim > 3:
        check_materialization(f"{what} in a formula", value.nbytes)
    return value.read()


def power(base: Any, exponent: Any) -> Any:
    """Return ``base ** exponent`` by the ufunc that NumPy takes for it.

    Parameters
    ----------
    base, exponent : LazyArray, ndarray or scalar
        The operands.

    Returns
    -------
    LazyArray, ndarray or scalar
        Bit by bit what the operator gives.

    Raises
    ------
    ValueError
        If both are Python integers and the result would have thousands of digits.
    """
    if isinstance(base, int) and isinstance(exponent, int):
        if abs(exponent) * max(base.bit_length(), 1) > 4096:
            msg = "integers to powers must stay below 2**4096. Write floats: 9.0 ** 9, say."
            raise ValueError(msg)
        return operator.pow(base, exponent)
    if not isinstance(base, LazyArray) and not isinstance(exponent, LazyArray):
        return operator.pow(base, exponent)
    one = power_of(base.dtype, exponent) if isinstance(base, LazyArray) else None
    if one is not None:
        return apply_elementwise(one, base)
    return apply_elementwise(np.power, base, exponent)


def taken(value: Any, key: Any) -> Any:
    """Return ``value[key]``; a lazy array stays lazy where the result can be an image.

    Parameters
    ----------
    value : LazyArray, ndarray or scalar
        What is indexed.
    key : object
        Any index of NumPy.

    Returns
    -------
    LazyArray, ndarray or scalar
        The part.
    """
    if not isinstance(value, LazyArray):
        return value[whole(key, "an index")]
    entries = key if isinstance(key, tuple) else (key,)
    if not {type(one) for one in entries} <= _BASIC:
        return whole(value, "an index that is an array")[whole(key, "an index")]
    part = value.view(key)
    if part.ndim in {3, 4} and part.size:
        return part
    if part.ndim > 4:
        check_materialization("a fifth axis in a formula", part.nbytes)
    read = part.read()
    return read if part.ndim or Ellipsis in entries else read[()]
