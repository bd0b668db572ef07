"""Items come in order, no more than allowed exist, and no thread is left, whatever happens."""

import signal
import threading

import pytest

from lazyvox.runtime.prefetch import read_ahead
from lazyvox.testing import own_threads

pytestmark = pytest.mark.usefixtures("no_thread_left")


@pytest.mark.parametrize("n_ahead", [1, 2, 3, 50])
def test_items_come_in_order(n_ahead):
    with read_ahead(range(20), lambda task: task * 10, n_ahead=n_ahead) as items:
        assert list(items) == [task * 10 for task in range(20)]


def test_no_tasks_give_no_items():
    with read_ahead([], str, n_ahead=3) as items:
        assert list(items) == []


def test_nothing_is_loaded_before_the_first_item_is_asked_for():
    loaded = []
    with read_ahead(range(3), loaded.append, n_ahead=3):
        pass
    assert loaded == []


@pytest.mark.parametrize("n_ahead", [1, 2, 3])
def test_a_buffer_is_not_filled_while_its_item_is_used(n_ahead):
    """With `n_ahead` buffers in turns, what the user holds is never written to."""
    buffers = [None] * n_ahead

    def load(task):
        buffers[task % n_ahead] = task
        return task

    with read_ahead(range(200), load, n_ahead=n_ahead) as items:
        for item in items:
            for _ in range(3):
                assert buffers[item % n_ahead] == item
                # Lets the other thread run, if it may.
                threading.Event().wait(0)


def test_loading_runs_in_one_other_thread():
    with read_ahead(range(9), lambda _: threading.get_ident(), n_ahead=3) as items:
        idents = set(items)
    assert len(idents) == 1
    assert threading.get_ident() not in idents


def test_an_error_of_loading_appears_at_its_item():
    def load(task):
        if task == 3:
            msg = "task 3 fails"
            raise OSError(msg)
        return task

    with read_ahead(range(9), load, n_ahead=9) as items:
        iterator = iter(items)
        assert [next(iterator) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(OSError, match="task 3 fails"):
            next(iterator)


def test_an_error_of_the_tasks_appears_too():
    def tasks():
        yield 1
        msg = "no more tasks"
        raise ValueError(msg)

    with (
        pytest.raises(ValueError, match="no more tasks"),
        read_ahead(tasks(), str, n_ahead=2) as it,
    ):
        list(it)


@pytest.mark.parametrize("n_ahead", [1, 3])
@pytest.mark.parametrize("after", [0, 1, 7])
def test_leaving_early_stops_the_thread(n_ahead, after):
    loaded = []

    def load(task):
        loaded.append(task)
        return task

    with read_ahead(range(1000), load, n_ahead=n_ahead) as items:
        for item in items:
            if item == after:
                break
    assert len(loaded) <= after + 1 + n_ahead


def test_an_error_of_the_user_stops_the_thread():
    def divide():
        with read_ahead(range(1000), int, n_ahead=3) as items:
            return [1 / item for item in items]

    with pytest.raises(ZeroDivisionError, match="division"):
        divide()


def test_closing_twice_is_harmless():
    ahead = read_ahead(range(5), int, n_ahead=2)
    with ahead as items:
        next(iter(items))
    ahead.close()
    assert not own_threads()


def test_an_interrupt_while_closing_waits_for_the_load_under_way():
    """The source is closed after the thread has ended, never while it reads."""
    begun, proceed = threading.Event(), threading.Event()
    ended = []

    def load(task):
        if task == 1:
            begun.set()
            proceed.wait()
            ended.append(task)
        return task

    def interrupt():
        begun.wait()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        proceed.set()

    helper = threading.Thread(target=interrupt)

    def leave_early():
        with read_ahead(range(9), load, n_ahead=2) as items:
            next(iter(items))
            begun.wait()
            helper.start()

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        leave_early()
    helper.join()
    assert ended == [1]
