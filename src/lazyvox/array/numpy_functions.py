"""The functions of NumPy that act element by element, besides its ufuncs: one table.

Images, dataobjs and the formulas of `lazyvox.image.math_img` look functions up here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from lazyvox._typing import DType
from lazyvox.errors import ParameterTypeError

__all__ = [
    "ELEMENTWISE",
    "REDUCING",
    "REDUCING_VOLUMES",
    "WHOLE",
    "Elementwise",
    "cast",
    "is_elementwise",
    "lazy_call",
    "needs_all",
    "power_of",
]


#: A function that acts element by element, its operands, and its options.
Called: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Elementwise:
    """A function that acts element by element though it is no ufunc.

    Attributes
    ----------
    operands : tuple of str
        Its first parameters, which must be given: each has one value for every element, or one
        for all.
    options : tuple of str
        Parameters that may follow, by position or by name, of one value each.
    keywords : tuple of str
        Options that are given by name only.
    rewrite : callable, optional
        Takes the parameters by name, and returns the function, operands and options to be called
        in its place: where options are operands too, or where the function is not one for all
        options.
    """

    operands: tuple[str, ...]
    options: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    rewrite: Callable[..., Called] | None = None


def lazy_call(
    func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> Called | None:
    """Return the element-wise function, operands and options of a call of NumPy.

    Parameters
    ----------
    func : callable
        A function of NumPy.
    args : sequence
        Its arguments.
    kwargs : dict
        Its keyword arguments.

    Returns
    -------
    tuple of (callable, tuple, dict) or None
        None if the function, called so, needs more than one element at a time.

    Raises
    ------
    ParameterTypeError
        If it is called with a parameter that has no place in a later call, such as `out`.
    """
    if isinstance(func, np.ufunc):
        return (func, tuple(args), kwargs) if is_elementwise(func) else None
    entry = ELEMENTWISE.get(func)
    if entry is None:
        return None
    names = (*entry.operands, *entry.options)
    given = dict(zip(names, args, strict=False)) | kwargs
    surplus = sorted(set(given) - set(names) - set(entry.keywords))
    if surplus or len(args) > len(names):
        known = ", ".join((*names, *entry.keywords))
        msg = (
            f"numpy.{func.__name__} of what is computed later takes {known}. Got "
            f"{', '.join(surplus) or f'{len(args)} arguments'}. Read the values first: "
            f"np.asarray(img.dataobj)."
        )
        raise ParameterTypeError(msg)
    if not set(entry.operands) <= set(given):
        return None
    if entry.rewrite is not None:
        return entry.rewrite(**given)
    operands = tuple(given.pop(name) for name in entry.operands)
    return func, operands, given


def is_elementwise(func: Any) -> bool:
    """Return whether a function of NumPy acts on each element by itself.

    Parameters
    ----------
    func : object
        Anything.

    Returns
    -------
    bool
        True for ufuncs of one result, and for the functions of the table.
    """
    if isinstance(func, np.ufunc):
        return func.nout == 1 and func.signature is None
    return callable(func) and func in ELEMENTWISE


def needs_all(func: Callable[..., Any]) -> bool:
    """Return whether a function of NumPy needs more than one element of an array at a time.

    Parameters
    ----------
    func : callable
        A function of NumPy that was not called element by element.

    Returns
    -------
    bool
        False for functions that say something of any object, such as `numpy.shape`, and for those
        that are unknown.
    """
    return (
        func in ELEMENTWISE or func.__name__ in (WHOLE - _OF_OBJECTS) | REDUCING_VOLUMES | _OF_MANY
    )


def power_of(dtype: DType, exponent: Any) -> np.ufunc | None:
    """Return the ufunc of one operand that NumPy's ``**`` calls for an exponent.

    Parameters
    ----------
    dtype : numpy.dtype
        Type of the base.
    exponent : object
        The exponent.

    Returns
    -------
    numpy.ufunc or None
        None where it calls `numpy.power`.
    """
    is_float = dtype.kind in "fc"
    if dtype.kind == "b" or not (type(exponent) is int or (is_float and type(exponent) is float)):
        return None
    fast: dict[float, Any] = {2: np.square}
    if is_float:
        fast |= {1: np.positive, -1: np.reciprocal, 0.5: np.sqrt}
    found: np.ufunc | None = fast.get(exponent)
    return found


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


def nan_to_num(values: Any, *replacements: Any, names: tuple[str, ...]) -> Any:
    """Return values without NaN or infinities, as `numpy.nan_to_num` does.

    Parameters
    ----------
    values : ndarray
        The values.
    *replacements : ndarray or scalar
        They broadcast with the values.
    names : tuple of str
        Of "nan", "posinf" and "neginf", those that are given.

    Returns
    -------
    ndarray
        In the type of `values`.
    """
    whole = np.broadcast_arrays(values, *replacements)[0]
    return np.nan_to_num(whole, **dict(zip(names, replacements, strict=True)))


def isin(values: Any, *, among: tuple[Any, ...], invert: bool) -> Any:
    """Return whether values are among others, as `numpy.isin` does.

    Parameters
    ----------
    values : ndarray
        The values.
    among : tuple of scalar
        The others.
    invert : bool
        Whether to ask if they are not.

    Returns
    -------
    ndarray of bool, of shape of `values`
        The answers.
    """
    return np.isin(values, np.array(among), invert=invert)


def _nan_to_num(x: Any, *, copy: bool = True, **replacements: Any) -> Called:
    # What is computed later is always a copy.
    del copy
    given = {name: one for name, one in replacements.items() if one is not None}
    return nan_to_num, (x, *given.values()), {"names": tuple(given)}


def _isin(
    element: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Called:
    # A promise that holds for the whole array does so for its pieces, and gains nothing there.
    del assume_unique
    return isin, (element,), {"among": tuple(np.ravel(test_elements)), "invert": invert}


def _isclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, **options: Any) -> Called:
    return np.isclose, (a, b, rtol, atol), options


def _clip(a: Any, a_min: Any = None, a_max: Any = None, **options: Any) -> Called:
    low, high = options.pop("min", a_min), options.pop("max", a_max)
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
        np.argmin: "argmin",
        np.argmax: "argmax",
        np.median: "median",
        np.percentile: "percentile",
    }
)

#: Functions that reduce axes and are no methods; formulas compute them volume by volume where the
#: axes allow that.
REDUCING_VOLUMES = frozenset(
    [
        "prod",
        "ptp",
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

#: Functions that act element by element though they are no ufuncs.
ELEMENTWISE: MappingProxyType[Any, Elementwise] = MappingProxyType(
    {
        np.where: Elementwise(("condition", "x", "y")),
        np.clip: Elementwise(
            ("a",), ("a_min", "a_max"), ("min", "max", "dtype", "casting"), rewrite=_clip
        ),
        np.nan_to_num: Elementwise(
            ("x",), ("copy", "nan", "posinf", "neginf"), rewrite=_nan_to_num
        ),
        np.isclose: Elementwise(("a", "b"), ("rtol", "atol", "equal_nan"), rewrite=_isclose),
        np.isin: Elementwise(
            ("element", "test_elements"), ("assume_unique", "invert"), rewrite=_isin
        ),
        np.round: Elementwise(("a",), ("decimals",)),
        np.around: Elementwise(("a",), ("decimals",)),
        np.fix: Elementwise(("x",)),
        np.real: Elementwise(("val",)),
        np.imag: Elementwise(("val",)),
        np.angle: Elementwise(("z",), ("deg",)),
        np.sinc: Elementwise(("x",)),
        np.i0: Elementwise(("x",)),
        np.isreal: Elementwise(("x",)),
        np.iscomplex: Elementwise(("x",)),
        np.isposinf: Elementwise(("x",)),
        np.isneginf: Elementwise(("x",)),
        np.zeros_like: Elementwise(("a",), ("dtype",)),
        np.ones_like: Elementwise(("a",), ("dtype",)),
        np.full_like: Elementwise(("a", "fill_value"), ("dtype",)),
    }
)

#: Functions of a whole array that formulas may call; it is read for them.
WHOLE = frozenset(
    [
        "sort",
        "argsort",
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
        "real_if_close",
        "size",
        "shape",
        "ndim",
    ]
)

#: Those of them that say something of any object, and take an image for one.
_OF_OBJECTS = frozenset({"array_equal", "array_equiv", "atleast_1d", "ndim", "shape", "size"})

#: Functions of a whole array that formulas do not know.
_OF_MANY = frozenset(
    [
        "stack",
        "concatenate",
        "vstack",
        "hstack",
        "dstack",
        "column_stack",
        "append",
        "insert",
        "delete",
        "split",
        "array_split",
        "matmul",
        "vdot",
        "outer",
        "kron",
        "einsum",
        "tensordot",
        "convolve",
        "correlate",
        "histogram",
        "histogram_bin_edges",
        "histogram2d",
        "histogramdd",
        "bincount",
        "nonzero",
        "argwhere",
        "flatnonzero",
        "extract",
        "place",
        "putmask",
        "put",
        "select",
        "piecewise",
        "choose",
        "partition",
        "argpartition",
        "lexsort",
        "unwrap",
        "meshgrid",
        "trace",
        "diagonal",
        "triu",
        "tril",
        "broadcast_to",
        "broadcast_arrays",
        "resize",
        "pad",
        "rollaxis",
    ]
)
