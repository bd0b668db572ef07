"""One series out of one image, or out of a list of volumes and runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from nibabel.spatialimages import SpatialImage

from lazyvox._typing import Array, DType, Shape
from lazyvox.array.concat import ConcatReader
from lazyvox.array.lazy_array import LazyArray
from lazyvox.errors import GridMismatchError, ParameterError, ParameterTypeError
from lazyvox.geometry.affines import same_affine
from lazyvox.lazyimage.dataobj import lazy_dataobj, name_of, stored_paths
from lazyvox.lazyimage.load import ImageLike, as_image

__all__ = ["Grid", "Series", "as_series", "name_of", "stored_paths"]


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Where and when the voxels of a series are.

    Attributes
    ----------
    shape : tuple of int of length 3
        Voxels on each spatial axis.
    affine : ndarray of shape (4, 4)
        Voxel indices to world coordinates, in mm.
    n_volumes : int
        Number of volumes.
    dtype : numpy.dtype
        Type of the values that consumers get, in native byte order.
    t_r : float or None
        Seconds between two volumes, None where the header does not say.
    template : nibabel image
        The first image: class and header of images that are made on this grid.
    """

    shape: Shape
    affine: Array
    n_volumes: int
    dtype: DType
    t_r: float | None
    template: SpatialImage

    @property
    def n_voxels(self) -> int:
        """Number of voxels of one volume."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def volume_bytes(self) -> int:
        """Bytes of one volume as consumers get it."""
        return self.n_voxels * self.dtype.itemsize


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Volumes of one grid, ready to be streamed.

    Attributes
    ----------
    array : LazyArray
        The values, of shape (i, j, k, n_volumes).
    grid : Grid
        Their grid.
    """

    array: LazyArray
    grid: Grid


def as_series(
    imgs: ImageLike | Sequence[ImageLike], volumes: Sequence[int] | None = None
) -> Series:
    """Return images as one series of volumes; reads no voxel.

    Parameters
    ----------
    imgs : image, path, or list of them
        A 3D or 4D image, or 3D and 4D images on one grid that are joined along time.
    volumes : sequence of int, optional
        The volumes to take, ascending; by default all.

    Returns
    -------
    Series
        The series.

    Raises
    ------
    ParameterError
        If an image is not 3D or 4D, or the list is empty.
    GridMismatchError
        If an image of a list has another grid than the first.
    """
    parts = [as_image(img) for img in _as_list(imgs)]
    for img in parts:
        _check_dimensions(img)
    for number, img in enumerate(parts[1:], 1):
        _check_same_grid(parts[0], img, number)
    arrays = tuple(lazy_dataobj(img) for img in parts)
    array = arrays[0] if len(arrays) == 1 else LazyArray.over(ConcatReader(arrays))
    if not array.size:
        msg = f"{name_of(parts[0])}: a series must hold voxels. Got shape {array.shape}."
        raise ParameterError(msg)
    if array.ndim == 3:
        array = array.view((..., None))
    if volumes is not None:
        array = array.view((..., list(volumes)))
    dtype = array.dtype.newbyteorder("=")
    shape, first = array.shape, parts[0]
    affine = np.asarray(first.affine, dtype=np.float64)
    grid = Grid(shape[:3], affine, shape[3], dtype, _repetition_time(first), first)
    return Series(array, grid)


def _as_list(imgs: Any) -> list[Any]:
    if not isinstance(imgs, list | tuple):
        return [imgs]
    if not imgs:
        msg = "`imgs` must hold at least one image. Got an empty list."
        raise ParameterError(msg)
    return list(imgs)


def _check_dimensions(img: SpatialImage) -> None:
    shape = tuple(img.shape)
    if len(shape) in {3, 4}:
        dataobj: Any = img.dataobj
        if dataobj.dtype.names is not None:
            msg = f"{name_of(img)}: voxels must be numbers. Got RGB voxels: take one colour first."
            raise ParameterTypeError(msg)
        return
    hint = "Add axes first: nibabel.Nifti1Image(np.atleast_3d(values), affine)."
    if len(shape) > 4:
        colons = ", ".join([":"] * 3 + ["0"] * (len(shape) - 4) + [":"])
        last = ", ".join([":"] * 4 + ["0"] * (len(shape) - 4))
        hint = f"Take a part of it first: img.slicer[{last}], or img.slicer[{colons}]."
    msg = f"{name_of(img)}: an image must be 3D or 4D. Got shape {shape}. {hint}"
    raise ParameterError(msg)


def _check_same_grid(first: SpatialImage, img: SpatialImage, number: int) -> None:
    same_shape = tuple(first.shape[:3]) == tuple(img.shape[:3])
    if same_shape and same_affine(first.affine, img.affine, first.shape[:3]):
        return
    msg = (
        f"all images of a list must share one voxel grid. Image {number} ({name_of(img)}) has "
        f"shape {tuple(img.shape[:3])} and affine {np.asarray(img.affine).tolist()}; image 0 "
        f"({name_of(first)}) has shape {tuple(first.shape[:3])} and affine "
        f"{np.asarray(first.affine).tolist()}. Resample one to the other first."
    )
    raise GridMismatchError(msg)


def _repetition_time(img: SpatialImage) -> float | None:
    zooms = img.header.get_zooms()
    if len(zooms) < 4 or not np.isfinite(zooms[3]) or zooms[3] <= 0:
        return None
    units = getattr(img.header, "get_xyzt_units", lambda: ("mm", "sec"))()[1]
    factor = {"msec": 1e-3, "usec": 1e-6}.get(units, 1.0)
    return float(zooms[3]) * factor
