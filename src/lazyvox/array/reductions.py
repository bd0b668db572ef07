"""The reductions: one record for each, looked up by consumers, methods, formulas and masks."""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from lazyvox._typing import Array, DType, Shape
from lazyvox.array.moments import Moments
from lazyvox.array.reduction_states import (
    Fold,
    LaggedProducts,
    Positions,
    State,
    WideSums,
    sum_dtype,
)

__all__ = ["REDUCTIONS", "Reduction"]


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
        Gives the result for a state and "delta degrees of freedom", in the type of the state. The
        state of a mean is used up by it.
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
    """

    name: str
    family: str
    new_state: Callable[[Shape, DType, int], State]
    finalize: Callable[[Any, int], Array]
    result_dtype: Callable[[DType], DType]
    n_extra: int = 0
    needs: str = ""
    over_space: bool = True
    needs_time: bool = False

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


def _sums(shape: Shape, dtype: DType, n_values: int) -> State:
    """Return the state of a sum: the one rule for integers is that no sum wraps around."""
    summed = sum_dtype(dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if n_values * max(-limits.min, limits.max) > np.iinfo(summed).max:
            return WideSums(shape, summed)
    return Fold(np.add, shape, summed)


def _sum(state: State, ddof: int) -> Array:
    del ddof
    if isinstance(state, WideSums):
        return state.exact()
    assert isinstance(state, Fold), "bug in lazyvox: no sum"
    return state.values


def _float_sums(shape: Shape, dtype: DType, n_values: int) -> State:
    del n_values
    return Fold(np.add, shape, np.result_type(dtype, np.float64))


def _mean(state: Fold, ddof: int) -> Array:
    del ddof
    return np.divide(state.values, state.count, out=state.values)


def _folded(name: str, function: np.ufunc, needs: str = "") -> Reduction:
    """Return the record of a fold in the type of the values, or of their truth."""
    is_truth = function in {np.logical_or, np.logical_and}

    def result_dtype(dtype: DType) -> DType:
        return np.dtype(bool) if is_truth else dtype

    def new_state(shape: Shape, dtype: DType, n_values: int) -> State:
        del n_values
        return Fold(function, shape, result_dtype(dtype))

    return Reduction(name, name, new_state, lambda state, _: state.values, result_dtype, 0, needs)


def _positions(name: str, is_beyond: np.ufunc) -> Reduction:
    def new_state(shape: Shape, dtype: DType, n_values: int) -> State:
        del n_values
        return Positions(is_beyond, shape, dtype)

    return Reduction(
        name,
        name,
        new_state,
        lambda state, _: state.volumes,
        lambda _: np.dtype(np.intp),
        needs=_ORDERED,
        over_space=False,
    )


def _moments(name: str, finalize: Callable[[Moments, int], Array], n_extra: int) -> Reduction:
    return Reduction(
        name,
        "moments",
        lambda shape, *_: Moments(shape),
        finalize,
        _inexact if name != "tsnr" else lambda _: np.dtype(np.float64),
        n_extra,
        _REAL,
    )


def _std(state: Moments, ddof: int) -> Array:
    spread = state.variance(ddof)
    return np.sqrt(spread, out=spread)


def _inexact(dtype: DType) -> DType:
    return dtype if dtype.kind in "fc" else np.dtype(np.float64)


def _added(dtype: DType) -> DType:
    return dtype if dtype.kind in "fc" else sum_dtype(dtype)


_REAL, _ORDERED = "real", "ordered"

#: Reductions by name.
REDUCTIONS: MappingProxyType[str, Reduction] = MappingProxyType(
    {
        one.name: one
        for one in (
            Reduction("sum", "sum", _sums, _sum, _added),
            Reduction("mean", "mean", _float_sums, _mean, _inexact),
            _folded("min", np.minimum, _ORDERED),
            _folded("max", np.maximum, _ORDERED),
            _folded("any", np.logical_or),
            _folded("all", np.logical_and),
            _moments("var", lambda state, ddof: state.variance(ddof), 1),
            _moments("std", _std, 1),
            _moments("tsnr", lambda state, ddof: state.tsnr(ddof), 1),
            _positions("argmin", np.less_equal),
            _positions("argmax", np.greater_equal),
            Reduction(
                "lag1_products",
                "lag1_products",
                lambda shape, *_: LaggedProducts(shape),
                lambda state, _: state.sums(),
                lambda _: np.dtype(np.float64),
                n_extra=4,
                needs=_REAL,
                over_space=False,
                needs_time=True,
            ),
        )
    }
)
