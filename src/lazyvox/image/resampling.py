"""`resample_img` and `resample_to_img`: other grids, computed volume by volume when read."""

import os
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lazyvox._typing import DType
from lazyvox.array.transformed import staged
from lazyvox.errors import LazyvoxWarning, ParameterError
from lazyvox.geometry.grids import (
    AffineError,
    BoundingBoxError,
    ResamplingGrid,
    inverted,
    resampling_grid,
)
from lazyvox.image.checking import check_niimg
from lazyvox.image.extremes import Extremes
from lazyvox.image.input_volumes import Volumes, volumes_of
from lazyvox.image.new_image import copy_img
from lazyvox.image.resample_transform import (
    ORDERS,
    BinaryImageWarning,
    NonFiniteWarning,
    ResampleTransform,
)
from lazyvox.lazyimage.classes import LazyImage, image_like
from lazyvox.lazyimage.dataobj import name_of
from lazyvox.lazyimage.grids import affine_of
from lazyvox.planning.arguments import check_choice, check_flag

__all__ = [
    "AffineError",
    "BinaryImageWarning",
    "BoundingBoxError",
    "NonFiniteWarning",
    "ResampleTransform",
    "resample_img",
    "resample_to_img",
    "resampling_transform",
    "warn_without_sform",
]


def resample_img(
    img: Any,
    target_affine: npt.ArrayLike | None = None,
    target_shape: npt.ArrayLike | None = None,
    interpolation: str = "continuous",
    copy: bool = True,
    order: str = "F",
    clip: bool = True,
    fill_value: float = 0.0,
    force_resample: bool = True,
    copy_header: bool = True,
) -> LazyImage:
    """Resample an image to another grid.

    Parameters
    ----------
    img : image, path, or iterable of them
        A 3D or 4D image, or images on one grid that are joined along time.
    target_affine : array-like of shape (4, 4) or (3, 3), optional
        Affine of the grid. Of shape (3, 3) it says only how the axes lie: the grid then begins at
        the corner of the bounding box of the image. None leaves the image as it is.
    target_shape : sequence of 3 ints, optional
        Shape of the grid, with an affine of shape (4, 4). By default the grid ends with the
        bounding box of the image.
    interpolation : {"continuous", "linear", "nearest"}, default="continuous"
        Cubic spline, linear, or the nearest voxel.
    copy : bool, default=True
        Whether an image that is on the grid already is copied.
    order : {"F", "C"}, default="F"
        Accepted for nilearn's sake. Values are computed when they are read, in Fortran order.
    clip : bool, default=True
        Whether values are kept between the smallest and the largest of the image and 0.
    fill_value : float, default=0.0
        Value outside of the outermost voxel centres of the image.
    force_resample : bool, default=True
        If false, and the grids differ by a shift of whole voxels, voxels outside are 0 whatever
        `fill_value` is. The shift is exact either way.
    copy_header : bool, default=True
        Whether the header is that of the image, else a new one.

    Returns
    -------
    LazyImage
        3D or 4D like the image: volumes are resampled when they are read. Floats keep their type;
        signed integers become floats with "continuous", all others stay integers, rounded.

    Raises
    ------
    BoundingBoxError
        If all of the image has negative indices in the grid on some axis.
    AffineError
        If an affine is of another shape or cannot be inverted.
    ParameterError
        If shape, interpolation or order are none, or the image is not 3D or 4D.
    ParameterTypeError
        If `img` is no image, or a parameter of the wrong type.

    Warns
    -----
    LazyvoxWarning
        If the image has no sform, or signed integers become floats.
    BinaryImageWarning
        If zeros and ones are interpolated; of images in memory immediately, of others when read.
    NonFiniteWarning
        Likewise, if the image has NaN or infinite voxels. They are replaced by means of their
        neighbours, and voxels of the result that are nearest to one of them are NaN.

    Notes
    -----
    Reads no voxel of a file. A pass over the result is one pass over the file, with ``clip=True`` and
    "continuous" one more, on the first reading, for the extremes. Memory: a few volumes besides
    the blocks of the pass. Where the axes of both grids are parallel, each axis is one product
    with a matrix; other grids go through `scipy.ndimage.affine_transform`. In float32 both
    agree to 2e-6 of the largest magnitude in the volume.

    Examples
    --------
    >>> from lazyvox.image import resample_img
    >>> resample_img("run.nii.gz", target_affine=np.diag([2.0, 2.0, 2.0])).shape
    (18, 21, 15, 40)
    """
    check_flag(copy_header, "copy_header")
    check_flag(force_resample, "force_resample")
    check_choice(interpolation, "interpolation", ORDERS)
    check_choice(order, "order", ("F", "C"))
    given = check_niimg(img)
    if target_affine is not None:
        inverted(affine_of(given), f"the affine of {name_of(given)}")
    grid = resampling_grid(given.shape, affine_of(given), target_affine, target_shape)
    if target_affine is not None:
        warn_without_sform(given)
    if grid.is_same:
        is_own = isinstance(img, str | bytes | os.PathLike)
        unchanged: LazyImage = copy_img(given) if copy and not is_own else given
        return unchanged
    source = volumes_of(given)
    transform = resampling_transform(
        source,
        grid,
        interpolation,
        fill_value=fill_value,
        shift_only=not force_resample,
        clip=clip,
    )
    return image_like(
        source.img, staged(transform, source.array), grid.affine, copy_header=copy_header
    )


def resample_to_img(
    source_img: Any,
    target_img: Any,
    interpolation: str = "continuous",
    copy: bool = True,
    order: str = "F",
    clip: bool = False,
    fill_value: float = 0.0,
    force_resample: bool = True,
    copy_header: bool = True,
) -> LazyImage:
    """Resample an image to the grid of another one; both are taken to be aligned.

    Parameters
    ----------
    source_img : image, path, or iterable of them
        What is resampled: a 3D or 4D image, or images on one grid that are joined along time.
    target_img : image or path
        Gives the grid; 3D, or 4D of which only the grid matters.
    interpolation : {"continuous", "linear", "nearest"}, default="continuous"
        Cubic spline, linear, or the nearest voxel.
    copy : bool, default=True
        Whether an image that is on the grid already is copied.
    order : {"F", "C"}, default="F"
        Accepted for nilearn's sake. Values are computed when they are read, in Fortran order.
    clip : bool, default=False
        Whether values are kept between the smallest and the largest of the image and 0.
    fill_value : float, default=0.0
        Value outside of the outermost voxel centres of the image.
    force_resample : bool, default=True
        As for `resample_img`.
    copy_header : bool, default=True
        Whether the header is that of the source, else a new one.

    Returns
    -------
    LazyImage
        As from `resample_img`.

    Raises
    ------
    BoundingBoxError
        If all of the source has negative indices in the grid on some axis.
    ParameterError
        As from `resample_img`.
    ParameterTypeError
        If one of both is no image.

    Notes
    -----
    As for `resample_img`; reads no voxel of either image.

    Examples
    --------
    >>> from lazyvox.image import resample_to_img
    >>> resample_to_img("atlas.nii.gz", "run.nii.gz", interpolation="nearest").shape
    (12, 14, 10)
    """
    target = check_niimg(target_img)
    return resample_img(
        source_img,
        target_affine=affine_of(target),
        target_shape=target.shape[:3],
        interpolation=interpolation,
        copy=copy,
        order=order,
        clip=clip,
        fill_value=fill_value,
        force_resample=force_resample,
        copy_header=copy_header,
    )


def resampling_transform(
    source: Volumes,
    grid: ResamplingGrid,
    interpolation: str,
    *,
    fill_value: float = 0.0,
    shift_only: bool = False,
    clip: bool = True,
) -> ResampleTransform:
    """Return the transform that brings volumes to a grid; warn of values that it changes in kind.

    Parameters
    ----------
    source : Volumes
        The volumes; voxels are looked at only where they are in memory.
    grid : ResamplingGrid
        The grid.
    interpolation : {"continuous", "linear", "nearest"}
        As for `resample_img`.
    fill_value : float
        Value outside of the outermost voxel centres of the source.
    shift_only : bool
        Whether a shift of whole voxels leaves 0 outside, whatever `fill_value` is.
    clip : bool
        Whether values are kept between the extremes of the source and 0.

    Returns
    -------
    ResampleTransform
        The transform.
    """
    transform = ResampleTransform.of(
        source.shape,
        source.affine,
        grid.shape,
        grid.affine,
        interpolation,
        fill_value=fill_value,
        shift_only=shift_only,
    )
    filled = _fill_of(fill_value, transform.out_dtype((source.dtype,)))
    if transform.fill_value == fill_value:
        transform = replace(transform, fill_value=filled)
    _warn_of_floats(source, transform)
    _look_at_memory(source, transform)
    return transform.clipped_to(Extremes(source.array)) if clip else transform


def _fill_of(fill_value: float, dtype: DType) -> float:
    """Return a fill value as voxels of a type hold it, halves rounded away from 0.

    Parameters
    ----------
    fill_value : float
        As for `resample_img`.
    dtype : numpy.dtype
        Type of the result.

    Returns
    -------
    float
        The value.

    Raises
    ------
    ParameterError
        If the type is one of integers that cannot hold it.
    """
    if dtype.kind not in "iu":
        return fill_value
    limits = np.iinfo(dtype)
    if limits.min <= fill_value <= limits.max:
        return float(np.trunc(fill_value + np.copysign(0.5, fill_value)))
    msg = (
        f"`fill_value` must be one of the values that voxels of {dtype} can have, {limits.min} to "
        f"{limits.max}. Got {fill_value}. Convert the image to floats first."
    )
    raise ParameterError(msg, value=fill_value)


def warn_without_sform(img: Any) -> None:
    """Warn of a NIfTI image whose place in space is in the qform at best."""
    if not hasattr(img, "get_sform"):
        return
    _, code = img.get_sform(coded=True)
    if not code:
        msg = (
            f"{name_of(img)} has no sform in its header: where it lies in space comes from the "
            f"qform, or from voxel sizes alone. Check that the affine is right."
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=3)


def _warn_of_floats(source: Volumes, transform: ResampleTransform) -> None:
    """Warn that integers become floats."""
    result = transform.out_dtype((source.dtype,))
    if source.dtype.kind == "i" and result.kind == "f":
        msg = (
            f"{name_of(source.img)} holds {source.dtype.name}, and splines between its values are "
            f'{result.name}. Pass interpolation="nearest" to keep integers.'
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=4)


def _look_at_memory(source: Volumes, transform: ResampleTransform) -> None:
    """Warn of values of an image in memory immediately: nothing need be read to see them."""
    held: Any = source.img.dataobj
    if not isinstance(held, np.ndarray):
        return
    for number in range(held.shape[3] if held.ndim == 4 else 1):
        transform.look_at(held[..., number] if held.ndim == 4 else held)
