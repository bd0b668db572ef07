"""Arithmetic with loaded objects: images, textures, CIFTI data, arrays and numbers."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np
from nibabel.cifti2.cifti2 import Cifti2Image
from nibabel.cifti2.cifti2_axes import BrainModelAxis, ParcelsAxis
from nibabel.gifti.gifti import GiftiDataArray, GiftiImage
from nibabel.imageclasses import spatial_axes_first
from nibabel.spatialimages import SpatialImage

from lazyvox._typing import Array, DType
from lazyvox.array.lazy_array import LazyArray
from lazyvox.errors import GridMismatchError, ParameterTypeError
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj, name_of, storable
from lazyvox.lazyimage.grids import check_same_grid
from lazyvox.preload.readers import Annotation, Surface, cifti_like, in_memory

__all__ = [
    "OPERATIONS",
    "Operation",
    "as_expression",
    "change",
    "combine",
    "combine_in_place",
    "in_memory_result",
    "operation_of",
]

_MESH_INTENTS = frozenset({1008, 1009})


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of two objects.

    Attributes
    ----------
    symbol : str
        How it is written.
    ufunc : callable
        What it does to arrays: a NumPy ufunc.
    function : callable
        What it does to other objects.
    """

    symbol: str
    ufunc: Any
    function: Callable[[Any, Any], Any]


#: The operations that count, by ufunc.
OPERATIONS: Mapping[Any, Operation] = MappingProxyType(
    {
        one.ufunc: one
        for one in (
            Operation("+", np.add, operator.add),
            Operation("-", np.subtract, operator.sub),
            Operation("*", np.multiply, operator.mul),
            Operation("/", np.true_divide, operator.truediv),
            Operation("//", np.floor_divide, operator.floordiv),
            Operation("%", np.remainder, operator.mod),
            Operation("**", np.power, operator.pow),
        )
    }
)


def operation_of(ufunc: Any) -> Operation:
    """Return the operation of a NumPy ufunc of two arguments."""
    return OPERATIONS.get(ufunc) or Operation(ufunc.__name__, ufunc, ufunc)


def combine(
    operation: Operation, left: Any, right: Any, reuse: tuple[bool, bool] = (False, False)
) -> Any:
    """Return the result of an operation.

    Parameters
    ----------
    operation : Operation
        What to do.
    left, right : object
        Images, GIFTI textures, CIFTI data, arrays, numbers, or objects with operators.
    reuse : tuple of 2 bools
        Whether the memory of either may be used for the result.

    Returns
    -------
    object
        Of the kind of the first operand that is not an array or a number, with its header.

    Raises
    ------
    GridMismatchError
        If two images are not on one grid.
    ParameterTypeError
        If the objects have no arithmetic.

    Notes
    -----
    Memory: the result, or nothing where memory can be reused.
    """
    _refuse_meshes(operation, left, right)
    left, right = _read(left), _read(right)
    if isinstance(left, SpatialImage) or isinstance(right, SpatialImage):
        return _combine_images(operation, left, right, reuse)
    if isinstance(left, GiftiImage) or isinstance(right, GiftiImage):
        return _combine_textures(operation, left, right)
    if isinstance(left, Cifti2Image) or isinstance(right, Cifti2Image):
        return _combine_cifti(operation, left, right)
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return _computed(operation, left, right, reuse)
    try:
        return operation.function(left, right)
    except TypeError as error:
        _refuse(operation, left, right, error)


def as_expression(
    leaves: Sequence[Any], steps: Sequence[tuple[Operation | Any, tuple[int, ...]]]
) -> Any:
    """Return the lazy image that a program of images, arrays and numbers gives.

    Parameters
    ----------
    leaves : sequence of objects
        What is combined.
    steps : sequence of (operation, tuple of int)
        As in a `Program`.

    Returns
    -------
    LazyImage or None
        None where objects take part that are no images of numbers in volumes.
    """
    if not all(_is_simple(one) for one in leaves):
        return None
    values = list(leaves)
    for operation, operands in steps:
        ufunc = operation.ufunc if isinstance(operation, Operation) else operation
        values.append(ufunc(*(values[one] for one in operands)))
    return values[-1] if isinstance(values[-1], SpatialImage) else None


def in_memory_result(img: SpatialImage) -> SpatialImage:
    """Return an image that is computed, its voxels in memory, in a type that image files know."""
    return image_like(img, storable(lazy_dataobj(img).read()), is_new_kind=True)


def _is_simple(leaf: Any) -> bool:
    """Return whether an object can take part in expressions of images."""
    if isinstance(leaf, SpatialImage):
        dataobj: Any = leaf.dataobj
        is_volumes = len(leaf.shape) in {3, 4} and spatial_axes_first(leaf)
        return is_volumes and dataobj.dtype.kind in "biufc"
    if isinstance(leaf, np.ndarray | np.generic):
        return leaf.dtype.kind in "biufc"
    return isinstance(leaf, bool | int | float | complex)


def combine_in_place(operation: Operation, left: Any, right: Any, *, is_free: bool) -> Any:
    """Return the result of an operation in the type of its left operand, if possible in place.

    Parameters
    ----------
    operation : Operation
        What to do.
    left, right : object
        As for `combine`.
    is_free : bool
        Whether the memory of `left` may be written to.

    Returns
    -------
    object
        `left` itself where its memory was written to.
    """
    right = _read(right)
    target = _array_of(left)
    if target is None:
        return combine(operation, left, right)
    other = right
    if isinstance(left, SpatialImage):
        if isinstance(right, SpatialImage):
            _check_grids(left, right)
        other = _fitted(_voxels_of(right), left.shape)
    elif _array_of(right) is not None:
        _refuse_meshes(operation, left, right)
        other = _array_of(right)
    if not is_free or not target.flags.writeable:
        target = target.copy(order="K")
    try:
        operation.ufunc(target, other, out=target, casting="same_kind")
    except (TypeError, ValueError) as error:
        msg = (
            f"an in-place operation keeps the type and shape of its left operand, {target.dtype} "
            f"of shape {target.shape}. {operation.symbol}= does not: {error}. Write a = a "
            f"{operation.symbol} b, or load with dtype=."
        )
        raise ParameterTypeError(msg) from error
    return left if target is _array_of(left) else _with_array(left, target)


def change(ufunc: Any, value: Any) -> Any:
    """Return the result of a ufunc of one argument."""
    _refuse_meshes(operation_of(ufunc), value, 0)
    if isinstance(value, SpatialImage):
        return image_like(
            value, storable(ufunc(_voxels_of(value))), np.asarray(value.affine), is_new_kind=True
        )
    if isinstance(value, GiftiImage):
        return _texture_like(value, [ufunc(array.data) for array in value.darrays])
    if isinstance(value, Cifti2Image):
        return _with_array(value, ufunc(np.asarray(value.dataobj)))
    try:
        return ufunc(value)
    except TypeError as error:
        msg = f"{ufunc.__name__} needs an image, an array or a number. Got {_named(value)}."
        raise ParameterTypeError(msg) from error


def _combine_images(operation: Operation, left: Any, right: Any, reuse: tuple[bool, bool]) -> Any:
    first = left if isinstance(left, SpatialImage) else right
    if isinstance(left, SpatialImage) and isinstance(right, SpatialImage):
        _check_grids(left, right)
    for other in (left, right):
        if isinstance(other, GiftiImage | Cifti2Image):
            _refuse(operation, left, right)
    fresh = tuple(again or _is_lazy(one) for again, one in zip(reuse, (left, right), strict=True))
    arrays = _voxels_of(left), _voxels_of(right)
    shape = max((np.shape(array) for array in arrays), key=len)
    fitted = _fitted(arrays[0], shape), _fitted(arrays[1], shape)
    values = _computed(operation, *fitted, (fresh[0], fresh[1]))
    if values.shape[:3] != first.shape[:3]:
        msg = (
            f"an array must fit the grid of the image, {first.shape}. Got shapes "
            f"{np.shape(arrays[0])} and {np.shape(arrays[1])}, which give {values.shape}."
        )
        raise GridMismatchError(msg)
    return image_like(first, storable(values), np.asarray(first.affine), is_new_kind=True)


def _check_grids(left: Any, right: Any) -> None:
    check_same_grid(left, right)
    times = {img.shape[3:] for img in (left, right) if len(img.shape) > 3}
    if len(times) < 2 or any(t in {(), (1,)} for t in times):
        return
    msg = (
        f"images must have as many volumes as each other, or one. {name_of(left)} has shape "
        f"{left.shape}; {name_of(right)} has shape {right.shape}."
    )
    raise GridMismatchError(msg)


def _combine_textures(operation: Operation, left: Any, right: Any) -> Any:
    first = left if isinstance(left, GiftiImage) else right
    columns = []
    for number, array in enumerate(first.darrays):
        pair = [
            one.darrays[number].data if isinstance(one, GiftiImage) else one
            for one in (left, right)
            if not isinstance(one, GiftiImage) or len(one.darrays) == len(first.darrays)
        ]
        if len(pair) < 2 or any(np.shape(one) not in {(), array.data.shape} for one in pair):
            msg = (
                f"textures must have as many data arrays of the same shapes. Got "
                f"{_shapes(left)} and {_shapes(right)}."
            )
            raise GridMismatchError(msg)
        columns.append(operation.ufunc(*pair))
    return _texture_like(first, columns)


def _shapes(value: Any) -> list[Any]:
    if isinstance(value, GiftiImage):
        return [array.data.shape for array in value.darrays]
    return [np.shape(value)]


def _texture_like(template: Any, columns: list[Array]) -> Any:
    array_class: Any = GiftiDataArray
    image_class: Any = GiftiImage
    arrays = []
    for like, values in zip(template.darrays, columns, strict=True):
        # The format knows these types only.
        dtype = {"f": np.float32, "u": np.uint8, "b": np.uint8}.get(values.dtype.kind, np.int32)
        if values.dtype.kind == "u" and values.dtype.itemsize > 1:
            dtype = np.int32
        arrays.append(
            array_class(
                values.astype(dtype),
                intent=like.intent,
                datatype=np.dtype(dtype).name,
                meta=like.meta,
            )
        )
    return image_class(
        header=template.header,
        extra=template.extra,
        meta=template.meta,
        labeltable=template.labeltable,
        darrays=arrays,
    )


def _combine_cifti(operation: Operation, left: Any, right: Any) -> Any:
    first = left if isinstance(left, Cifti2Image) else right
    both = isinstance(left, Cifti2Image) and isinstance(right, Cifti2Image)
    if both and not (left.shape == right.shape and _same_brain(left, right)):
        msg = (
            f"CIFTI images must share their brain models or parcels. Got shapes {left.shape} and "
            f"{right.shape}, and axes that differ."
        )
        raise GridMismatchError(msg)
    pair = [np.asarray(v.dataobj) if isinstance(v, Cifti2Image) else v for v in (left, right)]
    return _with_array(first, operation.ufunc(*pair))


def _same_brain(left: Any, right: Any) -> bool:
    """Return whether the axes that lie in the brain are equal; names of maps may differ."""
    kinds = (BrainModelAxis, ParcelsAxis)
    axes = [[image.header.get_axis(i) for i in range(image.ndim)] for image in (left, right)]
    pairs = zip(*axes, strict=True)
    return all(
        type(one) is type(other) and (not isinstance(one, kinds) or one == other)
        for one, other in pairs
    )


def _computed(operation: Operation, left: Any, right: Any, reuse: tuple[bool, bool]) -> Any:
    """Return the result of a ufunc, in the memory of an operand where that is allowed and fits."""
    for may, one, other in ((reuse[0], left, right), (reuse[1], right, left)):
        if not may or not isinstance(one, np.ndarray) or not one.flags.writeable:
            continue
        if np.shape(other) in {(), one.shape} and _dtype_of(operation, left, right) == one.dtype:
            return operation.ufunc(left, right, out=one)
    try:
        return operation.ufunc(left, right)
    except TypeError as error:
        _refuse(operation, left, right, error)


def _dtype_of(operation: Operation, left: Any, right: Any) -> DType | None:
    kinds = [
        type(one) if type(one) in {int, float, complex} else np.asarray(one).dtype
        for one in (left, right)
    ]
    try:
        found: DType = operation.ufunc.resolve_dtypes((*kinds, None))[-1]
    except TypeError:
        return None
    return found


def _read(value: Any) -> Any:
    """Return a value, read where it is an array in a file: the result is to be in memory."""
    return value.read() if isinstance(value, LazyArray) else value


def _array_of(value: Any) -> Array | None:
    """Return the array in memory behind an object, None where there is not just one."""
    held: Any = value.dataobj if isinstance(value, SpatialImage | Cifti2Image) else value
    return held if isinstance(held, np.ndarray) else None


def _with_array(template: Any, values: Array) -> Any:
    if isinstance(template, SpatialImage):
        return image_like(
            template, storable(values), np.asarray(template.affine), is_new_kind=True
        )
    if isinstance(template, Cifti2Image):
        return cifti_like(template, values)
    return values


def _is_lazy(value: Any) -> bool:
    return isinstance(value, SpatialImage) and not isinstance(value.dataobj, np.ndarray)


def _voxels_of(value: Any) -> Any:
    if not isinstance(value, SpatialImage):
        return value
    return in_memory(value).dataobj if _is_lazy(value) else value.dataobj


def _fitted(values: Any, shape: tuple[int, ...]) -> Any:
    """Return values that apply to every volume if they have the shape of one."""
    if np.ndim(values) == 3 and len(shape) == 4 and np.shape(values) == shape[:3]:
        return np.asarray(values)[..., np.newaxis]
    return values


def _refuse_meshes(operation: Operation, left: Any, right: Any) -> None:
    for value in (left, right):
        is_mesh = isinstance(value, GiftiImage) and any(
            array.intent in _MESH_INTENTS for array in value.darrays
        )
        is_table = isinstance(value, Surface | Annotation) or hasattr(value, "streamlines")
        if is_mesh or is_table:
            _refuse(operation, left, right)


def _refuse(
    operation: Operation, left: Any, right: Any, error: Exception | None = None
) -> NoReturn:
    msg = (
        f"`{operation.symbol}` needs images, textures, CIFTI data, arrays or numbers. Got "
        f"{_named(left)} and {_named(right)}. Compute with the arrays inside, as .data gives them."
    )
    raise ParameterTypeError(msg) from error


def _named(value: Any) -> str:
    kind = type(value).__name__
    if isinstance(value, GiftiImage) and any(one.intent in _MESH_INTENTS for one in value.darrays):
        return f"a surface ({kind})"
    return f"a {kind}"
