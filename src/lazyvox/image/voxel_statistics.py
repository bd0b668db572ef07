"""Images that sum up time: one value per voxel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazyvox.image.single_scan import Images, scan_once
from lazyvox.stream.voxelwise import TSNR, Max, Min, Std, Sum, Variance

if TYPE_CHECKING:
    from lazyvox.lazyimage.classes import LazyImage
    from lazyvox.runtime.progress import ProgressLike

__all__ = [
    "max_img",
    "min_img",
    "std_img",
    "sum_img",
    "tsnr_img",
    "var_img",
]


def sum_img(
    imgs: Images,
    *,
    memory: int | str | None = None,
    n_jobs: int = 1,
    progress: ProgressLike = None,
) -> LazyImage:
    """Return the sum over time of every voxel.

    Parameters
    ----------
    imgs : image, path, or list of them
        A 3D or 4D image, or images on one grid that are joined along time.
    memory : int or str, optional
        Memory budget, such as ``"256MB"``.
    n_jobs : int, default=1
        Threads for the computation, as in scikit-learn; one more thread decodes.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    LazyImage
        An image in memory, of shape (i, j, k).

    Raises
    ------
    ImageFileError
        If a file is damaged, incomplete, or changes while it is read.
    MemoryBudgetError
        If the work does not fit the budget.

    Notes
    -----
    One pass. Memory: one 8-byte volume and the block buffers. Integer sums are exact.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.sum_img("run.nii.gz").shape
    (12, 14, 10)
    """
    return scan_once(imgs, Sum(), memory, n_jobs, progress)


def min_img(
    imgs: Images,
    *,
    memory: int | str | None = None,
    n_jobs: int = 1,
    progress: ProgressLike = None,
) -> LazyImage:
    """Return the smallest value over time of every voxel.

    Parameters
    ----------
    imgs : image, path, or list of them
        A 3D or 4D image, or images on one grid that are joined along time.
    memory : int or str, optional
        Memory budget, such as ``"256MB"``.
    n_jobs : int, default=1
        Threads for the computation, as in scikit-learn; one more thread decodes.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    LazyImage
        An image in memory, of shape (i, j, k).

    Raises
    ------
    ImageFileError
        If a file is damaged, incomplete, or changes while it is read.
    MemoryBudgetError
        If the work does not fit the budget.

    Notes
    -----
    One pass. Memory: one volume and the block buffers. NaN is passed on.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.min_img("run.nii.gz").shape
    (12, 14, 10)
    """
    return scan_once(imgs, Min(), memory, n_jobs, progress)


def max_img(
    imgs: Images,
    *,
    memory: int | str | None = None,
    n_jobs: int = 1,
    progress: ProgressLike = None,
) -> LazyImage:
    """Return the largest value over time of every voxel.

    Parameters
    ----------
    imgs : image, path, or list of them
        A 3D or 4D image, or images on one grid that are joined along time.
    memory : int or str, optional
        Memory budget, such as ``"256MB"``.
    n_jobs : int, default=1
        Threads for the computation, as in scikit-learn; one more thread decodes.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    LazyImage
        An image in memory, of shape (i, j, k).

    Raises
    ------
    ImageFileError
        If a file is damaged, incomplete, or changes while it is read.
    MemoryBudgetError
        If the work does not fit the budget.

    Notes
    -----
    One pass. Memory: one volume and the block buffers. NaN is passed on.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.max_img("run.nii.gz").shape
    (12, 14, 10)
    """
    return scan_once(imgs, Max(), memory, n_jobs, progress)


def var_img(
    imgs: Images,
    *,
    ddof: int = 0,
    memory: int | str | None = None,
    n_jobs: int = 1,
    progress: ProgressLike = None,
) -> LazyImage:
    """Return the variance over time of every voxel.

    Parameters
    ----------
    imgs : image, path, or list of them
        A 3D or 4D image, or images on one grid that are joined along time.
    ddof : int, default=0
        Sums of squares are divided by the number of volumes minus `ddof`.
    memory : int or str, optional
        Memory budget, such as ``"256MB"``.
    n_jobs : int, default=1
        Threads for the computation, as in scikit-learn; one more thread decodes.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    LazyImage
        An image in memory, of shape (i, j, k).

    Raises
    ------
    ImageFileError
        If a file is damaged, incomplete, or changes while it is read.
    MemoryBudgetError
        If the work does not fit the budget.

    Notes
    -----
    One pass, numerically stable. Memory: four float64 volumes and the block buffers.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.var_img("run.nii.gz").shape
    (12, 14, 10)
    """
    return scan_once(imgs, Variance(ddof), memory, n_jobs, progress)


def std_img(
    imgs: Images,
    *,
    ddof: int = 0,
    memory: int | str | None = None,
    n_jobs: int = 1,
    progress: ProgressLike = None,
) -> LazyImage:
    """Return the standard deviation over time of every voxel.

    Parameters
    ----------
    imgs : image, path, or list of them
        A 3D or 4D image, or images on one grid that are joined along time.
    ddof : int, default=0
        Sums of squares are divided by the number of volumes minus `ddof`.
    memory : int or str, optional
        Memory budget, such as ``"256MB"``.
    n_jobs : int, default=1
        Threads for the computation, as in scikit-learn; one more thread decodes.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    LazyImage
        An image in memory, of shape (i, j, k).

    Raises
    ------
    ImageFileError
        If a file is damaged, incomplete, or changes while it is read.
    MemoryBudgetError
        If the work does not fit the budget.

    Notes
    -----
    One pass, numerically stable. Memory: four float64 volumes and the block buffers.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.std_img("run.nii.gz", ddof=1).shape
    (12, 14, 10)
    """
    return scan_once(imgs, Std(ddof), memory, n_jobs, progress)


def tsnr_img(
    imgs: Images,
    *,
    ddof: int = 0,
    memory: int | str | None = None,
    n_jobs: int = 1,
    progress: ProgressLike = None,
) -> LazyImage:
    """Return the temporal signal-to-noise ratio of every voxel.

    Parameters
    ----------
    imgs : image, path, or list of them
        A 3D or 4D image, or images on one grid that are joined along time.
    ddof : int, default=0
        Sums of squares are divided by the number of volumes minus `ddof`.
    memory : int or str, optional
        Memory budget, such as ``"256MB"``.
    n_jobs : int, default=1
        Threads for the computation, as in scikit-learn; one more thread decodes.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    LazyImage
        An image in memory, of shape (i, j, k).

    Raises
    ------
    ImageFileError
        If a file is damaged, incomplete, or changes while it is read.
    MemoryBudgetError
        If the work does not fit the budget.

    Notes
    -----
    Mean over standard deviation, 0 where nothing varies, NaN where a value is infinite. One
    pass. Memory: four float64 volumes and the block buffers.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.tsnr_img("run.nii.gz").shape
    (12, 14, 10)
    """
    return scan_once(imgs, TSNR(ddof), memory, n_jobs, progress)
