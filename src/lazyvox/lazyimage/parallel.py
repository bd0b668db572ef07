"""`lazyvox.map_images`: a function of one image, called for many images in several processes."""

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from textwrap import shorten
from typing import Any, Literal, TypeVar, get_args

from nibabel.spatialimages import SpatialImage

from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.lazyimage.dataobj import name_of
from lazyvox.lazyimage.load import load
from lazyvox.lazyimage.sharing import SharedHandle
from lazyvox.planning.arguments import check_choice
from lazyvox.runtime.budget import memory_budget, resolve_budget
from lazyvox.runtime.process_pool import Crew
from lazyvox.runtime.process_results import packed_call
from lazyvox.runtime.progress import ProgressLike, resolve_progress
from lazyvox.runtime.sized_calls import Raised, SizedCall, answers, resolve_processes
from lazyvox.store.remote.options import carried

__all__ = [
    "OnError",
    "answers_in_order",
    "call_with_image",
    "list_of_images",
    "map_images",
    "shown_image",
]

ResultT = TypeVar("ResultT")

OnError = Literal["raise", "return"]

#: Less than this no pass over an image of usual size can do with.
_LEAST_SHARE = 24 << 20


def map_images(
    func: Callable[..., ResultT],
    imgs: Iterable[Any],
    *args_per_image: Iterable[Any],
    n_jobs: int | None = -1,
    memory: float | str | None = None,
    size_of: Callable[[Any], int] | None = None,
    on_error: OnError = "raise",
    context: str = "spawn",
    progress: ProgressLike = None,
) -> list[ResultT]:
    """Call a function for each of many images, as many simultaneously as cores and memory allow.

    Parameters
    ----------
    func : callable
        Called with one image, and one of each list of `args_per_image`, in a process of its own;
        returns something picklable. Functions of a notebook or script, and lambdas, are sent with
        their code; those of modules by name.
    imgs : iterable of images, paths, handles or arrays
        Paths are loaded, and handles of `lazyvox.shared` opened, in the process that needs them.
        Lazy images are sent as what they are, a description; images in memory with all values.
    *args_per_image : iterable
        Further arguments, as of `map`: one for each image.
    n_jobs : int, default=-1
        Most simultaneous images, as in scikit-learn: by default one for each usable core. With 1 the
        calls are made here, one after the other.
    memory : int, float or str, optional
        Budget of all calls together, such as ``"2GiB"``. By default the budget in force. Each
        process has its share of it as its own `lazyvox.memory_budget`.
    size_of : callable, optional
        Returns the bytes that the call for an image (as given, so often a path) will take: no
        more images are then worked on simultaneously than fit the budget, at least one. For functions
        that hold whole arrays, which no budget of lazyvox can know.
    on_error : {"raise", "return"}, default="raise"
        Treatment of an error: "raise" ends the calls; "return" goes on with the other images,
        and puts the exception into the list, in the place of the result.
    context : {"spawn", "forkserver"}, default="spawn"
        How processes are started: each afresh; or, on Linux, forked from one that has made the
        imports of `func`, which share their memory. Where imports begin threads, afresh too.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    list
        What `func` returned, in the order of `imgs`.

    Raises
    ------
    ParameterError
        If `n_jobs`, `memory`, `on_error` or `context` is out of range, or a list of arguments has
        not one for each image.
    ParameterTypeError
        If `func` cannot be called, or cannot be sent to another process.
    MemoryBudgetError
        If an image does not fit the whole budget.
    LazyvoxError
        If a process is killed: the message names the signal and the image.

    Notes
    -----
    Whatever `func` raises is raised here, for the first image in order, with a note that names
    the image and the traceback of the process; calls under way are stopped. A call that raises
    `MemoryBudgetError`, as functions of lazyvox do before they read, is made again with twice the
    memory beside fewer others. Numerical libraries get the cores that are left for each process.
    Inside of a process that may not start others, calls are made one after the other. Scripts
    call this below ``if __name__ == "__main__":``.

    Memory: results, the budget, and 40 to 60 MiB per process for Python and its imports.

    Examples
    --------
    >>> import lazyvox as lv
    >>> means = lv.map_images(lv.mean_img, ["run.nii.gz", "run.nii.gz"], n_jobs=1)
    >>> [img.shape for img in means]
    [(12, 14, 10), (12, 14, 10)]
    >>> subjects = ["01", "02"]
    >>> lv.map_images(lambda img, subject: (subject, img.ndim), ["run.nii.gz"] * 2, subjects, n_jobs=1)
    [('01', 4), ('02', 4)]
    """
    for name, given in (("func", func), ("size_of", size_of)):
        if not (callable(given) or (name == "size_of" and given is None)):
            msg = f"`{name}` must be a function of one image. Got {type(given).__name__}."
            raise ParameterTypeError(msg)
    images = list_of_images(imgs)
    rows = list(zip(*(_column(one, len(images)) for one in args_per_image), strict=True))
    budget = resolve_budget(memory)
    n_workers = _n_workers(n_jobs, len(images), budget)
    Crew.check_context(context)
    check_choice(on_error, "on_error", get_args(OnError))
    if n_workers > 1:
        # Before any process is started, and by the name that the caller knows.
        packed_call("map_images", func)
    share = budget // max(n_workers, 1)
    calls = [
        SizedCall(
            number,
            f"image {number} ({shown_image(img)})",
            (img, *(rows[number] if rows else ())),
            share if size_of is None else max(share, min(int(size_of(img)), budget)),
        )
        for number, img in enumerate(images)
    ]
    return answers_in_order(
        "map_images",
        carried(functools.partial(call_with_image, func)),
        calls,
        budget=budget,
        n_workers=n_workers,
        context=context,
        on_error=on_error,
        progress=progress,
    )


def answers_in_order(
    name: str,
    func: Callable[..., Any],
    calls: Sequence[SizedCall],
    *,
    budget: int,
    n_workers: int,
    context: str = "forkserver",
    on_error: OnError = "raise",
    progress: ProgressLike = None,
) -> list[Any]:
    """Make calls about images, and return the answers in their order.

    Parameters
    ----------
    name, func, calls, budget, n_workers, context
        As of `lazyvox.runtime.sized_calls.answers`.
    on_error : {"raise", "return"}
        Whether the first error in order is raised, or all take the places of their results.
    progress : bool or callable, optional
        Receives the number of images done.

    Returns
    -------
    list
        Results, or exceptions.
    """
    results: list[Any] = [None] * len(calls)
    left = set(range(len(calls)))
    failed: dict[int, Exception] = {}
    reporter = resolve_progress(progress)
    reporter.start(len(calls), "images", name)
    try:
        with closing(
            answers(name, func, calls, budget=budget, n_workers=n_workers, context=context)
        ) as made:
            for call, answer in made:
                left.discard(call.number)
                results[call.number] = answer
                if isinstance(answer, Raised):
                    results[call.number] = failed[call.number] = answer.error
                # What comes earlier in order may fail too, and would be the one to raise.
                if on_error == "raise" and failed and min(failed) < min(left, default=len(calls)):
                    raise failed[min(failed)]
                reporter.advance(1)
    finally:
        reporter.close()
    return results


def list_of_images(imgs: Any) -> list[Any]:
    """Return the images of an iterable.

    Raises
    ------
    ParameterTypeError
        If it is one image, or no iterable.
    """
    if isinstance(imgs, str | bytes | os.PathLike | SpatialImage | SharedHandle):
        msg = (
            f"`imgs` must be a list of images, or another iterable of them. Got one "
            f"{type(imgs).__name__}. Put it into a list."
        )
        raise ParameterTypeError(msg)
    if not isinstance(imgs, Iterable):
        msg = f"`imgs` must be an iterable of images. Got {type(imgs).__name__}."
        raise ParameterTypeError(msg)
    return list(imgs)


def shown_image(img: Any) -> str:
    """Return an image, or a list of them, as messages show it."""
    if isinstance(img, SpatialImage):
        return name_of(img)
    return shorten(str(img) if isinstance(img, str | os.PathLike) else repr(img), 200)


def _column(given: Any, n_images: int) -> list[Any]:
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        msg = (
            f"`args_per_image` must be lists of arguments, one for each image. Got "
            f"{type(given).__name__}. Pass options such as n_jobs by their names, and what is the "
            f"same for all images by functools.partial."
        )
        raise ParameterTypeError(msg)
    column = list(given)
    if len(column) != n_images:
        msg = (
            f"`args_per_image` must have {n_images} items, one for each image. Got {len(column)}."
        )
        raise ParameterError(msg, value=len(column))
    return column


def call_with_image(func: Callable[..., Any], img: Any, *rest: Any) -> Any:
    """Call a function with an opened image and more, in whatever process this is.

    Parameters
    ----------
    func : callable
        Function of an image, and further arguments.
    img : image, path, handle or array
        Opened here, where it is a path or a handle.
    *rest : object
        Further arguments; behind them the bytes of memory for the call.

    Returns
    -------
    object
        What the function returned.
    """
    *args, share = rest
    with memory_budget(max(share, 1)):
        if isinstance(img, SharedHandle):
            return func(img.open(), *args)
        return func(load(img) if isinstance(img, str | bytes | os.PathLike) else img, *args)


def _n_workers(n_jobs: int | None, n_images: int, budget: int) -> int:
    return min(resolve_processes(n_jobs), n_images, max(budget // _LEAST_SHARE, 1))
