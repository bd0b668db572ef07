"""Time and memory of one call, in a process of its own."""

import os
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lazyvox.errors import LazyvoxError
from lazyvox.runtime.peak import PeakMemory, peak_memory
from lazyvox.runtime.process_results import (
    Caught,
    Failure,
    how_it_ended,
    packed_call,
    packed_failure,
    raise_failure,
    send_call,
    start_process,
)
from lazyvox.runtime.resident import process_memory, tree_pss

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

__all__ = [
    "Measurement",
    "PeakMemory",
    "measure",
    "peak_memory",
    "process_memory",
    "tree_pss",
]

_POLL_S = 0.1
_EXIT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """Time, memory and reads of one call.

    Attributes
    ----------
    seconds : float
        Wall time of the call.
    cpu_seconds : float
        Processor time of the process and of the children that it waited for.
    peak_bytes : int
        Peak PSS of the process tree during the call.
    increment_bytes : int
        Peak above what Python, the imports of `func` and its arguments held before the call.
    result : Any
        What the call returned.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    increment_bytes: int
    result: Any


def _cpu_seconds() -> float:
    """Return the processor time of this process and of the children that it waited for."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _measured(func: Callable[..., Any], args: tuple[Any, ...]) -> Measurement:
    """Call a function in this process and return its costs."""
    with peak_memory() as peak:
        began, cpu_began = time.perf_counter(), _cpu_seconds()
        result = func(*args)
        seconds = time.perf_counter() - began
    cpu_seconds = max(0.0, _cpu_seconds() - cpu_began - peak.sampling_seconds)
    return Measurement(seconds, cpu_seconds, peak.bytes, peak.increment, result)


def _serve(connection: "Connection") -> None:
    """Run in the child: receive the call, do it, send its costs or its error."""
    answer = b""
    with connection:
        with Caught() as caught:
            func, args = pickle.loads(connection.recv_bytes())
            answer = pickle.dumps(_measured(func, args))
        connection.send_bytes(answer if caught.error is None else packed_failure(caught.error))


def _received(process: "SpawnProcess", connection: "Connection") -> Measurement | Failure:
    """Return the answer of the child, or raise when it ends without one."""
    # Asked in turns, because a grandchild may hold the pipe open after the child has died.
    while not connection.poll(_POLL_S):
        if not process.is_alive() and not connection.poll(0):
            break
    try:
        if connection.poll(0):
            answer: Measurement | Failure = pickle.loads(connection.recv_bytes())
            return answer
    except (EOFError, ConnectionResetError):
        process.join(_EXIT_TIMEOUT_S)
    msg = (
        f"measure: the process must return from the function. Got: {how_it_ended(process.exitcode)} before it returned. "
        f"Signal 9 is mostly the system's, out of memory; an exit code of 1 is often a script "
        f'that calls measure outside of `if __name__ == "__main__":`.'
    )
    raise LazyvoxError(msg)


def measure(func: Callable[..., Any], *args: Any) -> Measurement:
    """Call a function in a fresh process and return its time and its peak memory.

    Parameters
    ----------
    func : callable
        Function; of a notebook or script, or a lambda, it is sent with its code.
    *args : Any
        Its arguments, picklable too.

    Returns
    -------
    Measurement
        Seconds, processor seconds, peak and increment in bytes, and the result.

    Raises
    ------
    ParameterTypeError
        If the function or its arguments cannot be pickled.
    LazyvoxError
        If the process dies before the function returns.

    Notes
    -----
    Whatever the function raises is raised here, with the traceback of the process as a note.
    Modules that the function imports while it runs count in the increment; those that importing
    its own module brings do not. The limits of `peak_memory` hold. The process is spawned, so
    scripts call this below ``if __name__ == "__main__":``.

    Examples
    --------
    >>> measure(sum, [1, 2]).result
    3
    """
    payload = packed_call("measure", func, *args)
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there,), name="lazyvox-measure")
    answer: Measurement | Failure | None = None
    try:
        with there:
            start_process(process)
        send_call(here, payload)
        answer = _received(process, here)
    finally:
        here.close()
        _end(process, timeout_s=0.0 if answer is None else _EXIT_TIMEOUT_S)
    if isinstance(answer, Failure):
        raise_failure(answer, "the measured process")
    return answer


def _end(process: "SpawnProcess", *, timeout_s: float) -> None:
    """Let the process finish its own exit for a while, then kill it."""
    if process.pid is None:
        return
    process.join(timeout_s)
    if process.is_alive():
        process.kill()
        process.join(_EXIT_TIMEOUT_S)
