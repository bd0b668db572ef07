"""What a function on images is given, as one lazy array of volumes."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from nibabel.spatialimages import SpatialImage

from lazyvox._typing import Array, DType, Shape
from lazyvox.array.lazy_array import LazyArray
from lazyvox.image.checking import check_niimg
from lazyvox.image.new import image_like
from lazyvox.lazyimage.classes import LazyImage
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.series import as_series

__all__ = ["Volumes", "derived_image", "volumes_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Volumes:
    """The volumes of an image, or of a list of images joined along time.

    Attributes
    ----------
    img : nibabel image
        The image, or the first of the list.
    array : LazyArray
        3D or 4D.
    affine : ndarray of shape (4, 4)
        Voxel indices to world coordinates, in mm.
    """

    img: SpatialImage = field(repr=False)
    array: LazyArray
    affine: Array

    @property
    def shape(self) -> Shape:
        """Voxels on each spatial axis."""
        return self.array.shape[:3]

    @property
    def dtype(self) -> DType:
        """Type of the values, in native byte order."""
        return self.array.dtype.newbyteorder("=")


def volumes_of(img: Any) -> Volumes:
    """Return the volumes of an image; reads none of them.

    Parameters
    ----------
    img : image, path, pattern, or list of them
        A 3D or 4D image; or a list of images on one grid, joined along time.

    Returns
    -------
    Volumes
        3D if a single 3D image is given.

    Raises
    ------
    ParameterTypeError
        If it is no image.
    ParameterError
        If an image is not 3D or 4D.
    GridMismatchError
        If the images of a list are on different grids.
    """
    found = check_niimg(img)
    # A series has a time axis in any case: it checks the image, and knows its affine.
    return Volumes(found, lazy_dataobj(found), as_series(found).grid.affine)


def derived_image(
    source: Volumes, array: LazyArray, affine: Array, *, copy_header: bool = True
) -> LazyImage:
    """Return an image of values that were computed from an image.

    Parameters
    ----------
    source : Volumes
        Gives class and header.
    array : LazyArray
        The values.
    affine : ndarray of shape (4, 4)
        Their affine.
    copy_header : bool, default=True
        Whether the header is that of the source, else a new one.

    Returns
    -------
    LazyImage
        An image that is saved in the floating-point type of its source; where the source is
        stored in integers and the values are none, in float32.
    """
    img = image_like(source.img, array, affine, copy_header=copy_header)
    stored: DType = np.dtype(source.img.get_data_dtype())
    is_short = stored.kind in "iuf" and stored.itemsize < 8
    if copy_header and array.dtype == np.float64 and is_short:
        # float64 holds what scaling makes of short values; a file needs no more than float32.
        img.set_data_dtype(stored if stored.kind == "f" else np.float32)
    return img
