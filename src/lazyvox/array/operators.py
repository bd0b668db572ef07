"""Python's operators and NumPy's functions for what is computed later: one class, for mixing in."""

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np

from lazyvox._typing import DType, override
from lazyvox.errors import ParameterTypeError

__all__ = ["REDUCING", "Operators", "cast", "lazy_call"]


class Operators:
    """Arithmetic, comparisons and NumPy's element-wise functions, by way of one method.

    ``a += b`` makes a new object and gives it the name `a`, as for Python's numbers: nothing is
    changed in place. ``==`` and ``!=`` compare element by element with numbers and arrays. Two
    objects of this kind are equal if they are one object, as containers, caches and tests expect;
    `numpy.equal` compares their elements.
    """

    def _combined(self, function: Callable[..., Any], *operands: Any, **options: Any) -> Any:
        """Return a function of operands, computed later; NotImplemented where one is foreign."""
        raise NotImplementedError

    def _reduced(self, name: str, axis: Any, *, keepdims: bool, ddof: int = 0) -> Any:
        """Return a reduction, computed later."""
        raise NotImplementedError

    def sum(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """Return the sum, computed when it is needed.

        Parameters
        ----------
        axis : int or tuple of int, optional
            -1 or 3 for time; by default all axes.
        keepdims : bool, default=False
            Whether reduced axes stay, with length 1.

        Returns
        -------
        LazyImage or LazyArray
            Of an image over time, an image; else an array, of no axis for all axes.

        Raises
        ------
        ParameterError
            If there is no such axis.

        Notes
        -----
        One pass over the file when the first value is needed, shared by all reductions of one
        image in one expression; then the values are kept.
        """
        return self._reduced("sum", axis, keepdims=keepdims)

    def mean(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """Return the mean, computed when it is needed.

        Parameters
        ----------
        axis : int or tuple of int, optional
            -1 or 3 for time; by default all axes.
        keepdims : bool, default=False
            Whether reduced axes stay, with length 1.

        Returns
        -------
        LazyImage or LazyArray
            Of an image over time, an image; else an array, of no axis for all axes.

        Raises
        ------
        ParameterError
            If there is no such axis.

        Notes
        -----
        One pass over the file when the first value is needed, shared by all reductions of one
        image in one expression; then the values are kept.
        """
        return self._reduced("mean", axis, keepdims=keepdims)

    def var(self, axis: Any = None, *, ddof: int = 0, keepdims: bool = False) -> Any:
        """Return the variance, computed when it is needed.

        Parameters
        ----------
        axis : int or tuple of int, optional
            -1 or 3 for time; by default all axes.
        ddof : int, default=0
            The sum of squares is divided by the number of values minus this.
        keepdims : bool, default=False
            Whether reduced axes stay, with length 1.

        Returns
        -------
        LazyImage or LazyArray
            Of an image over time, an image; else an array, of no axis for all axes.

        Raises
        ------
        ParameterError
            If there is no such axis, or `ddof` is negative.

        Notes
        -----
        One pass over the file when the first value is needed, shared by all reductions of one
        image in one expression; then the values are kept.
        """
        return self._reduced("var", axis, keepdims=keepdims, ddof=ddof)

    def std(self, axis: Any = None, *, ddof: int = 0, keepdims: bool = False) -> Any:
        """Return the standard deviation, computed when it is needed.

        Parameters
        ----------
        axis : int or tuple of int, optional
            -1 or 3 for time; by default all axes.
        ddof : int, default=0
            The sum of squares is divided by the number of values minus this.
        keepdims : bool, default=False
            Whether reduced axes stay, with length 1.

        Returns
        -------
        LazyImage or LazyArray
            Of an image over time, an image; else an array, of no axis for all axes.

        Raises
        ------
        ParameterError
            If there is no such axis, or `ddof` is negative.

        Notes
        -----
        One pass over the file when the first value is needed, shared by all reductions of one
        image in one expression; then the values are kept.
        """
        return self._reduced("std", axis, keepdims=keepdims, ddof=ddof)

    def min(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """Return the smallest value, computed when it is needed.

        Parameters
        ----------
        axis : int or tuple of int, optional
            -1 or 3 for time; by default all axes.
        keepdims : bool, default=False
            Whether reduced axes stay, with length 1.

        Returns
        -------
        LazyImage or LazyArray
            Of an image over time, an image; else an array, of no axis for all axes.

        Raises
        ------
        ParameterError
            If there is no such axis.

        Notes
        -----
        One pass over the file when the first value is needed, shared by all reductions of one
        image in one expression; then the values are kept.
        """
        return self._reduced("min", axis, keepdims=keepdims)

    def max(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """Return the largest value, computed when it is needed.

        Parameters
        ----------
        axis : int or tuple of int, optional
            -1 or 3 for time; by default all axes.
        keepdims : bool, default=False
            Whether reduced axes stay, with length 1.

        Returns
        -------
        LazyImage or LazyArray
            Of an image over time, an image; else an array, of no axis for all axes.

        Raises
        ------
        ParameterError
            If there is no such axis.

        Notes
        -----
        One pass over the file when the first value is needed, shared by all reductions of one
        image in one expression; then the values are kept.
        """
        return self._reduced("max", axis, keepdims=keepdims)

    def any(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """Return whether any value is not zero, computed when it is needed.

        Parameters
        ----------
        axis : int or tuple of int, optional
            -1 or 3 for time; by default all axes.
        keepdims : bool, default=False
            Whether reduced axes stay, with length 1.

        Returns
        -------
        LazyImage or LazyArray
            Of an image over time, an image; else an array, of no axis for all axes.

        Raises
        ------
        ParameterError
            If there is no such axis.

        Notes
        -----
        One pass over the file when the first value is needed, shared by all reductions of one
        image in one expression; then the values are kept.
        """
        return self._reduced("any", axis, keepdims=keepdims)

    def all(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """Return whether no value is zero, computed when it is needed.

        Parameters
        ----------
        axis : int or tuple of int, optional
            -1 or 3 for time; by default all axes.
        keepdims : bool, default=False
            Whether reduced axes stay, with length 1.

        Returns
        -------
        LazyImage or LazyArray
            Of an image over time, an image; else an array, of no axis for all axes.

        Raises
        ------
        ParameterError
            If there is no such axis.

        Notes
        -----
        One pass over the file when the first value is needed, shared by all reductions of one
        image in one expression; then the values are kept.
        """
        return self._reduced("all", axis, keepdims=keepdims)

    def __add__(self, other: Any) -> Any:
        return self._combined(np.add, self, other)

    def __radd__(self, other: Any) -> Any:
        return self._combined(np.add, other, self)

    def __sub__(self, other: Any) -> Any:
        return self._combined(np.subtract, self, other)

    def __rsub__(self, other: Any) -> Any:
        return self._combined(np.subtract, other, self)

    def __mul__(self, other: Any) -> Any:
        return self._combined(np.multiply, self, other)

    def __rmul__(self, other: Any) -> Any:
        return self._combined(np.multiply, other, self)

    def __truediv__(self, other: Any) -> Any:
        return self._combined(np.true_divide, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._combined(np.true_divide, other, self)

    def __floordiv__(self, other: Any) -> Any:
        return self._combined(np.floor_divide, self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._combined(np.floor_divide, other, self)

    def __mod__(self, other: Any) -> Any:
        return self._combined(np.remainder, self, other)

    def __rmod__(self, other: Any) -> Any:
        return self._combined(np.remainder, other, self)

    def __pow__(self, other: Any) -> Any:
        return self._combined(np.power, self, other)

    def __rpow__(self, other: Any) -> Any:
        return self._combined(np.power, other, self)

    def __and__(self, other: Any) -> Any:
        return self._combined(np.bitwise_and, self, other)

    def __rand__(self, other: Any) -> Any:
        return self._combined(np.bitwise_and, other, self)

    def __or__(self, other: Any) -> Any:
        return self._combined(np.bitwise_or, self, other)

    def __ror__(self, other: Any) -> Any:
        return self._combined(np.bitwise_or, other, self)

    def __xor__(self, other: Any) -> Any:
        return self._combined(np.bitwise_xor, self, other)

    def __rxor__(self, other: Any) -> Any:
        return self._combined(np.bitwise_xor, other, self)

    def __neg__(self) -> Any:
        return self._combined(np.negative, self)

    def __pos__(self) -> Any:
        return self._combined(np.positive, self)

    def __abs__(self) -> Any:
        return self._combined(np.absolute, self)

    def __invert__(self) -> Any:
        return self._combined(np.invert, self)

    def __lt__(self, other: Any) -> Any:
        return self._combined(np.less, self, other)

    def __le__(self, other: Any) -> Any:
        return self._combined(np.less_equal, self, other)

    def __gt__(self, other: Any) -> Any:
        return self._combined(np.greater, self, other)

    def __ge__(self, other: Any) -> Any:
        return self._combined(np.greater_equal, self, other)

    @override
    def __eq__(self, other: object) -> Any:
        return self._combined(np.equal, self, other) if _is_value(other) else self is other

    @override
    def __ne__(self, other: object) -> Any:
        return self._combined(np.not_equal, self, other) if _is_value(other) else self is not other

    __hash__ = object.__hash__

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Call a ufunc of NumPy later, element by element."""
        if method != "__call__" or ufunc.nout != 1 or ufunc.signature is not None:
            _refuse(f"numpy.{ufunc.__name__}" + f".{method}" * (method != "__call__"))
        for name in ("out", "where"):
            if name in options:
                msg = (
                    f"`{name}` of numpy.{ufunc.__name__} must be left out: what is computed later "
                    f"cannot fill an array now. Read it first, np.asarray(img.dataobj), or use "
                    f"numpy.where."
                )
                raise ParameterTypeError(msg)
        return self._combined(ufunc, *inputs, **options)

    def __array_function__(
        self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        """Call a function of NumPy later where it acts element by element; refuse others."""
        name = REDUCING.get(func)
        if name is not None:
            return getattr(args[0], name)(*args[1:], **kwargs)
        called = lazy_call(func, args, kwargs)
        if called is None:
            _refuse(f"numpy.{func.__name__}")
        function, operands, options = called
        return self._combined(function, *operands, **options)


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


def _is_value(other: object) -> bool:
    """Return whether an object is a number or an array in memory."""
    return isinstance(other, np.ndarray | np.generic | bool | int | float | complex)


def _refuse(name: str) -> NoReturn:
    msg = (
        f"a function of images that are computed later must act element by element, or be a "
        f"reduction that images have as a method. Got {name}. Read the values first: "
        f"{name}(np.asarray(img.dataobj))."
    )
    raise ParameterTypeError(msg)
