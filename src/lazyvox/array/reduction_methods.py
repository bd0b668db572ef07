"""Reductions as methods: a class for mixing in."""

from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any

import numpy.typing as npt

from lazyvox.errors import ParameterTypeError

__all__ = ["Reductions", "reducing_call"]

#: Keyword arguments of the methods.
_OPTIONS = frozenset({"axis", "ddof", "dtype", "keepdims", "out", "q"})


class Reductions:
    """Methods `sum`, `mean` and their like, in terms of one method."""

    def _reduced(
        self,
        name: str,
        axis: Any,
        *,
        keepdims: bool,
        ddof: int = 0,
        dtype: npt.DTypeLike | None = None,
        q: float = 0,
    ) -> Any:
        """Return a reduction, computed later."""
        raise NotImplementedError

    def sum(
        self,
        axis: Any = None,
        dtype: npt.DTypeLike | None = None,
        out: None = None,
        *,
        keepdims: bool = False,
    ) -> Any:
        """Return the sum, computed when it is needed.

        Parameters
        ----------
        axis : int or tuple of int, optional
            -1 or 3 for time; by default all axes.
        dtype : dtype-like, optional
            Type in which values are taken, and of the result; by default NumPy's.
        out : None
            For NumPy, which passes it: what is computed later fills no array.
        keepdims : bool, default=False
            Whether reduced axes stay, with length 1.

        Returns
        -------
        LazyImage or LazyArray
            Of an image over time, an image; else an array, of no axis for all axes.

        Raises
        ------
        ParameterError
            If there is no such axis; when it is computed, if a sum of integers does not fit its type.

        Notes
        -----
        One pass over the file when the first value is needed, shared by all reductions of one
        image in one expression; then the values are kept.
        """
        _refuse_out("sum", out)
        return self._reduced("sum", axis, keepdims=keepdims, dtype=dtype)

    def mean(
        self,
        axis: Any = None,
        dtype: npt.DTypeLike | None = None,
        out: None = None,
        *,
        keepdims: bool = False,
    ) -> Any:
        """Return the mean, computed when it is needed.

        Parameters
        ----------
        axis : int or tuple of int, optional
            -1 or 3 for time; by default all axes.
        dtype : dtype-like, optional
            Type in which values are taken, and of the result; by default NumPy's.
        out : None
            For NumPy, which passes it: what is computed later fills no array.
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
        _refuse_out("mean", out)
        return self._reduced("mean", axis, keepdims=keepdims, dtype=dtype)

    def var(
        self,
        axis: Any = None,
        dtype: npt.DTypeLike | None = None,
        out: None = None,
        *,
        ddof: int = 0,
        keepdims: bool = False,
    ) -> Any:
        """Return the variance, computed when it is needed.

        Parameters
        ----------
        axis : int or tuple of int, optional
            -1 or 3 for time; by default all axes.
        dtype : dtype-like, optional
            Type in which values are taken, and of the result; by default NumPy's.
        out : None
            For NumPy, which passes it: what is computed later fills no array.
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
        _refuse_out("var", out)
        return self._reduced("var", axis, keepdims=keepdims, ddof=ddof, dtype=dtype)

    def std(
        self,
        axis: Any = None,
        dtype: npt.DTypeLike | None = None,
        out: None = None,
        *,
        ddof: int = 0,
        keepdims: bool = False,
    ) -> Any:
        """Return the standard deviation, computed when it is needed.

        Parameters
        ----------
        axis : int or tuple of int, optional
            -1 or 3 for time; by default all axes.
        dtype : dtype-like, optional
            Type in which values are taken, and of the result; by default NumPy's.
        out : None
            For NumPy, which passes it: what is computed later fills no array.
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
        _refuse_out("std", out)
        return self._reduced("std", axis, keepdims=keepdims, ddof=ddof, dtype=dtype)

    def min(self, axis: Any = None, out: None = None, *, keepdims: bool = False) -> Any:
        """Return the smallest value, computed when it is needed.

        Parameters
        ----------
        axis : int or tuple of int, optional
            -1 or 3 for time; by default all axes.
        out : None
            For NumPy, which passes it: what is computed later fills no array.
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
        _refuse_out("min", out)
        return self._reduced("min", axis, keepdims=keepdims)

    def max(self, axis: Any = None, out: None = None, *, keepdims: bool = False) -> Any:
        """Return the largest value, computed when it is needed.

        Parameters
        ----------
        axis : int or tuple of int, optional
            -1 or 3 for time; by default all axes.
        out : None
            For NumPy, which passes it: what is computed later fills no array.
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
        _refuse_out("max", out)
        return self._reduced("max", axis, keepdims=keepdims)

    def argmin(self, axis: int | None = None, out: None = None, *, keepdims: bool = False) -> Any:
        """Return the index of the smallest value, computed when it is needed.

        Parameters
        ----------
        axis : int, optional
            -1 or 3 for time; by default all axes, as one index in the order of rows.
        out : None
            For NumPy, which passes it: what is computed later fills no array.
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
        _refuse_out("argmin", out)
        return self._reduced("argmin", axis, keepdims=keepdims)

    def argmax(self, axis: int | None = None, out: None = None, *, keepdims: bool = False) -> Any:
        """Return the index of the largest value, computed when it is needed.

        Parameters
        ----------
        axis : int, optional
            -1 or 3 for time; by default all axes, as one index in the order of rows.
        out : None
            For NumPy, which passes it: what is computed later fills no array.
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
        _refuse_out("argmax", out)
        return self._reduced("argmax", axis, keepdims=keepdims)

    def median(self, axis: int | None = None, out: None = None, *, keepdims: bool = False) -> Any:
        """Return the median over time, computed when it is needed.

        Parameters
        ----------
        axis : int
            -1 or 3: time.
        out : None
            For NumPy, which passes it: what is computed later fills no array.
        keepdims : bool, default=False
            Whether the axis stays, with length 1.

        Returns
        -------
        LazyImage or LazyArray
            Of an image, an image.

        Raises
        ------
        ParameterError
            If the axis is not that of time.

        Notes
        -----
        One pass over the file when the first value is needed: it writes the values to a nameless
        temporary file, in the folder that TMPDIR names, or keeps up to 8 MiB in memory.
        """
        _refuse_out("median", out)
        return self._reduced("median", axis, keepdims=keepdims)

    def percentile(
        self, q: float, axis: int | None = None, out: None = None, *, keepdims: bool = False
    ) -> Any:
        """Return a percentile over time, computed when it is needed.

        Parameters
        ----------
        q : float
            0 to 100; between two values it is interpolated linearly.
        axis : int
            -1 or 3: time.
        out : None
            For NumPy, which passes it: what is computed later fills no array.
        keepdims : bool, default=False
            Whether the axis stays, with length 1.

        Returns
        -------
        LazyImage or LazyArray
            Of an image, an image.

        Raises
        ------
        ParameterError
            If the axis is not that of time, or `q` outside of 0 to 100.

        Notes
        -----
        One pass over the file when the first value is needed: it writes the values to a nameless
        temporary file, in the folder that TMPDIR names, or keeps up to 8 MiB in memory.
        """
        _refuse_out("percentile", out)
        return self._reduced("percentile", axis, keepdims=keepdims, q=q)

    def any(self, axis: Any = None, out: None = None, *, keepdims: bool = False) -> Any:
        """Return the truth of any value being other than zero, computed when it is needed.

        Parameters
        ----------
        axis : int or tuple of int, optional
            -1 or 3 for time; by default all axes.
        out : None
            For NumPy, which passes it: what is computed later fills no array.
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
        _refuse_out("any", out)
        return self._reduced("any", axis, keepdims=keepdims)

    def all(self, axis: Any = None, out: None = None, *, keepdims: bool = False) -> Any:
        """Return the truth of all values being other than zero, computed when it is needed.

        Parameters
        ----------
        axis : int or tuple of int, optional
            -1 or 3 for time; by default all axes.
        out : None
            For NumPy, which passes it: what is computed later fills no array.
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
        _refuse_out("all", out)
        return self._reduced("all", axis, keepdims=keepdims)


def reducing_call(
    func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Return the operand of a call of a NumPy reduction, and the options of the method.

    Parameters
    ----------
    func : callable
        The function of NumPy.
    args : sequence
        Its arguments.
    kwargs : dict
        Its keyword arguments.

    Returns
    -------
    tuple of (object, dict)
        The first argument, by whatever name, and those of the others that are given.

    Raises
    ------
    ParameterTypeError
        If the method does not know one of them.
    """
    given = signature(func).bind(*args, **kwargs).arguments
    of = given.pop("a")
    options = {name: one for name, one in given.items() if one is not None}
    for name in options:
        if name not in _OPTIONS:
            msg = f"numpy.{func.__name__} of images knows {sorted(_OPTIONS)}. Got {name!r}."
            hint = "Read the values first: np.asarray(img.dataobj)."
            raise ParameterTypeError(msg, parameter=name, hint=hint)
    return of, options


def _refuse_out(name: str, out: object) -> None:
    if out is not None:
        msg = f"`out` of {name} must be left out: what is computed later cannot fill an array now."
        raise ParameterTypeError(msg, hint=f"Read the result: np.asarray(img.{name}(...)).")
