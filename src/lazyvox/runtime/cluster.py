"""Calls on the workers of a Dask scheduler: the same answers as from processes of this machine.

The scheduler knows about workers that are lost, and gives their calls to others. Only arguments
and results travel.
"""

import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from lazyvox._threads import ForkSafeLock, Workers
from lazyvox._version import __version__
from lazyvox.errors import (
    LazyvoxError,
    LazyvoxWarning,
    MemoryBudgetError,
    ParameterError,
    ParameterTypeError,
)
from lazyvox.planning.memory import format_bytes, parse_memory
from lazyvox.runtime.budget import resolve_budget
from lazyvox.runtime.optional import require
from lazyvox.runtime.sized_calls import Raised, SizedCall, ran_short

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["CallsInParts", "Cluster", "SchedulerLike", "connected"]

SchedulerLike: TypeAlias = Any

_TIMEOUT_S = 10

#: Of the memory of a worker, what calls may take: Dask stops it at 95 %, and gives it nothing more
#: to do at 80 %.
_USED_PART = 0.7

#: Memory that a worker holds more than another process of the same imports.
_DASK_BYTES = 96 << 20

#: Calls that the scheduler holds at a time: enough for any number of workers, and soon sent.
_MOST_SENT = 1000

#: How often a call that raised, for lack of a module say, is made again on another worker.
_RETRIES = 2

#: Warnings and peaks are those of a process: threads of a worker make one call at a time.
_ALONE = ForkSafeLock()


@dataclass(frozen=True, slots=True)
class CallsInParts:
    """Functions for calls that several workers share.

    Attributes
    ----------
    each : callable
        Function of the arguments, number and count of the parts, and bytes.
    joined : callable
        Function of the arguments, what `each` returned of all parts in order, and bytes.
    """

    each: Callable[..., Any]
    joined: Callable[..., Any]


class Cluster:
    """The workers of a scheduler. Made by `connected`.

    Parameters
    ----------
    client : distributed.Client
        Connection to the scheduler.
    """

    def __init__(self, client: "Client") -> None:
        self._client = client
        self.address: str = client.scheduler_info(n_workers=0)["address"]
        self._workers = self._found_workers()
        self._sent_ahead: list[Any] = []

    @property
    def n_calls(self) -> int:
        """Calls that the workers of now make at a time."""
        return len(self._workers)

    def share(self, memory: float | str | None, process_bytes: int) -> int:
        """Return the bytes that each call may take, from the memory limits of the workers.

        Parameters
        ----------
        memory : int, float or str, optional
            Bytes that were asked for.
        process_bytes : int
            Memory of a process of Python with the imports of a call.

        Returns
        -------
        int
            Bytes: those, or what the smallest worker has.

        Raises
        ------
        ParameterError
            If more was asked for.
        """
        shares: list[int] = [
            int(_USED_PART * one["memory_limit"]) - _DASK_BYTES - process_bytes
            for one in self._workers.values()
            if one["memory_limit"]
        ]
        if not shares:
            return resolve_budget(memory)
        least = max(min(shares), 1)
        if memory is None:
            return least
        wanted = parse_memory(memory)
        if wanted > least:
            msg = (
                f"`memory` must be what every worker has for a call. Got {format_bytes(wanted)}; "
                f"workers of {self.address} have {format_bytes(least)}, of a limit of "
                f"{_limits(self._workers)}."
            )
            hint = "Start workers with more memory."
            raise ParameterError(msg, value=wanted, hint=hint)
        return wanted

    def send_ahead(self, func: Callable[..., Any]) -> None:
        """Have the workers make the imports of a function, and do not wait for that.

        Parameters
        ----------
        func : callable
            Function that they will be asked to call.
        """
        self._sent_ahead = [
            self._client.submit(_received, func, workers=[address], pure=False)
            for address in self._workers
        ]

    def answers(
        self,
        name: str,
        func: Callable[..., Any],
        calls: Sequence[SizedCall],
        *,
        share: int,
        needs_more: Callable[[Any], bool] = ran_short,
        parts: CallsInParts | None = None,
    ) -> Generator[tuple[SizedCall, Any]]:
        """Make calls, and yield each with its answer as soon as it is there.

        Parameters
        ----------
        name : str
            Name of the caller in messages.
        func : callable
            Function to call, of arguments and bytes.
        calls : sequence of SizedCall
            Calls, begun in this order; none has more than the share.
        share : int
            Most bytes of one call.
        needs_more : callable, optional
            Returns whether an answer means that the memory was too little: the call is made again
            with twice as much, as long as the share has more.
        parts : CallsInParts, optional
            Functions for calls of several parts. What the first returns goes from worker to worker.

        Yields
        ------
        tuple of SizedCall and object
            The call, and what the function returned or a `Raised`.

        Raises
        ------
        LazyvoxError
            If the connection to the scheduler is lost.
        """
        from distributed import as_completed

        known: dict[str, SizedCall] = {}

        def sent(one: SizedCall) -> Any:
            if parts is None or one.n_parts == 1:
                future = self._sent(func, one.args, one.size)
            else:
                read = [
                    self._sent(parts.each, (*one.args, number, one.n_parts), one.size)
                    for number in range(one.n_parts)
                ]
                future = self._sent(parts.joined, (*one.args, read), one.size)
            known[future.key] = one
            return future

        waiting = iter(calls)
        first = [sent(one) for one in islice(waiting, _MOST_SENT)]
        under_way = as_completed(first, loop=self._client.loop)
        try:
            for future in under_way:
                one = known.pop(future.key)
                answer = self._answer(name, one, future)
                if needs_more(answer) and one.size < share:
                    larger = replace(one, size=min(2 * max(one.size, 1), share))
                    under_way.add(sent(larger))
                    continue
                for following in islice(waiting, 1):
                    under_way.add(sent(following))
                yield one, answer
        finally:
            if known:
                self._client.cancel(list(known), force=True)

    def _sent(self, func: Callable[..., Any], args: tuple[Any, ...], size: int) -> Any:
        return self._client.submit(
            _call, __version__, func, args, size, pure=False, retries=_RETRIES
        )

    def _answer(self, name: str, one: SizedCall, future: Any) -> Any:
        from distributed.scheduler import KilledWorker

        if future.status == "finished":
            return future.result()
        if future.status != "error":
            msg = (
                f"{name}: the scheduler {self.address} must be there until the last call is "
                f"through. It went away, or forgot the calls ({future.status}). The same call "
                f"again does what is not finished."
            )
            raise LazyvoxError(msg)
        error = future.exception()
        if isinstance(error, KilledWorker):
            msg = (
                f"{name}: a worker must return from the function. Got "
                f"{error.allowed_failures + 1} workers that died while they worked on {one.what}; "
                f"the last one was {error.last_worker.address}. Mostly that is memory: look at its "
                f"log, and start workers with more memory."
            )
            return Raised(LazyvoxError(msg))
        return Raised(error)

    def _found_workers(self) -> dict[str, Any]:
        """Return the workers, and wait for the first one; look whether they know this package."""
        if not self._client.scheduler_info(n_workers=-1)["workers"]:
            msg = f"the scheduler {self.address} has no workers yet. Work begins with the first."
            warnings.warn(LazyvoxWarning(msg), stacklevel=4)
            self._client.wait_for_workers(1)
        found: dict[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
        for address, version in self._client.run(_version_there()).items():
            if version != __version__:
                msg = (
                    f"workers must have lazyvox {__version__}, as this process has. Worker "
                    f"{address} has {version or 'none'}."
                )
                raise LazyvoxError(msg, hint="Start workers in the same environment.")
        threaded = [address for address, one in found.items() if one["nthreads"] > 1]
        if threaded:
            msg = (
                f"a worker makes one call at a time, however many threads it has. Got {len(threaded)} "
                f"with several, such as {threaded[0]}. Start more workers, with --nthreads 1 each."
            )
            warnings.warn(LazyvoxWarning(msg), stacklevel=4)
        return found


@contextmanager
def connected(scheduler: SchedulerLike) -> Iterator[Cluster]:
    """Connect to a scheduler; a context manager that gives its workers.

    Parameters
    ----------
    scheduler : str, distributed.Client or a cluster of Dask
        Address such as ``"tcp://10.0.0.1:8786"``; or a connection, which stays open.

    Yields
    ------
    Cluster
        The workers, at least one.

    Raises
    ------
    MissingDependencyError
        If distributed is not installed.
    ParameterTypeError
        If it is none of these.
    LazyvoxError
        If there is no scheduler, or workers have another version of lazyvox.
    """
    require("distributed", "cluster", "Schedulers")
    from distributed import Client
    from distributed.comm import resolve_address
    from distributed.deploy.cluster import Cluster as DaskCluster

    if isinstance(scheduler, Client):
        yield Cluster(scheduler)
        return
    if not isinstance(scheduler, str | DaskCluster):
        msg = (
            f"`scheduler` must be an address such as tcp://10.0.0.1:8786, a distributed.Client or "
            f"a cluster of Dask. Got {type(scheduler).__name__}."
        )
        raise ParameterTypeError(msg)
    try:
        if isinstance(scheduler, str):
            # A client that refuses its address waits for itself to close.
            resolve_address(scheduler)
        client = Client(scheduler, timeout=_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        msg = (
            f"`scheduler` must be the address of a running scheduler of Dask. Got "
            f"{str(scheduler)!r}: {error}."
        )
        hint = "Start one with `dask scheduler`, and pass the address that it prints."
        raise ParameterError(msg, hint=hint) from error
    with client:
        yield Cluster(client)


def _limits(workers: dict[str, Any]) -> str:
    limits = sorted({one["memory_limit"] for one in workers.values() if one["memory_limit"]})
    return " to ".join(format_bytes(one) for one in dict.fromkeys((limits[0], limits[-1])))


def _version_there() -> Callable[[], str]:
    """Return a function that is sent with its code: workers may have no lazyvox to look it up in."""

    def version() -> str:
        try:
            from lazyvox import __version__ as there
        except ImportError:
            return ""
        return there

    return version


def _received(func: Callable[..., Any]) -> None:
    """Do nothing: a function that has come was unpickled, and so its modules are imported."""


def _call(version: str, func: Callable[..., Any], args: tuple[Any, ...], size: int) -> Any:
    """Make one call, in a worker."""
    if version != __version__:
        # One that came later than those that were asked.
        msg = f"workers must have lazyvox {version}. This one has {__version__}."
        raise LazyvoxError(msg, hint="Start workers in the same environment.")
    try:
        # Workers of Dask walk the stack of the thread that they call this in a hundred times a second:
        # a few percent of the time of a call, as deep as its stack is.
        with _ALONE.of_this_process(), Workers(1, "lazyvox-call") as workers:
            return workers.submit(func, *args, size).result()
    except MemoryBudgetError as error:
        # Another worker has no more: it would be made again in vain.
        return Raised(error)
