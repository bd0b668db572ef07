"""Reductions of lazy arrays, computed in one pass when the first value is needed."""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from numpy.lib.array_utils import normalize_axis_tuple

from lazyvox._typing import Array, DType, Shape, override
from lazyvox.array.computed_reader import ComputedReader
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.memory_reader import MemorySession
from lazyvox.array.reduction_pass import (
    Accumulator,
    accumulator_of,
    each_volume,
    pass_memory,
    run_reductions,
)
from lazyvox.array.reductions import REDUCTIONS, Reduction, checked_percentile
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.planning.arguments import checked_integer
from lazyvox.planning.indexing import Axis, View
from lazyvox.planning.memory import MemoryTerm
from lazyvox.runtime.once import OncePerProcess

__all__ = ["ReducedReader", "evaluate", "reduced", "reduced_each"]


@dataclass(frozen=True, slots=True, eq=False)
class ReducedReader(ComputedReader):
    """Reads a reduction, which is computed when the first of its values is read, and then kept.

    A pickle describes the computation; in another process it is done again.

    Attributes
    ----------
    source : LazyArray
        What is reduced, of up to four axes.
    name : str
        Of `REDUCTIONS`; of a function of NumPy for `each`.
    axes : tuple of int
        The axes that are reduced, ascending.
    keepdims : bool
        Whether they stay, with length 1.
    dtype : numpy.dtype
        Type of the result.
    ddof : float
        For reductions that have it; the percentile of one.
    options : tuple of (str, object)
        Keyword arguments of a function that is called for each volume by itself.
    """

    source: LazyArray
    name: str
    axes: tuple[int, ...]
    keepdims: bool
    dtype: DType = field()
    ddof: float = 0
    options: tuple[tuple[str, Any], ...] | None = None
    _result: OncePerProcess[Array] = field(default_factory=OncePerProcess, repr=False)

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the description only."""
        described = (self.source, self.name, self.axes, self.keepdims, self.dtype)
        return ReducedReader, (*described, self.ddof, self.options)

    def __deepcopy__(self, memo: Any) -> Self:
        """Return the reader itself; a copy would compute again."""
        return self

    @property
    @override
    def shape(self) -> Shape:
        """Shape of the result."""
        kept = (1 if i in self.axes else n for i, n in enumerate(self.source.shape))
        if self.keepdims:
            return tuple(kept)
        return tuple(n for i, n in enumerate(self.source.shape) if i not in self.axes)

    @property
    @override
    def is_random_access(self) -> bool:
        """True: the values are in memory."""
        return True

    @property
    @override
    def is_in_memory(self) -> bool:
        """True once the reduction was computed."""
        return not self.is_pending

    @property
    def is_pending(self) -> bool:
        """True until the reduction was computed."""
        return self._result.value is None

    @property
    @override
    def pending(self) -> Self | None:
        """The reduction itself, if it is still to be computed."""
        return self if self.is_pending else None

    @property
    def source_key(self) -> Hashable:
        """Equal for reductions that one pass can compute."""
        source = self.source
        return id(source.reader), source.window, source.conversion

    @property
    @override
    def sources(self) -> tuple[LazyArray, ...]:
        """The array that is reduced."""
        return (self.source,)

    @property
    @override
    def unread_sources(self) -> tuple[LazyArray, ...]:
        """The array that is reduced, until that is done."""
        return (self.source,) if self.is_pending else ()

    @property
    @override
    def session_memory(self) -> tuple[MemoryTerm, ...]:
        """Terms of computing it, and then keeping it."""
        if not self.is_pending:
            return ()
        return (
            MemoryTerm("result", math.prod(self.shape) * self.dtype.itemsize, self.step),
            MemoryTerm("state", self.accumulator().nbytes, self.step),
            *pass_memory(_four_axes(self.source)),
        )

    @property
    @override
    def file_bytes(self) -> int:
        """Bytes on disk while it is computed: those of the courses of voxels."""
        return self.accumulator().file_bytes if self.is_pending else 0

    @property
    @override
    def step(self) -> str:
        """Name of the reduction, and its axes."""
        return f"{self.name} over axes {self.axes}"

    def accumulator(self) -> Accumulator:
        """Return the accumulator of the reduction before the first volume."""
        source = _four_axes(self.source)
        axes = self.axes
        if self.options is None:
            # Axes that were added for the volumes may be reduced too: nothing changes.
            if len(axes) == self.source.ndim < 4 and REDUCTIONS[self.name].over_space:
                axes = (0, 1, 2, 3)
            return accumulator_of(REDUCTIONS[self.name], axes, self.ddof, source)
        options, function = dict(self.options), getattr(np, self.name)

        def compute(volume: Array) -> Any:
            return function(volume, axis=axes, keepdims=True, **options)

        work = 3 * 16 * math.prod(source.shape[:3])
        key = (self.name, axes, repr(options))
        return each_volume(key, compute, axes, source, self.dtype, work)

    def keep(self, values: Array) -> None:
        """Keep the values; called by the pass."""
        self._result.value = values

    @property
    @override
    def is_operator_result(self) -> bool:
        """True."""
        return True

    @override
    def drop(self) -> bool:
        """Drop the values; the next reading computes them again."""
        self._result.value = None
        return True

    @property
    @override
    def stored_bytes(self) -> int:
        """0: the pass that computes it comes before, and is counted by itself."""
        return 0

    @override
    def decoded_bytes(self, window: View) -> int:
        """Return 0, for the same reason."""
        return 0

    @property
    @override
    def content_key(self) -> tuple[Any, ...]:
        """The reduction and its source."""
        return ("reduced", self.source, self.name, self.axes, self.keepdims, self.ddof)

    @override
    def describe(self) -> str:
        """Return the name of the reduction, and its source."""
        return f"{self.name} of {self.source.reader.describe()} over axes {self.axes}"

    @override
    def open(
        self, axes: tuple[Axis, ...], memory: int | None = None, n_jobs: int = 1
    ) -> MemorySession:
        """Start a reading session; computes the reduction if that was not done yet."""
        # Somebody else may let go of the values meanwhile.
        while (values := self._result.value) is None:
            evaluate([self])
        return MemorySession(values)


def reduced(
    array: LazyArray,
    name: str,
    *,
    axis: Any = None,
    keepdims: bool = False,
    ddof: int = 0,
    dtype: npt.DTypeLike | None = None,
    q: float = 0,
) -> LazyArray:
    """Return a reduction of an array; reads nothing.

    Parameters
    ----------
    array : LazyArray
        Of up to four axes.
    name : str
        Of `REDUCTIONS`.
    axis : int or tuple of int, optional
        Axes to reduce; by default all.
    keepdims : bool, default=False
        Whether they stay, with length 1.
    ddof : int, default=0
        For "std", "var" and "tsnr", as in NumPy.
    dtype : dtype-like, optional
        Type in which values are taken and the result is returned, for "sum", "mean", "std", "var".
    q : float, default=0
        For "percentile": 0 to 100.

    Returns
    -------
    LazyArray
        Of the shape and data type that NumPy gives.

    Raises
    ------
    ParameterError
        If the array has not these axes, or no value on them, or `ddof` is negative.
    ParameterTypeError
        If the values have no such reduction.
    """
    reduction = REDUCTIONS[name]
    axes = _checked_axes(array, reduction, axis)
    given = checked_integer(ddof, "ddof") if reduction.has_ddof else 0
    if dtype is not None:
        array = array.astype(_checked_dtype(reduction, dtype, array.dtype))
    native = array.dtype.newbyteorder("=")
    if not reduction.takes(native):
        msg = f"{name} needs real values. Got {native}."
        raise ParameterTypeError(msg, hint="Take abs(), np.real or np.imag of them.")
    result = native if dtype is not None else reduction.result_dtype(native)
    if np.ndim(q):
        msg = f"`q` must be one number for a percentile that is computed later. Got {q!r}."
        raise ParameterTypeError(msg, value=str(q))
    option = checked_percentile(q) if name == "percentile" else given
    return LazyArray.over(ReducedReader(array, name, axes, bool(keepdims), result, option))


def reduced_each(
    array: LazyArray,
    function: Callable[..., Any],
    axes: tuple[int, ...],
    *,
    keepdims: bool,
    options: dict[str, Any],
) -> LazyArray:
    """Return the lazy result of a NumPy reduction of every volume by itself; reads nothing.

    Parameters
    ----------
    array : LazyArray
        Of four axes.
    function : callable
        A function of NumPy with `axis` and `keepdims`.
    axes : tuple of int
        Some or all of 0, 1, 2.
    keepdims : bool
        Whether they stay, with length 1.
    options : dict
        Further keyword arguments of the function.

    Returns
    -------
    LazyArray
        Of the shape and data type that NumPy gives.
    """
    with np.errstate(all="ignore"):
        example = function(np.ones((2,) * 4, array.dtype.newbyteorder("=")), axis=axes, **options)
    dtype = np.asarray(example).dtype
    reader = ReducedReader(array, function.__name__, tuple(sorted(axes)), keepdims, dtype)
    return LazyArray.over(replace(reader, options=tuple(options.items())))


def evaluate(readers: Sequence[ReducedReader]) -> None:
    """Compute reductions of one source, all of them in one pass.

    Parameters
    ----------
    readers : sequence of ReducedReader
        With one `source_key`.

    Notes
    -----
    Memory: the states of the reductions, and three blocks of up to 4 MiB, or three volumes. The
    next block is read in a thread while one is used.
    """
    first = min(readers, key=id)
    with first._result.lock:
        pending = [one for one in readers if one.is_pending]
        if not pending:
            return
        shared: dict[Hashable, Accumulator] = {}
        takers = [
            shared.setdefault(new.key, new) for new in (one.accumulator() for one in pending)
        ]
        source = pending[0].source
        if source.size:
            run_reductions(_four_axes(source), list(shared.values()))
        results: dict[Hashable, Array] = {}
        for one, taker in zip(pending, takers, strict=True):
            key = (taker.key, one.name, one.ddof)
            if not source.size:
                results[key] = _of_nothing(one)
            elif key not in results:
                try:
                    results[key] = taker.result(one.name, one.ddof)
                except ParameterError as error:
                    raise error.at(one.path) from error
            one.keep(_as_type(results[key], one.dtype, one.path).reshape(one.shape, order="F"))


def _of_nothing(reader: ReducedReader) -> Array:
    """Return NumPy's reduction of an array without a value."""
    if 0 in reader.shape:
        return np.empty(reader.shape, reader.dtype)
    options: dict[str, Any] = dict(reader.options or ())
    if reader.ddof:
        options["ddof"] = reader.ddof
    values = np.empty(reader.source.shape, reader.source.dtype.newbyteorder("="))
    return np.asarray(getattr(np, reader.name)(values, axis=reader.axes, **options))


def _as_type(values: Array, dtype: DType, path: str) -> Array:
    """Return values in the type of the result, which integers must fit."""
    if dtype.kind in "iu" and values.size and values.dtype != dtype:
        limits, low, high = np.iinfo(dtype), values.min(), values.max()
        if low < limits.min or high > limits.max:
            msg = f"{path}: a sum must fit `dtype`, {dtype} here. Got sums from {low} to {high}."
            raise ParameterError(msg, value=dtype, hint="Pass a wider type.")
    return values.astype(dtype, copy=False)


def _checked_axes(array: LazyArray, reduction: Reduction, axis: Any) -> tuple[int, ...]:
    if array.ndim > 4:
        msg = f"reductions are computed of arrays of up to 4 axes. Got shape {array.shape}."
        raise ParameterError(msg, hint=f"Read it first: np.asarray(array).{reduction.name}(...).")
    try:
        axes = normalize_axis_tuple(range(array.ndim) if axis is None else axis, array.ndim)
    except (ValueError, TypeError) as error:
        msg = (
            f"`axis` must be None, an axis or a tuple of different axes of an array of shape "
            f"{array.shape}. Got {axis!r}."
        )
        raise ParameterError(msg, value=axis) from error
    if not reduction.over_space and isinstance(axis, tuple):
        msg = f"`axis` of {reduction.name} must be None or one axis. Got {axis!r}."
        raise ParameterError(msg, value=axis)
    if reduction.needs_time and axes != (3,):
        msg = (
            f"{reduction.name} is taken over time, axis=3 of four. Got axis={axis!r} of an array "
            f"of shape {array.shape}."
        )
        raise ParameterError(msg)
    is_of_nothing = not math.prod(array.shape[i] for i in axes)
    if is_of_nothing and (reduction.needs == "ordered" or not hasattr(np, reduction.name)):
        msg = f"{reduction.name} needs at least one value. Got shape {array.shape} and axis={axis!r}."
        raise ParameterError(msg)
    return tuple(sorted(axes))


def _checked_dtype(reduction: Reduction, dtype: npt.DTypeLike, of: DType) -> DType:
    if reduction.name not in {"sum", "mean", "std", "var"}:
        msg = f"{reduction.name} has no `dtype`: its result has a type of its own."
        raise ParameterTypeError(msg, value=dtype)
    wanted = np.dtype(dtype)
    kinds = "iufc" if reduction.name == "sum" else "fc"
    if wanted.kind not in kinds or (of.kind == "c" and wanted.kind != "c"):
        msg = (
            f"`dtype` of {reduction.name} must be a type of "
            f"{'numbers' if reduction.name == 'sum' else 'floats'} that {of} can become. Got "
            f"{wanted}."
        )
        raise ParameterTypeError(msg)
    return wanted.newbyteorder("=")


def _four_axes(array: LazyArray) -> LazyArray:
    return array if array.ndim == 4 else array.view((..., *[None] * (4 - array.ndim)))
