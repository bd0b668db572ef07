"""Sums, means and other reductions of lazy arrays, computed in one pass when they are needed."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from lazyvox._threads import ForkSafeLock
from lazyvox._typing import Array, DType, Shape, override
from lazyvox.array.computed_reader import ComputedReader
from lazyvox.array.lazy_array import LazyArray, fill_block
from lazyvox.array.memory_reader import MemorySession
from lazyvox.array.reduction_states import State, new_state
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.planning.indexing import Axis, View
from lazyvox.runtime.readahead import ReadAhead

__all__ = ["REDUCTIONS", "ReducedReader", "evaluate", "reduced"]

#: Reductions that are computed in one pass, by their names in NumPy.
REDUCTIONS = ("all", "any", "max", "mean", "min", "std", "sum", "var")

#: Bytes read at a time, and blocks that exist at a time: one is filled, one waits, one is used.
BLOCK_BYTES = 4 << 20
N_BUFFERS = 3


class _Result:
    """The values of one reduction in one process, once they are there."""

    def __init__(self) -> None:
        self.lock = ForkSafeLock()
        self.values: Array | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ReducedReader(ComputedReader):
    """Reads a reduction, which is computed when the first of its values is read, and then kept.

    A pickle describes the computation; in another process it is done again.

    Attributes
    ----------
    source : LazyArray
        What is reduced, of 3 or 4 axes.
    name : str
        Of `REDUCTIONS`.
    axes : tuple of int
        The axes that are reduced, ascending.
    keepdims : bool
        Whether they stay, with length 1.
    ddof : int
        For "std" and "var".
    dtype : numpy.dtype
        Type of the result.
    """

    source: LazyArray
    name: str
    axes: tuple[int, ...]
    keepdims: bool
    ddof: int
    dtype: DType = field()
    _result: _Result = field(default_factory=_Result, repr=False)

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the description only."""
        options = (self.source, self.name, self.axes, self.keepdims, self.ddof, self.dtype)
        return ReducedReader, options

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
        """True: what is read is in memory."""
        return True

    @property
    def is_pending(self) -> bool:
        """Whether it is still to be computed."""
        return self._result.values is None

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
        """What is reduced."""
        return (self.source,)

    @property
    @override
    def unread_sources(self) -> tuple[LazyArray, ...]:
        """What is reduced; nothing once that is done."""
        return (self.source,) if self.is_pending else ()

    @property
    @override
    def session_bytes(self) -> int:
        """Bytes that computing it, and then keeping it, takes."""
        result = math.prod(self.shape) * self.dtype.itemsize
        if not self.is_pending:
            return 0
        n_volumes = _block_volumes(self.source)
        blocks = N_BUFFERS * n_volumes * _volume_bytes(self.source)
        return result + blocks + new_state(self, _four_axes(self.source).shape).nbytes

    @property
    @override
    def is_operator_result(self) -> bool:
        """True."""
        return True

    @override
    def forget(self) -> None:
        """Drop the values; the next reading computes them again."""
        self._result.values = None
        self.source.reader.forget()

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
        while (values := self._result.values) is None:
            evaluate([self])
        return MemorySession(values)


def reduced(
    array: LazyArray, name: str, *, axis: Any = None, keepdims: bool = False, ddof: int = 0
) -> LazyArray:
    """Return a reduction of an array; reads nothing.

    Parameters
    ----------
    array : LazyArray
        Of 3 or 4 axes.
    name : str
        Of `REDUCTIONS`.
    axis : int or tuple of int, optional
        Axes to reduce; by default all.
    keepdims : bool, default=False
        Whether they stay, with length 1.
    ddof : int, default=0
        For "std" and "var", as in NumPy.

    Returns
    -------
    LazyArray
        Of the shape and data type that NumPy gives.

    Raises
    ------
    ParameterError
        If the array has not these axes, or `ddof` is negative.
    ParameterTypeError
        If the values have no such reduction.
    """
    if array.ndim not in {3, 4}:
        msg = (
            f"reductions are computed of arrays of 3 or 4 axes. Got shape {array.shape}: read it "
            f"first, np.asarray(array).{name}(...)."
        )
        raise ParameterError(msg)
    try:
        axes = normalize_axis_tuple(range(array.ndim) if axis is None else axis, array.ndim)
    except (ValueError, TypeError) as error:
        msg = (
            f"`axis` must be None, an axis or a tuple of different axes of an array of shape "
            f"{array.shape}. Got {axis!r}."
        )
        raise ParameterError(msg) from error
    given: Any = ddof
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < 0:
        msg = f"`ddof` must be an integer, 0 or larger. Got {ddof!r}."
        raise ParameterError(msg)
    native = array.dtype.newbyteorder("=")
    if native.kind == "c" and name not in {"mean", "sum", "any", "all"}:
        msg = f"`{name}` needs real values. Got {native}: take abs(), np.real or np.imag of them."
        raise ParameterTypeError(msg)
    example = getattr(np, name)(np.ones((2,) * array.ndim, native), axis=tuple(axes))
    dtype = np.asarray(example).dtype
    return LazyArray.over(
        ReducedReader(array, name, tuple(sorted(axes)), bool(keepdims), int(ddof), dtype)
    )


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
    with first._result.lock.of_this_process():
        pending = [one for one in readers if one.is_pending]
        if not pending:
            return
        source = _four_axes(pending[0].source)
        states: dict[Hashable, State] = {}
        for one in pending:
            state = new_state(one, source.shape)
            states.setdefault(state.key, state)
        _pass(source, list(states.values()))
        for one in pending:
            state = states[new_state(one, source.shape).key]
            values = np.asarray(state.result(one.name, one.ddof)).astype(one.dtype, copy=False)
            one._result.values = values.reshape(one.shape, order="F")


def _pass(source: LazyArray, states: Sequence[State]) -> None:
    n_volumes, step = source.shape[3], _block_volumes(source)
    shape = (*source.shape[:3], step)
    dtype = source.dtype.newbyteorder("=")
    buffers: list[Array | None] = [None] * N_BUFFERS
    with source.open(memory=0) as session:

        def load(task: tuple[int, int]) -> Array:
            number, start = task
            view = source.view((..., slice(start, start + step)))
            block = buffers[number % N_BUFFERS]
            if block is None:
                block = buffers[number % N_BUFFERS] = np.empty(shape, dtype, order="F")
            block = block[..., : view.shape[3]]
            fill_block(view, session, block)
            return block

        tasks = enumerate(range(0, n_volumes, step))
        with ReadAhead(tasks, load, n_ahead=N_BUFFERS) as blocks:
            volume = 0
            for block in blocks:
                for place in range(block.shape[3]):
                    for state in states:
                        state.take(block[..., place : place + 1], volume)
                    volume += 1


def _four_axes(array: LazyArray) -> LazyArray:
    return array if array.ndim == 4 else array.view((..., None))


def _block_volumes(array: LazyArray) -> int:
    n_volumes = array.shape[3] if array.ndim == 4 else 1
    return max(min(BLOCK_BYTES // max(_volume_bytes(array), 1), n_volumes), 1)


def _volume_bytes(array: LazyArray) -> int:
    return math.prod(array.shape[:3]) * array.dtype.itemsize
