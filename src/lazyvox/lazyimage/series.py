"""One series out of one image, or out of a list of volumes and runs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyvox.array.concat import concatenated
from lazyvox.array.transformed import VolumeTransform, staged
from lazyvox.errors import ParameterError
from lazyvox.formats.nifti_header import NiftiHeader
from lazyvox.geometry.voxel_grid import VoxelGrid
from lazyvox.lazyimage.axes import check_axes
from lazyvox.lazyimage.dataobj import name_of, storable
from lazyvox.lazyimage.opened_image import OpenedImage, opened_image
from lazyvox.planning.sample_mask import checked_sample_mask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nibabel.spatialimages import SpatialImage

    from lazyvox._typing import Array, DType, Shape
    from lazyvox.array.lazy_array import LazyArray
    from lazyvox.lazyimage.classes import LazyImage
    from lazyvox.lazyimage.load import ImageLike

__all__ = ["Grid", "Run", "Series", "as_series", "name_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Grid of a series in space and time.

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
    first : OpenedImage
        The first image.
    is_uniform : bool
        Whether all images are stored with the type and scaling of the first.
    volumes : tuple of int, or None
        Numbers of the volumes in the images, where only some of them were taken.
    """

    shape: Shape
    affine: Array
    n_volumes: int
    dtype: DType
    t_r: float | None
    first: OpenedImage = field(repr=False)
    is_uniform: bool = True
    volumes: tuple[int, ...] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """File of the first image for messages, or its class."""
        return self.first.name

    @property
    def template(self) -> SpatialImage:
        """The first image: class and header of images that are made on this grid."""
        return self.first.image

    @property
    def header(self) -> NiftiHeader | None:
        """Fields of the header of the first image, where that is a NIfTI file."""
        fields = self.first.header
        return fields if isinstance(fields, NiftiHeader) else None

    def image_of(self, values: LazyArray | Array) -> LazyImage:
        """Return values of another kind on this grid as an image: neither copied nor read."""
        return self.first.image_of(values, self.affine)

    @property
    def voxel_grid(self) -> VoxelGrid:
        """Voxel grid, for comparisons with other images."""
        return VoxelGrid(self.shape, self.affine, self.name)

    @property
    def n_voxels(self) -> int:
        """Number of voxels of one volume."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def volume_bytes(self) -> int:
        """Bytes of one volume as consumers get it."""
        return self.n_voxels * self.dtype.itemsize

    def transformed(self, transform: VolumeTransform, affine: Array | None = None) -> Grid:
        """Return the grid of the volumes that a transform makes; `affine` where it moves them."""
        return replace(
            self,
            shape=transform.out_shape((self.shape,)),
            dtype=transform.out_dtype((self.dtype,)),
            affine=self.affine if affine is None else affine,
            is_uniform=True,
        )


@dataclass(frozen=True, slots=True)
class Run:
    """One image of a series, or all of its images where they are volumes.

    Attributes
    ----------
    name : str
        Its file, for messages.
    n_volumes : int
        Number of volumes.
    t_r : float or None
        Seconds between two volumes, None where the header does not say.
    """

    name: str
    n_volumes: int
    t_r: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Volumes of one grid, ready to be streamed.

    Attributes
    ----------
    array : LazyArray
        The values, of shape (i, j, k, n_volumes).
    grid : Grid
        Their grid.
    runs : tuple of Run
        The images that it was joined of, all of their volumes.
    """

    array: LazyArray
    grid: Grid
    runs: tuple[Run, ...]

    def taking(self, volumes: Sequence[int]) -> Series:
        """Return the series of some volumes: ascending numbers, or one boolean per volume."""
        numbers = checked_sample_mask(volumes, self.grid.n_volumes, "`volumes`").tolist()
        before = self.grid.volumes
        taken = tuple(numbers if before is None else (before[number] for number in numbers))
        grid = replace(self.grid, n_volumes=len(numbers), volumes=taken)
        return replace(self, array=self.array.view((..., numbers)), grid=grid)

    def transformed(self, transform: VolumeTransform, affine: Array | None = None) -> Series:
        """Return the series with a transform applied to each volume; reads nothing."""
        array, grid = staged(transform, self.array), self.grid.transformed(transform, affine)
        return replace(self, array=array, grid=grid)

    def astype(self, dtype: DType) -> Series:
        """Return the series with values of another type; reads nothing."""
        return replace(self, array=self.array.astype(dtype), grid=replace(self.grid, dtype=dtype))

    def with_t_r(self, t_r: float) -> Series:
        """Return the series with another repetition time, in seconds."""
        return replace(self, grid=replace(self.grid, t_r=t_r))


def as_series(
    imgs: ImageLike | Sequence[ImageLike] | Series, volumes: Sequence[int] | None = None
) -> Series:
    """Return images as one series of volumes; reads no voxel.

    Parameters
    ----------
    imgs : image, path, list of them, or Series
        A 3D or 4D image, or 3D and 4D images on one grid that are joined along time. A series is
        returned as it is.
    volumes : sequence of int, optional
        The volumes to take, ascending, or one boolean per volume; by default all.

    Returns
    -------
    Series
        The series.

    Raises
    ------
    ParameterError
        If an image is not 3D or 4D, the list is empty, or `volumes` are none of the series.
    GridMismatchError
        If an image of a list has another grid than the first.
    """
    series = imgs if isinstance(imgs, Series) else _opened(imgs)
    return series if volumes is None else series.taking(volumes)


def _opened(imgs: ImageLike | Sequence[ImageLike]) -> Series:
    parts = [_part(img) for img in _as_list(imgs)]
    for number, part in enumerate(parts[1:], 1):
        part.voxel_grid(f"Image {number}").require(parts[0].voxel_grid("image 0"), "")
    arrays = tuple(part.array for part in parts)
    array = arrays[0] if len(arrays) == 1 else concatenated(arrays)
    if not array.size:
        msg = f"{parts[0].name}: a series must hold voxels. Got shape {array.shape}."
        raise ParameterError(msg)
    array = storable(array)
    if array.ndim == 3:
        array = array.view((..., None))
    # The header of a 3D image has none.
    periods = {part.t_r for part in parts if part.array.ndim > 3}
    grid = Grid(
        shape=array.shape[:3],
        affine=parts[0].affine,
        n_volumes=array.shape[3],
        dtype=array.dtype.newbyteorder("="),
        # Of runs that differ there is no single one.
        t_r=periods.pop() if len(periods) == 1 else None,
        first=parts[0],
        is_uniform=len({(one.ondisk_dtype, one.conversion) for one in arrays}) == 1,
    )
    return Series(array, grid, _runs(parts))


def _part(img: Any) -> OpenedImage:
    """Open an image, a volume or a series of volumes."""
    opened = opened_image(img)
    opened.check_time_axis()
    check_axes(opened.array.shape, opened.array.dtype, opened.name)
    return opened


def _runs(parts: Sequence[OpenedImage]) -> tuple[Run, ...]:
    """Return the runs that images are; 3D images in a row are the volumes of one run."""
    runs: list[Run] = []
    for is_series, group in groupby(parts, key=lambda part: part.n_volumes > 1):
        members = list(group)
        if is_series:
            runs += [Run(one.name, one.n_volumes, one.t_r) for one in members]
        else:
            runs.append(Run(members[0].name, len(members), members[0].t_r))
    return tuple(runs)


def _as_list(imgs: Any) -> list[Any]:
    if not isinstance(imgs, list | tuple):
        return [imgs]
    if not imgs:
        msg = "`imgs` must hold at least one image. Got an empty list."
        raise ParameterError(msg)
    return list(imgs)
