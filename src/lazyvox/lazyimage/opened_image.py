"""Images that are open for reading: by their headers alone, where lazyvox reads the file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lazyvox.formats import ForeignFormatError, ImageFile
from lazyvox.geometry.voxel_grid import VoxelGrid
from lazyvox.lazyimage.dataobj import lazy_dataobj, name_of
from lazyvox.lazyimage.describe import repetition_time
from lazyvox.lazyimage.grids import affine_of
from lazyvox.lazyimage.opening import array_of_file, open_image_file

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage

    from lazyvox._typing import Array
    from lazyvox.array.lazy_array import LazyArray
    from lazyvox.lazyimage.classes import LazyImage

__all__ = ["OpenedImage", "opened_image"]


@dataclass(frozen=True, slots=True, eq=False)
class OpenedImage:
    """An image that is open for reading.

    Attributes
    ----------
    array : LazyArray
        Its voxels.
    affine : ndarray of shape (4, 4)
        Voxel indices to world coordinates, in mm.
    name : str
        Its file for messages, or its class.
    path : str or None
        Its file.
    given : nibabel image or ImageFile
        The image; its file, where it was given as a path of what lazyvox reads itself.
    """

    array: LazyArray
    affine: Array
    name: str
    path: str | None
    given: SpatialImage | ImageFile

    @property
    def header(self) -> Any:
        """Header of the image: of a NIfTI file its fields, without nibabel."""
        return self.given.fields if isinstance(self.given, ImageFile) else self.given.header

    @property
    def t_r(self) -> float | None:
        """Seconds between two volumes, None where the header does not say."""
        return repetition_time(self.header)

    @property
    def n_volumes(self) -> int:
        """Number of volumes, 0 of an image without a fourth axis."""
        return self.array.shape[3] if self.array.ndim > 3 else 0

    @property
    def image(self) -> SpatialImage:
        """The image as nibabel has it."""
        if not isinstance(self.given, ImageFile):
            return self.given
        from lazyvox.lazyimage.load import image_of_file

        return image_of_file(self.given)

    @property
    def dataobj(self) -> Any:
        """Array or proxy of the voxels: values in memory are not copied when they are read."""
        return self.array if isinstance(self.given, ImageFile) else self.given.dataobj

    def voxel_grid(self, name: str | None = None) -> VoxelGrid:
        """Return the grid, a word for the image before its name."""
        shown = f"{name} ({self.name})" if name else self.name
        return VoxelGrid(self.array.shape[:3], self.affine, shown)

    def image_of(self, values: LazyArray | Array, affine: Array | None = None) -> LazyImage:
        """Return values of another kind as an image of this class, with this header; reads none."""
        from lazyvox.lazyimage.classes import image_like

        matrix = self.affine if affine is None else affine
        return image_like(self.image, values, matrix, is_new_kind=True)

    def check_time_axis(self) -> None:
        """Refuse a 4D image of a format that has time in front."""
        if isinstance(self.given, ImageFile):
            return
        from lazyvox.lazyimage.operators import check_time_axis

        check_time_axis(self.given)


def opened_image(img: Any) -> OpenedImage:
    """Return an image, open for reading; reads no voxel.

    Parameters
    ----------
    img : image, path or OpenedImage
        The image; the very object that was given where it is open already.

    Returns
    -------
    OpenedImage
        The image.

    Raises
    ------
    ParameterTypeError
        If `img` is no image.
    ImageFileError
        If the file is no image on a voxel grid, or damaged.

    Notes
    -----
    nibabel is imported only for what is not the path of a NIfTI file.

    Examples
    --------
    >>> opened_image("run.nii.gz").array.shape
    (12, 14, 10, 40)
    """
    if isinstance(img, OpenedImage):
        return img
    if isinstance(img, str | bytes | os.PathLike):
        try:
            file = open_image_file(img)
        except ForeignFormatError:
            # nibabel may read it.
            pass
        else:
            name = file.source.path
            return OpenedImage(array_of_file(file), file.affine, name, name, file)
    from lazyvox.lazyimage.load import as_image

    found = as_image(img)
    path = found.get_filename()
    return OpenedImage(lazy_dataobj(found), affine_of(found), name_of(found), path, found)
