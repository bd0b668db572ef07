"""Read the maps of a 4D image, one at a time, and keep their voxels that are not zero."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyvox.errors import RegionError
from lazyvox.extraction.region_budget import refuse_beyond
from lazyvox.geometry.voxel_grid import VoxelGrid
from lazyvox.lazyimage.opened_image import OpenedImage, opened_image

if TYPE_CHECKING:
    from lazyvox._typing import Array, BoolArray, FloatArray, IntArray
    from lazyvox.array.lazy_array import LazyArray
    from lazyvox.lazyimage.load import ImageLike
    from lazyvox.lazyimage.series import Grid

#: One map of the grid as read, and flattened, and the last map at each voxel.
_READ_BYTES = 36

__all__ = ["MapVoxels", "MapsImage", "open_maps", "read_maps"]


@dataclass(frozen=True, slots=True, eq=False)
class MapsImage:
    """A 4D image of maps, not read.

    Attributes
    ----------
    img : OpenedImage
        The image.
    array : LazyArray
        Its voxels, of shape (i, j, k, n_maps).
    affine : ndarray of shape (4, 4)
        Voxel indices to world coordinates, in mm.
    name : str
        What messages call it: its parameter and its file.
    """

    img: OpenedImage
    array: LazyArray
    affine: Array
    name: str

    @property
    def n_maps(self) -> int:
        """Number of maps."""
        return self.array.shape[3]

    @property
    def voxel_grid(self) -> VoxelGrid:
        """Voxel grid, with the name of the maps."""
        return VoxelGrid(self.array.shape, self.affine, self.name)

    def check_grid(self, grid: Grid) -> None:
        """Raise `GridMismatchError` if the maps are on another grid."""
        self.voxel_grid.require(
            grid.voxel_grid,
            "Pass resample=True to bring the maps to the grid of the images by linear interpolation, or resample them yourself.",
        )

    def on_grid(self, grid: Grid) -> MapsImage:
        """Return the maps on a grid, by linear interpolation where it is another one."""
        if self.is_on(grid):
            return self
        from lazyvox.image.resampling import resample_img

        moved = resample_img(
            self.img.image,
            target_affine=grid.affine,
            target_shape=grid.shape,
            interpolation="linear",
            force_resample=True,
            copy_header=True,
        )
        found = opened_image(moved)
        return replace(self, img=found, array=found.array, affine=grid.affine)

    def is_on(self, grid: Grid) -> bool:
        """Return whether the maps are on a grid."""
        return self.voxel_grid.matches(grid.voxel_grid)


@dataclass(frozen=True, slots=True, eq=False)
class MapVoxels:
    """The weights of maps at the voxels where any of them is not zero.

    Attributes
    ----------
    index : ndarray of shape (n_voxels,), intp
        Voxels, numbered in Fortran order, ascending.
    weights : ndarray of shape (n, n_voxels), float64
        The maps that are not zero everywhere.
    numbers : ndarray of shape (n,), intp
        Their numbers in the image.
    overlap : tuple of int, or None
        Two maps that are both positive at a voxel, if there are.
    read_bytes : int
        What was held for a while to read them, besides the weights.
    """

    index: IntArray
    weights: FloatArray
    numbers: IntArray
    overlap: tuple[int, int] | None
    read_bytes: int


def open_maps(maps_img: ImageLike | OpenedImage, name: str) -> MapsImage:
    """Return an image of maps; reads no voxel.

    Parameters
    ----------
    maps_img : image, path or OpenedImage
        A 4D image.
    name : str
        The parameter, for messages.

    Returns
    -------
    MapsImage
        The image.

    Raises
    ------
    RegionError
        If the image is not 4D, or its voxels are not real numbers.
    ParameterError
        If its maps are not along the last axis, as in MINC.
    """
    img = opened_image(maps_img)
    img.check_time_axis()
    full_name, array = f"`{name}` ({img.name})", img.array
    if array.ndim != 4 or not array.shape[3]:
        msg = f"{full_name}: maps must be a 4D image, a volume for each map. Got shape {array.shape}."
        raise RegionError(msg)
    if array.dtype.kind not in "biuf":
        msg = f"{full_name}: the weights of maps must be real numbers. Got {array.dtype}."
        raise RegionError(msg)
    return MapsImage(img, array, img.affine, full_name)


def read_maps(
    maps: MapsImage, mask: BoolArray | None, *, ensure_finite: bool, budget: int | None = None
) -> MapVoxels:
    """Read maps, one at a time.

    Parameters
    ----------
    maps : MapsImage
        The image.
    mask : ndarray of shape (i, j, k), bool, or None
        Weights outside of it count as zero.
    ensure_finite : bool
        Whether NaN and infinite weights count as zero, or are an error.
    budget : int, optional
        Bytes that the weights may take.

    Returns
    -------
    MapVoxels
        The weights.

    Raises
    ------
    RegionError
        If weights are not finite.
    MemoryBudgetError
        If the weights take more than the budget: raised with the first map that is too much.
    """
    shape = maps.array.shape[:3]
    flat_mask = None if mask is None else mask.reshape(-1, order="F")
    last_map = np.full(int(np.prod(shape)), -1, np.int32)
    found: list[tuple[int, Array, Array]] = []
    overlap: tuple[int, int] | None = None
    n_grid = len(last_map)
    is_used = np.zeros(n_grid, bool)
    held = _READ_BYTES * n_grid
    for number in range(maps.n_maps):
        if budget is not None:
            weights = 8 * len(found) * int(np.count_nonzero(is_used))
            at_most = n_grid * (_READ_BYTES + maps.n_maps * (12 + maps.array.dtype.itemsize))
            refuse_beyond(budget, held + weights, at_most, maps.name)
        values = _finite(maps.array[..., number], maps, number, ensure_finite=ensure_finite)
        flat = values.reshape(-1, order="F")
        positive = np.flatnonzero(flat > _smallest(flat))
        if overlap is None and len(positive) and last_map[positive].max() >= 0:
            overlap = (int(last_map[positive].max()), number)
        last_map[positive] = number
        voxels = np.flatnonzero(flat if flat_mask is None else (flat != 0) & flat_mask)
        if len(voxels):
            known = found[-1][1] if found else None
            # The maps of one decomposition share their voxels: the list is kept once then.
            is_known = known is not None and np.array_equal(known, voxels)
            indices: Any = known if is_known else voxels.astype(np.int32)
            found.append((number, indices, flat[voxels]))
            is_used[voxels] = True
            held += found[-1][2].nbytes + (0 if is_known else indices.nbytes)
    return _assembled(found, is_used, held, overlap)


def _assembled(
    found: list[tuple[int, Array, Array]],
    is_used: BoolArray,
    read_bytes: int,
    overlap: tuple[int, int] | None,
) -> MapVoxels:
    """Return dense weights over all voxels of all maps."""
    index = np.flatnonzero(is_used)
    place = np.cumsum(is_used, dtype=np.int32) - 1
    numbers = np.array([number for number, _, _ in found], np.intp)
    weights = np.zeros((len(found), len(index)))
    for row in weights[::-1]:
        _, voxels, values = found.pop()
        row[place[voxels]] = values
    return MapVoxels(index, weights, numbers, overlap, read_bytes)


def _smallest(values: Array) -> float:
    """Return what a weight must exceed to count for overlap: rounding leaves tiny ones."""
    # Just below the machine precision, so that the precision itself counts.
    return float(np.nextafter(np.finfo(values.dtype).eps, 0)) if values.dtype.kind == "f" else 0.0


def _finite(values: Array, maps: MapsImage, number: int, *, ensure_finite: bool) -> Array:
    is_finite = np.isfinite(values)
    if is_finite.all():
        return values
    if not ensure_finite:
        msg = (
            f"{maps.name}: the weights of maps must be finite. Got "
            f"{int(values.size - is_finite.sum())} that are NaN or infinite in map {number}."
        )
        hint = "Set them to 0 first, for instance with np.nan_to_num."
        raise RegionError(msg, hint=hint, cli_hint="Set them to 0 first.")
    return np.where(is_finite, values, 0)
