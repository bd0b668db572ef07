"""Signals of the voxels of a mask: `apply_mask`."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lazyvox.errors import ParameterTypeError
from lazyvox.geometry.voxel_grid import VoxelGrid
from lazyvox.image.checking import check_niimg
from lazyvox.image.smoothing import smooth_img
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.grids import voxel_grid
from lazyvox.lazyimage.operators import check_dimensions
from lazyvox.masking.loading import load_mask_img
from lazyvox.stream.gather import MaskedVoxels
from lazyvox.stream.scan import Scan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nibabel.spatialimages import SpatialImage

    from lazyvox._typing import Array, BoolArray, DType
    from lazyvox.lazyimage.load import ImageLike
    from lazyvox.runtime.progress import ProgressLike

__all__ = ["apply_mask", "mask_values", "signal_dtype"]


def apply_mask(
    imgs: ImageLike | Sequence[ImageLike],
    mask_img: ImageLike,
    dtype: npt.DTypeLike = "f",
    smoothing_fwhm: float | None = None,
    ensure_finite: bool = True,
) -> Array:
    """Return the signals of the voxels of a mask, in one pass over the images.

    Parameters
    ----------
    imgs : image, path, or list of them
        A 3D or 4D image, or images on one grid that are joined along time.
    mask_img : image or path
        A 3D image of zeros and one other value, on the grid of the images.
    dtype : dtype-like, default="f"
        Type of the result. "f" keeps the type of images of floats, and makes float32 of others.
    smoothing_fwhm : float, optional
        Full width at half maximum, in mm, of the Gaussian that the volumes are smoothed with
        before the voxels are taken. Makes `ensure_finite` true.
    ensure_finite : bool, default=True
        Whether NaN and infinite values become zero.

    Returns
    -------
    ndarray of shape (n_volumes, n_voxels), or (n_voxels,) for a 3D image
        The signals; voxels are in the order of NumPy's boolean indexing.

    Raises
    ------
    GridMismatchError
        If mask and images have different shapes or affines.
    RegionError
        If the mask is empty, or has more than one value besides zero.
    ParameterTypeError
        If an argument is of the wrong type, or the images are complex and the result is not.
    ImageFileError
        If a file is damaged, incomplete, or changes while it is read.
    MemoryBudgetError
        If the work does not fit the budget; nothing was read.

    Notes
    -----
    One pass. Memory: the result, 24 bytes per voxel of the mask, and the block buffers;
    `lazyvox.memory_budget` sets the limit. The result is in native byte order.

    Examples
    --------
    >>> from lazyvox.masking import apply_mask
    >>> apply_mask("run.nii.gz", "mask.nii.gz").shape
    (40, 520)
    """
    check_fwhm(smoothing_fwhm)
    mask, affine = load_mask_img(mask_img)
    img = check_niimg(imgs)
    check_dimensions(img)
    VoxelGrid(mask.shape, affine, "`mask_img`").require(voxel_grid(img))
    return mask_values(
        img, mask, dtype=dtype, smoothing_fwhm=smoothing_fwhm, ensure_finite=ensure_finite
    )


def mask_values(
    img: SpatialImage,
    mask: BoolArray,
    *,
    dtype: npt.DTypeLike = "f",
    smoothing_fwhm: float | None = None,
    ensure_finite: bool = True,
    memory: int | str | None = None,
    progress: ProgressLike = None,
) -> Array:
    """Return the voxels of a mask that is on the grid of the image, in one pass.

    Parameters
    ----------
    img : nibabel image
        A 3D or 4D image.
    mask : ndarray of shape (i, j, k), bool
        The voxels to take.
    dtype : dtype-like, default="f"
        See `apply_mask`; None keeps the type of the image.
    smoothing_fwhm : float, optional
        See `apply_mask`.
    ensure_finite : bool, default=True
        See `apply_mask`.
    memory : int or str, optional
        Memory budget, such as ``"256MB"``.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    ndarray of shape (n_volumes, n_voxels), or (n_voxels,) for a 3D image
        The values.

    Raises
    ------
    MemoryBudgetError
        If the work does not fit the budget; nothing was read.
    """
    is_volume = len(img.shape) == 3
    target = signal_dtype(lazy_dataobj(img).dtype, dtype)
    if smoothing_fwhm is not None:
        ensure_finite = True
        img = smooth_img(_cast(img, target), smoothing_fwhm)
    scan = Scan(img)
    rows = scan.add(MaskedVoxels(mask, target, ensure_finite=ensure_finite))
    scan.run(memory=memory, progress=progress)
    return rows.result()[0] if is_volume else rows.result()


def signal_dtype(stored: DType, dtype: npt.DTypeLike) -> DType:
    """Return the type of masked values, as nilearn chooses it.

    Parameters
    ----------
    stored : numpy.dtype
        Type of the image.
    dtype : dtype-like
        The type asked for; "f" is any float, None the type of the image.

    Returns
    -------
    numpy.dtype
        The type, in native byte order.

    Raises
    ------
    ParameterTypeError
        If `dtype` is no type of real numbers, or an imaginary part would be lost.

    Examples
    --------
    >>> signal_dtype(np.dtype(">f8"), "f"), signal_dtype(np.dtype("i2"), "f")
    (dtype('float64'), dtype('float32'))
    """
    wanted: Any = dtype
    if isinstance(dtype, str) and dtype == "f":
        wanted = stored if stored.kind == "f" else np.float32
    found: DType = (stored if wanted is None else np.dtype(wanted)).newbyteorder("=")
    if found.kind not in "biufc" or (stored.kind == "c" and found.kind != "c"):
        msg = (
            f"`dtype` must be a type of numbers that can hold the voxels. Got {dtype!r} for "
            f"voxels of type {stored}. Take the real part or the magnitude of complex ones first."
        )
        raise ParameterTypeError(msg)
    return found


def check_fwhm(smoothing_fwhm: Any) -> None:
    """Refuse a width of smoothing that is neither a number nor None.

    Parameters
    ----------
    smoothing_fwhm : object
        What the user gave.

    Raises
    ------
    ParameterTypeError
        If it is something else.
    """
    is_number = isinstance(smoothing_fwhm, Real) and not isinstance(smoothing_fwhm, bool)
    if smoothing_fwhm is not None and not is_number:
        msg = (
            f"`smoothing_fwhm` must be a number of mm, or None. Got "
            f"{type(smoothing_fwhm).__name__}. Smooth with lazyvox.image.smooth_img first where "
            f"the axes differ."
        )
        raise ParameterTypeError(msg)


def _cast(img: SpatialImage, target: DType) -> SpatialImage:
    """Return the image with voxels of the type that they are smoothed in."""
    array = lazy_dataobj(img)
    if target.kind != "f" or array.dtype.newbyteorder("=") == target:
        return img
    # By way of the array's own type, so that scaled values are rounded as NumPy would.
    values: Any = replace(array, conversion=array.conversion.then(target))
    return image_like(img, values)
