"""`math_img`: arithmetic with images, said as a formula."""

from __future__ import annotations

import ast
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyvox.array.expression import cast, elementwise
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.prerequisites import fill_reductions
from lazyvox.array.reduction_reader import reduced
from lazyvox.errors import (
    ImageIndexError,
    LazyvoxError,
    LazyvoxWarning,
    ParameterError,
)
from lazyvox.image.checking import check_niimg
from lazyvox.image.formula import (
    FormulaAttributeError,
    FormulaError,
    FormulaTypeError,
    parse_formula,
)
from lazyvox.image.formula_evaluation import Evaluation
from lazyvox.image.new_image import new_img_like
from lazyvox.lazyimage.dataobj import lazy_dataobj, storable
from lazyvox.lazyimage.grids import check_same_grid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from nibabel.spatialimages import SpatialImage

    from lazyvox._typing import Array
    from lazyvox.lazyimage.classes import LazyImage

__all__ = ["formula_array", "math_img", "unused_names"]


def math_img(formula: str, copy_header_from: str | None = None, **imgs: Any) -> LazyImage:
    """Return the image that a formula of images gives.

    Parameters
    ----------
    formula : str
        A Python expression of the images, by the names that they are passed under, numbers,
        operators, indices, and functions of NumPy as ``np.name`` or ``name``. It is never
        evaluated as code.
    copy_header_from : str, optional
        Name of the image whose header the result gets; by default the header is new. The result
        must have as many axes as that image.
    **imgs : image, path, or list of them
        The images, on one grid.

    Returns
    -------
    LazyImage
        A lazy image where the formula is element-wise at its outermost level, else an array
        image. The affine, and without `copy_header_from` the class, is that of the last image.
        Booleans become uint8.

    Raises
    ------
    ParameterError
        If there is no image, or none of the name `copy_header_from`, or it has another number of
        axes; or if the formula cannot be computed: a ValueError, SyntaxError, NameError or
        AttributeError too.
    ParameterTypeError
        If the values of the formula have the wrong types.
    GridMismatchError
        If the images do not share one grid.
    MaterializationError
        Under `lazyvox.strict`, if a function needs a whole 4D array.

    Warns
    -----
    LazyvoxWarning
        If an image is not used.

    Notes
    -----
    Element-wise operations are computed block by block when the result is read or saved: one pass
    over each file, a few MiB of intermediate results. Values and data types are NumPy's, so that
    integers wrap: load images with ``dtype=`` to avoid it. Reductions (mean, std, var, sum, min,
    max, any, all; median and percentile over time, and others along axes of space) are computed
    immediately, in one pass in bounded memory for all those of one expression. Other functions
    (`numpy.percentile` of all axes, `numpy.sort`) read their argument whole.

    Examples
    --------
    >>> import lazyvox as lv
    >>> from lazyvox.image import math_img
    >>> z = "(img - np.mean(img, axis=-1, keepdims=True)) / np.std(img, axis=-1, keepdims=True)"
    >>> math_img(z, img="run.nii.gz").shape
    (12, 14, 10, 40)
    """
    tree = parse_formula(formula)
    _warn_of_unused(formula, copy_header_from, imgs)
    loaded = {name: check_niimg(img) for name, img in imgs.items()}
    _check_images(loaded, copy_header_from)
    evaluation = Evaluation(tree, {name: lazy_dataobj(img) for name, img in loaded.items()})
    value = _evaluated(evaluation.value, formula)
    if copy_header_from is None:
        template = list(loaded.values())[-1]
        return _as_image(template, value, copy_header=False)
    template = loaded[copy_header_from]
    if value.ndim != template.ndim:
        msg = (
            f"the header of an image fits results with as many axes. {formula!r} gives "
            f"{value.ndim}, {copy_header_from} has {template.ndim}: leave out copy_header_from."
        )
        raise ParameterError(msg)
    return _as_image(template, value, copy_header=True)


def formula_array(formula: str, arrays: Mapping[str, LazyArray]) -> Any:
    """Return the value of a formula of series and volumes; reads no voxel.

    Parameters
    ----------
    formula : str
        As for `math_img`.
    arrays : mapping of str to LazyArray
        Voxels of images on one grid, of 3 or 4 axes. Unlike NumPy, an operation on 3 and 4 axes
        takes the volume for each volume of the series.

    Returns
    -------
    LazyArray, ndarray or numpy scalar
        The value; its reductions are computed when it is read.

    Raises
    ------
    ParameterError, ParameterTypeError, MaterializationError
        As from `math_img`.
    """
    evaluation = Evaluation(parse_formula(formula), arrays, aligns_space=True)
    return _evaluated(evaluation.pending_value, formula)


def unused_names(formula: str, names: Iterable[str]) -> list[str]:
    """Return those of some names that a formula does not use, sorted."""
    tree = parse_formula(formula)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return sorted(set(names) - used)


def _warn_of_unused(formula: str, copy_header_from: str | None, imgs: dict[str, Any]) -> None:
    unused = unused_names(formula, set(imgs) - {copy_header_from})
    if unused:
        msg = f"every image should be part of the formula. {formula!r} does not name {unused}."
        warnings.warn(msg, LazyvoxWarning, stacklevel=3)


def _check_images(loaded: dict[str, SpatialImage], copy_header_from: str | None) -> None:
    if not loaded:
        msg = "a formula needs at least one image, passed by name: math_img('-img', img=path)."
        raise ParameterError(msg)
    (name, first), *others = loaded.items()
    for other_name, other in others:
        check_same_grid(first, other, (name, other_name))
    if copy_header_from is not None and copy_header_from not in loaded:
        msg = (
            f"`copy_header_from` must be the name of one of the images, {sorted(loaded)}. Got "
            f"{copy_header_from!r}."
        )
        raise ParameterError(msg)


def _evaluated(evaluate: Callable[[], Any], formula: str) -> Any:
    """Return the array that a formula gives; errors name the formula."""
    try:
        value = evaluate()
    except (FormulaError, FormulaTypeError) as error:
        msg = f"in the formula {formula!r}: {error}"
        raise type(error)(msg) from error
    except (LazyvoxError, ArithmeticError) as error:
        error.add_note(f"in the formula {formula!r}")
        raise
    except (ValueError, TypeError, IndexError) as error:
        kind = _kind_of(error)
        msg = f"the formula {formula!r} must be one that NumPy computes. It says: {str(error).rstrip('.')}."
        raise kind(msg) from error
    if isinstance(value, LazyArray | np.ndarray | np.generic):
        return value
    msg = f"the formula {formula!r} must give an array, computed from images. It gives a value of type {type(value).__name__}."
    raise FormulaAttributeError(msg)


def _kind_of(error: Exception) -> type[LazyvoxError]:
    """Return the error of ours for one of NumPy's."""
    if isinstance(error, TypeError):
        return FormulaTypeError
    # An axis that does not exist is both a ValueError and an IndexError.
    return FormulaError if isinstance(error, ValueError) else ImageIndexError


def _as_image(
    template: SpatialImage, value: LazyArray | Array | np.generic, *, copy_header: bool
) -> LazyImage:
    """Return the image of a result, with display limits where no file need be read for them."""
    if not isinstance(value, LazyArray):
        return new_img_like(template, np.asarray(value), copy_header=copy_header)
    value = storable(value)
    is_wide = value.dtype in (np.int64, np.uint64)
    if (
        not (copy_header or is_wide)
        or value.dtype.kind not in "biuf"
        or not value.reader.is_in_memory
    ):
        return new_img_like(template, value, copy_header=copy_header)
    low, high = _extent(value)
    limits = np.iinfo(np.int32)
    if is_wide and limits.min <= low and high <= limits.max:
        value = elementwise(cast, value, dtype=np.dtype(np.int32))
        msg = "voxels of 64-bit integers become int32, in which all of them fit."
        warnings.warn(msg, LazyvoxWarning, stacklevel=4)
    img = new_img_like(template, value, copy_header=copy_header)
    header: Any = img.header
    if copy_header and "cal_max" in header:
        header["cal_max"], header["cal_min"] = high, low
    return img


def _extent(array: LazyArray) -> tuple[Any, Any]:
    """Return the smallest and the largest value."""
    limits = reduced(array, "min"), reduced(array, "max")
    fill_reductions(limits)
    return limits[0].read().item(), limits[1].read().item()
