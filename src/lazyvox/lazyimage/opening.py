"""Opening of image files by their headers, before nibabel's image is made of them."""

from lazyvox._typing import PathLike
from lazyvox.array.conversion import Conversion
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.reader import FileReader
from lazyvox.formats import ImageFile, read_image_file
from lazyvox.runtime.logs import log_info
from lazyvox.store.files.paths import absolute_path

__all__ = ["array_of_file", "open_image_file"]


def open_image_file(path: PathLike) -> ImageFile:
    """Return the description of an image file that lazyvox reads itself.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    ImageFile
        What its header says.

    Raises
    ------
    ForeignFormatError
        If nibabel may read it, or it is the folder of a Zarr store.
    ImageFileError
        If it is no image, or damaged.
    """
    full_path = absolute_path(path)
    file = read_image_file(full_path)
    log_info("open %s: shape %s, %s", full_path, file.array.shape, file.array.dtype)
    return file


def array_of_file(file: ImageFile) -> LazyArray:
    """Return the voxels of a file; reads none of them."""
    spec = file.array
    return LazyArray.over(FileReader(file.source, spec), Conversion(spec.slope, spec.inter))
