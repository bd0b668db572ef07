"""Calls side by side, each within its share of the memory budget."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from lazyvox._threads import Workers
from lazyvox.errors import MemoryBudgetError
from lazyvox.runtime.budget import memory_budget, resolve_budget
from lazyvox.runtime.cores import resolve_n_jobs

__all__ = ["side_by_side", "within_share"]

ResultT = TypeVar("ResultT")


def side_by_side(
    calls: Sequence[Callable[[float | str | None], ResultT]],
    memory: float | str | None,
    n_jobs: int,
) -> list[ResultT]:
    """Make calls in threads, as many simultaneously as the budget allows.

    Parameters
    ----------
    calls : sequence of callable
        Each takes its share of the budget in bytes, and raises `MemoryBudgetError` before it
        reads anything if that is too little. The share is the budget in force around it, too.
    memory : int, str or None
        Budget of all together.
    n_jobs : int
        Most simultaneous calls, as in scikit-learn.

    Returns
    -------
    list
        What they return, in order.
    """
    budget = resolve_budget(memory)
    n_threads = min(resolve_n_jobs(n_jobs), len(calls))
    results: dict[int, ResultT] = {}
    left = list(range(len(calls)))
    while left and n_threads > 1:
        share = max(budget // n_threads, 1)
        with Workers(n_threads, "lazyvox-side") as workers:
            jobs = [(number, workers.submit(_within, calls[number], share)) for number in left]
            found = [(number, job.result()) for number, job in jobs]
        results |= {number: result() for number, result in found if result is not None}
        # What did not fit its share gets a larger one, beside fewer others.
        left = [number for number, result in found if result is None]
        n_threads = min(n_threads // 2, len(left))
    for number in left:
        results[number] = calls[number](memory)
    return [results[number] for number in range(len(calls))]


def within_share(call: Callable[[int], ResultT], budget: int, n_calls: int) -> ResultT:
    """Return the result of a call with an even share of the budget, or with all of it if it needs more.

    Parameters
    ----------
    call : callable
        Takes bytes, and raises `MemoryBudgetError` before it reads anything if they are too few.
    budget : int
        Bytes of all calls together.
    n_calls : int
        Calls that are made simultaneously.

    Returns
    -------
    object
        What the call returns.
    """
    try:
        return call(max(budget // max(n_calls, 1), 1))
    except MemoryBudgetError:
        return call(budget)


def _within(
    call: Callable[[float | str | None], ResultT], share: int
) -> Callable[[], ResultT] | None:
    """Return the result of a call, wrapped; None where its share of the budget was too small."""
    with memory_budget(share):
        try:
            return partial(_same, call(share))
        except MemoryBudgetError:
            return None


def _same(value: ResultT) -> ResultT:
    return value
