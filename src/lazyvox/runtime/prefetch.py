"""Load the next items in background threads while the current one is used."""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

from lazyvox._threads import Job, Workers
from lazyvox._typing import override
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.runtime.budget import resolve_budget
from lazyvox.runtime.cores import usable_cores

__all__ = ["Admission", "Prefetched", "check_count", "prefetch", "read_ahead"]

TaskT = TypeVar("TaskT")
ItemT = TypeVar("ItemT")

#: More threads than this load no faster.
_MOST_THREADS = 32


#: How long a destructor waits for loads that have begun.
_GRACE_S = 5.0


@dataclass(slots=True, eq=False)
class Step(Generic[TaskT, ItemT]):
    """A task that was taken; `job` is its load, once it was admitted, `size` its expected bytes."""

    task: TaskT
    job: Job[ItemT] | None = None
    size: int = 0


class Admission(Protocol[TaskT, ItemT]):
    """Decides which items may be loaded ahead."""

    def admits(self, step: Step[TaskT, ItemT], before: Sequence[Step[TaskT, ItemT]], /) -> bool:
        """Return whether a task may be loaded now, behind others; if so it is."""

    def delivered(self, step: Step[TaskT, ItemT], item: ItemT, /) -> None:
        """Record an item that is handed out."""

    def withdrawn(self, step: Step[TaskT, ItemT], item: ItemT | None, /) -> None:
        """Record that a load no longer counts, with its result, if any."""


class Prefetched(Iterator[ItemT], Generic[TaskT, ItemT]):
    """Iterate over ``load(task)`` for each task, in order, loading ahead in threads.

    Tasks are taken by the thread that asks for items, and never more than `n_items` of them,
    that which is asked for included. An error of loading is raised where its item would have
    come, and the iteration can go on behind it. Threads are there while loads are due: after the
    last item, an error, `close`, or when the iterator is deleted, there are none. A context
    manager too.

    Parameters
    ----------
    tasks : iterable
        Taken one at a time.
    load : callable
        Called in the threads, in the context of the consumer of the items.
    n_items : int
        Most items that are loading or loaded, that which is asked for included.
    n_threads : int
        Number of threads.
    name : str
        Beginning of their names.
    admission : Admission, optional
        Bounds beside the number.
    unloaded : callable, optional
        Gives the item of a task whose turn comes while it is not admitted. By default it is
        loaded all the same.
    """

    def __init__(
        self,
        tasks: Iterable[TaskT],
        load: Callable[[TaskT], ItemT],
        *,
        n_items: int,
        n_threads: int,
        name: str = "lazyvox-prefetch",
        admission: Admission[TaskT, ItemT] | None = None,
        unloaded: Callable[[TaskT], ItemT] | None = None,
    ) -> None:
        self._workers: Workers | None = None
        self._tasks: Iterator[TaskT] | None = iter(tasks)
        self._error: Exception | None = None
        self._load = load
        self._n_items, self._n_threads, self._name = n_items, n_threads, name
        self._admission, self._unloaded = admission, unloaded
        self._steps: deque[Step[TaskT, ItemT]] = deque()
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._is_paused = True

    @override
    def __iter__(self) -> Self:
        """Return the iterator itself."""
        return self

    @override
    def __next__(self) -> ItemT:
        """Return the next item, and have those behind it loaded."""
        self._is_paused = False
        if self._process != os.getpid():
            self._forget_threads()
        self._take_tasks()
        self.resume()
        if not self._steps:
            self._end()
        step = self._steps[0]
        try:
            item = self._item_of(step)
        except KeyboardInterrupt:
            # Whose turn it was is not lost: it is loaded anew if the iteration goes on.
            self.pause()
            raise
        except BaseException:
            self._drop_first()
            self._withdraw([step])
            self.pause(keeps_loaded=True)
            raise
        self._drop_first()
        if self._admission is not None:
            self._admission.delivered(step, item)
        return item

    def resume(self) -> None:
        """Begin the loads that have become possible, unless paused; from any thread."""
        with self._lock:
            if self._is_paused:
                return
            before: list[Step[TaskT, ItemT]] = []
            for step in self._steps:
                if step.job is None:
                    if self._admission is not None and not self._admission.admits(step, before):
                        return
                    self._submit(step)
                before.append(step)

    def pause(self, *, keeps_loaded: bool = False) -> None:
        """End the threads until the next item is asked for.

        Loads that have begun are waited for, through Ctrl-C too: what they read from may be
        closed next.

        Parameters
        ----------
        keeps_loaded : bool, default=False
            Whether what was loaded ahead is kept; else it is loaded anew if asked for.
        """
        interrupt: KeyboardInterrupt | None = None
        while True:
            # Begun anew where an interrupt comes in the middle: every part may be repeated.
            try:
                self._stop(keeps_loaded=keeps_loaded)
                break
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt

    def _stop(self, *, keeps_loaded: bool) -> None:
        self._is_paused = True
        with self._lock:
            workers = self._workers
        if workers is not None and self._process == os.getpid():
            workers.close()
        self._workers = None
        self._withdraw([s for s in self._steps if not (keeps_loaded and _is_done(s))])

    def close(self) -> None:
        """End the iteration and its threads; harmless when repeated."""
        self._tasks = None
        self._error = None
        try:
            self.pause()
        finally:
            self._steps.clear()

    def __enter__(self) -> Self:
        """Return the iterator itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """End the threads."""
        self.close()

    def __del__(self) -> None:
        """End the threads when the iterator is deleted."""
        if hasattr(self, "_is_paused"):
            self.leave()

    def leave(self) -> None:
        """Pause within a destructor: waiting for loads that have begun, but not for ever."""
        with self._lock:
            self._is_paused = True
            workers, self._workers = self._workers, None
        if workers is None or sys.is_finalizing() or self._process != os.getpid():
            return
        workers.abandon(_GRACE_S)
        self._withdraw(list(self._steps))

    def _drop_first(self) -> None:
        # Another thread may be going through the steps, to begin those that became possible.
        with self._lock:
            self._steps.popleft()

    def _take_tasks(self) -> None:
        while self._tasks is not None and len(self._steps) < self._n_items:
            try:
                task = next(self._tasks)
            except StopIteration:
                self._tasks = None
            # Raised behind the items of the tasks that came before.
            except Exception as error:  # noqa: BLE001 - handed to whoever asks for the item
                self._tasks, self._error = None, error
            else:
                with self._lock:
                    self._steps.append(Step(task))

    def _submit(self, step: Step[TaskT, ItemT]) -> None:
        if self._workers is None:
            self._workers = Workers(self._n_threads, self._name)
        step.job = self._workers.submit(self._load, step.task)

    def _item_of(self, step: Step[TaskT, ItemT]) -> ItemT:
        with self._lock:
            if step.job is None and self._unloaded is None:
                self._submit(step)
        if step.job is None:
            assert self._unloaded is not None
            return self._unloaded(step.task)
        return step.job.result()

    def _end(self) -> None:
        error, self._error = self._error, None
        self.close()
        if error is not None:
            raise error
        raise StopIteration

    def _withdraw(self, steps: Sequence[Step[TaskT, ItemT]]) -> None:
        for step in steps:
            job, step.job = step.job, None
            if job is not None and self._admission is not None:
                self._admission.withdrawn(step, job.value_or_none() if job.is_done else None)

    def _forget_threads(self) -> None:
        """Begin anew in a forked child, in which there are no threads."""
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._workers = None
        self._withdraw([step for step in self._steps if not _is_done(step)])


def _is_done(step: Step[Any, Any]) -> bool:
    return step.job is not None and step.job.is_done


class _Bytes(Generic[TaskT, ItemT]):
    """Keeps the items that are loading or loaded ahead within a number of bytes.

    Without `size_of`, an item is taken to be as large as the largest so far; with a limit that
    was asked for, the first is loaded alone to know.
    """

    def __init__(
        self, limit: int, size_of: Callable[[TaskT], int] | None, *, is_asked_for: bool
    ) -> None:
        self._limit = limit
        self._size_of = size_of
        self._waits_for_first = is_asked_for and size_of is None
        self._largest = 0

    def admits(self, step: Step[TaskT, ItemT], before: Sequence[Step[TaskT, ItemT]]) -> bool:
        step.size = self._largest if self._size_of is None else int(self._size_of(step.task))
        if not before:
            return True
        held = sum(other.size for other in before)
        return not self._waits_for_first and held + step.size <= self._limit

    def delivered(self, step: Step[TaskT, ItemT], item: ItemT) -> None:
        del step
        self._waits_for_first = False
        self._largest = max(self._largest, int(getattr(item, "nbytes", 0)))

    def withdrawn(self, step: Step[TaskT, ItemT], item: ItemT | None) -> None:
        """Nothing is counted beyond the steps themselves."""


def prefetch(
    iterable: Iterable[TaskT],
    load: Callable[[TaskT], ItemT],
    n: int | None = None,
    memory: float | str | None = None,
    size_of: Callable[[TaskT], int] | None = None,
) -> Prefetched[TaskT, ItemT]:
    """Load the items of an iterable ahead of the loop that uses them.

    Parameters
    ----------
    iterable : iterable
        What is to be loaded: paths, numbers, anything. A generator is asked in the thread of the
        loop, for at most `n` items behind the current one.
    load : callable
        Called with one item in a background thread; returns what the loop gets.
    n : int, optional
        Most items loaded ahead of the current one, and number of threads (at most 32). By default
        the usable cores.
    memory : int, float or str, optional
        Bytes, or text such as "512MB", that the current item while it is waited for and those
        ahead of it may take; a single item may take more. By default the budget in force.
    size_of : callable, optional
        Returns the bytes that loading an item of the iterable will take. By default each is taken
        to have the `nbytes` of the largest so far, and with `memory` the first is loaded alone.

    Returns
    -------
    Prefetched
        An iterator over ``load(item)`` in the order of the iterable, with `close`, and a context
        manager. Leaving the loop, an error, or dropping the iterator ends its threads.

    Raises
    ------
    ParameterError
        If `n` is below 1 or `memory` not a positive amount.
    ParameterTypeError
        If `n` is no whole number, or `load` or `size_of` cannot be called.

    Notes
    -----
    Memory: `n` items and the current one. An error of `load` is raised where its item would have
    come; asking on gives the next item. Nothing is loaded before the first item is asked for.

    Examples
    --------
    >>> import lazyvox as lv
    >>> names = ["left.nii.gz", "right.nii.gz", "mask.nii.gz"]
    >>> [data.shape for data in lv.prefetch(names, lambda name: lv.load(name).get_fdata(), n=2)]
    [(12, 14, 10), (12, 14, 10), (12, 14, 10)]
    """
    n_ahead = check_count(n, "n")
    functions: dict[str, object] = {"load": load}
    if size_of is not None:
        functions["size_of"] = size_of
    for name, given in functions.items():
        if not callable(given):
            msg = f"`{name}` must be a function of one item. Got {type(given).__name__}."
            raise ParameterTypeError(msg)
    limit = resolve_budget(memory)
    return Prefetched(
        iterable,
        load,
        n_items=n_ahead + 1,
        n_threads=min(n_ahead, _MOST_THREADS),
        admission=_Bytes(limit, size_of, is_asked_for=memory is not None),
    )


def read_ahead(
    tasks: Iterable[TaskT], load: Callable[[TaskT], ItemT], *, n_ahead: int
) -> Prefetched[TaskT, ItemT]:
    """Return an iterator over ``load(task)`` that loads in one thread, into buffers used in turns.

    An item counts until the next one is asked for. So with `n_ahead` buffers, task number i may
    use buffer ``i % n_ahead``: its previous item has been released. One thread loads, as one
    compressed file can be decoded by one thread only; leaving the context joins it.

    Parameters
    ----------
    tasks : iterable
        Taken one at a time, at most `n_ahead` of them.
    load : callable
        Called in the background thread.
    n_ahead : int
        Number of items that may exist at a time, the one in use included.

    Returns
    -------
    Prefetched
        The iterator, and a context manager.
    """
    return Prefetched(tasks, load, n_items=n_ahead, n_threads=1, name="lazyvox-readahead")


def check_count(n: int | None, name: str) -> int:
    """Return how many items to load ahead: a whole number from 1, by default the usable cores."""
    if n is None:
        return usable_cores()
    given: object = n
    if isinstance(given, bool) or not hasattr(given, "__index__"):
        msg = f"`{name}` must be a number of items. Got {type(n).__name__}."
        raise ParameterTypeError(msg)
    if n < 1:
        msg = f"`{name}` must be at least 1: that many items are loaded ahead. Got {n}."
        raise ParameterError(msg)
    return int(n)
