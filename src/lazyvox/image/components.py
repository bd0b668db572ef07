"""Connected components of 3D images."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.spatialimages import SpatialImage

from lazyvox.errors import RegionError
from lazyvox.image.checking import check_niimg_3d
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.dataobj import name_of

if TYPE_CHECKING:
    from lazyvox._typing import Array, BoolArray
    from lazyvox.lazyimage.classes import LazyImage

__all__ = ["largest_component", "largest_connected_component_img"]


def largest_connected_component_img(imgs: Any) -> Any:
    """Return the largest connected component of a 3D image, or of each of a list.

    Parameters
    ----------
    imgs : image, path, or iterable of them
        3D images. Voxels that share a face and are not zero are connected.

    Returns
    -------
    LazyImage or list of LazyImage
        Array images of uint8, 1 in the component: a list for what is not a single image.

    Raises
    ------
    DimensionError
        If an image is not 3D.
    RegionError
        If an image holds zeros only.

    Notes
    -----
    One read. Memory: the volume, and its labels as int32.

    Examples
    --------
    >>> from lazyvox.image import largest_connected_component_img
    >>> int(np.asarray(largest_connected_component_img("mask.nii.gz").dataobj).sum()) > 400
    True
    """
    if isinstance(imgs, SpatialImage | str | bytes | os.PathLike):
        return _largest(imgs)
    return [_largest(img) for img in imgs]


def largest_component(values: Array) -> BoolArray | None:
    """Return where the largest connected component of a 3D array is, None if there is none."""
    from scipy import ndimage

    labels, n_labels = ndimage.label(values)
    if not n_labels:
        return None
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    found: BoolArray = labels == sizes.argmax()
    return found


def _largest(img: Any) -> LazyImage:
    checked = check_niimg_3d(img)
    values = np.asarray(checked.dataobj)
    component = largest_component(values.astype(values.dtype.newbyteorder("="), copy=False))
    if component is None:
        msg = (
            f"{name_of(checked)}: an image must hold a voxel that is not zero. Got zeros only, "
            f"which have no connected component."
        )
        raise RegionError(msg)
    return image_like(checked, component.astype(np.uint8))
