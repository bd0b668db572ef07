"""Reductions in formulas: streamed over time or space where that is possible."""

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.memory_reader import in_memory_array
from lazyvox.array.numpy_functions import REDUCING, REDUCING_VOLUMES
from lazyvox.array.reduction_reader import reduced, reduced_each
from lazyvox.array.reductions import REDUCTIONS as STREAMED
from lazyvox.image.formula_functions import apply_whole

__all__ = ["REDUCTIONS", "reduce_array"]

#: Functions that reduce axes, and may do so volume by volume.
REDUCTIONS = REDUCING_VOLUMES | {function.__name__ for function in REDUCING}


def reduce_array(name: str, value: Any, options: dict[str, Any]) -> Any:
    """Return a reduction of an array, computed later where it can be streamed.

    Parameters
    ----------
    name : str
        Of `REDUCTIONS`.
    value : LazyArray, ndarray or scalar
        What is reduced.
    options : dict
        Keyword arguments of NumPy's function.

    Returns
    -------
    LazyArray, ndarray or scalar
        Of the shape and type that NumPy gives.
    """
    function = getattr(np, name)
    short = REDUCING.get(function, name)
    if isinstance(value, np.ndarray) and 0 < value.ndim <= 4 and short in {"sum", "nansum"}:
        value = in_memory_array(value, "an array in a formula")
    if not isinstance(value, LazyArray) or value.ndim > 4:
        return apply_whole(function, value, **options)
    if value.dtype.kind in "biu":
        short = short.removeprefix("nan")
    rest = {key: one for key, one in options.items() if key != "axis"}
    axis = options.get("axis")
    axes = normalize_axis_tuple(range(value.ndim) if axis is None else axis, value.ndim)
    if _is_streamed(short, value, axes, rest):
        return reduced(value, short, axis=axis, **rest)
    keepdims = bool(rest.pop("keepdims", False))
    is_plain = set(rest) <= {"ddof", "dtype", "q"} and np.ndim(rest.get("q", 0)) == 0
    if value.ndim == 4 and value.size and axes and 3 not in axes and is_plain:
        return reduced_each(value, function, tuple(axes), keepdims=keepdims, options=rest)
    return apply_whole(function, value, **options)


def _is_streamed(
    name: str, value: LazyArray, axes: tuple[int, ...], options: dict[str, Any]
) -> bool:
    """Return whether a function is one of the kit of reductions, called so."""
    if name not in STREAMED or not STREAMED[name].takes(value.dtype):
        return False
    if STREAMED[name].needs_time:
        # Their states hold the courses of voxels.
        is_course = value.ndim == 4 and axes == (3,) and value.size > 0
        return (
            is_course and set(options) <= {"keepdims", "q"} and np.ndim(options.get("q", 0)) == 0
        )
    return set(options) <= {"keepdims", "ddof", "dtype"}
