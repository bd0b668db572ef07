"""Intersection of masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.image.checking import check_niimg_3d
from lazyvox.image.components import largest_component
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.grids import check_same_grid
from lazyvox.masking.arguments import checked_fraction
from lazyvox.masking.loading import load_mask_img
from lazyvox.planning.arguments import check_flag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lazyvox.lazyimage.classes import LazyImage
    from lazyvox.lazyimage.load import ImageLike

__all__ = ["intersect_masks"]


def intersect_masks(
    mask_imgs: Sequence[ImageLike],
    threshold: float = 0.5,
    connected: bool = True,
) -> LazyImage:
    """Return the voxels that are in more than a fraction of several masks.

    Parameters
    ----------
    mask_imgs : list of images or paths
        3D images of zeros and one other value, on one grid.
    threshold : float, default=0.5
        The fraction, from 0 (the union) to 1 (voxels that are in all of them).
    connected : bool, default=True
        Whether the largest connected part alone is kept.

    Returns
    -------
    LazyImage
        A mask in memory, of int8.

    Raises
    ------
    ParameterError
        If there is no mask, or `threshold` is not from 0 to 1.
    GridMismatchError
        If the masks are not on one grid.
    RegionError
        If a mask has more than one value besides zero.
    ParameterTypeError
        If an argument is of the wrong type.

    Notes
    -----
    Memory: one int32 volume and one mask, however many masks there are.

    Examples
    --------
    >>> from lazyvox.masking import intersect_masks
    >>> both = intersect_masks(["left.nii.gz", "right.nii.gz"], threshold=0)
    >>> int(np.asarray(both.dataobj).sum())
    520
    """
    check_flag(connected, "connected")
    fraction = min(checked_fraction(threshold, "threshold"), 1 - 1e-7)
    if isinstance(mask_imgs, str | bytes) or not hasattr(mask_imgs, "__len__"):
        msg = f"`mask_imgs` must be a list of masks. Got {type(mask_imgs).__name__}."
        raise ParameterTypeError(msg)
    if not len(mask_imgs):
        msg = "`mask_imgs` must hold at least one mask. Got none."
        raise ParameterError(msg)
    imgs = [check_niimg_3d(img) for img in mask_imgs]
    for number, img in enumerate(imgs[1:], 1):
        check_same_grid(imgs[0], img, ("mask 0", f"Mask {number}"))
    counts = np.zeros(imgs[0].shape, np.int32, order="F")
    for img in imgs:
        counts += load_mask_img(img, allow_empty=True)[0]
    common = counts > fraction * len(imgs)
    part = largest_component(common) if connected else None
    return image_like(imgs[0], (common if part is None else part).astype(np.int8))
