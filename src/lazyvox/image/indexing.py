"""Volumes of a series: by any index, or one after the other."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyvox.errors import ImageIndexError
from lazyvox.image.checking import check_niimg_4d
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lazyvox.lazyimage.classes import LazyImage

__all__ = ["index_img", "iter_img"]


def index_img(imgs: Any, index: Any) -> LazyImage:
    """Return the volumes at an index along time.

    Parameters
    ----------
    imgs : image, path, or iterable of them
        A 4D image, or 3D images that are joined along time.
    index : int, slice, or array-like
        Any index of one NumPy axis: a number, a slice, a list or array of numbers in any order, a
        boolean for each volume, or a table of one column of these.

    Returns
    -------
    LazyImage
        3D for a number, else 4D; lazy. A slice with a step multiplies the repetition time in the
        header, as every n-th volume is taken.

    Raises
    ------
    DimensionError
        If the image is not 4D.
    ImageIndexError
        If a number is outside of the series, booleans are not one for each volume, or a slice is
        empty.

    Notes
    -----
    Memory: O(1). Reads no voxel.

    Examples
    --------
    >>> from lazyvox.image import index_img
    >>> index_img("run.nii.gz", 3).shape, index_img("run.nii.gz", slice(0, 40, 4)).shape
    ((12, 14, 10), (12, 14, 10, 10))
    """
    img = check_niimg_4d(imgs)
    key = _as_key(index, img)
    try:
        array = lazy_dataobj(img).view((slice(None),) * 3 + (key,))
    except ImageIndexError as error:
        msg = f"{name_of(img)}, volumes {_shown(index)}: {error}"
        raise ImageIndexError(msg) from error
    if isinstance(key, slice) and not array.size:
        msg = (
            f"{name_of(img)}: a slice must hold at least one volume. Got {key} of "
            f"{img.shape[3]} volumes."
        )
        raise ImageIndexError(msg)
    part = image_like(img, array)
    step = abs(key.step or 1) if isinstance(key, slice) else 1
    if step > 1:
        zooms = part.header.get_zooms()
        part.header.set_zooms((*zooms[:3], zooms[3] * step))
    return part


def iter_img(imgs: Any) -> Iterator[LazyImage]:
    """Return an iterator over the volumes of a series.

    Parameters
    ----------
    imgs : image, path, or iterable of them
        A 4D image, or 3D images.

    Returns
    -------
    iterator of LazyImage
        3D images; those of a file are lazy.

    Raises
    ------
    DimensionError
        If the image is not 4D, or one of a list is not 3D.

    Notes
    -----
    Reads no voxel. A compressed file is decoded once where the volumes are used in order: the
    decoder stays where the last one ended.

    Examples
    --------
    >>> from lazyvox.image import iter_img
    >>> len(list(iter_img("run.nii.gz")))
    40
    """
    volumes: Iterator[LazyImage] = check_niimg_4d(imgs, return_iterator=True)
    return volumes


def _as_key(index: Any, img: Any) -> Any:
    """Return an index of the last axis: an int, a slice, or an array of one axis."""
    if isinstance(index, slice):
        return index
    if hasattr(index, "iloc") and hasattr(index, "to_numpy"):
        index = index.to_numpy().ravel()
    if not isinstance(index, bool | np.bool_ | np.ndarray) and hasattr(index, "__index__"):
        return operator.index(index)
    is_many = hasattr(index, "__iter__") and not isinstance(index, str | bytes)
    values = np.asarray(list(index) if is_many else index)
    if values.ndim == 1 and not values.size:
        return np.array([], dtype=np.intp)
    if is_many and values.ndim == 1 and values.dtype.kind in "biu":
        return values
    msg = (
        f"{name_of(img)}: the index must be a number, a slice, or a list of numbers or booleans "
        f"along time. Got {_shown(index)}."
    )
    raise ImageIndexError(msg)


def _shown(index: Any) -> str:
    if isinstance(index, np.ndarray):
        return f"an array of shape {index.shape} and type {index.dtype}"
    text = repr(index)
    return text if len(text) < 60 else f"{text[:57]}..."
