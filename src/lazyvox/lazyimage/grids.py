"""Voxel grids of images, and the check that two images share one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazyvox.geometry.voxel_grid import VoxelGrid
from lazyvox.lazyimage.dataobj import name_of

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage

    from lazyvox._typing import Array

__all__ = ["affine_of", "check_same_grid", "same_grid", "voxel_grid"]


def affine_of(img: SpatialImage) -> Array:
    """Return the affine of an image, the header's where the image has none of its own."""
    given: Any = img.affine
    header: Any = img.header
    return np.asarray(header.get_best_affine() if given is None else given, dtype=np.float64)


def voxel_grid(img: SpatialImage, name: str | None = None) -> VoxelGrid:
    """Return the voxel grid of an image.

    Parameters
    ----------
    img : nibabel image
        Any image.
    name : str, optional
        A word for the image, such as its parameter, that messages put before its file.

    Returns
    -------
    VoxelGrid
        Shape, affine and name.
    """
    file = name_of(img)
    return VoxelGrid(tuple(img.shape[:3]), affine_of(img), f"{name} ({file})" if name else file)


def same_grid(first: SpatialImage, img: SpatialImage) -> bool:
    """Return whether two images lie on one voxel grid, by the rule of `VoxelGrid.matches`."""
    return first is img or voxel_grid(first).matches(voxel_grid(img))


def check_same_grid(
    first: SpatialImage,
    img: SpatialImage,
    names: tuple[str | None, str | None] = (None, None),
    hint: str = "",
) -> None:
    """Raise unless two images lie on one voxel grid.

    Parameters
    ----------
    first, img : nibabel image
        The images.
    names : tuple of str or None
        A word for each of them, that messages put before its file.
    hint : str
        Advice, where there is more to say than to resample one of them first.

    Raises
    ------
    GridMismatchError
        If their grids differ.
    """
    if first is not img:
        voxel_grid(img, names[1]).require(voxel_grid(first, names[0]), hint)
