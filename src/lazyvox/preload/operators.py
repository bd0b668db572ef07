"""The operators of lazy readers, as methods."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from lazyvox._typing import override
from lazyvox.array.operators import Arithmetic

__all__ = ["Operators"]


class Operators(Arithmetic, ABC):
    """Gives a class Python's arithmetic, also in place, in terms of two methods."""

    @abstractmethod
    @override
    def _combined(self, function: Any, *operands: Any, **options: Any) -> Any:
        """Return the result of a ufunc of one or two operands, of which `self` is one."""

    @abstractmethod
    def _edited(self, function: Any, other: Any) -> Any:
        """Return `self` after an in-place operation, or its replacement."""

    def __iadd__(self, other: Any) -> Any:
        """Add `other` in place."""
        return self._edited(np.add, other)

    def __isub__(self, other: Any) -> Any:
        """Subtract `other` in place."""
        return self._edited(np.subtract, other)

    def __imul__(self, other: Any) -> Any:
        """Multiply by `other` in place."""
        return self._edited(np.multiply, other)

    def __itruediv__(self, other: Any) -> Any:
        """Divide by `other` in place."""
        return self._edited(np.true_divide, other)

    def __ifloordiv__(self, other: Any) -> Any:
        """Divide by `other` in place, rounding down."""
        return self._edited(np.floor_divide, other)

    def __imod__(self, other: Any) -> Any:
        """Take the remainder by `other` in place."""
        return self._edited(np.remainder, other)

    def __ipow__(self, other: Any) -> Any:
        """Raise to a power in place."""
        return self._edited(np.power, other)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Take part in NumPy's functions: an array on the left asks here, and so does np.log."""
        if method != "__call__":
            # Products and their like, which the data have not as a method.
            values = [np.asarray(one) if isinstance(one, Operators) else one for one in inputs]
            return getattr(ufunc, method)(*values, **kwargs)
        (out,) = kwargs.pop("out", (None,))
        if kwargs or len(inputs) > 2 or ufunc.nout > 1:
            return NotImplemented
        result = self._combined(ufunc, *inputs)
        if out is None:
            return result
        np.copyto(out, np.asarray(result), casting="same_kind")
        return out
