"""The reductions: one record for each, looked up by consumers, methods, formulas and masks."""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from lazyvox._typing import Array, DType, Shape
from lazyvox.array.courses import Courses
from lazyvox.array.moments import Moments, TrendMoments
from lazyvox.array.reduction_states import (
    Fold,
    Positions,
    State,
    WideSums,
    sum_dtype,
)
from lazyvox.array.residuals import Residuals
from lazyvox.errors import ParameterError, ParameterTypeError

__all__ = [
    "REDUCTIONS",
    "Reduction",
    "checked_percentile",
    "reduction_of_residuals",
]


@dataclass(frozen=True, slots=True)
class Reduction:
    """Record of a reduction of values that come volume by volume.

    Attributes
    ----------
    name : str
        Its name, that of NumPy's function where there is one.
    family : str
        Reductions of one family have equal states, and share one in a pass.
    new_state : callable
        Gives the state for a shape of entries, a type of values, and a number of values of each
        entry.
    finalize : callable
        Gives the result for a state and the one number that the reduction takes: "delta degrees of
        freedom", or the percentile. In the type of the state.
    result_dtype : callable
        Gives NumPy's type of the result for a type of values.
    n_extra : int
        Float64 numbers per entry that `finalize` allocates, its result included.
    needs : str
        What values must be if they cannot be complex: "real", say; else empty.
    over_space : bool
        Whether axes of space can be reduced together with time, by merging states.
    needs_time : bool
        Whether time is the only axis that can be reduced.
    shares_state : bool
        Whether several results can be made of one state; else the first uses it up.
    """

    name: str
    family: str
    new_state: Callable[[Shape, DType, int], State]
    finalize: Callable[[Any, Any], Array]
    result_dtype: Callable[[DType], DType]
    n_extra: int = 0
    needs: str = ""
    over_space: bool = True
    needs_time: bool = False
    shares_state: bool = False

    @property
    def has_ddof(self) -> bool:
        """True if the result depends on "delta degrees of freedom"."""
        return self.family == "moments"

    def takes(self, dtype: DType) -> bool:
        """Return whether values of a type have this reduction."""
        return dtype.kind in ("biuf" if self.needs else "biufc")

    def nbytes(self, shape: Shape, dtype: DType, n_values: int) -> int:
        """Return the most bytes of state and result."""
        extra = 8 * self.n_extra * int(np.prod(shape, dtype=np.int64))
        return self.new_state(shape, dtype, n_values).nbytes + extra

    def file_bytes(self, shape: Shape, dtype: DType, n_values: int) -> int:
        """Return the bytes of the temporary file of the state."""
        return self.new_state(shape, dtype, n_values).file_bytes


def _sums(shape: Shape, dtype: DType, n_values: int) -> State:
    """Return the state of a sum: the one rule for integers is that no sum wraps around."""
    summed = sum_dtype(dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if n_values * max(-limits.min, limits.max) > np.iinfo(summed).max:
            return WideSums(shape, summed)
    return Fold(np.add, shape, summed)


def _folded(name: str, function: np.ufunc, needs: str = "") -> Reduction:
    """Return the record of a fold in the type of the values, or of their truth."""
    of_truth = function in {np.logical_or, np.logical_and}

    def dtype_of(dtype: DType) -> DType:
        return np.dtype(bool) if of_truth else dtype

    def new_state(shape: Shape, dtype: DType, _: int) -> State:
        return Fold(function, shape, dtype_of(dtype))

    return Reduction(name, name, new_state, _values, dtype_of, needs=needs)


def _positions(name: str, stays: np.ufunc) -> Reduction:
    return Reduction(
        name,
        name,
        lambda shape, dtype, _: Positions(stays, shape, dtype),
        lambda state, _: state.volumes,
        lambda _: np.dtype(np.intp),
        needs="ordered",
        over_space=False,
    )


def _moments(name: str, finalize: Callable[[Moments, int], Array]) -> Reduction:
    return Reduction(
        name,
        "moments",
        lambda shape, *_: Moments(shape),
        finalize,
        _inexact,
        n_extra=1,
        needs="real",
        shares_state=True,
    )


def _of_courses(name: str, finalize: Callable[[Courses, float], Array]) -> Reduction:
    return Reduction(
        name,
        "courses",
        Courses,
        finalize,
        _inexact,
        n_extra=1,
        needs="real",
        over_space=False,
        needs_time=True,
        shares_state=True,
    )


def checked_percentile(q: Any) -> float:
    """Return a percentile as a number, or say what it must be."""
    if isinstance(q, bool) or not isinstance(q, int | float | np.integer | np.floating):
        msg = f"`q`, a percentile, must be a number. Got {q!r}."
        raise ParameterTypeError(msg, parameter="q", value=str(q))
    if not 0 <= q <= 100:
        msg = f"`q`, a percentile, must be from 0 to 100. Got {q:g}."
        raise ParameterError(msg, parameter="q", value=float(q))
    return float(q)


def reduction_of_residuals(name: str, order: int) -> Reduction:
    """Return the record of a reduction after a polynomial trend was removed over time.

    Parameters
    ----------
    name : {"var", "std", "tsnr", "ar1"}
        The reduction.
    order : int
        Order of the trend; 0 is the mean.

    Returns
    -------
    Reduction
        Its family is that of the order.
    """
    return Reduction(
        name,
        f"residuals of order {order}",
        lambda shape, _, n_values: Residuals(shape, n_values, order),
        {"var": Residuals.variance, "std": _std, "tsnr": Residuals.tsnr, "ar1": Residuals.ar1}[
            name
        ],
        _inexact,
        n_extra=1,
        needs="real",
        over_space=False,
        needs_time=True,
        shares_state=True,
    )


def _values(state: Fold | WideSums, _: int) -> Array:
    return state.exact() if isinstance(state, WideSums) else state.values


def _mean(state: Fold, _: int) -> Array:
    return np.divide(state.values, state.count, out=state.values)


def _std(state: Moments | Residuals, ddof: int) -> Array:
    spread = state.variance(ddof)
    return np.sqrt(spread, out=spread)


def _median(state: Courses, _: float) -> Array:
    return _of_each(state, lambda block: np.median(block, axis=1, overwrite_input=True))


def _percentile(state: Courses, percentile: float) -> Array:
    return _of_each(
        state, lambda block: np.percentile(block, percentile, axis=1, overwrite_input=True)
    )


def _of_each(state: Courses, function: Callable[[Array], Any]) -> Array:
    """Return a function of the course of every entry."""
    result = np.empty(state.shape, order="F")
    flat = result.reshape(-1, order="F")
    for entries, courses in state.blocks():
        # Between two infinite values there is NaN.
        with np.errstate(invalid="ignore"):
            flat[entries] = function(courses)
    return result


def _inexact(dtype: DType) -> DType:
    return dtype if dtype.kind in "fc" else np.dtype(np.float64)


_RECORDS = (
    Reduction("sum", "sum", _sums, _values, lambda of: of if of.kind in "fc" else sum_dtype(of)),
    Reduction(
        "mean",
        "mean",
        lambda shape, dtype, _: Fold(np.add, shape, np.result_type(dtype, np.float64)),
        _mean,
        _inexact,
    ),
    _folded("min", np.minimum, "ordered"),
    _folded("max", np.maximum, "ordered"),
    _folded("any", np.logical_or),
    _folded("all", np.logical_and),
    _moments("var", Moments.variance),
    _moments("std", _std),
    _moments("tsnr", Moments.tsnr),
    Reduction(
        "mean_square",
        "moments",
        lambda shape, *_: Moments(shape),
        lambda state, _: state.mean_square(),
        lambda _: np.dtype(np.float64),
        n_extra=1,
        needs="real",
        shares_state=True,
    ),
    Reduction(
        "detrended_mean_square",
        "trend_moments",
        lambda shape, *_: TrendMoments(shape),
        lambda state, _: state.detrended_mean_square(),
        lambda _: np.dtype(np.float64),
        n_extra=1,
        needs="real",
        over_space=False,
        needs_time=True,
    ),
    _of_courses("median", _median),
    _of_courses("percentile", _percentile),
    _positions("argmin", np.less_equal),
    _positions("argmax", np.greater_equal),
)

#: Reductions by name.
REDUCTIONS: MappingProxyType[str, Reduction] = MappingProxyType(
    {one.name: one for one in _RECORDS}
)
