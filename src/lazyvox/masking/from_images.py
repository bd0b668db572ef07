"""Masks of the brain out of the images themselves."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyvox.image.checking import check_niimg
from lazyvox.lazyimage.classes import image_like
from lazyvox.masking.arguments import (
    checked_border,
    checked_fraction,
    checked_list,
    checked_opening,
)
from lazyvox.masking.combining import intersect_masks
from lazyvox.masking.mean import mean_volume
from lazyvox.masking.volumes import border_values, histogram_threshold, opened, smoothed
from lazyvox.planning.arguments import check_flag
from lazyvox.runtime.budget_shares import side_by_side
from lazyvox.stream.gather import zero_non_finite

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from lazyvox.lazyimage.classes import LazyImage
    from lazyvox.lazyimage.load import ImageLike

__all__ = [
    "compute_background_mask",
    "compute_epi_mask",
    "compute_multi_background_mask",
    "compute_multi_epi_mask",
]


def compute_epi_mask(
    epi_img: ImageLike | Sequence[ImageLike],
    lower_cutoff: float = 0.2,
    upper_cutoff: float = 0.85,
    connected: bool = True,
    opening: int | bool = 2,
    exclude_zeros: bool = False,
    ensure_finite: bool = True,
    target_affine: npt.ArrayLike | None = None,
    target_shape: npt.ArrayLike | None = None,
    memory: Any = None,
    verbose: int | bool = 0,
) -> LazyImage:
    """Return the voxels brighter than the widest gap in the histogram of the mean image.

    Parameters
    ----------
    epi_img : image, path, or list of them
        A 3D or 4D image, not detrended, or images on one grid that are joined along time.
    lower_cutoff : float, default=0.2
        Fraction of the sorted values of the mean below which no gap is looked for. Raise it where
        the mask is too large.
    upper_cutoff : float, default=0.85
        Fraction above which none is looked for.
    connected : bool, default=True
        Whether the largest connected part alone is kept.
    opening : int or bool, default=2
        Erosions that cut thin bridges before that, and rounding of the surface after it. If not
        0, the mean is smoothed by one voxel first.
    exclude_zeros : bool, default=False
        Whether zeros of the mean are left out of the histogram, for images that are padded.
    ensure_finite : bool, default=True
        Whether NaN and infinite values of the mean become zero.
    target_affine : array-like of shape (3, 3) or (4, 4), optional
        Affine of the mask, as in `lazyvox.image.resample_img`.
    target_shape : sequence of int of length 3, optional
        Shape of the mask; needs `target_affine`.
    memory : object, default=None
        Taken for compatibility. Nothing is cached: a cache of nilearn's kind is not renewed when
        a file changes.
    verbose : int or bool, default=0
        Whether a progress bar is shown on stderr.

    Returns
    -------
    LazyImage
        A mask in memory, of uint8.

    Raises
    ------
    ParameterError
        If an argument is out of range, or no values lie between the cutoffs.
    ParameterTypeError
        If an argument is of the wrong type, or voxels are not real.
    ImageFileError
        If a file is damaged, incomplete, or changes while it is read.
    MemoryBudgetError
        If the work does not fit the budget; nothing was read.

    Warns
    -----
    MaskWarning
        If the mask is empty.

    Notes
    -----
    One pass. Memory: 32 bytes per voxel of one volume, and the block buffers;
    `lazyvox.memory_budget` sets the limit. The rule is due to T. Nichols.

    Examples
    --------
    >>> from lazyvox.masking import compute_epi_mask
    >>> compute_epi_mask("run.nii.gz", opening=1).shape
    (12, 14, 10)
    """
    del memory
    check_flag(connected, "connected")
    n_openings = checked_opening(opening)
    lower = checked_fraction(lower_cutoff, "lower_cutoff")
    upper = checked_fraction(upper_cutoff, "upper_cutoff")
    img = check_niimg(epi_img)
    mean, affine = mean_volume(img, target_affine, target_shape, bool(verbose))
    if n_openings:
        mean = smoothed(mean)
    if ensure_finite:
        zero_non_finite(mean)
    mask = mean >= histogram_threshold(mean, lower, upper, exclude_zeros=exclude_zeros)
    del mean
    hint = "Images that were detrended have no brain that is brighter than its surroundings."
    mask = opened(mask, n_openings, hint, connected=connected)
    return image_like(img, mask.astype(np.uint8), affine)


def compute_background_mask(
    data_imgs: ImageLike | Sequence[ImageLike],
    border_size: int = 2,
    connected: bool = False,
    opening: int | bool = False,
    target_affine: npt.ArrayLike | None = None,
    target_shape: npt.ArrayLike | None = None,
    memory: Any = None,
    verbose: int | bool = 0,
) -> LazyImage:
    """Return the voxels whose mean differs from that of the border of the image.

    Parameters
    ----------
    data_imgs : image, path, or list of them
        A 3D or 4D image with a uniform background, or images on one grid that are joined along
        time.
    border_size : int, default=2
        Thickness of the border, in voxels. The background is the median of its voxels, or NaN
        where any of them is.
    connected : bool, default=False
        Whether the largest connected part alone is kept.
    opening : int or bool, default=False
        Erosions that cut thin bridges before that, and rounding of the surface after it.
    target_affine : array-like of shape (3, 3) or (4, 4), optional
        Affine of the mask, as in `lazyvox.image.resample_img`.
    target_shape : sequence of int of length 3, optional
        Shape of the mask; needs `target_affine`.
    memory : object, default=None
        Taken for compatibility; see `compute_epi_mask`.
    verbose : int or bool, default=0
        Whether a progress bar is shown on stderr.

    Returns
    -------
    LazyImage
        A mask in memory, of uint8.

    Raises
    ------
    ParameterError
        If an argument is out of range.
    ParameterTypeError
        If an argument is of the wrong type, or voxels are not real.
    ImageFileError
        If a file is damaged, incomplete, or changes while it is read.
    MemoryBudgetError
        If the work does not fit the budget; nothing was read.

    Warns
    -----
    MaskWarning
        If the mask is empty.

    Notes
    -----
    One pass. Memory: 32 bytes per voxel of one volume, and the block buffers.

    Examples
    --------
    >>> from lazyvox.masking import compute_background_mask
    >>> compute_background_mask("mask.nii.gz", border_size=1).shape
    (12, 14, 10)
    """
    del memory
    check_flag(connected, "connected")
    n_openings = checked_opening(opening)
    thickness = checked_border(border_size)
    img = check_niimg(data_imgs)
    mean, affine = mean_volume(img, target_affine, target_shape, bool(verbose))
    border = border_values(mean, thickness)
    # SPM sets the voxels outside of the brain to NaN.
    mask = ~np.isnan(mean) if np.isnan(border).any() else mean != np.median(border)
    del mean
    hint = "The background of the images must be uniform: one value, or NaN."
    mask = opened(mask, n_openings, hint, connected=connected)
    return image_like(img, mask.astype(np.uint8), affine)


def compute_multi_epi_mask(
    epi_imgs: Sequence[ImageLike],
    lower_cutoff: float = 0.2,
    upper_cutoff: float = 0.85,
    connected: bool = True,
    opening: int | bool = 2,
    threshold: float = 0.5,
    target_affine: npt.ArrayLike | None = None,
    target_shape: npt.ArrayLike | None = None,
    exclude_zeros: bool = False,
    n_jobs: int = 1,
    memory: Any = None,
    verbose: int | bool = 0,
) -> LazyImage:
    """Return the voxels that are in the brain masks of more than a fraction of runs or subjects.

    Parameters
    ----------
    epi_imgs : list of images or paths
        One 3D or 4D image per run or subject, on one grid unless `target_affine` and
        `target_shape` give one.
    lower_cutoff, upper_cutoff : float
        See `compute_epi_mask`.
    connected : bool, default=True
        Whether the largest connected part alone is kept, of each mask and of the common one.
    opening : int or bool, default=2
        See `compute_epi_mask`.
    threshold : float, default=0.5
        The fraction, from 0 (the union) to 1 (voxels that are in all masks).
    target_affine : array-like of shape (3, 3) or (4, 4), optional
        Affine of the mask.
    target_shape : sequence of int of length 3, optional
        Shape of the mask; needs `target_affine`.
    exclude_zeros : bool, default=False
        See `compute_epi_mask`.
    n_jobs : int, default=1
        Images that are read side by side, as in scikit-learn; fewer where the memory budget does
        not allow it.
    memory : object, default=None
        Taken for compatibility; see `compute_epi_mask`.
    verbose : int or bool, default=0
        Whether a progress bar is shown on stderr for each image.

    Returns
    -------
    LazyImage
        A mask in memory, of int8.

    Raises
    ------
    ParameterTypeError
        If `epi_imgs` is no list or empty, or an argument is of the wrong type.
    ParameterError
        If an argument is out of range.
    GridMismatchError
        If the images are not on one grid.
    ImageFileError
        If a file is damaged, incomplete, or changes while it is read.
    MemoryBudgetError
        If the work does not fit the budget.

    Notes
    -----
    One pass over each image. Memory: that of `n_jobs` calls of `compute_epi_mask`, which share
    the budget, and one byte per voxel of each mask.

    Examples
    --------
    >>> from lazyvox.masking import compute_multi_epi_mask
    >>> compute_multi_epi_mask(["run.nii.gz", "run.nii.gz"], opening=1, n_jobs=2).shape
    (12, 14, 10)
    """
    del memory
    imgs = checked_list(epi_imgs, "epi_imgs")
    checked_fraction(threshold, "threshold")
    one_mask = partial(
        compute_epi_mask,
        lower_cutoff=lower_cutoff,
        upper_cutoff=upper_cutoff,
        connected=connected,
        opening=opening,
        exclude_zeros=exclude_zeros,
        target_affine=target_affine,
        target_shape=target_shape,
        verbose=verbose,
    )
    masks = side_by_side([partial(_within_share, one_mask, img) for img in imgs], None, n_jobs)
    return intersect_masks(masks, threshold=threshold, connected=connected)


def compute_multi_background_mask(
    data_imgs: Sequence[ImageLike],
    border_size: int = 2,
    connected: bool = True,
    opening: int | bool = 2,
    threshold: float = 0.5,
    target_affine: npt.ArrayLike | None = None,
    target_shape: npt.ArrayLike | None = None,
    n_jobs: int = 1,
    memory: Any = None,
    verbose: int | bool = 0,
) -> LazyImage:
    """Return the voxels that differ from the background in more than a fraction of the images.

    Parameters
    ----------
    data_imgs : list of images or paths
        One 3D or 4D image per run or subject, on one grid unless `target_affine` and
        `target_shape` give one.
    border_size : int, default=2
        See `compute_background_mask`.
    connected : bool, default=True
        Whether the largest connected part alone is kept, of each mask and of the common one.
    opening : int or bool, default=2
        See `compute_background_mask`.
    threshold : float, default=0.5
        The fraction, from 0 (the union) to 1 (voxels that are in all masks).
    target_affine : array-like of shape (3, 3) or (4, 4), optional
        Affine of the mask.
    target_shape : sequence of int of length 3, optional
        Shape of the mask; needs `target_affine`.
    n_jobs : int, default=1
        Images that are read side by side, as in scikit-learn; fewer where the memory budget does
        not allow it.
    memory : object, default=None
        Taken for compatibility; see `compute_epi_mask`.
    verbose : int or bool, default=0
        Whether a progress bar is shown on stderr for each image.

    Returns
    -------
    LazyImage
        A mask in memory, of int8.

    Raises
    ------
    ParameterTypeError
        If `data_imgs` is no list or empty, or an argument is of the wrong type.
    ParameterError
        If an argument is out of range.
    GridMismatchError
        If the images are not on one grid.
    ImageFileError
        If a file is damaged, incomplete, or changes while it is read.
    MemoryBudgetError
        If the work does not fit the budget.

    Notes
    -----
    One pass over each image. Memory: that of `n_jobs` calls of `compute_background_mask`, which
    share the budget, and one byte per voxel of each mask.

    Examples
    --------
    >>> from lazyvox.masking import compute_multi_background_mask
    >>> masks = ["left.nii.gz", "right.nii.gz"]
    >>> compute_multi_background_mask(masks, border_size=1, opening=0, threshold=0).shape
    (12, 14, 10)
    """
    del memory
    imgs = checked_list(data_imgs, "data_imgs")
    checked_fraction(threshold, "threshold")
    one_mask = partial(
        compute_background_mask,
        border_size=border_size,
        connected=connected,
        opening=opening,
        target_affine=target_affine,
        target_shape=target_shape,
        verbose=verbose,
    )
    masks = side_by_side([partial(_within_share, one_mask, img) for img in imgs], None, n_jobs)
    return intersect_masks(masks, threshold=threshold, connected=connected)


def _within_share(
    one_mask: Callable[[Any], LazyImage], img: Any, share: float | str | None
) -> LazyImage:
    # Masks take their share from the block of code around them.
    del share
    return one_mask(img)
