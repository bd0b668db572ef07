"""Masks on the grid of an image, read as nilearn's functions on images take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazyvox.errors import RegionError
from lazyvox.geometry.resampling import resample_nearest
from lazyvox.image.checking import check_niimg_3d
from lazyvox.lazyimage.dataobj import name_of
from lazyvox.lazyimage.grids import check_same_grid, same_grid
from lazyvox.stream.masks import RegionImage, as_mask

if TYPE_CHECKING:
    from lazyvox._typing import BoolArray
    from lazyvox.lazyimage.load import ImageLike

__all__ = ["mask_on_grid", "read_image_mask"]


def read_image_mask(mask_img: ImageLike, *, allow_empty: bool = False) -> tuple[BoolArray, Any]:
    """Return the voxels of a mask by nilearn's rules, and its image, opened."""
    mask = check_niimg_3d(mask_img)
    affine = np.asarray(mask.affine, dtype=np.float64)
    name = f"`mask_img` ({name_of(mask)})"
    region = RegionImage(np.asarray(mask.dataobj), affine, name, mask.get_filename())
    return as_mask(region, rules="nilearn", allow_empty=allow_empty), mask


def mask_on_grid(mask_img: ImageLike, img: Any, *, resample: bool) -> BoolArray:
    """Return the voxels of a mask on the grid of an image.

    A mask on another grid is refused before it is read, or is brought to this one by nearest
    neighbour. It holds 0 and one other value, or no 0 at all; NaN and infinite voxels are outside.
    """
    mask = check_niimg_3d(mask_img)
    if not resample:
        check_same_grid(img, mask, ("`imgs`", "`mask_img`"))
    inside, mask = read_image_mask(mask)
    if not resample or same_grid(mask, img):
        return inside
    moved: BoolArray = resample_nearest(inside, mask.affine, img.shape[:3], img.affine, False)  # noqa: FBT003
    if not moved.any():
        msg = (
            f"`mask_img` ({name_of(mask)}): it must overlap with the image. No voxel of the image "
            f"lies in it. Check the affines: {mask.affine[:3].tolist()} and "
            f"{img.affine[:3].tolist()}."
        )
        raise RegionError(msg)
    return moved
