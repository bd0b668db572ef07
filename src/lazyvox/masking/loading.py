"""Read masks as nilearn does: zeros and one other value, whatever it is."""

import warnings
from typing import Any, NoReturn

import numpy as np

from lazyvox._typing import Array, BoolArray
from lazyvox.errors import LazyvoxWarning, RegionError
from lazyvox.image.checking import check_niimg_3d
from lazyvox.lazyimage.load import ImageLike
from lazyvox.lazyimage.series import name_of
from lazyvox.stream.labels import is_integral, shown_values

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
    img: Any = check_niimg_3d(mask_img)
    name = name_of(img)
    values = _finite(np.asarray(img.dataobj), name)
    mask: BoolArray = values != 0
    inside = values[mask]
    if not inside.size:
        if not allow_empty:
            _refuse_empty(name)
    elif not (inside == inside[0]).all():
        _refuse_values(values, name)
    return mask, np.asarray(img.affine, dtype=np.float64)


def _finite(values: Array, name: str) -> Array:
    if values.dtype.kind not in "fc":
        return values
    bad = ~np.isfinite(values)
    n_bad = int(bad.sum())
    if not n_bad:
        return values
    msg = (
        f"{name}: the voxels of a mask should be finite. {n_bad} of {values.size} are NaN or "
        f"infinite; they count as outside."
    )
    warnings.warn(msg, LazyvoxWarning, stacklevel=3)
    return np.where(bad, values.dtype.type(0), values)


def _refuse_empty(name: str) -> NoReturn:
    msg = (
        f"{name}: a mask must hold at least one voxel. Got zeros only. Look at how it was made: "
        f"its threshold, or the grid that it was resampled to."
    )
    raise RegionError(msg)


def _refuse_values(values: Array, name: str) -> NoReturn:
    rule = f"{name}: a mask must be made of zeros and one other value. Got the values "
    if values.all() and len(np.unique(values)) == 2:
        hint = "Its background must be 0: subtract the lower value first."
    elif is_integral(values):
        hint = "It looks like labels: compare it with one of them first, img == 1 say."
    else:
        hint = "It looks like probabilities: threshold it first, img > 0.5 say."
    msg = f"{rule}{shown_values(values)}. {hint}"
    raise RegionError(msg)
