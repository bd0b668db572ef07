"""Description of an image by its header: all that reading, showing and saving it needs."""

from dataclasses import dataclass
from typing import Any

from nibabel.spatialimages import SpatialImage

from lazyvox._typing import FloatArray
from lazyvox.planning.spec import ArraySpec
from lazyvox.store.files.source import ByteSource

__all__ = ["ImageFile"]


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image file whose header was read and checked, and whose voxels were not touched.

    Attributes
    ----------
    format : str
        Name of the format for people, such as "NIfTI-1" or "Analyze 7.5".
    array : ArraySpec
        Where the voxels are, their type and scaling.
    affine : ndarray of shape (4, 4), float64
        Voxel indices to world coordinates, RAS+, in mm.
    header : nibabel header
        The header, repaired where nibabel repairs it, NIfTI extensions included.
    image_class : type
        The nibabel class that `nibabel.load` would make of the file.
    source, header_source : ByteSource
        The file of the voxels and the file of the header; one object for single files.
    notes : tuple of str
        Oddities, those that were warned about included.
    """

    format: str
    array: ArraySpec
    affine: FloatArray
    header: Any
    image_class: type[SpatialImage]
    source: ByteSource
    header_source: ByteSource
    notes: tuple[str, ...] = ()
