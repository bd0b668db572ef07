"""Regions, masks and images on one grid: checked, or brought there."""

import warnings
from collections.abc import Mapping
from itertools import combinations
from typing import Any

from lazyvox.image import resample_img
from lazyvox.lazyimage.grids import check_same_grid
from lazyvox.maskers.parameters import MaskerWarning
from lazyvox.masking import load_mask_img

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
    load_mask_img(moved)
    return moved


def warn_of_resampling(what: str, advice: str) -> None:
    """Say that something is resampled for one transform only.

    Parameters
    ----------
    what : str
        What is resampled.
    advice : str
        How to do without.
    """
    msg = f"{what} not on the grid of the other images: {what} resampled for this transform."
    warnings.warn(MaskerWarning(msg, hint=advice), stacklevel=5)
