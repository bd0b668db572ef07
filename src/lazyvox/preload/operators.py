"""The operators of lazy readers, as methods."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from lazyvox.preload.arithmetic import OPERATIONS, Operation, operation_of

__all__ = ["Operators"]


class Operators(ABC):
    """Gives a class Python's arithmetic, in terms of four methods."""

    __slots__ = ()

    @abstractmethod
    def _combined(
        self, operation: Operation, left: Any, right: Any, *, counts: bool = True
    ) -> Any:
        """Return the result of an operation, of which `self` is an operand."""

    @abstractmethod
    def _edited(self, operation: Operation, other: Any) -> Any:
        """Return `self` after an in-place operation, or what takes its place."""

    @abstractmethod
    def _changed(self, ufunc: Any) -> Any:
        """Return the result of a function of one argument."""

    def __add__(self, other: Any) -> Any:
        """Return ``self + other``."""
        return self._combined(OPERATIONS["add"], self, other)

    def __radd__(self, other: Any) -> Any:
        """Return ``other + self``."""
        return self._combined(OPERATIONS["add"], other, self)

    def __iadd__(self, other: Any) -> Any:
        """Add `other` in place."""
        return self._edited(OPERATIONS["add"], other)

    def __sub__(self, other: Any) -> Any:
        """Return ``self - other``."""
        return self._combined(OPERATIONS["sub"], self, other)

    def __rsub__(self, other: Any) -> Any:
        """Return ``other - self``."""
        return self._combined(OPERATIONS["sub"], other, self)

    def __isub__(self, other: Any) -> Any:
        """Subtract `other` in place."""
        return self._edited(OPERATIONS["sub"], other)

    def __mul__(self, other: Any) -> Any:
        """Return ``self * other``."""
        return self._combined(OPERATIONS["mul"], self, other)

    def __rmul__(self, other: Any) -> Any:
        """Return ``other * self``."""
        return self._combined(OPERATIONS["mul"], other, self)

    def __imul__(self, other: Any) -> Any:
        """Multiply by `other` in place."""
        return self._edited(OPERATIONS["mul"], other)

    def __truediv__(self, other: Any) -> Any:
        """Return ``self / other``."""
        return self._combined(OPERATIONS["truediv"], self, other)

    def __rtruediv__(self, other: Any) -> Any:
        """Return ``other / self``."""
        return self._combined(OPERATIONS["truediv"], other, self)

    def __itruediv__(self, other: Any) -> Any:
        """Divide by `other` in place."""
        return self._edited(OPERATIONS["truediv"], other)

    def __floordiv__(self, other: Any) -> Any:
        """Return ``self // other``."""
        return self._combined(OPERATIONS["floordiv"], self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        """Return ``other // self``."""
        return self._combined(OPERATIONS["floordiv"], other, self)

    def __ifloordiv__(self, other: Any) -> Any:
        """Divide by `other` in place, rounding down."""
        return self._edited(OPERATIONS["floordiv"], other)

    def __mod__(self, other: Any) -> Any:
        """Return ``self % other``."""
        return self._combined(OPERATIONS["mod"], self, other)

    def __rmod__(self, other: Any) -> Any:
        """Return ``other % self``."""
        return self._combined(OPERATIONS["mod"], other, self)

    def __imod__(self, other: Any) -> Any:
        """Take the remainder by `other` in place."""
        return self._edited(OPERATIONS["mod"], other)

    def __pow__(self, other: Any) -> Any:
        """Return ``self ** other``."""
        return self._combined(OPERATIONS["pow"], self, other)

    def __rpow__(self, other: Any) -> Any:
        """Return ``other ** self``."""
        return self._combined(OPERATIONS["pow"], other, self)

    def __ipow__(self, other: Any) -> Any:
        """Raise to a power in place."""
        return self._edited(OPERATIONS["pow"], other)

    def __neg__(self) -> Any:
        """Return ``-self``."""
        return self._changed(np.negative)

    def __pos__(self) -> Any:
        """Return ``+self``."""
        return self._changed(np.positive)

    def __abs__(self) -> Any:
        """Return ``abs(self)``."""
        return self._changed(np.absolute)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Take part in NumPy's functions: an array on the left asks here, and so does np.log."""
        if method != "__call__":
            # Products and their like, which the data have not as a method.
            values = [np.asarray(one) if isinstance(one, Operators) else one for one in inputs]
            return getattr(ufunc, method)(*values, **kwargs)
        (out,) = kwargs.pop("out", (None,))
        if kwargs or len(inputs) > 2 or ufunc.nout > 1:
            return NotImplemented
        if len(inputs) == 1:
            result = self._changed(ufunc)
        else:
            operation = operation_of(ufunc)
            counts = operation is not None
            operation = operation or Operation(ufunc.__name__, ufunc, ufunc)
            result = self._combined(operation, *inputs, counts=counts)
        if out is None:
            return result
        np.copyto(out, np.asarray(result), casting="same_kind")
        return out
