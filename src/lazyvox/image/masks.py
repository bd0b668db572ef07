"""Masks on the grid of an image, read as nilearn's functions on images take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazyvox.errors import RegionError
from lazyvox.geometry.resampling import resample_nearest
from lazyvox.image.checking import check_niimg_3d
from lazyvox.lazyimage.dataobj import name_of
from lazyvox.lazyimage.grids import same_grid
from lazyvox.stream.masks import RegionImage, as_mask

if TYPE_CHECKING:
    from lazyvox._typing import BoolArray
    from lazyvox.lazyimage.load import ImageLike

__all__ = ["mask_on_grid"]


def mask_on_grid(mask_img: ImageLike, img: Any) -> BoolArray:
    """Return the voxels of a mask, brought to the grid of an image by nearest neighbour.

    A mask holds 0 and one other value, or no 0 at all; NaN and infinite voxels are outside.
    """
    mask = check_niimg_3d(mask_img)
    name = f"`mask_img` ({name_of(mask)})"
    affine = np.asarray(mask.affine, dtype=np.float64)
    region = RegionImage(np.asarray(mask.dataobj), affine, name, mask.get_filename())
    inside = as_mask(region, rules="nilearn")
    shape = tuple(img.shape[:3])
    if same_grid(mask, img):
        return inside
    moved: BoolArray = resample_nearest(inside, mask.affine, shape, img.affine, False)  # noqa: FBT003
    if not moved.any():
        msg = (
            f"{name}: it must overlap with the image. No voxel of the image "
            f"lies in it. Check the affines: {mask.affine[:3].tolist()} and "
            f"{img.affine[:3].tolist()}."
        )
        raise RegionError(msg)
    return moved
