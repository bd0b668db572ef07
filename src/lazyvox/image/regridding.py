"""Images brought to the grid of another one, where they are not on it already."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from lazyvox.errors import LazyvoxWarning
from lazyvox.image.resampling import resample_img
from lazyvox.lazyimage.dataobj import name_of
from lazyvox.lazyimage.grids import same_grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nibabel.spatialimages import SpatialImage

__all__ = ["on_first_grid", "resampled"]


def on_first_grid(imgs: Sequence[SpatialImage]) -> list[SpatialImage]:
    """Return images of a list on the grid of the first; those that move, move when read."""
    first = imgs[0]
    found: list[SpatialImage] = []
    for number, img in enumerate(imgs):
        if same_grid(first, img):
            found.append(img)
            continue
        msg = (
            f"image {number} ({name_of(img)}) is not on the grid of image 0 ({name_of(first)}): "
            f"it is resampled to it."
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=3)
        found.append(resampled(img, first.affine, first.shape[:3]))
    return found


def resampled(img: Any, affine: Any, shape: Any, interpolation: str = "continuous") -> Any:
    """Return an image on a grid; its volumes are resampled when they are read."""
    return resample_img(img, target_affine=affine, target_shape=shape, interpolation=interpolation)
