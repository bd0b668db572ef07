"""What the functions of a formula do with lazy arrays: stay lazy, or read the whole."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from lazyvox.array.expression import elementwise
from lazyvox.array.lazy_array import LazyArray
from lazyvox.runtime.strict import check_materialization

__all__ = [
    "ELEMENTWISE",
    "WHOLE",
    "apply_elementwise",
    "apply_whole",
    "power",
    "taken",
    "whole",
]

#: Functions that are no ufuncs and still act on each element by itself.
ELEMENTWISE = frozenset(
    [
        "where",
        "clip",
        "nan_to_num",
        "isclose",
        "real",
        "imag",
        "angle",
        "round",
        "around",
        "sinc",
        "isreal",
        "iscomplex",
        "isposinf",
        "isneginf",
        "zeros_like",
        "ones_like",
        "full_like",
        "real_if_close",
        "fix",
        "i0",
        "asarray",
        "array",
        "heaviside",
    ]
)

#: Functions of the whole array, which is read for them.
WHOLE = frozenset(
    [
        "sort",
        "argsort",
        "argmin",
        "argmax",
        "nanargmin",
        "nanargmax",
        "cumsum",
        "cumprod",
        "nancumsum",
        "nancumprod",
        "diff",
        "ediff1d",
        "gradient",
        "roll",
        "flip",
        "fliplr",
        "flipud",
        "rot90",
        "transpose",
        "moveaxis",
        "swapaxes",
        "squeeze",
        "expand_dims",
        "ravel",
        "reshape",
        "atleast_1d",
        "average",
        "unique",
        "take",
        "compress",
        "dot",
        "inner",
        "cross",
        "digitize",
        "searchsorted",
        "interp",
        "cov",
        "corrcoef",
        "trapezoid",
        "allclose",
        "array_equal",
        "array_equiv",
        "size",
        "shape",
        "ndim",
    ]
)

_BASIC = {int, slice, type(None), type(Ellipsis)}


def apply_elementwise(function: Callable[..., Any], *operands: Any, **options: Any) -> Any:
    """Return a function of operands: lazy where one of them is and the result can be an image.

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
        Of the shape and type that NumPy gives.
    """
    shapes = [np.shape(one) if not isinstance(one, LazyArray) else one.shape for one in operands]
    if not any(isinstance(operand, LazyArray) for operand in operands):
        return function(*operands, **options)
    if len(np.broadcast_shapes(*shapes)) in {3, 4}:
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
    if isinstance(base, LazyArray) and type(exponent) in {int, float}:
        fast: dict[float, Any] = {2: np.square}
        if base.dtype.kind in "fc":
            fast |= {1: np.positive, -1: np.reciprocal, 0.5: np.sqrt}
        is_exact = base.dtype.kind in "fc" or type(exponent) is int
        if base.dtype.kind != "b" and is_exact and exponent in fast:
            return apply_elementwise(fast[exponent], base)
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
