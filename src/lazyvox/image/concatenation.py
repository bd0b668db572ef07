"""Images joined along time."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyvox.errors import LazyvoxWarning, ParameterTypeError
from lazyvox.image.checking import expanded, same_dimension, uniform_list
from lazyvox.image.joined_series import joined
from lazyvox.image.regridding import on_first_grid
from lazyvox.lazyimage.dataobj import name_of
from lazyvox.lazyimage.describe import repetition_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from nibabel.spatialimages import SpatialImage

    from lazyvox.lazyimage.classes import LazyImage

__all__ = ["concat_imgs"]


def concat_imgs(
    niimgs: Any,
    dtype: npt.DTypeLike | None = np.float32,
    ensure_ndim: int | None = None,
    memory: Any = None,
    memory_level: int = 0,
    auto_resample: bool = False,
    verbose: int = 0,
) -> LazyImage:
    """Return images joined along time.

    Parameters
    ----------
    niimgs : iterable of images and paths, or pattern
        3D images, or 4D images; or the name pattern of their files.
    dtype : dtype-like, default=numpy.float32
        Type that voxels are cast to when they are read. None is the type that holds the values of
        all images.
    ensure_ndim : int, optional
        The dimension that the result must have as a list of images: 4 for 3D images.
    memory : object, optional
        Has no effect: nothing is worth caching, as nothing is computed here.
    memory_level : int, default=0
        Has no effect.
    auto_resample : bool, default=False
        Whether images on other grids are resampled to that of the first, when they are read.
    verbose : int, default=0
        Has no effect.

    Returns
    -------
    LazyImage
        A lazy 4D image with class, header and affine of the first.

    Raises
    ------
    ParameterTypeError
        If the list is empty or holds what is no image.
    DimensionError
        If the images differ in dimension, or are not of `ensure_ndim`.
    GridMismatchError
        If an image is not on the grid of the first, without `auto_resample`.

    Warns
    -----
    LazyvoxWarning
        If 4D images differ in their repetition time.

    Notes
    -----
    Memory: O(1). Reads no voxel. In a pass one file is open at a time.

    Examples
    --------
    >>> from lazyvox.image import concat_imgs
    >>> concat_imgs(["run.nii.gz", "run.nii.gz"]).shape
    (12, 14, 10, 80)
    """
    del memory, memory_level, verbose
    found = expanded(niimgs)
    if not isinstance(found, list):
        if not isinstance(niimgs, str | bytes) and not hasattr(niimgs, "__fspath__"):
            msg = f"`niimgs` must be a list of images. Got {type(niimgs).__name__}."
            raise ParameterTypeError(msg)
        found = [found]
    ndim = None if ensure_ndim is None else ensure_ndim - 1
    imgs = same_dimension(found, ndim) if auto_resample else uniform_list(found, ndim)
    _warn_of_periods(imgs)
    return joined(on_first_grid(imgs) if auto_resample else imgs, dtype)


def _warn_of_periods(imgs: Sequence[SpatialImage]) -> None:
    """Warn of series of several repetition times: a header has one."""
    periods = [repetition_time(img.header) for img in imgs if len(img.shape) == 4]
    if len(set(periods)) < 2:
        return
    shown = ", ".join(
        f"{'none' if one is None else f'{one:g} s'} ({name_of(img)})"
        for one, img in zip(periods, imgs, strict=True)
    )
    msg = (
        f"images that are joined should have one repetition time. Got {shown}: the header of the "
        f"result has that of the first."
    )
    warnings.warn(msg, LazyvoxWarning, stacklevel=3)
