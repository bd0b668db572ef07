"""Threads end with their workers, however these end."""

from queue import SimpleQueue

import pytest

from lazyvox._threads import Workers, is_asked_to_end
from lazyvox.testing import assert_no_thread_is_left

pytestmark = pytest.mark.usefixtures("no_thread_left")


def test_workers_that_an_interrupt_kept_from_being_closed_end_when_they_are_dropped():
    def interrupted():
        workers = Workers(2, "lazyvox-dropped")
        assert workers.submit(lambda: 3).result() == 3
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert_no_thread_is_left()


def test_a_job_sees_that_its_workers_were_dropped():
    begun, ended = SimpleQueue(), SimpleQueue()

    def wait():
        begun.put(None)
        while not is_asked_to_end():
            pass
        ended.put(None)

    workers = Workers(1, "lazyvox-dropped")
    workers.submit(wait)
    begun.get()
    del workers
    ended.get(timeout=60)
    assert_no_thread_is_left()
