"""The mean of images over time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyvox.image.checking import check_niimg, expanded
from lazyvox.image.joined_series import joined
from lazyvox.image.regridding import resampled
from lazyvox.image.single_scan import scan_once
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.grids import same_grid
from lazyvox.planning.arguments import check_flag
from lazyvox.stream.voxelwise import Mean

if TYPE_CHECKING:
    import numpy.typing as npt

    from lazyvox._typing import Array
    from lazyvox.lazyimage.classes import LazyImage
    from lazyvox.runtime.progress import ProgressLike

__all__ = ["mean_img"]


def mean_img(
    imgs: Any,
    target_affine: npt.ArrayLike | None = None,
    target_shape: Any = None,
    verbose: int = 0,
    n_jobs: int = 1,
    copy_header: bool = True,
    *,
    memory: int | str | None = None,
    progress: ProgressLike = None,
) -> LazyImage:
    """Return the mean over time of every voxel.

    Parameters
    ----------
    imgs : image, path, or iterable of them
        A 3D or 4D image; or several, of which each has the same weight, however long it is. Where
        3D and 4D images are mixed they are volumes of one series, of the same weight each. Those
        on other grids are resampled to that of the first.
    target_affine : array-like of shape (3, 3) or (4, 4), optional
        Affine of the result, as in `resample_img`; by default that of the first image.
    target_shape : tuple of int of length 3, optional
        Shape of the result; needs `target_affine`.
    verbose : int, default=0
        Above 0 a bar on stderr shows the progress.
    n_jobs : int, default=1
        Threads for the computation, as in scikit-learn; one more thread decodes.
    copy_header : bool, default=True
        Whether the header is that of the first image.
    memory : int or str, optional
        Memory budget, such as ``"256MB"``.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    LazyImage
        A float64 image in memory, of shape (i, j, k).

    Raises
    ------
    ParameterTypeError
        If `imgs` holds no image.
    ParameterError
        If an image is neither 3D nor 4D.
    ImageFileError
        If a file is damaged, incomplete, or changes while it is read.
    MemoryBudgetError
        If the work does not fit the budget.

    Notes
    -----
    Each file is read once. Memory: one or two float64 volumes and the block buffers. What is
    resampled is the mean of each image.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.mean_img("run.nii.gz").shape
    (12, 14, 10)
    """
    check_flag(copy_header, "copy_header")
    checked = _images(imgs)
    if progress is None and verbose:
        progress = True
    options = (memory, n_jobs, progress)
    if len(checked) == 1 or _is_one_series(checked):
        only = checked[0] if len(checked) == 1 else joined(checked, None)
        mean = _mean_of(only, options)
        if target_affine is not None or target_shape is not None:
            mean = resampled(mean, target_affine, target_shape)
    else:
        mean = _mean_of_means(checked, target_affine, target_shape, options)
    values: Array = np.asarray(mean.dataobj)
    return image_like(checked[0], values, mean.affine, copy_header=copy_header)


def _images(imgs: Any) -> list[Any]:
    found = imgs if isinstance(imgs, str | os.PathLike) else expanded(imgs)
    if not isinstance(found, list):
        return [check_niimg(found)]
    return [check_niimg(item) for item in found] or [check_niimg([])]


def _is_one_series(imgs: list[Any]) -> bool:
    """Return whether one pass over all volumes gives each image the same weight."""
    first = imgs[0]
    return all(img.shape == first.shape and same_grid(first, img) for img in imgs)


def _mean_of(img: Any, options: tuple[Any, int, Any]) -> Any:
    memory, n_jobs, progress = options
    return scan_once(img, Mean(), memory, n_jobs, progress)


def _mean_of_means(
    imgs: list[Any], target_affine: Any, target_shape: Any, options: tuple[Any, int, Any]
) -> Any:
    """Return the mean of the means of images that differ in length or grid."""
    first = _mean_of(imgs[0], options)
    if target_affine is not None or target_shape is not None:
        first = resampled(first, target_affine, target_shape)
    total = np.array(first.dataobj)
    for img in imgs[1:]:
        mean = _mean_of(img, options)
        if not same_grid(first, mean):
            mean = resampled(mean, first.affine, first.shape[:3])
        total += np.asarray(mean.dataobj)
    total /= len(imgs)
    return image_like(first, total)
