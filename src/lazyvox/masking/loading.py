"""Read masks as nilearn does: zeros and one other value, whatever it is."""

import numpy as np

from lazyvox._typing import Array, BoolArray
from lazyvox.errors import LazyvoxWarning
from lazyvox.image.masks import read_image_mask
from lazyvox.lazyimage.load import ImageLike

__all__ = ["MaskWarning", "load_mask_img"]


class MaskWarning(LazyvoxWarning):
    """A mask that was computed is suspicious; nilearn's class of this name is a UserWarning too."""


def load_mask_img(mask_img: ImageLike, allow_empty: bool = False) -> tuple[BoolArray, Array]:
    """Return the voxels of a mask and its affine.

    Parameters
    ----------
    mask_img : image or path
        A 3D image, or a 4D one of one volume, of zeros and one other value. An image without
        zeros is a mask of all voxels.
    allow_empty : bool, default=False
        Whether an image of zeros only is taken.

    Returns
    -------
    mask : ndarray of shape (i, j, k), bool
        Which voxels are inside.
    affine : ndarray of shape (4, 4)
        Voxel indices to world coordinates, in mm.

    Raises
    ------
    RegionError
        If there are more values, or zeros only.
    DimensionError
        If the image is not 3D.
    ParameterTypeError
        If `mask_img` is no image.

    Warns
    -----
    LazyvoxWarning
        If voxels are NaN or infinite: they are outside.

    Notes
    -----
    Memory: the volume of the mask, and two bytes per voxel.

    Examples
    --------
    >>> mask, affine = load_mask_img("mask.nii.gz")
    >>> mask.shape, int(mask.sum()), affine.shape
    ((12, 14, 10), 520, (4, 4))
    """
    mask, img = read_image_mask(mask_img, allow_empty=allow_empty)
    return mask, np.asarray(img.affine, dtype=np.float64)
