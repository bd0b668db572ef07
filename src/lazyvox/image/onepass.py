"""Every consumer as one call: a scan with a single consumer."""

from collections.abc import Sequence

from lazyvox._typing import Array
from lazyvox.lazyimage.classes import LazyImage
from lazyvox.lazyimage.load import ImageLike
from lazyvox.runtime.progress import ProgressLike
from lazyvox.stream.consumer import Consumer, ResultT
from lazyvox.stream.histogram import Histogram
from lazyvox.stream.moments import TSNR, Std, Variance
from lazyvox.stream.scan import Scan
from lazyvox.stream.series_stats import DVARS, GlobalSignal
from lazyvox.stream.voxelwise import Max, Mean, Min, Sum

__all__ = [
    "dvars",
    "global_signal",
    "histogram",
    "max_img",
    "mean_img",
    "min_img",
    "std_img",
    "sum_img",
    "tsnr_img",
    "var_img",
]

Images = ImageLike | Sequence[ImageLike]


def mean_img(
    imgs: Images,
    *,
    memory: int | str | None = None,
    n_jobs: int = 1,
    progress: ProgressLike = None,
) -> LazyImage:
    """Return the mean over time of every voxel.

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
    One pass. Memory: one float64 volume and the block buffers.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.mean_img("run.nii.gz").shape
    (12, 14, 10)
    """
    return _scan(imgs, Mean(), memory, n_jobs, progress)


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
    return _scan(imgs, Sum(), memory, n_jobs, progress)


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
    return _scan(imgs, Min(), memory, n_jobs, progress)


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
    return _scan(imgs, Max(), memory, n_jobs, progress)


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
    One pass, numerically stable. Memory: six float64 volumes and the block buffers.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.var_img("run.nii.gz").shape
    (12, 14, 10)
    """
    return _scan(imgs, Variance(ddof), memory, n_jobs, progress)


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
    One pass, numerically stable. Memory: six float64 volumes and the block buffers.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.std_img("run.nii.gz", ddof=1).shape
    (12, 14, 10)
    """
    return _scan(imgs, Std(ddof), memory, n_jobs, progress)


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
    Mean over standard deviation, 0 where nothing varies. One pass. Memory: nine float64
    volumes and the block buffers.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.tsnr_img("run.nii.gz").shape
    (12, 14, 10)
    """
    return _scan(imgs, TSNR(ddof), memory, n_jobs, progress)


def global_signal(
    imgs: Images,
    *,
    mask_img: ImageLike | None = None,
    memory: int | str | None = None,
    n_jobs: int = 1,
    progress: ProgressLike = None,
) -> Array:
    """Return the mean over voxels of every volume.

    Parameters
    ----------
    imgs : image, path, or list of them
        A 3D or 4D image, or images on one grid that are joined along time.
    mask_img : image or path, optional
        The voxels to take; by default all of them.
    memory : int or str, optional
        Memory budget, such as ``"256MB"``.
    n_jobs : int, default=1
        Threads for the computation, as in scikit-learn; one more thread decodes.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    ndarray of shape (n_volumes,), float64
        The global signal.

    Raises
    ------
    ImageFileError
        If a file is damaged, incomplete, or changes while it is read.
    MemoryBudgetError
        If the work does not fit the budget.

    Notes
    -----
    One pass. Memory: two float64 volumes and the block buffers.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.global_signal("run.nii.gz", mask_img="mask.nii.gz").shape
    (40,)
    """
    return _scan(imgs, GlobalSignal(mask_img), memory, n_jobs, progress)


def dvars(
    imgs: Images,
    *,
    mask_img: ImageLike | None = None,
    memory: int | str | None = None,
    n_jobs: int = 1,
    progress: ProgressLike = None,
) -> Array:
    """Return the root mean square change of every volume from the one before.

    Parameters
    ----------
    imgs : image, path, or list of them
        A 3D or 4D image, or images on one grid that are joined along time.
    mask_img : image or path, optional
        The voxels to take; by default all of them.
    memory : int or str, optional
        Memory budget, such as ``"256MB"``.
    n_jobs : int, default=1
        Threads for the computation, as in scikit-learn; one more thread decodes.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    ndarray of shape (n_volumes,), float64
        DVARS; the first value is NaN.

    Raises
    ------
    ImageFileError
        If a file is damaged, incomplete, or changes while it is read.
    MemoryBudgetError
        If the work does not fit the budget.

    Notes
    -----
    One pass. Memory: four volumes and the block buffers.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.dvars("run.nii.gz", mask_img="mask.nii.gz").shape
    (40,)
    """
    return _scan(imgs, DVARS(mask_img), memory, n_jobs, progress)


def histogram(
    imgs: Images,
    *,
    bins: int | Sequence[float] = 256,
    range: tuple[float, float] | None = None,
    memory: int | str | None = None,
    n_jobs: int = 1,
    progress: ProgressLike = None,
) -> tuple[Array, Array]:
    """Return the histogram of all voxels of all volumes.

    Parameters
    ----------
    imgs : image, path, or list of them
        A 3D or 4D image, or images on one grid that are joined along time.
    bins : int or sequence of float, default=256
        Number of equal bins, or the edges.
    range : (float, float), optional
        Ends of the bins. Without it an extra pass finds the smallest and the largest value.
    memory : int or str, optional
        Memory budget, such as ``"256MB"``.
    n_jobs : int, default=1
        Threads for the computation, as in scikit-learn; one more thread decodes.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    counts : ndarray of shape (n_bins,), int64
        Voxels in each bin.
    edges : ndarray of shape (n_bins + 1,), float64
        Edges of the bins, as in `numpy.histogram`.

    Raises
    ------
    ImageFileError
        If a file is damaged, incomplete, or changes while it is read.
    MemoryBudgetError
        If the work does not fit the budget.

    Notes
    -----
    One pass, or two without `range`. Memory: about 5 MiB and the block buffers.

    Examples
    --------
    >>> import lazyvox as lv
    >>> counts, edges = lv.histogram("run.nii.gz", bins=16)
    >>> int(counts.sum()), len(edges)
    (67200, 17)
    """
    return _scan(imgs, Histogram(bins, range), memory, n_jobs, progress)


def _scan(
    imgs: Images,
    consumer: Consumer[ResultT],
    memory: int | str | None,
    n_jobs: int,
    progress: ProgressLike,
) -> ResultT:
    """Run a scan with one consumer and return its result."""
    scan = Scan(imgs)
    handle = scan.add(consumer)
    scan.run(memory=memory, n_jobs=n_jobs, progress=progress)
    return handle.result()
