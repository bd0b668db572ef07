"""Calls in processes: never more than the budget holds, as many as it does, again with more."""

import time
from contextlib import closing
from pathlib import Path

import pytest

from lazyvox.errors import MemoryBudgetError
from lazyvox.runtime.sized_calls import Raised, SizedCall, answers, most_side_by_side
from lazyvox.testing import own_threads

DEADLINE_S = 60


def meet(number, folder, size):
    """Wait for another call that is under way at the same time; return when this one was."""
    began = time.monotonic()
    (folder / str(number)).touch()
    while len(list(folder.iterdir())) < 2 and time.monotonic() < began + DEADLINE_S:
        time.sleep(0.005)
    return began, time.monotonic(), size


def need(number, least, size):
    if size < least:
        msg = f"{least} bytes are needed"
        raise MemoryBudgetError(msg)
    return size


def calls_of(args, sizes):
    return [SizedCall(n, f"call {n}", (n, args), size) for n, size in enumerate(sizes)]


def test_calls_under_way_fit_the_budget_together(tmp_path):
    sizes = [40, 50, 10, 60, 90, 30, 30, 30, 100, 5]
    found = dict(answers("f", meet, calls_of(tmp_path, sizes), budget=100, n_workers=3))
    assert sorted(call.number for call in found) == list(range(10))
    spans = list(found.values())
    for began, _, _ in spans:
        assert sum(size for start, end, size in spans if start <= began < end) <= 100
    # They would have waited for each other until their deadline.
    assert all(end - began < DEADLINE_S for began, end, _ in spans)
    assert own_threads() == []


@pytest.mark.parametrize("n_workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_call_that_ran_short_is_made_again_with_more(n_workers):
    made = answers("f", need, calls_of(35, [10, 40, 20]), budget=80, n_workers=n_workers)
    found = {call.number: answer for call, answer in made}
    assert found == ({0: 80, 1: 80, 2: 80} if n_workers == 1 else {0: 40, 1: 40, 2: 40})


def test_errors_are_answers_that_name_the_call():
    ((call, answer),) = answers("f", need, calls_of(100, [50]), budget=50, n_workers=1)
    assert isinstance(answer, Raised)
    assert call.what == "call 0"
    assert answer.error.__notes__ == ["f: raised for call 0."]


def test_closing_ends_the_processes(tmp_path):
    began = time.monotonic()
    calls = calls_of(tmp_path / "absent", [1])
    with closing(answers("f", meet, calls * 2, budget=9, n_workers=2)) as made:
        _, answer = next(made)
        assert isinstance(answer.error, FileNotFoundError)
    assert time.monotonic() - began < DEADLINE_S
    assert own_threads() == []
    assert not Path(tmp_path / "absent").exists()


def test_the_number_of_processes():
    assert most_side_by_side([10, 10, 10], 25, 8) == 2
    assert most_side_by_side([10, 10, 10], 25, 1) == 1
    assert most_side_by_side([], 25, 4) == 1
