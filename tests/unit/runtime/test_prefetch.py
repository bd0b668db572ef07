"""Reading ahead: in order, bounded, and without a trace when the loop is left."""

import gc
import os
import threading
import time
import weakref

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.runtime.budget import resolve_budget
from lazyvox.testing import own_threads

pytestmark = pytest.mark.usefixtures("no_thread_left")


@pytest.mark.parametrize("n", [1, 2, 7, 100, None])
def test_items_come_in_order(n):
    assert list(lv.prefetch(range(30), lambda task: task * 10, n)) == list(range(0, 300, 10))


def test_no_items():
    assert list(lv.prefetch([], str)) == []


def test_nothing_is_loaded_before_the_first_item_is_asked_for():
    loaded = []
    items = lv.prefetch(range(3), loaded.append, 3)
    assert not loaded
    items.close()
    assert not loaded
    assert list(items) == []


def test_n_loads_run_at_the_same_time():
    meeting = threading.Barrier(3, timeout=20)
    assert list(lv.prefetch(range(9), lambda task: meeting.wait() * 0 + task, 3)) == list(range(9))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_no_more_than_n_are_ahead_of_the_current_one(n):
    taken, loaded = [], []

    def tasks():
        for task in range(40):
            taken.append(task)
            yield task

    for number, _ in enumerate(lv.prefetch(tasks(), loaded.append, n)):
        assert len(taken) <= number + 1 + n
        assert len(loaded) <= number + 1 + n


def test_a_generator_is_asked_in_the_thread_of_the_loop():
    idents = []

    def tasks():
        for task in range(5):
            idents.append(threading.get_ident())
            yield task

    list(lv.prefetch(tasks(), int, 3))
    assert set(idents) == {threading.get_ident()}


class Held:
    """Counts the bytes of items that were loaded and not given out."""

    def __init__(self):
        self.lock, self.now, self.most = threading.Lock(), 0, 0

    def load(self, nbytes):
        with self.lock:
            self.now += nbytes
            self.most = max(self.most, self.now)
        return np.zeros(nbytes, np.uint8)


@pytest.mark.parametrize("size_of", [None, int], ids=["unknown", "known"])
def test_bytes_ahead_are_bounded(size_of):
    held = Held()
    for item in lv.prefetch([100] * 50, held.load, 20, 350, size_of):
        held.now -= item.nbytes
    assert held.most <= 400


def test_sizes_that_are_known_bound_items_of_many_sizes():
    held = Held()
    sizes = [1000, 10, 300, 5, 5, 900, 2000, 1, 1, 1] * 5
    for item in lv.prefetch(sizes, held.load, 8, 1000, lambda size: size):
        held.now -= item.nbytes
    assert held.most <= 2000


def test_the_budget_in_force_bounds_and_holds_in_the_threads():
    with lv.memory_budget("3kB"):
        budgets = list(lv.prefetch(range(4), lambda _: resolve_budget(None), 2))
    assert budgets == [3000] * 4


def fails_at_3(task):
    if task == 3:
        msg = "task 3 fails"
        raise OSError(msg)
    return task


def test_an_error_appears_at_its_item_and_the_rest_can_be_had():
    items = lv.prefetch(range(6), fails_at_3, 6)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="task 3 fails"):
        next(items)
    assert not own_threads()
    assert list(items) == [4, 5]


def test_an_error_of_the_iterable_appears_behind_its_items():
    def tasks():
        yield 1
        yield 2
        msg = "no more tasks"
        raise ValueError(msg)

    items = lv.prefetch(tasks(), int, 5)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(ValueError, match="no more tasks"):
        next(items)
    assert list(items) == []


def test_break_leaves_no_thread():
    for item in lv.prefetch(range(1000), int, 3):
        if item == 5:
            break
    assert not own_threads()


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_an_error_in_the_loop_leaves_no_thread(error):
    def loop():
        for item in lv.prefetch(range(1000), int, 3):
            if item == 5:
                raise error("enough")

    with pytest.raises(error, match="enough") as caught:
        loop()
    assert caught.tb is not None
    assert not own_threads()


def test_a_context_closes():
    with lv.prefetch(range(9), int, 2) as items:
        assert next(items) == 0
        assert own_threads()
    assert not own_threads()
    assert list(items) == []


def test_garbage_in_a_cycle_is_collected():
    class Owner:
        pass

    owner = Owner()
    owner.items = lv.prefetch(range(100), int, 2)
    owner.self = owner
    next(owner.items)
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None
    assert not own_threads()


def test_dropped_within_its_own_thread():
    """A cycle may be collected in a thread that loads: it must not wait for itself."""
    kept = []

    def load(task):
        kept.clear()
        return task

    items = lv.prefetch(range(10), load, 1)
    kept.append(items)
    next(items)
    kept.append(items)
    del items
    deadline = time.monotonic() + 30
    while own_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
        kept.clear()
    assert not own_threads()


def test_loads_under_way_end_before_the_loop_is_left():
    begun, ended = [], []

    def load(task):
        begun.append(task)
        threading.Event().wait(0.01)
        ended.append(task)

    for _ in lv.prefetch(range(100), load, 4):
        break
    assert sorted(begun) == sorted(ended)


def test_nested():
    pairs = [
        (row, item)
        for row in lv.prefetch(range(5), int, 2)
        for item in lv.prefetch(range(4), lambda task, row=row: 10 * row + task, 2)
    ]
    assert pairs == [(row, 10 * row + task) for row in range(5) for task in range(4)]


def test_loads_may_prefetch():
    sums = lv.prefetch(range(6), lambda n: sum(lv.prefetch(range(n), int, 2)), 3)
    assert list(sums) == [sum(range(n)) for n in range(6)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("is_under_way", [True, False])
def test_a_forked_child_goes_on(is_under_way):
    items = lv.prefetch(range(20), int, 3)
    first = [next(items)] if is_under_way else []
    child = os.fork()
    if not child:
        os._exit(0 if first + list(items) == list(range(20)) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert first + list(items) == list(range(20))


def test_what_cannot_be_asked_for():
    with pytest.raises(lv.ParameterError, match="`n` must be at least 1"):
        lv.prefetch([], int, 0)
    with pytest.raises(lv.ParameterTypeError, match="`n` must be a number of items"):
        lv.prefetch([], int, 2.5)
    with pytest.raises(lv.ParameterTypeError, match="`load` must be a function"):
        lv.prefetch([], None, 2)
    with pytest.raises(lv.ParameterTypeError, match="`size_of` must be a function"):
        lv.prefetch([], int, 2, None, 7)
    with pytest.raises(lv.ParameterError, match="memory must be"):
        lv.prefetch([], int, 2, -1)
