"""Images joined along time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazyvox.errors import ParameterTypeError
from lazyvox.image.checking import expanded, same_dimension, uniform_list
from lazyvox.image.joined_series import joined
from lazyvox.image.regridding import on_first_grid

if TYPE_CHECKING:
    import numpy.typing as npt

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
    if not auto_resample:
        return joined(uniform_list(found, ndim), dtype)
    return joined(on_first_grid(same_dimension(found, ndim)), dtype)
