"""New images with the class and header of another one."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.spatialimages import SpatialImage

from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.memory_reader import in_memory_array
from lazyvox.errors import LazyvoxWarning, ParameterTypeError
from lazyvox.lazyimage.classes import LazyImage, image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj, storable
from lazyvox.lazyimage.load import as_image
from lazyvox.lazyimage.operators import check_time_axis
from lazyvox.planning.arguments import check_flag

if TYPE_CHECKING:
    import numpy.typing as npt

    from lazyvox._typing import Array

__all__ = ["copy_img", "new_img_like"]


def new_img_like(
    ref_niimg: Any,
    data: Any,
    affine: npt.ArrayLike | None = None,
    copy_header: bool = True,
) -> LazyImage:
    """Return an image of given voxels with the class and header of another image.

    Parameters
    ----------
    ref_niimg : image, path, or list of them
        Gives class, affine and header; of a list, its first image does.
    data : ndarray or LazyArray
        Voxels. An array is not copied; booleans become uint8. Integers of 64 bits become int32,
        with a warning, where they fit.
    affine : array-like of shape (4, 4), optional
        Voxel indices to world coordinates, in mm. By default that of `ref_niimg`.
    copy_header : bool, default=True
        Whether the header is that of `ref_niimg`, apart from the fields that speak of its values:
        data type, scaling, and display limits, which become those of `data`.

    Returns
    -------
    LazyImage
        An array image for an array, a lazy one for a lazy array. A class that cannot hold or
        write the data type becomes NIfTI-1.

    Raises
    ------
    ParameterTypeError
        If `ref_niimg` is no image, or `copy_header` not a bool.
    ParameterError
        If the data have the four axes of an image with time in front, as MINC has it.

    Notes
    -----
    Reads no voxel. Display limits of lazy data stay unset, and their 64-bit integers stay as they
    are: both would need all voxels.

    Examples
    --------
    >>> import lazyvox as lv
    >>> from lazyvox.image import new_img_like
    >>> img = new_img_like("run.nii.gz", np.ones((12, 14, 10), bool))
    >>> img.get_data_dtype().name, float(img.header["cal_max"])
    ('uint8', 1.0)
    """
    check_flag(copy_header, "copy_header")
    ref = _reference(ref_niimg)
    values = _values(data)
    if values.shape == ref.shape:
        check_time_axis(ref)
    return image_like(ref, values, affine, copy_header=copy_header)


def copy_img(img: Any) -> LazyImage:
    """Return a copy of an image: voxels, affine and header.

    Parameters
    ----------
    img : nibabel image
        Any image on a voxel grid.

    Returns
    -------
    LazyImage
        Independent of `img`. An array in memory is copied; a lazy one never changes, so that the
        copy shares it and nothing is read.

    Raises
    ------
    ParameterTypeError
        If `img` is no image; a path is none.

    Notes
    -----
    Memory: O(1) for lazy images, else one copy of the array.

    Examples
    --------
    >>> import lazyvox as lv
    >>> from lazyvox.image import copy_img
    >>> copy_img(lv.load("run.nii.gz")).in_memory
    False
    """
    if not isinstance(img, SpatialImage):
        msg = f"`img` must be a nibabel image. Got {type(img).__name__}. Load a path first."
        raise ParameterTypeError(msg)
    check_time_axis(img)
    held: Any = img.dataobj
    data = np.array(held, order="K") if isinstance(held, np.ndarray) else lazy_dataobj(img)
    return image_like(img, _values(data), img.affine)


def _reference(ref_niimg: Any) -> SpatialImage:
    first = ref_niimg
    if isinstance(ref_niimg, list | tuple) and ref_niimg:
        first = ref_niimg[0]
    if not isinstance(first, SpatialImage | str | bytes | os.PathLike):
        msg = (
            f"`ref_niimg` must be an image, a path, or a list of them. Got "
            f"{type(first).__name__}. Make an image of an array with an affine first: "
            f"nibabel.Nifti1Image(values, affine)."
        )
        raise ParameterTypeError(msg)
    return as_image(first)


def _values(data: Any) -> LazyArray | Array:
    """Return voxels in a type that images hold."""
    if not isinstance(data, LazyArray | np.ndarray):
        is_proxy = getattr(data, "is_proxy", False)
        data = in_memory_array(data, "an array") if is_proxy else np.asanyarray(data)
    if isinstance(data, np.ndarray) and data.dtype in (np.int64, np.uint64) and data.size:
        return _narrowed(data)
    values: LazyArray | Array = storable(data)
    return values


def _narrowed(data: Array) -> Array:
    """Return 64-bit integers as int32 where they fit."""
    limits = np.iinfo(np.int32)
    fits = limits.min <= int(data.min()) and int(data.max()) <= limits.max
    if fits:
        msg = (
            f"voxels of type {data.dtype} are stored as int32, in which all of them fit: many "
            f"programs cannot read 64-bit integers."
        )
        hint = "Pass data.astype(np.int32) to say so."
    else:
        msg = (
            f"voxels of type {data.dtype} that do not fit int32 stay 64-bit integers, which many "
            f"programs cannot read."
        )
        hint = "Pass data.astype(np.float64) if they need not be exact."
    warnings.warn(LazyvoxWarning(msg, hint=hint, cli_hint=""), stacklevel=4)
    return data.astype(np.int32) if fits else data
