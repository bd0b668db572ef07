"""Runs in processes of their own, as many at the same time as their memory fits the budget."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import TypeAlias

from lazyvox._threads import Workers
from lazyvox.cohort.one_run import Done, Failed, RunTask, work_on
from lazyvox.errors import MemoryBudgetError
from lazyvox.runtime.cores import usable_cores
from lazyvox.runtime.process_pool import Crew

__all__ = ["SizedTask", "most_side_by_side", "work_on_all"]

Outcome: TypeAlias = Done | Failed


@dataclass(frozen=True, slots=True)
class SizedTask:
    """A run to work on, and the bytes that it takes.

    Attributes
    ----------
    task : RunTask
        The run.
    size : int
        Predicted peak.
    """

    task: RunTask
    size: int


def most_side_by_side(sizes: Iterable[int], budget: int, n_jobs: int) -> int:
    """Return the number of processes: what fits the budget of the smallest runs, at least one.

    Parameters
    ----------
    sizes : iterable of int
        Predicted peaks.
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


def work_on_all(
    tasks: Sequence[SizedTask],
    *,
    budget: int,
    n_workers: int,
    report: Callable[[RunTask, Outcome], None],
) -> None:
    """Work on runs, and report each when it is through.

    Parameters
    ----------
    tasks : sequence of SizedTask
        Runs; none takes more than the budget.
    budget : int
        Bytes that the runs under way may take together.
    n_workers : int
        Processes; with one, runs are worked on in this one.
    report : callable
        Called in this thread with each run and what became of it.
    """
    if n_workers < 2:
        for one in tasks:
            report(one.task, work_on(one.task, budget))
        return
    n_threads = max(usable_cores() // n_workers, 1)
    with (
        Workers(n_workers, "lazyvox-cohort") as workers,
        Crew(
            "run_cohort", work_on, n_workers=n_workers, n_threads=n_threads, context="spawn"
        ) as crew,
    ):
        answers: SimpleQueue[tuple[SizedTask, Outcome]] = SimpleQueue()
        waiting, under_way = deque(tasks), 0
        held = 0
        while waiting or under_way:
            while (
                waiting
                and under_way < n_workers
                and (not under_way or held + waiting[0].size <= budget)
            ):
                one = waiting.popleft()
                held, under_way = held + one.size, under_way + 1
                workers.submit(_answered, crew, one, answers)
            one, outcome = answers.get()
            held, under_way = held - one.size, under_way - 1
            if _took_too_much(outcome) and one.size < budget:
                # What did not fit its share gets the whole budget, beside no other.
                waiting.append(replace(one, size=budget))
            else:
                report(one.task, outcome)


def _took_too_much(outcome: Outcome) -> bool:
    return isinstance(outcome, Failed) and isinstance(outcome.error, MemoryBudgetError)


def _answered(
    crew: Crew, one: SizedTask, answers: "SimpleQueue[tuple[SizedTask, Outcome]]"
) -> None:
    """Have a process work on a run; its death is a failure of the run."""
    outcome: Outcome
    try:
        outcome = crew.call(one.task.run.label, one.task, one.size)
    except Exception as error:  # noqa: BLE001 - the other runs go on
        outcome = Failed(one.task.run.label, one.task.run.bold, "process", error)
    answers.put((one, outcome))
