"""The steps of an element-wise expression, and how they are computed for a block of values."""

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from lazyvox._typing import Array, DType, Shape

__all__ = [
    "Buffers",
    "Built",
    "Call",
    "Constant",
    "Expression",
    "Source",
    "Step",
    "compute",
    "last_uses",
]

#: Values computed at a time: what a handful of operands of this size take stays in the
#: processor's cache, and the cost of calling NumPy is still small beside the work.
PIECE_VALUES = 1 << 16


@dataclass(frozen=True, slots=True)
class Source:
    """An array that the expression reads.

    Attributes
    ----------
    number : int
        Its place among the sources.
    """

    number: int


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A number. One of Python's own has no type of its own in NumPy's promotion.

    Attributes
    ----------
    value : scalar
        The number.
    """

    value: Any


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A function of NumPy, applied element by element.

    Attributes
    ----------
    function : callable
        A ufunc, or a function that acts like one, such as `numpy.where`. Picklable.
    arguments : tuple of int
        Numbers of the steps whose results it takes.
    options : tuple of (str, object)
        Keyword arguments.
    dtype : numpy.dtype
        Type of the result.
    """

    function: Callable[..., Any]
    arguments: tuple[int, ...]
    options: tuple[tuple[str, Any], ...]
    dtype: DType


Step: TypeAlias = "Source | Constant | Call"


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """The steps of an expression, each of them once; the last one is the result.

    A transform of volumes, for `staged`. Steps are a flat list, not a tree, so that the sum of a
    thousand images is as easy to walk, hash and pickle as that of two.

    Attributes
    ----------
    steps : tuple of Source, Constant or Call
        Arguments come before the calls that use them.
    """

    steps: tuple[Step, ...]

    @property
    def name(self) -> str:
        """The functions, in their order."""
        calls = [step.function.__name__ for step in self.steps if isinstance(step, Call)]
        return ", ".join(calls[:5]) + ", ..." * (len(calls) > 5)

    @property
    def dtype(self) -> DType:
        """Type of the result."""
        last = self.steps[-1]
        assert isinstance(last, Call), "bug in lazyvox: an expression ends with a call"
        return last.dtype

    def out_shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the spatial shape that the sources broadcast to."""
        return np.broadcast_shapes(*shapes)

    def out_dtype(self, dtypes: tuple[DType, ...]) -> DType:
        """Return the type of the result, which was found when the expression was made."""
        del dtypes
        return self.dtype

    def work_bytes(self, shapes: tuple[Shape, ...], dtypes: tuple[DType, ...]) -> int:
        """Return the bytes of the intermediate results of one piece."""
        del dtypes
        shape = self.out_shape(shapes)
        n_values = min(math.prod(shape), max(PIECE_VALUES, math.prod(shape[:2])))
        return n_values * buffer_itemsize(self.steps)

    def apply(self, blocks: Sequence[Array], out: Array) -> None:
        """Fill `out` piece by piece; buffers are used again from piece to piece."""
        last = last_uses(self.steps)
        buffers = Buffers()
        for piece in _pieces(out.shape):
            parts = [_cut(block, piece) for block in blocks]
            compute(self.steps, last, parts, buffers, {len(self.steps) - 1: out[piece]})


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """Cache of a built expression, for expressions that begin with it.

    With it the sum of a thousand images takes a thousand steps to build, not half a million.

    Attributes
    ----------
    numbers : dict
        Number of each step, by what it does.
    examples : tuple
        A value of the type of each step.
    """

    numbers: dict[Hashable, int]
    examples: tuple[Any, ...]


class Buffers:
    """Arrays for intermediate results, which come back after their last use."""

    def __init__(self) -> None:
        self._free: dict[tuple[Shape, DType], list[Array]] = {}

    def take(self, shape: Shape, dtype: DType) -> Array:
        """Return an array, to be filled."""
        free = self._free.get((shape, dtype))
        return free.pop() if free else np.empty(shape, dtype, order="F")

    def give_back(self, buffer: Array) -> None:
        """Take an array back that is not needed any more."""
        self._free.setdefault((buffer.shape, buffer.dtype), []).append(buffer)


def compute(
    steps: tuple[Step, ...],
    last: Sequence[int],
    parts: Sequence[Array],
    buffers: Buffers,
    targets: Mapping[int, Array],
) -> None:
    """Fill arrays with the results of steps.

    Parameters
    ----------
    steps : tuple of Step
        The expression.
    last : sequence of int
        From `last_uses`.
    parts : sequence of ndarray
        The values of the sources.
    buffers : Buffers
        Memory for intermediate results.
    targets : mapping of int to ndarray
        For numbers of steps, the last one among them, the array that takes the result. It may be
        the memory of a source of which no later step makes use.
    """
    values: list[Any] = [None] * len(steps)
    owned: set[int] = set()
    for number, step in enumerate(steps):
        if not isinstance(step, Call):
            values[number] = parts[step.number] if isinstance(step, Source) else step.value
            if number in targets:
                targets[number][...] = values[number]
            continue
        arguments = [values[i] for i in step.arguments]
        dying = [i for i in set(step.arguments) & owned if last[i] == number]
        free = [values[i] for i in dying]
        result = _called(step, arguments, targets.get(number), free, buffers)
        values[number] = result
        if isinstance(step.function, np.ufunc):
            owned |= {number} - targets.keys()
            for one in free:
                if one is not result:
                    buffers.give_back(one)
        # What a function that is no ufunc returned may be a view of its argument: not given back.
        for i in dying:
            values[i] = None


def _called(
    step: Call, arguments: list[Any], target: Array | None, free: list[Array], buffers: Buffers
) -> Any:
    """Return the result of a call, in `target`, an array that is free, or a buffer."""
    if not isinstance(step.function, np.ufunc):
        result = step.function(*arguments, **dict(step.options))
        if target is None:
            return result
        target[...] = result
        return target
    if target is None:
        shape = np.broadcast_shapes(*(np.shape(argument) for argument in arguments))
        target = _reusable(free, shape, step.dtype)
        if target is None:
            target = buffers.take(shape, step.dtype)
    return step.function(*arguments, out=target, **dict(step.options))


def _reusable(dying: Sequence[Array], shape: Shape, dtype: DType) -> Array | None:
    """Return an argument that is not needed any more and can take the result."""
    for value in dying:
        if value.shape == shape and value.dtype == dtype:
            return value
    return None


def last_uses(steps: tuple[Step, ...]) -> list[int]:
    """Return the number of the last step that uses each step; that of all steps where none does."""
    last = [len(steps)] * len(steps)
    for number, step in enumerate(steps):
        if isinstance(step, Call):
            for i in step.arguments:
                last[i] = number
    return last


def buffer_itemsize(steps: tuple[Step, ...]) -> int:
    """Return the bytes that all buffers take together for each value of a piece.

    The result of the last step has its memory already. It may be a source: a wave of
    `lazyvox.array.read_order` may keep one for later.
    """
    uses = last_uses(steps)
    free: list[DType] = []
    total = 0
    owned: set[int] = set()
    for number, step in enumerate(steps[:-1]):
        if not isinstance(step, Call):
            continue
        dying = [i for i in set(step.arguments) & owned if uses[i] == number]
        given_back = [steps[i].dtype for i in dying]  # type: ignore[union-attr]
        if isinstance(step.function, np.ufunc):
            owned.add(number)
            pool = given_back if step.dtype in given_back else free
            if step.dtype in pool:
                pool.remove(step.dtype)
            else:
                total += step.dtype.itemsize
        else:
            # The function makes its result, and may make as much again while it works.
            total += 3 * step.dtype.itemsize
            given_back = []
        free += given_back
    last = steps[-1]
    if isinstance(last, Call) and not isinstance(last.function, np.ufunc):
        total += 3 * last.dtype.itemsize
    # NumPy casts operands of other types in chunks of a few thousand values.
    return total


def _pieces(shape: Shape) -> Iterator[tuple[slice, ...]]:
    """Yield parts of a block that are contiguous in Fortran order: slabs of one volume, or more."""
    plane = max(math.prod(shape[:2]), 1)
    n_slices = max(PIECE_VALUES // plane, 1)
    n_volumes = max(PIECE_VALUES // (plane * max(shape[2], 1)), 1)
    for volume in range(0, shape[3], n_volumes):
        for k in range(0, shape[2], n_slices):
            yield (
                slice(None),
                slice(None),
                slice(k, min(k + n_slices, shape[2])),
                slice(volume, min(volume + n_volumes, shape[3])),
            )


def _cut(block: Array, piece: tuple[slice, ...]) -> Array:
    """Return the part of a block that a piece of the result needs; single positions stay."""
    return block[
        tuple(
            part if length > 1 else slice(None)
            for part, length in zip(piece, block.shape, strict=True)
        )
    ]
