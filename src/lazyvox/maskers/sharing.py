"""Several maskers on one image, several images under one masker."""

from collections.abc import Callable, Sequence
from typing import Any

from lazyvox._threads import Workers
from lazyvox._typing import Array
from lazyvox.errors import MemoryBudgetError, ParameterError, ParameterTypeError
from lazyvox.maskers.base import BaseMasker, check_is_fitted
from lazyvox.maskers.work import Work, do_work
from lazyvox.runtime.budget import memory_budget, resolve_budget
from lazyvox.runtime.cores import resolve_n_jobs

__all__ = ["side_by_side", "transform_all"]


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
        shared = masker._checked(img) if shared is None else shared
        found = masker._all_confounds(shared, confounds)
        works.append(masker._work(shared, found, sample_mask))
    results = do_work(works, memory=memory, n_jobs=n_jobs)
    for work in works:
        if work.publish is not None:
            work.publish()
    return results


def side_by_side(
    calls: Sequence[Callable[[float | str | None], Any]],
    memory: float | str | None,
    n_jobs: int,
) -> list[Any]:
    """Make calls in threads, as many at once as the budget allows.

    Parameters
    ----------
    calls : sequence of callable
        Each takes its share of the budget in bytes, and raises `MemoryBudgetError` before it
        reads anything if that is too little.
    memory : int, str or None
        Budget of all together.
    n_jobs : int
        Calls at once, at most.

    Returns
    -------
    list
        What they return, in order.
    """
    budget = resolve_budget(memory)
    n_threads = min(resolve_n_jobs(n_jobs), len(calls))
    results: list[Any] = [None] * len(calls)
    left = list(range(len(calls)))
    while left and n_threads > 1:
        left = _round(calls, left, results, budget // n_threads, n_threads)
        # What did not fit its share gets a larger one, beside fewer others.
        n_threads = min(n_threads // 2, len(left))
    for number in left:
        results[number] = calls[number](memory if n_threads < 2 else budget)
    return results


def _round(
    calls: Sequence[Callable[[float | str | None], Any]],
    numbers: Sequence[int],
    results: list[Any],
    share: int,
    n_threads: int,
) -> list[int]:
    """Make calls with one share each; return those that it was too little for."""

    def one(number: int) -> bool:
        # A thread begins without the budget that surrounds the caller.
        with memory_budget(max(share, 1)):
            try:
                results[number] = calls[number](max(share, 1))
            except MemoryBudgetError:
                return False
        return True

    with Workers(n_threads, "lazyvox-maskers") as workers:
        jobs = [(number, workers.submit(one, number)) for number in numbers]
        return [number for number, job in jobs if not job.result()]
