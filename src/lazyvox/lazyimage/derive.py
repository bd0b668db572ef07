"""New images in memory on the grid of another image."""

from typing import Any

import numpy as np
from nibabel.spatialimages import HeaderDataError, SpatialImage
from nibabel.wrapstruct import WrapStruct

from lazyvox._typing import Array
from lazyvox.lazyimage.classes import LAZY_CLASSES, LazyImage, LazyNifti1Image

__all__ = ["image_on_grid"]


def image_on_grid(template: SpatialImage, values: Array, affine: Array) -> LazyImage:
    """Return an image of `values` with the class and header of another image on its grid.

    Parameters
    ----------
    template : nibabel image
        Gives class and header; a class that cannot hold the values becomes NIfTI-1.
    values : ndarray of shape (i, j, k) or (i, j, k, n)
        Voxels; not copied.
    affine : ndarray of shape (4, 4)
        Voxel indices to world coordinates, in mm.

    Returns
    -------
    LazyImage
        An array image; display limits and intent of the template, which spoke of its values, are
        reset.
    """
    image_class: Any = LAZY_CLASSES.get(type(template), type(template))
    header: Any = template.header.copy()
    if not issubclass(image_class, LazyImage) or not _can_hold(header, values):
        image_class = LazyNifti1Image
        header = image_class.header_class.from_header(header)
        header.set_data_dtype(values.dtype)
    fields = set(header) if isinstance(header, WrapStruct) else set()
    for field in fields & {"cal_max", "cal_min", "glmax", "glmin"}:
        header[field] = 0
    if hasattr(header, "set_intent"):
        header.set_intent("none")
    header.set_data_shape(values.shape)
    img: LazyImage = image_class(values, None, header=header)
    img._affine = np.array(affine, dtype=np.float64)
    # Where another class was needed its header does not know the affine yet.
    img.update_header()
    return img


def _can_hold(header: Any, values: Array) -> bool:
    try:
        header.set_data_dtype(values.dtype)
    except HeaderDataError:
        return False
    return True
