"""Mixin with Python's operators and NumPy's functions for lazy objects."""

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from lazyvox._typing import DType, override
from lazyvox.array.numpy_functions import REDUCING, lazy_call, needs_all, power_of
from lazyvox.array.reduction_methods import Reductions, reducing_call
from lazyvox.errors import ParameterTypeError

__all__ = ["Arithmetic", "Operators"]


class Arithmetic:
    """Python's arithmetic, by way of one method that takes NumPy's ufunc of each operator."""

    def _combined(self, function: Callable[..., Any], *operands: Any, **options: Any) -> Any:
        """Return a function of operands, computed later; NotImplemented where one is foreign."""
        raise NotImplementedError

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

    def __neg__(self) -> Any:
        return self._combined(np.negative, self)

    def __pos__(self) -> Any:
        return self._combined(np.positive, self)

    def __abs__(self) -> Any:
        return self._combined(np.absolute, self)


class Operators(Arithmetic, Reductions):
    """Arithmetic, comparisons and NumPy's element-wise functions, by way of one method.

    ``a += b`` makes a new object and gives it the name `a`, as for Python's numbers: nothing is
    changed in place. ``==`` and ``!=`` compare element by element, like the other operators; what
    is neither a number, an array nor an image is unequal, and Python says so.
    """

    @property
    def _value_dtype(self) -> DType:
        """Type of the elements."""
        raise NotImplementedError

    @override
    def __pow__(self, other: Any) -> Any:
        one = power_of(self._value_dtype, other)
        return self._combined(np.power, self, other) if one is None else self._combined(one, self)

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
        return self._combined(np.equal, self, other)

    @override
    def __ne__(self, other: object) -> Any:
        return self._combined(np.not_equal, self, other)

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
        """Call a function of NumPy later where it acts element by element.

        One that needs all elements is refused. Any other function takes the image for an object
        like any other, as libraries expect that ask `numpy.array_equal` of parameters, say.
        """
        if func in REDUCING:
            of, options = reducing_call(func, args, kwargs)
            return getattr(of, REDUCING[func])(**options)
        called = lazy_call(func, args, kwargs)
        if called is not None:
            function, operands, options = called
            result = self._combined(function, *operands, **options)
            if result is not NotImplemented:
                return result
        if called is None and needs_all(func):
            _refuse(f"numpy.{func.__name__}")
        # NumPy's own code, which makes an array of objects of what it does not know.
        plain: Any = func
        return plain._implementation(*args, **kwargs)


def _refuse(name: str) -> NoReturn:
    msg = (
        f"a function of images that are computed later must act element by element, or be a "
        f"reduction that images have as a method. Got {name}. Read the values first: "
        f"{name}(np.asarray(img.dataobj))."
    )
    raise ParameterTypeError(msg)
