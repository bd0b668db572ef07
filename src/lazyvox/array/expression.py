"""Element-wise NumPy expressions of lazy arrays, computed in small pieces when they are read."""

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from lazyvox._typing import Array, DType, Shape
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.memory_reader import in_memory_array
from lazyvox.array.operators import cast
from lazyvox.array.staged import StagedReader, staged

__all__ = ["Expression", "Operand", "cast", "elementwise"]

#: Values computed at a time: what a handful of operands of this size take stays in the
#: processor's cache, and the cost of calling NumPy is still small beside the work.
PIECE_VALUES = 1 << 16

Operand: TypeAlias = "LazyArray | Array | np.generic | complex"


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
        """Return what the intermediate results of one piece take."""
        del dtypes
        shape = self.out_shape(shapes)
        n_values = min(math.prod(shape), max(PIECE_VALUES, math.prod(shape[:2])))
        return n_values * _buffer_itemsize(self.steps)

    def apply(self, blocks: Sequence[Array], out: Array) -> None:
        """Fill `out` piece by piece; buffers are used again from piece to piece."""
        last_uses = _last_uses(self.steps)
        buffers = _Buffers()
        for piece in _pieces(out.shape):
            parts = [_cut(block, piece) for block in blocks]
            _compute(self.steps, last_uses, parts, buffers, out[piece])


class _Buffers:
    """Arrays for intermediate results, which come back after their last use."""

    def __init__(self) -> None:
        self._free: dict[tuple[Shape, DType], list[Array]] = {}

    def take(self, shape: Shape, dtype: DType) -> Array:
        free = self._free.get((shape, dtype))
        return free.pop() if free else np.empty(shape, dtype, order="F")

    def give_back(self, buffer: Array) -> None:
        self._free.setdefault((buffer.shape, buffer.dtype), []).append(buffer)


def _compute(
    steps: tuple[Step, ...],
    last_uses: Sequence[int],
    parts: Sequence[Array],
    buffers: _Buffers,
    out: Array,
) -> None:
    """Fill `out` with the result of the last step."""
    values: list[Any] = [None] * len(steps)
    owned: set[int] = set()
    for number, step in enumerate(steps):
        if not isinstance(step, Call):
            values[number] = parts[step.number] if isinstance(step, Source) else step.value
            continue
        arguments = [values[i] for i in step.arguments]
        dying = [i for i in set(step.arguments) & owned if last_uses[i] == number]
        if not isinstance(step.function, np.ufunc):
            result = step.function(*arguments, **dict(step.options))
            if number == len(steps) - 1:
                out[...] = result
            values[number] = result
        else:
            target = out if number == len(steps) - 1 else None
            if target is None:
                shape = np.broadcast_shapes(*(np.shape(argument) for argument in arguments))
                target = _reusable([values[i] for i in dying], shape, step.dtype)
            if target is None:
                target = buffers.take(shape, step.dtype)
            step.function(*arguments, out=target, **dict(step.options))
            values[number] = target
            owned.add(number)
            for i in dying:
                if values[i] is not target:
                    buffers.give_back(values[i])
        # What a function that is no ufunc returned may be a view of its argument: not given back.
        for i in dying:
            values[i] = None


def _reusable(dying: Sequence[Array], shape: Shape, dtype: DType) -> Array | None:
    """Return an argument that is not needed any more and can take the result."""
    for value in dying:
        if value.shape == shape and value.dtype == dtype:
            return value
    return None


def _last_uses(steps: tuple[Step, ...]) -> list[int]:
    """Return the number of the last step that uses each step."""
    last = [len(steps)] * len(steps)
    for number, step in enumerate(steps):
        if isinstance(step, Call):
            for i in step.arguments:
                last[i] = number
    return last


def _buffer_itemsize(steps: tuple[Step, ...]) -> int:
    """Return the bytes that all buffers take together for each value of a piece."""
    last_uses = _last_uses(steps)
    free: list[DType] = []
    total = 0
    owned: set[int] = set()
    for number, step in enumerate(steps[:-1]):
        if not isinstance(step, Call):
            continue
        dying = [i for i in set(step.arguments) & owned if last_uses[i] == number]
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
    assert isinstance(last, Call), "bug in lazyvox: an expression ends with a call"
    # NumPy casts operands of other types in chunks of a few thousand values.
    return total + (0 if isinstance(last.function, np.ufunc) else 3 * last.dtype.itemsize)


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


def elementwise(function: Callable[..., Any], *operands: Operand, **options: Any) -> LazyArray:
    """Return what an element-wise function of NumPy gives for lazy arrays; reads nothing.

    Parameters
    ----------
    function : callable
        A ufunc with one result, or a function that acts element by element, such as
        `numpy.where`. Picklable.
    *operands : LazyArray, ndarray or scalar
        At least one is a lazy array, of 3 or 4 axes. Shapes broadcast as in NumPy, to 3 or 4 axes.
    **options : Any
        Keyword arguments of the function.

    Returns
    -------
    LazyArray
        Of the shape and data type that NumPy gives. Operands that are expressions themselves
        become part of one expression, in which equal steps are computed once.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.
    TypeError
        If the function does not take these types.

    Notes
    -----
    Python's own numbers have no type of their own in NumPy's promotion (NEP 50); those of NumPy
    do. Data types are found by calling the function on arrays of one value.

    Examples
    --------
    >>> import lazyvox as lv
    >>> img = lv.load("run.nii.gz")
    >>> doubled = elementwise(np.multiply, img.dataobj, 2)
    >>> doubled.shape, doubled.dtype.name
    ((12, 14, 10, 40), 'float32')
    """
    shape = np.broadcast_shapes(*(_shape_of(operand) for operand in operands))
    assert len(shape) in {3, 4}, "bug in lazyvox: an expression of other than 3 or 4 axes"
    builder = _Builder(shape)
    expression = builder.call(function, operands, options)
    return staged(expression, *builder.sources)


class _Builder:
    """Collects the steps of an expression, equal ones once, and the sources that they read."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._numbers: dict[Hashable, int] = {}
        self._steps: list[Step] = []
        self._examples: list[Any] = []
        self.sources: list[LazyArray] = []

    def call(
        self, function: Callable[..., Any], operands: Sequence[Operand], options: dict[str, Any]
    ) -> Expression:
        """Return the expression of a function of operands."""
        arguments = tuple(self._operand(operand) for operand in operands)
        self._call(function, arguments, tuple(options.items()))
        return Expression(tuple(self._steps))

    def _operand(self, operand: Operand) -> int:
        if isinstance(operand, LazyArray):
            inner = _expression_of(operand, self._shape)
            if inner is not None:
                return self._inlined(*inner)
            return self._source(_aligned(operand, self._shape))
        if isinstance(operand, np.ndarray) and operand.ndim:
            key = ("memory", id(operand))
            if key not in self._numbers:
                # The array itself is kept by its source, so that its id stays its own.
                array = in_memory_array(operand, "an array in memory")
                self._numbers[key] = self._source(_aligned(array, self._shape))
            return self._numbers[key]
        value = operand[()] if isinstance(operand, np.ndarray) else operand
        # By type and text: 1, 1.0 and True are equal, and so are 0.0 and -0.0.
        return self._add(("constant", type(value), repr(value)), Constant(value), value)

    def _inlined(self, expression: Expression, sources: Sequence[LazyArray]) -> int:
        """Take the steps of another expression over; return the number of its result."""
        numbers: list[int] = []
        for step in expression.steps:
            if isinstance(step, Source):
                numbers.append(self._source(sources[step.number]))
            elif isinstance(step, Constant):
                numbers.append(self._operand(step.value))
            else:
                arguments = tuple(numbers[i] for i in step.arguments)
                numbers.append(self._call(step.function, arguments, step.options))
        return numbers[-1]

    def _source(self, array: LazyArray) -> int:
        """Take a source whose axes are those of the result, the last one left out where shared."""
        key = ("source", id(array.reader), array.window, array.conversion)
        if key not in self._numbers:
            self.sources.append(array)
            step = Source(len(self.sources) - 1)
            self._add(key, step, np.ones((1,) * len(self._shape), _native(array.dtype)))
        return self._numbers[key]

    def _call(
        self,
        function: Callable[..., Any],
        arguments: tuple[int, ...],
        options: tuple[tuple[str, Any], ...],
    ) -> int:
        key = ("call", function, arguments, tuple((name, repr(value)) for name, value in options))
        if key in self._numbers:
            return self._numbers[key]
        examples = [self._examples[i] for i in arguments]
        # Only the type counts here; division by what happens to be zero does not.
        with np.errstate(all="ignore"):
            example = np.asarray(function(*examples, **dict(options)))
        return self._add(key, Call(function, arguments, options, example.dtype), example)

    def _add(self, key: Hashable, step: Step, example: Any) -> int:
        if key not in self._numbers:
            self._numbers[key] = len(self._steps)
            self._steps.append(step)
            if isinstance(example, np.ndarray):
                example = np.ones_like(example)
            self._examples.append(example)
        return self._numbers[key]


def _expression_of(
    array: LazyArray, shape: Shape
) -> tuple[Expression, tuple[LazyArray, ...]] | None:
    """Return the expression that an array is the whole of, and its sources, if it can be taken."""
    reader = array.reader
    if not isinstance(reader, StagedReader) or not isinstance(reader.transform, Expression):
        return None
    is_whole = array.window.is_full and not array.conversion.changes(reader.dtype)
    if not is_whole or array.ndim != len(shape) or array.shape[3:] != shape[3:]:
        return None
    return reader.transform, reader.sources


def _aligned(array: LazyArray, shape: Shape) -> LazyArray:
    """Return an array as a source: axes added in front as in NumPy, 3D if all volumes share it."""
    if array.ndim < len(shape):
        array = array.view((*[None] * (len(shape) - array.ndim), ...))
    if array.ndim == 4 and array.shape[3] != shape[3]:
        return array.view((..., 0))
    return array


def _native(dtype: DType) -> DType:
    return dtype.newbyteorder("=")


def _shape_of(operand: Operand) -> Shape:
    return operand.shape if isinstance(operand, LazyArray) else np.shape(operand)
