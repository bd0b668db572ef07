"""Several maskers on one image."""

from collections.abc import Sequence
from typing import Any

from lazyvox._typing import Array
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.maskers.base import BaseMasker, check_is_fitted
from lazyvox.maskers.inputs import open_series
from lazyvox.maskers.transform_pass import Work, do_work

__all__ = ["transform_all"]


def transform_all(
    img: Any,
    maskers: Sequence[BaseMasker],
    confounds: Any = None,
    sample_mask: Any = None,
    memory: int | str | None = None,
    n_jobs: int = 1,
) -> list[Array]:
    """Transform one image with several maskers, in one pass over it.

    Parameters
    ----------
    img : image, path, pattern, or list of 3D ones
        The image.
    maskers : sequence of maskers
        Fitted maskers of this package, of whatever kinds. Those that resample and smooth alike
        share that work too.
    confounds : array, table, path, or list of them, optional
        Signals to remove, for all of them.
    sample_mask : array-like, optional
        Volumes to keep, for all of them.
    memory : int or str, optional
        Budget of the pass, such as ``"512MB"``.
    n_jobs : int, default=1
        Threads for extraction and cleaning; one more decodes.

    Returns
    -------
    list of ndarray
        What ``masker.transform(img, confounds, sample_mask)`` returns, for each.

    Raises
    ------
    ParameterError
        If there is no masker.
    ParameterTypeError
        If one of them is no masker of this package.
    NotFittedError
        If one of them is not fitted.
    MemoryBudgetError
        If the pass does not fit the budget; nothing was read.

    Notes
    -----
    Memory: the results, and buffers within the budget. One pass, unless a masker looks for
    confounds of high variance. Results are neither taken from a cache nor put there.

    Examples
    --------
    >>> from lazyvox.maskers import NiftiLabelsMasker, NiftiMasker, transform_all
    >>> voxels = NiftiMasker("mask.nii.gz", smoothing_fwhm=4).fit()
    >>> regions = NiftiLabelsMasker("atlas.nii.gz").fit()
    >>> [signals.shape[0] for signals in transform_all("run.nii.gz", [voxels, regions])]
    [40, 40]
    """
    if not maskers:
        msg = "`maskers` must be a list of at least one masker. Got none."
        raise ParameterError(msg)
    works: list[Work] = []
    shared: Any = None
    given: Sequence[Any] = maskers
    for number, masker in enumerate(given):
        if not isinstance(masker, BaseMasker):
            msg = (
                f"`maskers` must hold maskers of lazyvox. Got {type(masker).__name__} at place "
                f"{number}."
            )
            raise ParameterTypeError(msg)
        check_is_fitted(masker)
        # The same object for all, so that its checks and its reader are shared.
        shared = open_series(img) if shared is None else shared
        found = masker._all_confounds(shared, confounds)
        works.append(masker._work(shared, found, sample_mask))
    results = do_work(works, memory=memory, n_jobs=n_jobs)
    for masker, work in zip(given, works, strict=True):
        masker._publish_work(work)
    return results
