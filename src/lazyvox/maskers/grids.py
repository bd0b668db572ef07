"""Regions, masks and images on one grid: checked, or brought there."""

import warnings
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from lazyvox.errors import RegionError
from lazyvox.image import resample_img
from lazyvox.lazyimage.grids import check_same_grid
from lazyvox.maskers.parameters import MaskerWarning

__all__ = ["check_one_grid", "resampled_mask", "warn_of_resampling"]


def check_one_grid(imgs: Mapping[str, Any]) -> None:
    """Raise unless all images are on one grid.

    Parameters
    ----------
    imgs : mapping
        Images by the name that a message calls them.

    Raises
    ------
    GridMismatchError
        If two differ in shape or affine.
    """
    for (first_name, first), (second_name, second) in combinations(imgs.items(), 2):
        check_same_grid(
            first,
            second,
            (first_name, second_name),
            "Resample one of them, or set resampling_target.",
        )


def resampled_mask(mask_img: Any, ref_img: Any) -> Any:
    """Return a mask on the grid of another image, by nearest neighbour.

    Parameters
    ----------
    mask_img, ref_img : nibabel image
        The mask, and the image whose grid is wanted.

    Returns
    -------
    nibabel image
        The mask on that grid.

    Raises
    ------
    RegionError
        If nothing of it is left.
    """
    moved = resample_img(
        mask_img,
        interpolation="nearest",
        target_shape=tuple(ref_img.shape[:3]),
        target_affine=ref_img.affine,
    )
    if not np.asarray(moved.dataobj).any():
        msg = (
            f"`mask_img` must overlap with the images. No voxel of it is left on their grid: shape "
            f"{tuple(ref_img.shape[:3])}, affine {ref_img.affine[:3].tolist()}. Check both affines."
        )
        raise RegionError(msg)
    return moved


def warn_of_resampling(what: str, advice: str) -> None:
    """Warn of regions or images that are resampled for one transform only.

    Parameters
    ----------
    what : str
        The resampled images and the verb, as "labels are".
    advice : str
        A way to do without.
    """
    msg = f"{what} not on the grid of the other images: {what} resampled for this transform."
    warnings.warn(MaskerWarning(msg, hint=advice), stacklevel=5)
