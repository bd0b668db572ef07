"""Element-wise NumPy expressions of lazy arrays, computed in small pieces when they are read."""

import hashlib
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeAlias

import numpy as np

from lazyvox._typing import Array, DType, Shape
from lazyvox.array.kernels import Built, Call, Constant, Expression, Source, Step
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.memory_reader import in_memory_array, snapshot
from lazyvox.array.numpy_functions import cast
from lazyvox.array.pointwise import (
    ExpressionReader,
    SeriesExpressionReader,
    VolumeExpressionReader,
)
from lazyvox.array.reduction_reader import reduced
from lazyvox.errors import ParameterError, ParameterTypeError

__all__ = ["Expression", "Operand", "cast", "elementwise"]

#: Arrays that are compared by their values; a row or a volume, not a series.
LOOKED_THROUGH_BYTES = 16 << 20

Operand: TypeAlias = "LazyArray | Array | np.generic | complex"


def elementwise(function: Callable[..., Any], *operands: Operand, **options: Any) -> LazyArray:
    """Return the lazy result of an element-wise function of NumPy; reads nothing.

    Parameters
    ----------
    function : callable
        A ufunc with one result, or a function that acts element by element, such as
        `numpy.where`. Picklable.
    *operands : LazyArray, ndarray or scalar
        At least one is a lazy array, of 3 or 4 axes. Shapes broadcast as in NumPy, to 3 or 4 axes.
        Arrays that could be written to are copied: the result does not follow them.
    **options : Any
        Keyword arguments of the function, of one value each: what has a value for each element
        is an operand.

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
        If the function does not take these types, or an option is an array.

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
    given = np.broadcast_shapes(*(_shape_of(operand) for operand in operands))
    if len(given) > 4:
        msg = (
            f"an expression takes arrays of up to 4 axes. Got shape {given}. Take a part of it "
            f"first: img.slicer[:, :, :, :, 0], say."
        )
        raise ParameterError(msg)
    n_new = max(3 - len(given), 0)
    shape = (*[1] * n_new, *given)
    builder = _Builder(shape)
    expression = builder.call(function, operands, options)
    sources = tuple(builder.sources)
    make = VolumeExpressionReader if len(shape) == 3 else SeriesExpressionReader
    reader = make(sources, expression, shape, expression.dtype, builder.built())
    return LazyArray.over(reader).view((0,) * n_new)


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
        for name, option in options.items():
            if isinstance(option, LazyArray | np.ndarray | list):
                msg = (
                    f"`{name}` of {function.__name__} must be one value for all elements. Got "
                    f"{type(option).__name__}. Read the values first: np.asarray(img.dataobj)."
                )
                raise ParameterTypeError(msg)
        arguments = tuple(self._operand(operand) for operand in operands)
        self._call(function, arguments, tuple(options.items()))
        return Expression(tuple(self._steps))

    def _operand(self, operand: Operand) -> int:
        if isinstance(operand, LazyArray):
            inner = _expression_of(operand, self._shape)
            if inner is not None:
                return self._inlined(inner)
            return self._source(_aligned(operand, self._shape))
        if isinstance(operand, np.ndarray) and operand.ndim:
            values = snapshot(operand)
            key = ("memory", values.dtype, values.shape, _content_of(values))
            if key not in self._numbers:
                array = in_memory_array(values, "an array in memory")
                self._numbers[key] = self._source(_aligned(array, self._shape))
            return self._numbers[key]
        value = operand[()] if isinstance(operand, np.ndarray) else operand
        return self._add(("constant", *_key_of(value)), Constant(value), value)

    def built(self) -> Built:
        """Return the lookup tables that expressions which begin with this one reuse."""
        return Built(self._numbers, tuple(self._examples))

    def _inlined(self, inner: ExpressionReader) -> int:
        """Take the steps of another expression over; return the number of its result."""
        expression = inner.transform
        assert isinstance(expression, Expression), "bug in lazyvox: no expression"
        steps = expression.steps
        if inner.built is not None and not self._steps:
            self._numbers = dict(inner.built.numbers)
            self._examples = list(inner.built.examples)
            self._steps, self.sources = list(steps), list(inner.sources)
            return len(steps) - 1
        numbers: list[int] = []
        for step in steps:
            if isinstance(step, Source):
                numbers.append(self._source(inner.sources[step.number]))
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
        key = ("call", function, arguments, tuple((name, *_key_of(one)) for name, one in options))
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


def _content_of(values: Array) -> Hashable:
    """Return the identity of an array among those of its shape and type.

    Small arrays are compared by their values, so that equal ones are read once. Large ones are
    not looked through: one that cannot be written to is itself whenever it takes part.
    """
    if values.nbytes > LOOKED_THROUGH_BYTES:
        return id(values)
    return hashlib.blake2b(values.tobytes(), digest_size=16).digest()


def _key_of(value: Any) -> tuple[Any, ...]:
    """Return the cache key of a number or an option.

    1, 1.0 and True are equal in Python, and so are 0.0 and -0.0; they are not here.
    """
    if isinstance(value, float | complex | np.generic):
        return type(value), np.asarray(value).tobytes()
    return type(value), value


def _expression_of(array: LazyArray, shape: Shape) -> ExpressionReader | None:
    """Return the expression that an array is the whole of, if it can be taken."""
    reader = array.reader.expression
    if reader is None:
        return None
    is_whole = array.window.is_full and not array.conversion.changes(reader.dtype)
    if not is_whole or array.ndim != len(shape) or array.shape[3:] != shape[3:]:
        return None
    return reader


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


def _called(function: Callable[..., Any], *operands: Operand, **options: Any) -> LazyArray:
    """Return a function of arrays that raises NumPy's type errors as errors of lazyvox."""
    try:
        return elementwise(function, *operands, **options)
    except TypeError as error:
        types = [str(getattr(one, "dtype", type(one).__name__)) for one in operands]
        msg = (
            f"numpy.{function.__name__} must be able to take the types of its operands, "
            f"{', '.join(types)}. NumPy says: {error}"
        )
        raise ParameterTypeError(msg) from error


# Here, as the class cannot know what is made of it: expressions read lazy arrays.
LazyArray._call = staticmethod(_called)
LazyArray._reduce = reduced
