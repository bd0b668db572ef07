"""Input of a function on images, as one lazy array of volumes."""

from dataclasses import dataclass, field
from typing import Any

from nibabel.spatialimages import SpatialImage

from lazyvox._typing import Array, DType, Shape
from lazyvox.array.lazy_array import LazyArray
from lazyvox.image.checking import check_niimg
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.series import as_series

__all__ = ["Volumes", "volumes_of"]


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
