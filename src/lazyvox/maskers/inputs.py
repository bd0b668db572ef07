"""Images and masks that are given to maskers: opened, and checked."""

import os
from dataclasses import replace
from typing import Any

import numpy as np
from nibabel.spatialimages import SpatialImage

from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.image import check_niimg
from lazyvox.image.joined_series import refuse_dimension
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj, name_of
from lazyvox.maskers.parameters import MaskerWarning
from lazyvox.stream.masks import RegionImage, as_mask

__all__ = [
    "is_one_image",
    "middle_volume",
    "open_images",
    "open_series",
    "read_mask_img",
    "shown",
]

#: Images of a list that `shown` names; of a longer one the first and the last.
_MOST_SHOWN = 3


def is_one_image(imgs: Any) -> bool:
    """Return whether an argument is a single image: an image, a path, a pattern."""
    return isinstance(imgs, SpatialImage | str | bytes | os.PathLike)


def open_images(imgs: Any) -> Any:
    """Return images in place of paths and patterns; reads headers only.

    Parameters
    ----------
    imgs : image, path, pattern, or iterable of them
        Input of a masker; lists may hold lists of volumes.

    Returns
    -------
    nibabel image, or list of them
        Opened once: images are returned as they are.

    Raises
    ------
    ParameterTypeError
        If it is something else.
    ParameterError
        If an image has no voxel.
    DimensionError
        If it is neither 3D nor 4D.
    ImageNotFoundError
        If there is no such file.
    """
    if is_one_image(imgs):
        img = check_niimg(imgs)
        if 0 in img.shape:
            msg = f"{name_of(img)}: an image must hold voxels. Got shape {img.shape}."
            raise ParameterError(msg)
        if len(img.shape) not in {3, 4}:
            refuse_dimension(img, 4)
        return img
    if hasattr(imgs, "toarray"):
        msg = "`imgs` must be a nibabel image, a path, or a list of them. Got a sparse array."
        raise ParameterTypeError(msg)
    if isinstance(imgs, dict | np.ndarray) or not hasattr(imgs, "__iter__"):
        msg = (
            f"`imgs` must be a nibabel image, a path, or a list of them. Got "
            f"{type(imgs).__name__}. An array needs its affine: nibabel.Nifti1Image(values, affine)."
        )
        raise ParameterTypeError(msg)
    return [open_images(img) for img in imgs]


def open_series(imgs: Any) -> Any:
    """Return one image of a series, or of a list of volumes; reads headers only.

    Parameters
    ----------
    imgs : image, path, pattern, or list of 3D ones
        Input of a masker.

    Returns
    -------
    nibabel image
        3D or 4D; the very image that was passed, if it is one.

    Raises
    ------
    DimensionError
        If it is neither, or a list holds others than 3D images.
    """
    opened = open_images(imgs)
    if isinstance(opened, list):
        return check_niimg(opened, ensure_ndim=4)
    return opened if len(opened.shape) == 3 else check_niimg(opened, ensure_ndim=4)


def read_mask_img(mask_img: Any) -> Any:
    """Return a mask as an image in memory.

    Parameters
    ----------
    mask_img : image or path
        A 3D image; voxels that are not zero are inside. A voxel of a 4D one is inside if it is so
        in all volumes.

    Returns
    -------
    LazyImage
        A 3D image of zeros and ones.

    Raises
    ------
    ParameterTypeError
        If it is no image.
    RegionError
        If the mask is empty.
    """
    img = check_niimg(mask_img)
    array = lazy_dataobj(img)
    volumes = [array.view((..., i)) for i in range(array.shape[3])] if array.ndim > 3 else [array]
    region = RegionImage(
        np.ones(array.shape[:3], bool),
        np.asarray(img.affine, dtype=np.float64),
        f"`mask_img` ({name_of(img)})",
        img.get_filename(),
    )
    for volume in volumes:
        part = replace(region, values=np.asarray(volume.read()))
        inside = as_mask(part, rules="non-zero", allow_empty=True, warning=MaskerWarning)
        region.values[~inside] = False
    return image_like(img, as_mask(region, rules="nilearn").astype(np.uint8), img.affine)


def middle_volume(imgs: Any) -> tuple[Any, int]:
    """Return the middle volume of a series, and how many dimensions there are.

    Parameters
    ----------
    imgs : image, path, pattern, or list of them
        A 3D image, a series, or a list of series, of which the first is taken.

    Returns
    -------
    volume : nibabel image
        A lazy image of a file; a copy of one in memory.
    dimension : int
        3 for a volume, 4 for a series, 5 for a list of series.
    """
    dimension = 0
    if isinstance(imgs, list | tuple):
        first = check_niimg(imgs[0])
        dimension = len(first.shape) + 1
        img = first if dimension == 5 else check_niimg(list(imgs))
    else:
        img = check_niimg(imgs)
        dimension = len(img.shape)
    if len(img.shape) == 3:
        return img, dimension
    array = lazy_dataobj(img).view((..., img.shape[3] // 2))
    values: Any = array
    if isinstance(img.dataobj, np.ndarray):
        # A view would keep, and pickle, the whole series.
        values = np.asarray(array.read())
    return image_like(img, values, img.affine), dimension


def shown(imgs: Any, verbose: int) -> str:
    """Return images as they are named in a line, longer where `verbose` is above 1."""
    if isinstance(imgs, list | tuple):
        some = list(imgs)
        if int(verbose) < 2 and len(some) > _MOST_SHOWN:
            return f"[{shown(some[0], verbose)}, ..., {shown(some[-1], verbose)}]"
        return "[" + ", ".join(shown(img, verbose) for img in some) + "]"
    name = imgs.get_filename() if isinstance(imgs, SpatialImage) else imgs
    if name is None:
        return f"{type(imgs).__name__} of shape {getattr(imgs, 'shape', None)}"
    text = str(name)
    return text if int(verbose) > 1 or len(text) <= 20 else f"...{text[-17:]}"
