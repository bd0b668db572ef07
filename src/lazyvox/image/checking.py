"""Conversion of arguments (paths, patterns, lists, generators, objects) to images."""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.spatialimages import SpatialImage

from lazyvox.errors import ImageNotFoundError, ParameterError, ParameterTypeError
from lazyvox.image.joined_series import joined, refuse_dimension, target_dtype
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj, name_of
from lazyvox.lazyimage.grids import check_same_grid
from lazyvox.lazyimage.load import as_image
from lazyvox.lazyimage.operators import check_time_axis
from lazyvox.store.files.paths import expand_home, printable
from lazyvox.store.files.urls import is_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from lazyvox._typing import Array

__all__ = [
    "check_niimg",
    "check_niimg_3d",
    "check_niimg_4d",
    "expanded",
    "get_data",
    "load_img",
    "same_dimension",
    "uniform_list",
]


def check_niimg(
    niimg: Any,
    ensure_ndim: int | None = None,
    atleast_4d: bool = False,
    dtype: npt.DTypeLike | None = None,
    return_iterator: bool = False,
    wildcards: bool = True,
) -> Any:
    """Return an image, given as an image, a path, a pattern, or a list.

    Parameters
    ----------
    niimg : image, path, or iterable of them
        A nibabel image; a path, in which ``~`` is the home folder and ``*``, ``?`` and ``[...]``
        stand for the sorted list of files that match; or a list or generator of these, joined
        along time.
    ensure_ndim : {3, 4, None}, default=None
        The dimension that the result must have. A 4D image of one volume passes for 3D.
    atleast_4d : bool, default=False
        Whether a 3D image becomes a 4D one of one volume.
    dtype : dtype-like or "auto", optional
        Type that voxels are cast to when they are read. "auto" is int32 for signed integers and
        float32 for all other types.
    return_iterator : bool, default=False
        Whether an iterator over the volumes, or over the images of a list, is returned.
    wildcards : bool, default=True
        Whether patterns are expanded.

    Returns
    -------
    nibabel image or iterator of them
        An image that is passed comes back as it is where nothing must change; everything else is
        lazy.

    Raises
    ------
    ParameterTypeError
        If `niimg` is no image, or an empty list.
    DimensionError
        If the dimension is not `ensure_ndim`, or images of a list differ in it.
    GridMismatchError
        If an image of a list is not on the grid of the first.
    ImageNotFoundError
        If no file has that name or matches the pattern.
    ParameterError
        If time is not the last axis, as in MINC.

    Notes
    -----
    Reads headers only.

    Examples
    --------
    >>> from lazyvox.image import check_niimg
    >>> check_niimg(["mask.nii.gz", "left.nii.gz"]).shape
    (12, 14, 10, 2)
    """
    found = expanded(niimg, wildcards=wildcards)
    if isinstance(found, list):
        if return_iterator:
            return _iterate_list(found, ensure_ndim, dtype)
        return joined(uniform_list(found, None if ensure_ndim is None else ensure_ndim - 1), dtype)
    img = _cast(as_image(found), dtype)
    check_time_axis(img)
    if ensure_ndim == 3 and len(img.shape) == 4 and img.shape[3] == 1:
        img = image_like(img, lazy_dataobj(img).view((..., 0)))
    if len(img.shape) == 3 and atleast_4d:
        img = image_like(img, lazy_dataobj(img).view((..., None)))
    wanted = 4 if return_iterator and ensure_ndim is None else ensure_ndim
    if wanted is not None and len(img.shape) != wanted:
        refuse_dimension(img, wanted)
    return _iterate_volumes(img) if return_iterator else img


def check_niimg_3d(niimg: Any, dtype: npt.DTypeLike | None = None) -> Any:
    """Return a 3D image, given in any form that `check_niimg` takes.

    Parameters
    ----------
    niimg : image or path
        As in `check_niimg`.
    dtype : dtype-like or "auto", optional
        Type that voxels are cast to when they are read.

    Returns
    -------
    nibabel image
        A 3D image; 4D with one volume becomes 3D.

    Raises
    ------
    DimensionError
        If it is not 3D.
    ParameterTypeError
        If it is no image.

    Notes
    -----
    Reads the header only.

    Examples
    --------
    >>> from lazyvox.image import check_niimg_3d
    >>> check_niimg_3d("mask.nii.gz").shape
    (12, 14, 10)
    """
    return check_niimg(niimg, ensure_ndim=3, dtype=dtype)


def check_niimg_4d(
    niimg: Any,
    return_iterator: bool = False,
    dtype: npt.DTypeLike | None = None,
) -> Any:
    """Return a 4D image, given in any form that `check_niimg` takes.

    Parameters
    ----------
    niimg : image, path, or iterable of them
        As in `check_niimg`; the images of a list must be 3D.
    return_iterator : bool, default=False
        Whether an iterator over 3D images is returned.
    dtype : dtype-like or "auto", optional
        Type that voxels are cast to when they are read.

    Returns
    -------
    nibabel image or iterator of them
        A 4D image, lazy where it was not passed as it is.

    Raises
    ------
    DimensionError
        If it is not 4D.
    ParameterTypeError
        If it is no image.

    Notes
    -----
    Reads headers only.

    Examples
    --------
    >>> from lazyvox.image import check_niimg_4d
    >>> check_niimg_4d(["mask.nii.gz", "left.nii.gz"]).shape
    (12, 14, 10, 2)
    """
    return check_niimg(niimg, ensure_ndim=4, return_iterator=return_iterator, dtype=dtype)


def load_img(
    img: Any,
    wildcards: bool = True,
    dtype: npt.DTypeLike | None = None,
) -> Any:
    """Return an image of a path, a pattern, a list, or an image.

    Parameters
    ----------
    img : image, path, or iterable of them
        As in `check_niimg`.
    wildcards : bool, default=True
        Whether patterns such as ``run_*.nii.gz`` are expanded.
    dtype : dtype-like or "auto", optional
        Type that voxels are cast to when they are read.

    Returns
    -------
    nibabel image
        A lazy image, or the image that was passed.

    Raises
    ------
    ParameterTypeError
        If `img` is no image.
    ImageNotFoundError
        If no file has that name or matches the pattern.

    Notes
    -----
    Reads headers only.

    Examples
    --------
    >>> from lazyvox.image import load_img
    >>> load_img("run.nii.gz").in_memory
    False
    """
    return check_niimg(img, wildcards=wildcards, dtype=dtype)


def get_data(img: Any) -> Array:
    """Return the voxels of an image as an array, in the type that they have.

    Parameters
    ----------
    img : image, path, or iterable of them
        As in `check_niimg`.

    Returns
    -------
    ndarray of the image's shape
        The very array of an image in memory. That of a lazy image is kept with it, and comes back
        at the next call, until `img.uncache()`.

    Raises
    ------
    ParameterTypeError
        If `img` is no image.
    ImageFileError
        If the file is damaged.

    Notes
    -----
    Memory: the whole array. For long series use `lazyvox.Scan`, or slices of `img.dataobj`.

    Examples
    --------
    >>> from lazyvox.image import get_data
    >>> get_data("mask.nii.gz").dtype.name
    'uint8'
    """
    checked = img if isinstance(img, SpatialImage) else check_niimg(img)
    if checked._data_cache is None:
        checked._data_cache = np.asanyarray(checked.dataobj)
    values: Array = checked._data_cache
    return values


def expanded(niimg: Any, *, wildcards: bool = True) -> Any:
    """Return an image, a path without ``~`` and pattern, or a list of images and paths."""
    if isinstance(niimg, SpatialImage | bytes):
        return niimg
    if isinstance(niimg, str | os.PathLike):
        return _matching(os.fspath(niimg)) if wildcards else niimg
    is_array_or_file = isinstance(niimg, np.ndarray | dict) or hasattr(niimg, "read")
    if is_array_or_file or not hasattr(niimg, "__iter__") or hasattr(niimg, "dataobj"):
        msg = (
            f"an image must be a path or a nibabel image on a voxel grid, or a list of them. Got "
            f"{type(niimg).__name__}. Make an image of an array with an affine first: "
            f"nibabel.Nifti1Image(values, affine)."
        )
        raise ParameterTypeError(msg)
    return list(niimg)


def uniform_list(items: list[Any], ndim: int | None) -> list[SpatialImage]:
    """Return the images of a list, all of one dimension and on one grid."""
    imgs = same_dimension(items, ndim)
    for number, img in enumerate(imgs[1:], 1):
        check_same_grid(imgs[0], img, ("image 0", f"Image {number}"))
    return imgs


def same_dimension(items: list[Any], ndim: int | None) -> list[SpatialImage]:
    """Return the images of a list, all 3D or all 4D; without `ndim` the first one says which."""
    if not items:
        msg = "a list must hold at least one image. Got an empty one."
        raise ParameterTypeError(msg)
    imgs: list[SpatialImage] = []
    for number, item in enumerate(items):
        img = _of_list(item, number, ndim)
        ndim = len(img.shape) if ndim is None else ndim
        if ndim not in {3, 4}:
            refuse_dimension(img, 4, number)
        imgs.append(img)
    return imgs


def _of_list(item: Any, number: int, ndim: int | None, dtype: Any = None) -> SpatialImage:
    try:
        img: SpatialImage = check_niimg(item, dtype=dtype)
    except ParameterTypeError as error:
        msg = f"image {number} of the list: {error}"
        raise ParameterTypeError(msg) from error
    if ndim == 3 and len(img.shape) == 4 and img.shape[3] == 1:
        return image_like(img, lazy_dataobj(img).view((..., 0)))
    if ndim is not None and len(img.shape) != ndim:
        refuse_dimension(img, ndim, number)
    return img


def _matching(path: str) -> str | list[str]:
    """Return the files that match a pattern, or a path that is none."""
    if is_url(path):
        # A question mark begins its query.
        return path
    home = expand_home(path)
    # A file whose very name has brackets is no pattern.
    if not glob.has_magic(path) or Path(home).exists():
        return home
    # Not Path.glob: it takes no absolute patterns.
    files = sorted(glob.glob(home))  # noqa: PTH207
    if files:
        return files
    msg = (
        f"{printable(path)}: at least one file must match a pattern. None does. Check the "
        f"folder, or pass wildcards=False if the name is no pattern."
    )
    raise ImageNotFoundError(msg)


def _cast(img: SpatialImage, dtype: npt.DTypeLike | None) -> SpatialImage:
    if dtype is None:
        return img
    array = lazy_dataobj(img)
    if array.dtype.names is not None:
        msg = f"{name_of(img)}: RGB voxels cannot be cast to {dtype}: take one colour first."
        raise ParameterTypeError(msg)
    target = target_dtype(array.dtype, dtype)
    return img if target == array.dtype else image_like(img, array.astype(target))


def _iterate_volumes(img: SpatialImage) -> Iterator[SpatialImage]:
    array = lazy_dataobj(img)
    return (image_like(img, array.view((..., i))) for i in range(img.shape[3]))


def _iterate_list(items: list[Any], ensure_ndim: int | None, dtype: Any) -> Iterator[SpatialImage]:
    """Return an iterator over images of one grid; items that are no images are refused now."""
    if not items:
        msg = "a list must hold at least one image. Got an empty one."
        raise ParameterError(msg)
    kept = [item if isinstance(item, str | os.PathLike) else expanded(item) for item in items]
    return _on_one_grid(kept, None if ensure_ndim is None else ensure_ndim - 1, dtype)


def _on_one_grid(items: list[Any], ndim: int | None, dtype: Any) -> Iterator[SpatialImage]:
    first: SpatialImage | None = None
    for number, item in enumerate(items):
        img = _of_list(item, number, ndim, dtype)
        if first is None:
            first, ndim = img, len(img.shape)
        check_same_grid(first, img, ("image 0", f"Image {number}"))
        yield img
