"""New images with the class and header of another one."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from nibabel.freesurfer.mghformat import MGHError
from nibabel.spatialimages import HeaderDataError, SpatialImage
from nibabel.wrapstruct import WrapStruct

from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.memory_reader import in_memory_array
from lazyvox.errors import LazyvoxWarning, ParameterTypeError
from lazyvox.lazyimage.classes import LAZY_CLASSES, LazyImage, LazyNifti1Image
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.load import as_image
from lazyvox.signal.options import check_flag

if TYPE_CHECKING:
    import numpy.typing as npt

    from lazyvox._typing import Array, DType

__all__ = ["copy_img", "image_like", "new_img_like"]


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
    return image_like(ref, _values(data), affine, copy_header=copy_header)


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
    held: Any = img.dataobj
    data = np.array(held, order="K") if isinstance(held, np.ndarray) else lazy_dataobj(img)
    return image_like(img, _values(data), img.affine)


def image_like(
    ref: SpatialImage,
    data: LazyArray | Array,
    affine: npt.ArrayLike | None = None,
    *,
    copy_header: bool = True,
    extent: tuple[float, float] | None = None,
) -> LazyImage:
    """Return an image of `data` with the class and, if asked, the header of `ref`; reads nothing.

    `extent` is the smallest and the largest value, where that is known of lazy data. The type in
    the header is that of the data, whatever `ref` is stored as: in the type of integers that were
    averaged or smoothed the result would be rounded on saving. A part of `ref` keeps the stored
    type, in which it is saved bit by bit.
    """
    # No format stores half precision.
    dtype = np.dtype(np.float32) if data.dtype == np.float16 else data.dtype
    image_class: Any = _class_for(ref, dtype)
    given: Any = ref.affine if affine is None else affine
    matrix = np.array(np.eye(4) if given is None else given, dtype=np.float64)
    if not copy_header:
        is_nifti = issubclass(image_class, nib.Nifti1Pair)
        options: Any = {"dtype": dtype} if is_nifti else {}
        fresh: LazyImage = image_class(data, matrix, **options)
        return fresh
    header = image_class.header_class.from_header(ref.header)
    header.set_data_dtype(ref.get_data_dtype() if _is_part(ref, data) else dtype)
    if header.get_data_shape() != data.shape:
        header.set_data_shape(data.shape)
    _set_display_limits(header, data, extent)
    img: LazyImage = image_class(data, None, header=header)
    img._affine = matrix
    # Writes sform and qform only where the affine is not the header's: rounding would change it.
    img.update_header()
    return img


def _is_part(ref: SpatialImage, data: LazyArray | Array) -> bool:
    """Return whether an array is a slice of the voxels of an image, neither computed nor cast."""
    if not isinstance(data, LazyArray) or isinstance(ref.dataobj, np.ndarray):
        return False
    whole = lazy_dataobj(ref)
    # NumPy takes float64 and None, the type that is not set, as equal: dtypes are compared too.
    is_cast = data.dtype != whole.dtype or data.conversion != whole.conversion
    return data.reader == whole.reader and not is_cast


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
    if data.dtype == np.bool_:
        cast: LazyArray | Array = data.astype(np.uint8)
        return cast
    if isinstance(data, np.ndarray) and data.dtype in (np.int64, np.uint64) and data.size:
        return _narrowed(data)
    values: LazyArray | Array = data
    return values


def _narrowed(data: Array) -> Array:
    """Return 64-bit integers as int32 where they fit."""
    limits = np.iinfo(np.int32)
    fits = limits.min <= int(data.min()) and int(data.max()) <= limits.max
    if fits:
        msg = (
            f"voxels of type {data.dtype} are stored as int32, in which all of them fit: many "
            f"programs cannot read 64-bit integers. Pass data.astype(np.int32) to say so."
        )
    else:
        msg = (
            f"voxels of type {data.dtype} that do not fit int32 stay 64-bit integers, which many "
            f"programs cannot read. Pass data.astype(np.float64) if they need not be exact."
        )
    warnings.warn(msg, LazyvoxWarning, stacklevel=4)
    return data.astype(np.int32) if fits else data


def _class_for(ref: SpatialImage, dtype: DType) -> type[LazyImage]:
    """Return the lazy class of a reference image, or NIfTI-1 where that cannot hold the type."""
    plain = next((base for base in type(ref).__mro__ if base in LAZY_CLASSES), None)
    if plain is None or plain is nib.Nifti1Pair:
        return LazyNifti1Image
    found = LAZY_CLASSES[plain]
    try:
        found.header_class().set_data_dtype(dtype)
    except (HeaderDataError, MGHError):
        return LazyNifti1Image
    return found if found.rw else LazyNifti1Image


def _set_display_limits(
    header: Any, data: LazyArray | Array, extent: tuple[float, float] | None
) -> None:
    """Set the display limits of a header; to 0, unset, where the values were not read."""
    fields = set(header) if isinstance(header, WrapStruct) else set()
    for field in fields & {"glmax", "glmin", "cal_max", "cal_min"}:
        header[field] = 0
    if isinstance(data, np.ndarray) and data.size and data.dtype.kind in "biuf":
        extent = (np.min(data), np.max(data))
    if extent is not None and {"cal_max", "cal_min"} <= fields:
        with np.errstate(over="ignore"):
            header["cal_min"], header["cal_max"] = extent
