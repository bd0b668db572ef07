"""`--mask`: the one mask of a command that has no other region sets."""

from lazyvox._typing import BoolArray
from lazyvox.errors import RegionError
from lazyvox.lazyimage.series import Grid
from lazyvox.stream.masks import read_mask

__all__ = ["mask_of_option"]


def mask_of_option(mask: str | None, grid: Grid) -> BoolArray | None:
    """Return the voxels of a mask on the grid of a series.

    Parameters
    ----------
    mask : str or None
        Value of --mask.
    grid : Grid
        The grid.

    Returns
    -------
    ndarray of shape (i, j, k), bool, or None
        None without a mask.

    Raises
    ------
    RegionError
        If the image is no mask. The error gives no advice to pass it as something else.
    GridMismatchError
        If it is on another grid.
    """
    if mask is None:
        return None
    try:
        return read_mask(mask, grid, name="mask_imgs")
    except RegionError as error:
        raise RegionError(error.message) from error
