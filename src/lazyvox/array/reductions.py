"""Reductions of what is computed later, as methods: one class, for mixing in."""

from typing import Any

__all__ = ["Reductions"]


class Reductions:
    """The methods `sum`, `mean` and their like, by way of one method."""

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
