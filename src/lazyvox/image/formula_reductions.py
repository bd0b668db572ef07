"""Reductions in formulas: streamed over time or space where that is possible."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from lazyvox._typing import Array, DType
from lazyvox.array.expression import elementwise
from lazyvox.array.lazy_array import LazyArray
from lazyvox.image.formula_functions import apply_whole
from lazyvox.image.streamed_reductions import OVER_TIME, TimeStatistics, reduced_over_space

__all__ = ["REDUCTIONS", "reduce_array"]

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

_RENAMED = {"amin": "min", "amax": "max"}


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
