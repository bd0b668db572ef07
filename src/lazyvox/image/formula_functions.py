"""What the functions of a formula do with lazy arrays: stay lazy, stream, or read the whole."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from lazyvox._typing import Array, DType
from lazyvox.array.expression import elementwise
from lazyvox.array.lazy_array import LazyArray
from lazyvox.image.streamed_reductions import OVER_TIME, TimeStatistics, reduced_over_space
from lazyvox.runtime.strict import check_materialization

__all__ = [
    "ELEMENTWISE",
    "REDUCTIONS",
    "WHOLE",
    "apply_elementwise",
    "apply_whole",
    "power",
    "reduce_array",
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

#: Functions that reduce axes, and may do so volume by volume.
REDUCTIONS = frozenset(
    [
        "mean",
        "std",
        "var",
        "sum",
        "min",
        "max",
        "amin",
        "amax",
        "any",
        "all",
        "median",
        "prod",
        "ptp",
        "percentile",
        "quantile",
        "nanmean",
        "nanstd",
        "nanvar",
        "nansum",
        "nanmin",
        "nanmax",
        "nanmedian",
        "nanprod",
        "nanpercentile",
        "nanquantile",
        "count_nonzero",
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

_RENAMED = {"amin": "min", "amax": "max"}


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


def reduce_array(
    name: str,
    value: Any,
    options: dict[str, Any],
    statistics: Callable[[LazyArray, tuple[str, ...]], TimeStatistics],
) -> Any:
    """Return a reduction of an array, streamed where that is possible.

    Parameters
    ----------
    name : str
        Of `REDUCTIONS`.
    value : LazyArray, ndarray or scalar
        What is reduced.
    options : dict
        Keyword arguments of NumPy's function.
    statistics : callable
        Gives statistics over time of a 4D array.

    Returns
    -------
    ndarray or scalar
        Of the shape and type that NumPy gives.
    """
    function: Callable[..., Any] = getattr(np, name)
    if not isinstance(value, LazyArray) or value.ndim != 4 or not value.size:
        return apply_whole(function, value, **options)
    axes = normalize_axis_tuple(_axis_of(options), 4)
    rest = {key: one for key, one in options.items() if key != "axis"}
    short = _RENAMED.get(name, name)
    if 3 not in axes and axes and _is_plain(rest, {"keepdims", "ddof", "dtype", "q"}):
        dtype = _dtype_of(function, value.dtype, tuple(axes), rest)
        return reduced_over_space(value, function, tuple(axes), rest).astype(dtype, copy=False)
    is_plain = _is_plain(rest, {"keepdims", "ddof"}) and value.dtype.kind in "biuf"
    if short in OVER_TIME and 3 in axes and is_plain:
        return _over_time(short, value, axes, rest, statistics)
    return apply_whole(function, value, **options)


def _axis_of(options: dict[str, Any]) -> Any:
    axis = options.get("axis")
    return (0, 1, 2, 3) if axis is None else axis


def _is_plain(options: dict[str, Any], names: set[str]) -> bool:
    """Return whether these are options that change nothing about how to stream."""
    return set(options) <= names and np.ndim(options.get("q", 0)) == 0


def _dtype_of(
    function: Callable[..., Any], dtype: DType, axes: tuple[int, ...], options: dict[str, Any]
) -> DType:
    """Return the type that NumPy gives to the result."""
    with np.errstate(all="ignore"):
        example = function(np.ones((2, 2, 2, 2), dtype), axis=axes, **options)
    return np.asarray(example).dtype


def _over_time(
    name: str,
    value: LazyArray,
    axes: tuple[int, ...],
    options: dict[str, Any],
    statistics: Callable[[LazyArray, tuple[str, ...]], TimeStatistics],
) -> Any:
    """Return a reduction over time, and maybe space, out of statistics of every voxel."""
    keepdims = bool(options.get("keepdims", False))
    if name in {"any", "all"}:
        value = elementwise(np.not_equal, value, 0)
    plain = {key: one for key, one in options.items() if key != "keepdims"}
    dtype = _dtype_of(getattr(np, name), value.dtype, axes, plain)
    found = statistics(value, OVER_TIME[name])
    space = tuple(axis for axis in axes if axis != 3)
    volumes = {key: one[..., None] for key, one in found.items()}
    reduced = _over_space(name, volumes, space, value.shape, options)
    reduced = np.asarray(reduced).astype(dtype, copy=False)
    if not keepdims:
        reduced = reduced.squeeze(axis=axes)
    return reduced if reduced.ndim else reduced[()]


def _over_space(
    name: str,
    volumes: TimeStatistics,
    space: tuple[int, ...],
    shape: tuple[int, ...],
    options: dict[str, Any],
) -> Array:
    """Return a reduction over axes of space of what is known of every voxel, all axes kept."""
    if name not in {"std", "var"}:
        values = volumes[OVER_TIME[name][0]]
        function = {"any": np.max, "all": np.min}.get(name, getattr(np, name))
        return np.asarray(function(values, axis=space, keepdims=True)) if space else values
    n_values = int(np.prod([shape[axis] for axis in (*space, 3)]))
    spread = volumes["var"]
    if space:
        between = np.var(volumes["mean"], axis=space, keepdims=True)
        spread = np.mean(spread, axis=space, keepdims=True) + between
    ddof = options.get("ddof", 0)
    scaled = spread * (np.float64(n_values) / np.float64(max(n_values - ddof, 0)))
    return np.asarray(np.sqrt(scaled) if name == "std" else scaled)
