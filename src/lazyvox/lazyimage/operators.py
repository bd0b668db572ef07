"""Arithmetic with images: expressions that are evaluated when the result is read or saved."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from nibabel.minc1 import Minc1Image
from nibabel.spatialimages import SpatialImage
from numpy.lib.array_utils import normalize_axis_tuple

from lazyvox._typing import DType, Shape, override
from lazyvox.array.expression import Operand, elementwise
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.operators import Operators
from lazyvox.array.reduction_reader import reduced
from lazyvox.errors import GridMismatchError, ParameterError, ParameterTypeError
from lazyvox.lazyimage.axes import check_axes
from lazyvox.lazyimage.dataobj import lazy_dataobj, name_of
from lazyvox.lazyimage.grids import check_same_grid

__all__ = [
    "ImageOperators",
    "Incomparable",
    "check_dimensions",
    "check_time_axis",
]

#: What an expression may hold besides images.
_VALUES = LazyArray | np.ndarray | np.generic | bool | int | float | complex


class ImageOperators(Operators):
    """Operators of images, and NumPy's element-wise functions on them.

    The result of ``img + 1``, ``img > other`` or ``np.log(img)`` is a lazy image with the header
    and the affine of the first image among the operands. Operands are images on the same grid,
    lazy or not; arrays, of which one of the shape of the grid applies to every volume and others
    broadcast as in NumPy; and numbers.

    ``img == other`` compares voxels too. The truth value of a comparison of two images is whether
    they are one object, so that lists, dictionaries and tests can hold images; that of any other
    result is refused, as NumPy's is.
    """

    #: Truth value of a comparison with another image, where this image is the result of one.
    _truth: bool | None = None

    def _made(self, template: SpatialImage, values: LazyArray) -> Any:
        """Return an image of values on the grid of another."""
        raise NotImplementedError

    @override
    def _combined(self, function: Callable[..., Any], *operands: Any, **options: Any) -> Any:
        if not all(isinstance(one, SpatialImage | _VALUES) for one in operands):
            return NotImplemented
        images = [one for one in operands if isinstance(one, SpatialImage)]
        for img in images:
            check_dimensions(img)
        for img in images[1:]:
            check_same_grid(images[0], img)
        grid = tuple(images[0].shape[:3])
        n_axes = max(_shape_of(one)[3:4] != () for one in operands) + 3
        aligned = [_aligned(one, grid, n_axes) for one in operands]
        _check_shapes(function, images[0], operands, aligned)
        try:
            result = elementwise(function, *aligned, **options)
        except TypeError as error:
            msg = (
                f"numpy.{function.__name__} must be able to take the types of its operands, "
                f"{_types(operands)}. NumPy says: {error}"
            )
            raise ParameterTypeError(msg) from error
        return self._made(images[0], result)

    @property
    @override
    def _value_dtype(self) -> DType:
        img: Any = self
        found: DType = img.dataobj.dtype
        return found

    @override
    def __eq__(self, other: object) -> Any:
        return self._compared(np.equal, other, is_true=self is other)

    @override
    def __ne__(self, other: object) -> Any:
        return self._compared(np.not_equal, other, is_true=self is not other)

    __hash__ = Operators.__hash__

    def _compared(self, function: np.ufunc, other: object, *, is_true: bool) -> Any:
        if not isinstance(other, SpatialImage):
            return self._combined(function, self, other)
        try:
            result = self._combined(function, self, other)
        except (GridMismatchError, ParameterError, ParameterTypeError) as error:
            return Incomparable(error, is_true=is_true)
        result._truth = is_true
        return result

    def __bool__(self) -> bool:
        """Return whether two images that were compared are one; refuse for other results."""
        if self._truth is not None:
            return self._truth
        img: Any = self
        array = img.dataobj
        if not isinstance(array, LazyArray):
            return True
        if not array.reader.is_operator_result:
            return True
        if array.size == 1:
            return bool(array)
        msg = (
            f"the truth value of an image that is computed from {array.size} voxels is ambiguous. "
            f"Reduce it first: (img > 0).any() or .all(), say; to ask whether there is an image, "
            f"write `img is not None`."
        )
        raise ParameterError(msg)

    @override
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
        img: Any = self
        check_dimensions(img)
        array = lazy_dataobj(img)
        values = reduced(array, name, axis=axis, keepdims=keepdims, ddof=ddof, dtype=dtype, q=q)
        is_over_time = axis is not None and normalize_axis_tuple(axis, img.ndim) == (3,)
        return self._made(img, values) if is_over_time else values


class Incomparable:
    """The result of ``==`` and ``!=`` for two images whose voxels do not lie on each other.

    It has a truth value, which is that of their being one object. Anything else raises the error
    that other operators raise immediately.

    Parameters
    ----------
    error : Exception
        The error.
    is_true : bool
        The truth value.
    """

    def __init__(self, error: Exception, *, is_true: bool) -> None:
        self._error = error
        self._is_true = is_true

    def __bool__(self) -> bool:
        """Return the truth value."""
        return self._is_true

    def __getattr__(self, name: str) -> Any:
        """Raise the error."""
        raise self._error


def check_time_axis(img: SpatialImage) -> None:
    """Refuse a 4D image of a format that has time in front, as MINC has.

    Parameters
    ----------
    img : nibabel image
        Any image.

    Raises
    ------
    ParameterError
        If the image is of MINC, in either version.
    """
    # Classes that nibabel does not know, as plain SpatialImage, are taken as NIfTI is.
    if len(img.shape) < 4 or not isinstance(img, Minc1Image):
        return
    msg = (
        f"{name_of(img)}: time must be the last axis of a 4D image. {type(img).__name__} has it "
        f"elsewhere."
    )
    raise ParameterError(
        msg,
        hint="Move it first: nibabel.Nifti1Image(np.moveaxis(img.get_fdata(), 0, -1), img.affine).",
        cli_hint="Convert it to NIfTI first, with MINC's mnc2nii say.",
    )


def check_dimensions(img: SpatialImage) -> None:
    """Refuse an image that is not a volume, or a series of volumes, of numbers.

    Parameters
    ----------
    img : nibabel image
        Any image.

    Raises
    ------
    ParameterError
        If it has not 3 or 4 axes, space first.
    ParameterTypeError
        If its voxels are colours.
    """
    check_time_axis(img)
    dataobj: Any = img.dataobj
    check_axes(tuple(img.shape), dataobj.dtype, name_of(img))


def _aligned(operand: Any, grid: Shape, n_axes: int) -> Operand:
    """Return an operand as an array; one of the grid's shape applies to every volume."""
    if isinstance(operand, SpatialImage):
        operand = lazy_dataobj(operand)
    array: Any = operand
    if n_axes == 4 and _shape_of(operand) == grid:
        key = (..., None)
        array = operand.view(key) if isinstance(operand, LazyArray) else operand[key]
    result: Operand = array
    return result


def _check_shapes(
    function: Callable[..., Any],
    first: SpatialImage,
    operands: Sequence[Any],
    aligned: Sequence[Any],
) -> None:
    """Refuse operands that do not broadcast to volumes on the grid of the first image."""
    shapes = [_shape_of(one) for one in aligned]
    try:
        joint: Shape = np.broadcast_shapes(*shapes)
    except ValueError:
        _refuse_shapes(function, first, operands)
    if joint[:3] != tuple(first.shape[:3]) or len(joint) > 4:
        _refuse_shapes(function, first, operands)


def _refuse_shapes(
    function: Callable[..., Any], first: SpatialImage, operands: Sequence[Any]
) -> NoReturn:
    shapes = " and ".join(str(_shape_of(one)) for one in operands)
    msg = (
        f"the operands of numpy.{function.__name__} must broadcast to volumes of the shape "
        f"{tuple(first.shape[:3])} of {name_of(first)}. Got shapes {shapes}. An array takes part "
        f"with the shape of the grid (every volume), with one value per volume, or as NumPy "
        f"broadcasts."
    )
    # Two runs of different length are two images that do not fit; an array is an argument.
    is_images = all(isinstance(one, SpatialImage) for one in operands)
    raise GridMismatchError(msg) if is_images else ParameterError(msg)


def _shape_of(operand: Any) -> Shape:
    if isinstance(operand, SpatialImage | LazyArray):
        return tuple(operand.shape)
    return np.shape(operand)


def _types(operands: Sequence[Any]) -> str:
    names = [
        str(one.dataobj.dtype)  # type: ignore[attr-defined]
        if isinstance(one, SpatialImage)
        else str(getattr(one, "dtype", type(one).__name__))
        for one in operands
    ]
    return ", ".join(names)
