"""Which functions of NumPy, besides its ufuncs, can be called later."""

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from lazyvox._typing import DType

__all__ = ["REDUCING", "cast", "lazy_call"]


def lazy_call(
    func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]] | None:
    """Return the element-wise function, operands and options that a call of NumPy stands for.

    Parameters
    ----------
    func : callable
        A function of NumPy that is no ufunc.
    args : sequence
        Its arguments.
    kwargs : dict
        Its keyword arguments.

    Returns
    -------
    tuple of (callable, tuple, dict) or None
        None if the function needs more than one element at a time.
    """
    if func is np.clip:
        return _clip(*args, **kwargs)
    n_operands = _ELEMENTWISE.get(func)
    if n_operands is None or len(args) < n_operands or "out" in kwargs:
        return None
    names = _OPTIONS.get(func, ())
    options = dict(zip(names, args[n_operands:], strict=False)) | kwargs
    if func is np.nan_to_num:
        options.pop("copy", None)
    return func, tuple(args[:n_operands]), options


def cast(values: Any, *, dtype: DType) -> Any:
    """Return values in another type, as `numpy.ndarray.astype` does.

    Parameters
    ----------
    values : ndarray
        The values.
    dtype : numpy.dtype
        The type.

    Returns
    -------
    ndarray of shape of `values`
        The values in that type; they themselves where it is theirs.
    """
    return np.asarray(values).astype(dtype, copy=False)


def _clip(
    a: Any,
    a_min: Any = None,
    a_max: Any = None,
    out: Any = None,
    **options: Any,
) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]] | None:
    low, high = options.pop("min", a_min), options.pop("max", a_max)
    if out is not None:
        return None
    if low is None and high is None:
        return np.positive, (a,), options
    if high is None:
        return np.maximum, (a, low), options
    if low is None:
        return np.minimum, (a, high), options
    return np.clip, (a, low, high), options


#: Functions that are methods too, and the names of those.
REDUCING: MappingProxyType[Any, str] = MappingProxyType(
    {
        np.sum: "sum",
        np.mean: "mean",
        np.var: "var",
        np.std: "std",
        np.min: "min",
        np.amin: "min",
        np.max: "max",
        np.amax: "max",
        np.any: "any",
        np.all: "all",
    }
)

#: Functions that act element by element though they are no ufuncs, and how many operands they have.
_ELEMENTWISE: MappingProxyType[Any, int] = MappingProxyType(
    {
        np.where: 3,
        np.nan_to_num: 1,
        np.round: 1,
        np.around: 1,
        np.real: 1,
        np.imag: 1,
        np.angle: 1,
        np.sinc: 1,
        np.i0: 1,
        np.isclose: 2,
        np.isreal: 1,
        np.iscomplex: 1,
        np.isposinf: 1,
        np.isneginf: 1,
    }
)

#: Names of what may follow the operands by position.
_OPTIONS: MappingProxyType[Any, tuple[str, ...]] = MappingProxyType(
    {
        np.nan_to_num: ("copy", "nan", "posinf", "neginf"),
        np.round: ("decimals",),
        np.around: ("decimals",),
        np.angle: ("deg",),
        np.isclose: ("rtol", "atol", "equal_nan"),
    }
)
