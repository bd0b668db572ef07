"""The budget in force, by call, context and thread."""

import asyncio
import threading

import pytest

from lazyvox.errors import MemoryBudgetError, ParameterError
from lazyvox.runtime import budget
from lazyvox.runtime.budget import default_budget, memory_budget, resolve_budget
from lazyvox.runtime.budget_shares import within_share


@pytest.fixture
def available(monkeypatch):
    """Return a function that sets how much memory there is."""
    return lambda nbytes: monkeypatch.setattr(budget, "available_memory", lambda: nbytes)


@pytest.mark.parametrize(
    ("there_is", "expected"), [(4000, 1000), (100 * 1024**3, 2 * 1024**3), (0, 1)]
)
def test_the_default_is_a_quarter_and_at_most_2_gib(available, there_is, expected):
    available(there_is)
    assert default_budget() == expected
    assert resolve_budget(None) == expected


def test_a_percentage_is_of_what_is_available(available):
    available(8000)
    assert resolve_budget("25%") == 2000
    with memory_budget("50%"):
        available(10)
        assert resolve_budget(None) == 4000


def test_the_innermost_block_holds_and_an_argument_wins():
    with memory_budget("300MB") as outer, memory_budget(1000) as inner:
        assert (outer, inner) == (300_000_000, 1000)
        assert resolve_budget(None) == 1000
        assert resolve_budget("2kB") == 2000
    assert resolve_budget(None) == default_budget() != 1000


def test_the_budget_before_comes_back_after_an_error():
    with memory_budget(500):
        with pytest.raises(KeyError, match="inside"), memory_budget(100):
            raise KeyError("inside")
        assert resolve_budget(None) == 500


def test_a_wrong_amount_is_refused_and_changes_nothing():
    with memory_budget(500):
        with pytest.raises(ParameterError, match="at least one byte"), memory_budget(0):
            pass
        assert resolve_budget(None) == 500


def test_threads_have_their_own_budget():
    seen = {}
    both_inside = threading.Barrier(2, timeout=10)

    def work(nbytes):
        with memory_budget(nbytes):
            both_inside.wait()
            seen[nbytes] = resolve_budget(None)
            both_inside.wait()

    threads = [threading.Thread(target=work, args=(nbytes,)) for nbytes in (111, 222)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert seen == {111: 111, 222: 222}


def test_asynchronous_tasks_have_their_own_budget():
    async def work(nbytes):
        with memory_budget(nbytes):
            await asyncio.sleep(0)
            return resolve_budget(None)

    async def both():
        return await asyncio.gather(work(111), work(222))

    assert asyncio.run(both()) == [111, 222]


def test_a_call_has_its_share_and_all_where_it_needs_more():
    asked = []

    def call(n_bytes):
        asked.append(n_bytes)
        if n_bytes < 50:
            msg = "too little"
            raise MemoryBudgetError(msg)
        return n_bytes

    assert within_share(call, 200, 4) == 50
    assert within_share(call, 60, 3) == 60
    assert asked == [50, 20, 60]
    with pytest.raises(MemoryBudgetError, match="too little"):
        within_share(call, 40, 0)
