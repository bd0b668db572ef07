"""Blocking work of requests: in few threads, for few requests at a time, given up with its page."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from lazyvox._threads import Workers

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["BusyError", "GoneError", "Lane", "Slots", "unless_gone"]

ResultT = TypeVar("ResultT")


class BusyError(Exception):
    """More requests wait than may."""


class GoneError(Exception):
    """The page no longer waits for its answer."""


class Lane:
    """A few threads, and the calls that wait for one. Used by one event loop.

    Parameters
    ----------
    name : str
        End of the names of the threads.
    n_threads : int
        Calls that run at a time.
    n_waiting : int
        Calls that may wait for a thread.
    """

    def __init__(self, name: str, n_threads: int, n_waiting: int) -> None:
        self._workers = Workers(n_threads, f"lazyvox-view-{name}")
        self._most = n_threads + n_waiting
        self._n_calls = 0

    async def run(self, call: Callable[[], ResultT]) -> ResultT:
        """Return the result of a call in one of the threads.

        Raises
        ------
        BusyError
            If too many wait.
        """
        if self._n_calls >= self._most:
            raise BusyError
        self._n_calls += 1
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[ResultT] = loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            self._n_calls -= 1
            if answer.cancelled():
                return
            if error is None:
                answer.set_result(result)
            else:
                answer.set_exception(error)

        def work() -> None:
            result, error = None, None
            try:
                result = call()
            except BaseException as raised:  # noqa: BLE001 - handed to whoever waits for it
                error = raised
            loop.call_soon_threadsafe(settle, result, error)
            # Its traceback holds this frame: what it holds would wait for the collector.
            del error

        self._workers.submit(work)
        return await answer

    def close(self) -> None:
        """Drop the calls that wait, and wait for those that run."""
        self._workers.close()


class Slots:
    """Bound of the answers that exist at a time, until they were sent. Used by one event loop.

    Parameters
    ----------
    n_slots : int
        Answers.
    n_waiting : int
        Requests that may wait for a slot.
    """

    def __init__(self, n_slots: int, n_waiting: int) -> None:
        self._slots = asyncio.Semaphore(n_slots)
        self._most = n_slots + n_waiting
        self._n_inside = 0

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold a slot within a block of code; raise `BusyError` where too many wait."""
        if self._n_inside >= self._most:
            raise BusyError
        self._n_inside += 1
        try:
            async with self._slots:
                yield
        finally:
            self._n_inside -= 1


async def unless_gone(
    request: "Request",
    stopping: asyncio.Event,
    work: Callable[[threading.Event], Awaitable[ResultT]],
) -> ResultT:
    """Return the result of some work, unless the page goes away before, or the server stops.

    Parameters
    ----------
    request : Request
        The request.
    stopping : asyncio.Event
        Set when the server stops.
    work : callable
        Gets an event that is set when its result is no longer waited for.

    Raises
    ------
    GoneError
        If the result is no longer waited for.
    """
    cancelled = threading.Event()
    doing = asyncio.ensure_future(work(cancelled))
    leaving = [asyncio.ensure_future(one) for one in (_has_left(request), _is_set(stopping))]
    try:
        await asyncio.wait({doing, *leaving}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        raise GoneError
    finally:
        cancelled.set()
        for task in (doing, *leaving):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


async def _is_set(event: asyncio.Event) -> None:
    await event.wait()


async def _has_left(request: "Request") -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
