"""Threads that Ctrl-C cannot lock up; used by all layers.

Conditions, events, semaphores and futures of the standard library take their locks in Python: an
interrupt that the main thread gets just behind that leaves the lock taken, and the next thread
that asks for it, a worker or the code that cleans up, waits for ever. Queues written in C have no
such moment.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterable
from contextvars import ContextVar, copy_context
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["ForkSafeLock", "Job", "Workers", "is_asked_to_end", "join_all", "start"]

ParamT = ParamSpec("ParamT")
ResultT = TypeVar("ResultT")


class ForkSafeLock:
    """A lock that is always free in a forked child, even if a thread of the parent held it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = os.getpid()

    def of_this_process(self) -> threading.Lock:
        """Return the lock."""
        if self._process != os.getpid():
            self._lock = threading.Lock()
            self._process = os.getpid()
        return self._lock


class Job(Generic[ResultT]):
    """A call that one of the threads makes.

    Attributes
    ----------
    is_done : bool
        Whether `result` returns immediately.
    """

    def __init__(self, call: Callable[[], ResultT]) -> None:
        self._call: Callable[[], ResultT] | None = call
        self._outcome: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self.is_done = False

    def run(self) -> None:
        """Make the call; `result` raises its error."""
        assert self._call is not None, "bug in lazyvox: a job runs once"
        try:
            self._outcome.put((self._call(), None))
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks for the result
            self._outcome.put((None, error))
        # What the call held on to is free from here on.
        self._call = None
        self.is_done = True

    def result(self) -> ResultT:
        """Wait for the call and return its result; to be called once."""
        value, error = self._outcome.get()
        if error is not None:
            try:
                raise error
            finally:
                # The traceback holds this frame: what it holds would wait for the collector.
                del error
        result: ResultT = value
        return result

    def value_or_none(self) -> ResultT | None:
        """Return the result of a finished call; None where it raised or `result` was called."""
        with contextlib.suppress(Empty):
            value: ResultT | None = self._outcome.get_nowait()[0]
            return value
        return None


class _Jobs:
    """Jobs that wait for threads, and whether these are to end.

    Threads hold this and not their `Workers`: those that an interrupt kept from being closed are
    collected, and their threads end.
    """

    def __init__(self) -> None:
        self.waiting: SimpleQueue[Job[Any] | None] = SimpleQueue()
        self.is_closed = False

    def work(self) -> None:
        """Do jobs until asked to end."""
        while (job := self.waiting.get()) is not None and not self.is_closed:
            job.run()
            # Waiting for the next job must not keep this one alive.
            del job

    def close(self, n_threads: int) -> None:
        """Ask threads to end."""
        self.is_closed = True
        for _ in range(n_threads):
            self.waiting.put(None)


class Workers:
    """A fixed number of threads that take jobs in order.

    Parameters
    ----------
    n_threads : int
        Number of threads; they start with the first job.
    name : str
        Beginning of their names.
    """

    def __init__(self, n_threads: int, name: str) -> None:
        self._jobs = _Jobs()
        self._threads = [
            threading.Thread(target=self._jobs.work, name=f"{name}-{i}", daemon=True)
            for i in range(n_threads)
        ]
        self._is_started = False

    def submit(
        self, func: Callable[ParamT, ResultT], *args: ParamT.args, **kwargs: ParamT.kwargs
    ) -> Job[ResultT]:
        """Have a function called in one of the threads.

        What the caller set for a block of code holds there too: `memory_budget`, `strict`,
        `numpy.errstate`.
        """
        if not self._is_started:
            self._is_started = True
            for thread in self._threads:
                start(thread)
        # A copy for each job: one context cannot be entered by two threads at a time.
        context = copy_context()
        context.run(_ABOVE.set, (*_ABOVE.get(), self._jobs))
        job = Job(lambda: context.run(func, *args, **kwargs))
        self._jobs.waiting.put(job)
        return job

    @property
    def is_closed(self) -> bool:
        """True if the threads were asked to end."""
        return self._jobs.is_closed

    def close(self) -> None:
        """Drop the jobs that have not begun, and wait for those that have."""
        self._jobs.close(len(self._threads))
        join_all(self._threads)

    def abandon(self, seconds: float) -> None:
        """Drop the jobs that have not begun, and wait a while for those that have.

        For destructors: they may run in a thread that holds what a job waits for.
        """
        self._jobs.close(len(self._threads))
        for thread in self._threads:
            if thread is not threading.current_thread() and thread.is_alive():
                thread.join(seconds)

    def __del__(self) -> None:
        """End the threads of workers that an interrupt kept from being closed."""
        self._jobs.close(len(self._threads))

    def __enter__(self) -> Self:
        """Return the workers."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop and join the threads."""
        self.close()


#: The jobs that the present one is of, and those of whoever had it done.
_ABOVE: ContextVar[tuple[_Jobs, ...]] = ContextVar("jobs", default=())


def is_asked_to_end() -> bool:
    """Return whether the job that runs in this thread was given up.

    Who waits long, as for an answer of a server, asks now and then: threads are joined, so that a
    job that went on would hold up Ctrl-C.
    """
    return any(jobs.is_closed for jobs in _ABOVE.get())


def start(thread: threading.Thread) -> None:
    """Start a thread; an interrupt that comes meanwhile is handled when it has started.

    In the middle of it an interrupt would leave a thread that waits for ever to be let go.
    """
    handler = signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or not callable(handler):
        thread.start()
        return
    came: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    try:
        thread.start()
    finally:
        signal.signal(signal.SIGINT, handler)
    if came:
        handler(*came[0])


def join_all(threads: Iterable[threading.Thread]) -> None:
    """Join threads that have been asked to end; an interrupt is raised when they have ended.

    What the threads read from or write to is closed next, so it must not come before.
    """
    interrupt: KeyboardInterrupt | None = None
    for thread in threads:
        # A thread that collects garbage may come by here to end itself; it does so on its own.
        if thread is threading.current_thread():
            continue
        # Not alive: never started, or so freshly that it sees immediately that it is to end.
        while thread.is_alive():
            try:
                thread.join()
            except KeyboardInterrupt as error:
                interrupt = error
    if interrupt is not None:
        raise interrupt
