"""A process that makes the imports of a function once, and forks workers that call it.

Pages of memory that a forked process does not write to are those of the process that it was forked from:
modules are in memory once, however many workers there are, and are imported once.
"""

import gc
import os
import signal
import sys
import warnings
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, NoReturn

from lazyvox.runtime.process_results import send_call, start_process
from lazyvox.runtime.process_worker import Callee, ignore_interrupts, serve

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkProcess, SpawnProcess

__all__ = ["ForkServer", "ForkedProcess"]

#: Elsewhere frameworks of the system may have begun threads, which cannot be counted.
_IS_KNOWN_TO_WORK = sys.platform == "linux"


class ForkedProcess:
    """A process that another one has forked; its methods are those of a `multiprocessing.Process`.

    Parameters
    ----------
    pid : int
        Its number.
    status : Connection
        Has its exit code once it has ended; its end is that of the server.
    """

    def __init__(self, pid: int, status: "Connection") -> None:
        self.pid = pid
        self.exitcode: int | None = None
        self._status = status
        self._has_ended = False
        self._lock = Lock()

    @property
    def sentinel(self) -> int:
        """A handle that is ready once the process has ended."""
        return self._status.fileno()

    def is_alive(self) -> bool:
        """Return whether the process has not ended."""
        self.join(0)
        return not self._has_ended

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end of the process, for some seconds at most."""
        with self._lock:
            if not self._has_ended and self._status.poll(timeout):
                self._has_ended = True
                with suppress(EOFError, OSError):
                    self.exitcode = self._status.recv()

    def kill(self) -> None:
        """Kill the process."""
        if self.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


class ForkServer:
    """A fresh process that imports what a function needs, and forks workers.

    Parameters
    ----------
    name : str
        Name of the caller in lists of processes.
    payload : bytes
        The function, packed by `packed_call`.
    """

    def __init__(self, name: str, payload: bytes) -> None:
        import multiprocessing

        made = multiprocessing.get_context("spawn")
        self._here, there = made.Pipe()
        # Not a daemon: those may have no processes of their own.
        self._process: SpawnProcess = made.Process(
            target=_run_server, args=(there,), name=f"lazyvox-{name}-server", daemon=False
        )
        with there:
            start_process(self._process)
        send_call(self._here, payload)

    @staticmethod
    def is_available() -> bool:
        """Return whether processes may be forked on this system."""
        return _IS_KNOWN_TO_WORK

    def fork(self, connection: "Connection") -> ForkedProcess | None:
        """Fork a worker.

        Parameters
        ----------
        connection : Connection
            The worker's end of its pipe, which stays open here.

        Returns
        -------
        ForkedProcess or None
            None where the server has threads, which a forked process would miss, or has ended.
        """
        from multiprocessing import Pipe
        from multiprocessing.reduction import send_handle

        status, there = Pipe(duplex=False)
        try:
            with there:
                for handle in (connection.fileno(), there.fileno()):
                    send_handle(self._here, handle, self._process.pid)
            # Also ready when the server ends: its copy of the other end is closed then.
            pid = status.recv()
        except (EOFError, OSError):
            status.close()
            return None
        if pid is None:
            status.close()
            return None
        return ForkedProcess(pid, status)

    def stop(self) -> None:
        """End the server; workers see to their own end."""
        if self._process.pid is not None:
            self._process.kill()
            self._process.join()
        self._here.close()


def _run_server(control: "Connection") -> None:
    """Import what a function needs, and fork workers until the parent ends."""
    ignore_interrupts()
    with control, suppress(EOFError, OSError):
        callee = Callee.unpickled(control.recv_bytes())
        is_alone = _is_alone()
        # A collection writes to every object that it looks at: those of now stay shared.
        gc.collect()
        gc.freeze()
        _fork_workers(control, callee, is_alone=is_alone)


def _fork_workers(control: "Connection", callee: Callee, *, is_alone: bool) -> NoReturn:
    """Fork a worker for each pair of pipes that comes, and tell the exit codes of those that end."""
    from multiprocessing import get_context
    from multiprocessing.connection import Connection, wait
    from multiprocessing.reduction import recv_handle

    running: dict[int, tuple[ForkProcess, Connection]] = {}
    while True:
        for ready in wait([control, *running]):
            if isinstance(ready, int):
                ended, status = running.pop(ready)
                ended.join()
                with status, suppress(OSError):
                    status.send(ended.exitcode)
                continue
            connection = Connection(recv_handle(control))
            status = Connection(recv_handle(control), readable=False)
            with connection:
                if not is_alone:
                    status.send(None)
                    status.close()
                    continue
                not_its_own = [control, status, *(one for _, one in running.values())]
                process = get_context("fork").Process(
                    target=_work, args=(connection, callee, not_its_own), daemon=False
                )
                process.start()
            status.send(process.pid)
            running[process.sentinel] = process, status


def _work(connection: "Connection", callee: Callee, not_its_own: list["Connection"]) -> None:
    """Run a worker, in the forked process."""
    for one in not_its_own:
        one.close()
    random = sys.modules.get("numpy.random")
    if random is not None:
        # Python's own generator is seeded anew in each forked process, NumPy's is not.
        random.seed()
    serve(connection, callee)


def _is_alone() -> bool:
    """Return whether this process has one thread, besides those of libraries that know of forks.

    Such libraries, as OpenBLAS, end their threads before a process is forked, and begin them again
    when there is something to do: so one is forked in vain, and then threads are counted.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    return len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208
