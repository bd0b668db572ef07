"""Calls in processes of their own, as many at the same time as their memory fits the budget."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from multiprocessing import current_process
from queue import SimpleQueue
from typing import Any

from lazyvox._threads import Workers
from lazyvox.errors import MemoryBudgetError
from lazyvox.runtime.cores import resolve_n_jobs, usable_cores
from lazyvox.runtime.process_pool import Crew

__all__ = [
    "Raised",
    "SizedCall",
    "answers",
    "most_side_by_side",
    "ran_short",
    "resolve_processes",
]


@dataclass(frozen=True, slots=True, eq=False)
class SizedCall:
    """A call to make, and the memory that it may take.

    Attributes
    ----------
    number : int
        Its place among the calls.
    what : str
        Its subject, for messages.
    args : tuple
        Arguments of the function, picklable; the bytes that it may take come behind them.
    size : int
        Those bytes.
    n_parts : int
        Parts that workers of a scheduler may take one by one; 1 for a call that is made as a whole.
    """

    number: int
    what: str
    args: tuple[Any, ...]
    size: int
    n_parts: int = 1


@dataclass(frozen=True, slots=True)
class Raised:
    """The answer of a call that raised, or whose process died.

    Attributes
    ----------
    error : Exception
        With a note that says which call it was.
    """

    error: Exception


def ran_short(answer: Any) -> bool:
    """Return whether a call raised because its memory was too little."""
    return isinstance(answer, Raised) and isinstance(answer.error, MemoryBudgetError)


def resolve_processes(n_jobs: int | None) -> int:
    """Return the number of processes that `n_jobs` asks for: 1 in a process that may start none.

    Parameters
    ----------
    n_jobs : int or None
        As of `resolve_n_jobs`.

    Returns
    -------
    int
        Number of processes, at least 1.

    Raises
    ------
    ParameterError
        If `n_jobs` is 0.
    ParameterTypeError
        If `n_jobs` is not a whole number.

    Notes
    -----
    Memory: O(1).

    Examples
    --------
    >>> resolve_processes(4)
    4
    """
    wanted = resolve_n_jobs(n_jobs)
    # A process of multiprocessing.Pool may start no others.
    return 1 if current_process().daemon else wanted


def most_side_by_side(sizes: Iterable[int], budget: int, n_jobs: int) -> int:
    """Return the number of processes: as many as the smallest calls fit the budget, at least one.

    Parameters
    ----------
    sizes : iterable of int
        Bytes of each call.
    budget : int
        Bytes of all together.
    n_jobs : int
        Most processes.

    Returns
    -------
    int
        Processes that may have something to do.

    Examples
    --------
    >>> most_side_by_side([40, 50, 60], 100, 4), most_side_by_side([40, 50, 60], 100, 1)
    (2, 1)
    """
    held, n = 0, 0
    for size in sorted(sizes):
        held += size
        if n == n_jobs or (n and held > budget):
            break
        n += 1
    return max(n, 1)


def answers(
    name: str,
    func: Callable[..., Any],
    calls: Sequence[SizedCall],
    *,
    budget: int,
    n_workers: int,
    context: str = "forkserver",
    imports: Sequence[str] = (),
    needs_more: Callable[[Any], bool] = ran_short,
) -> Generator[tuple[SizedCall, Any]]:
    """Make calls, and yield each with its answer as soon as it is there.

    Parameters
    ----------
    name : str
        Name of the caller in messages.
    func : callable
        Function to call; sent to each process once.
    calls : sequence of SizedCall
        Calls, begun in this order; none has more than the budget.
    budget : int
        Bytes of the calls that are under way together.
    n_workers : int
        Processes; with one the calls are made here, each with the whole budget.
    context : {"spawn", "forkserver"}, default="forkserver"
        How processes are started; see `Crew`.
    imports : sequence of str, optional
        Modules that the function imports when it is called: processes share their memory.
    needs_more : callable, optional
        Returns whether an answer means that the memory was too little: the call is made again
        with twice as much, at the end, as long as the budget has more.

    Yields
    ------
    tuple of SizedCall and object
        The call, and what the function returned or a `Raised`.

    Notes
    -----
    Closing the iterator kills the processes that are at work: close it where it may not come to
    its end, with `contextlib.closing`.
    """
    if n_workers < 2:
        for one in calls:
            yield one, _made_here(name, func, replace(one, size=budget))
        return
    n_threads = max(usable_cores() // n_workers, 1)
    with (
        Workers(n_workers, "lazyvox-calls") as workers,
        Crew(
            name,
            func,
            n_workers=n_workers,
            n_threads=n_threads,
            context=context,
            imports=imports,
        ) as crew,
    ):
        ready: SimpleQueue[tuple[SizedCall, Any]] = SimpleQueue()
        waiting, under_way, held = deque(calls), 0, 0

        def begin() -> None:
            """Begin as many calls as there are idle processes, and memory for."""
            nonlocal under_way, held
            while (
                waiting
                and under_way < n_workers
                and (not under_way or held + waiting[0].size <= budget)
            ):
                one = waiting.popleft()
                held, under_way = held + one.size, under_way + 1
                workers.submit(_made_there, crew, one, ready)

        begin()
        while under_way:
            one, answer = ready.get()
            held, under_way = held - one.size, under_way - 1
            is_short = needs_more(answer) and one.size < budget
            if is_short:
                waiting.append(replace(one, size=min(2 * max(one.size, 1), budget)))
            # Before the caller sees to the answer: no process waits for that.
            begin()
            if not is_short:
                yield one, answer


def _made_there(crew: Crew, one: SizedCall, ready: SimpleQueue[tuple[SizedCall, Any]]) -> None:
    """Have a process make a call; its death is the answer of this call."""
    answer: Any
    try:
        answer = crew.call(one.what, *one.args, one.size)
    except Exception as error:  # noqa: BLE001 - handed to whoever asked for the call
        answer = Raised(error)
    ready.put((one, answer))


def _made_here(name: str, func: Callable[..., Any], one: SizedCall) -> Any:
    try:
        return func(*one.args, one.size)
    except Exception as error:  # noqa: BLE001 - handed to whoever asked for the call
        error.add_note(f"{name}: raised for {one.what}.")
        return Raised(error)
