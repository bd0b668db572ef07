"""Arrays that sum up voxels: one value per volume, or a histogram."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazyvox.image.single_scan import Images, scan_once
from lazyvox.stream.histogram import Histogram
from lazyvox.stream.series_stats import DVARS, GlobalSignal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lazyvox._typing import Array
    from lazyvox.lazyimage.load import ImageLike
    from lazyvox.runtime.progress import ProgressLike

__all__ = [
    "dvars",
    "global_signal",
    "histogram",
]


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
    return scan_once(imgs, GlobalSignal(mask_img), memory, n_jobs, progress)


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
    return scan_once(imgs, DVARS(mask_img), memory, n_jobs, progress)


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
    return scan_once(imgs, Histogram(bins, range), memory, n_jobs, progress)
