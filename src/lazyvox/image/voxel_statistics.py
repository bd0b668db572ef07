"""Images that sum up time: one value per voxel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazyvox.image.single_scan import Images, scan_once
from lazyvox.stream.voxelwise import AR1, TSNR, Max, Median, Min, Percentile, Std, Sum, Variance

if TYPE_CHECKING:
    from lazyvox.lazyimage.classes import LazyImage
    from lazyvox.runtime.progress import ProgressLike

__all__ = [
    "ar1_img",
    "max_img",
    "median_img",
    "min_img",
    "percentile_img",
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
    detrend: int | None = None,
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
    detrend : int, optional
        Order of the polynomial that is removed from the course of every voxel first: 1 for a
        line. By default none.
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
    return scan_once(imgs, Variance(ddof, detrend=detrend), memory, n_jobs, progress)


def std_img(
    imgs: Images,
    *,
    ddof: int = 0,
    detrend: int | None = None,
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
    detrend : int, optional
        Order of the polynomial that is removed from the course of every voxel first: 1 for a
        line. By default none.
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
    return scan_once(imgs, Std(ddof, detrend=detrend), memory, n_jobs, progress)


def tsnr_img(
    imgs: Images,
    *,
    ddof: int = 0,
    detrend: int | None = None,
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
    detrend : int, optional
        Order of the polynomial that is removed from the course of every voxel first: 1 for a
        line. By default none.
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
    return scan_once(imgs, TSNR(ddof, detrend=detrend), memory, n_jobs, progress)


def median_img(
    imgs: Images,
    *,
    memory: int | str | None = None,
    n_jobs: int = 1,
    progress: ProgressLike = None,
) -> LazyImage:
    """Return the median over time of every voxel, as `numpy.median` does.

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
        An image in memory, of shape (i, j, k), float64.

    Raises
    ------
    ParameterTypeError
        If voxels are complex.
    ImageFileError
        If a file is damaged, incomplete, or changes while it is read.
    MemoryBudgetError
        If the work does not fit the budget.

    Notes
    -----
    One pass, which writes the values to a nameless temporary file in the folder that TMPDIR names
    (in memory where they take at most 8 MiB). NaN where a value is NaN. Memory: about 12 MiB, one
    float64 volume and the block buffers.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.median_img("run.nii.gz").shape
    (12, 14, 10)
    """
    return scan_once(imgs, Median(), memory, n_jobs, progress)


def percentile_img(
    imgs: Images,
    q: float,
    *,
    memory: int | str | None = None,
    n_jobs: int = 1,
    progress: ProgressLike = None,
) -> LazyImage:
    """Return a percentile over time of every voxel, as `numpy.percentile` does.

    Parameters
    ----------
    imgs : image, path, or list of them
        A 3D or 4D image, or images on one grid that are joined along time.
    q : float
        0 to 100; between two values it is interpolated linearly.
    memory : int or str, optional
        Memory budget, such as ``"256MB"``.
    n_jobs : int, default=1
        Threads for the computation, as in scikit-learn; one more thread decodes.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    LazyImage
        An image in memory, of shape (i, j, k), float64.

    Raises
    ------
    ParameterError
        If `q` is outside of 0 to 100.
    ImageFileError
        If a file is damaged, incomplete, or changes while it is read.
    MemoryBudgetError
        If the work does not fit the budget.

    Notes
    -----
    One pass, which writes the values to a nameless temporary file in the folder that TMPDIR names
    (in memory where they take at most 8 MiB). NaN where a value is NaN. Memory: about 12 MiB, one
    float64 volume and the block buffers.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.percentile_img("run.nii.gz", 90).shape
    (12, 14, 10)
    """
    return scan_once(imgs, Percentile(q), memory, n_jobs, progress)


def ar1_img(
    imgs: Images,
    *,
    detrend: int = 0,
    memory: int | str | None = None,
    n_jobs: int = 1,
    progress: ProgressLike = None,
) -> LazyImage:
    """Return the autocorrelation of lag one of every voxel, the coefficient of an AR(1) model.

    Parameters
    ----------
    imgs : image, path, or list of them
        A 3D or 4D image, or images on one grid that are joined along time.
    detrend : int, default=0
        Order of the polynomial that is removed first: 0 for the mean, 1 for a line.
    memory : int or str, optional
        Memory budget, such as ``"256MB"``.
    n_jobs : int, default=1
        Threads for the computation, as in scikit-learn; one more thread decodes.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    LazyImage
        An image in memory, of shape (i, j, k), float64.

    Raises
    ------
    ParameterError
        If `detrend` is not smaller than the number of volumes.
    ImageFileError
        If a file is damaged, incomplete, or changes while it is read.
    MemoryBudgetError
        If the work does not fit the budget.

    Notes
    -----
    ``sum(r[1:] * r[:-1]) / sum(r**2)`` of the residuals ``r`` of the polynomial, 0 where nothing
    varies. One pass. Memory: 7 + 2 `detrend` float64 volumes and the block buffers.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.ar1_img("run.nii.gz").shape
    (12, 14, 10)
    """
    return scan_once(imgs, AR1(detrend=detrend), memory, n_jobs, progress)
