"""`lazyvox.map_images`: a function of one image, called for many images in several processes."""

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any, TypeVar

from nibabel.spatialimages import SpatialImage

from lazyvox._typing import override
from lazyvox.errors import MemoryBudgetError, ParameterTypeError
from lazyvox.lazyimage.dataobj import name_of
from lazyvox.lazyimage.load import load
from lazyvox.lazyimage.sharing import SharedHandle
from lazyvox.runtime.budget import memory_budget, resolve_budget
from lazyvox.runtime.cores import resolve_n_jobs, usable_cores
from lazyvox.runtime.prefetch import Prefetched, Step
from lazyvox.runtime.process_pool import Crew
from lazyvox.runtime.process_results import packed_call
from lazyvox.runtime.progress import Progress, ProgressLike, resolve_progress

__all__ = ["map_images"]

ResultT = TypeVar("ResultT")

#: Less than this no pass over an image of usual size can do with.
_LEAST_SHARE = 24 << 20


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """One call: its image, and the memory it may take."""

    number: int
    img: Any
    share: int
    size: int

    @property
    def what(self) -> str:
        return f"image {self.number} ({_name(self.img)})"


@dataclass(frozen=True, slots=True)
class _TooLittle:
    """The answer of a call that its share of the budget was too little for."""


def map_images(
    func: Callable[[Any], ResultT],
    imgs: Iterable[Any],
    n_jobs: int | None = -1,
    memory: float | str | None = None,
    *,
    size_of: Callable[[Any], int] | None = None,
    context: str = "spawn",
    progress: ProgressLike = None,
) -> list[ResultT]:
    """Call a function for each of many images, as many simultaneously as cores and memory allow.

    Parameters
    ----------
    func : callable
        Called with one image, in a process of its own; returns something picklable. It must be
        picklable too: defined at the top of a module, or a `functools.partial` of such a
        function.
    imgs : iterable of images, paths, handles or arrays
        Paths are loaded, and handles of `lazyvox.shared` opened, in the process that needs them.
        Lazy images are sent as what they are, a description; images in memory with all values.
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
    context : {"spawn", "forkserver"}, default="spawn"
        How processes are started.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    list
        What `func` returned, in the order of `imgs`.

    Raises
    ------
    ParameterError
        If `n_jobs`, `memory` or `context` is out of range.
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
    `MemoryBudgetError`, as functions of lazyvox do before they read, is made again with a larger
    share beside fewer others. Numerical libraries get the cores that are left for each process.
    Inside of a process that may not start others, calls are made one after the other. Scripts
    call this below ``if __name__ == "__main__":``.

    Memory: results, the budget, and 40 to 60 MiB per process for Python and its imports.

    Examples
    --------
    >>> import lazyvox as lv
    >>> means = lv.map_images(lv.mean_img, ["run.nii.gz", "run.nii.gz"], n_jobs=1)
    >>> [img.shape for img in means]
    [(12, 14, 10), (12, 14, 10)]
    """
    for name, given in (("func", func), ("size_of", size_of)):
        if not (callable(given) or (name == "size_of" and given is None)):
            msg = f"`{name}` must be a function of one image. Got {type(given).__name__}."
            raise ParameterTypeError(msg)
    tasks = list(_as_list(imgs))
    budget = resolve_budget(memory)
    sizes = [0 if size_of is None else int(size_of(img)) for img in tasks]
    n_workers = _n_workers(n_jobs, len(tasks), budget)
    Crew.check_context(context)
    reporter = resolve_progress(progress)
    reporter.start(len(tasks), "images", "map_images")
    try:
        return _mapped(func, tasks, sizes, budget, n_workers, context, reporter)
    finally:
        reporter.close()


def _mapped(
    func: Callable[[Any], Any],
    imgs: list[Any],
    sizes: list[int],
    budget: int,
    n_workers: int,
    context: str,
    reporter: Progress,
) -> list[Any]:
    results: list[Any] = [_TooLittle()] * len(imgs)
    if n_workers > 1:
        # Before any process is started, and by the name that the caller knows.
        packed_call("map_images", func)
    left = list(range(len(imgs)))
    while left and n_workers > 1:
        share = budget // n_workers
        tasks = [_Task(i, imgs[i], max(share, min(sizes[i], budget)), sizes[i]) for i in left]
        n_threads = max(usable_cores() // n_workers, 1)
        with (
            Crew(
                "map_images",
                functools.partial(_call, func),
                n_workers=n_workers,
                n_threads=n_threads,
                context=context,
            ) as crew,
            _Mapping(tasks, crew, n_workers, budget) as answers,
        ):
            for task, answer in zip(tasks, answers, strict=True):
                results[task.number] = answer
                reporter.advance(not isinstance(answer, _TooLittle))
        left = [i for i in left if isinstance(results[i], _TooLittle)]
        # What did not fit its share gets a larger one, beside fewer others.
        n_workers = min(n_workers // 2, len(left))
    for i in left:
        results[i] = _called_here(func, _Task(i, imgs[i], budget, sizes[i]))
        reporter.advance(1)
    return results


class _Mapping(Prefetched[_Task, Any]):
    """Iterator of the answers to tasks, in order; closing it ends the calls under way."""

    def __init__(self, tasks: list[_Task], crew: Crew, n_workers: int, budget: int) -> None:
        self._crew = crew
        self._room = _Room(budget, n_workers)
        super().__init__(
            tasks,
            self._made,
            n_items=max(len(tasks), 1),
            n_threads=n_workers,
            name="lazyvox-map",
            admission=self._room,
        )

    @override
    def pause(self, *, keeps_loaded: bool = False) -> None:
        """End the processes first: the threads wait for them."""
        self._crew.stop()
        super().pause(keeps_loaded=keeps_loaded)

    def _made(self, task: _Task) -> Any:
        try:
            return self._crew.call(task.what, task.img, task.share)
        except MemoryBudgetError:
            return _TooLittle()
        finally:
            if task.size:
                self._room.leave(task)
                self.resume()


class _Room:
    """Lets tasks begin while the running ones fit the budget; one always may."""

    def __init__(self, budget: int, n_workers: int) -> None:
        self._budget = budget
        self._n_workers = n_workers
        self._under_way: dict[int, int] = {}

    def admits(self, step: Step[_Task, Any], before: Sequence[Step[_Task, Any]], /) -> bool:
        """Return whether a task may begin; called with the lock of the iteration."""
        del before
        if not step.task.size:
            # The number of processes is the only bound.
            return True
        held = list(self._under_way.values())
        if held and (len(held) >= self._n_workers or sum(held) + step.task.size > self._budget):
            return False
        self._under_way[step.task.number] = step.task.size
        return True

    def leave(self, task: _Task) -> None:
        """Record that a task is done; called from its thread."""
        self._under_way.pop(task.number, None)

    def delivered(self, step: Step[_Task, Any], item: Any, /) -> None:
        """No-op: only running tasks are counted."""

    def withdrawn(self, step: Step[_Task, Any], item: Any, /) -> None:
        """No-op: only running tasks are counted."""


def _call(func: Callable[[Any], Any], img: Any, share: int) -> Any:
    """Make one call, in whatever process this is, within its share of the budget."""
    with memory_budget(max(share, 1)):
        if isinstance(img, SharedHandle):
            return func(img.open())
        return func(load(img) if isinstance(img, str | bytes | os.PathLike) else img)


def _called_here(func: Callable[[Any], Any], task: _Task) -> Any:
    try:
        return _call(func, task.img, task.share)
    except Exception as error:
        error.add_note(f"map_images: raised for {task.what}.")
        raise


def _as_list(imgs: Any) -> Iterable[Any]:
    if isinstance(imgs, str | bytes | os.PathLike | SpatialImage | SharedHandle):
        msg = (
            f"`imgs` must be a list of images, or another iterable of them. Got one "
            f"{type(imgs).__name__}. Put it into a list."
        )
        raise ParameterTypeError(msg)
    if not isinstance(imgs, Iterable):
        msg = f"`imgs` must be an iterable of images. Got {type(imgs).__name__}."
        raise ParameterTypeError(msg)
    return imgs


def _n_workers(n_jobs: int | None, n_images: int, budget: int) -> int:
    import multiprocessing

    wanted = resolve_n_jobs(n_jobs)
    if multiprocessing.current_process().daemon:
        return 1
    return min(wanted, n_images, max(budget // _LEAST_SHARE, 1))


def _name(img: Any) -> str:
    if isinstance(img, SpatialImage):
        return name_of(img)
    return shorten(str(img) if isinstance(img, str | os.PathLike) else repr(img), 200)
