"""Processes that make calls, each one at a time, for threads that wait for the answers."""

import os
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from queue import SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from lazyvox.errors import LazyvoxError, ParameterError, ParameterTypeError
from lazyvox.runtime.fork_server import ForkedProcess, ForkServer
from lazyvox.runtime.process_results import (
    Caught,
    Failure,
    how_it_ended,
    packed,
    packed_call,
    raise_failure,
    send_call,
    start_process,
)
from lazyvox.runtime.process_worker import serve

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

__all__ = ["CONTEXTS", "Crew"]

#: A forked child inherits the locks of threads that it does not have, so that it is forked, if at all,
#: from a process that has one thread.
CONTEXTS = ("spawn", "forkserver")

#: Read when numerical libraries are loaded, so that they must be set before a process begins.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

#: Options of the allocator of pyarrow, which pandas imports: with its thread no process could be forked.
_ARROW_ALLOCATOR, _WITHOUT_THREAD = "JE_ARROW_MALLOC_CONF", "background_thread:false"

#: How long to wait for a word of a process before looking whether it is alive.
_POLL_S = 0.5

_EXIT_TIMEOUT_S = 10.0


class Crew:
    """A fixed number of processes that all call one function. A context manager.

    Parameters
    ----------
    name : str
        Name of the caller in messages.
    func : callable
        Function that the processes call; sent to each of them once.
    n_workers : int
        Number of processes.
    n_threads : int
        Threads that numerical libraries may use in each of them.
    context : {"spawn", "forkserver"}
        Whether each process begins afresh, or is forked from one that has made the imports of the
        function; that is so on Linux, where the imports begin no threads.
    imports : sequence of str
        Modules that the function imports when it is called.
    """

    def __init__(
        self,
        name: str,
        func: Callable[..., Any],
        *,
        n_workers: int,
        n_threads: int,
        context: str,
        imports: Sequence[str] = (),
    ) -> None:
        self.check_context(context)
        self._name = name
        self._workers: list[_Worker] = []
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        self._payload = packed_call(name, func, *imports)
        self._n_threads = n_threads
        # Held while processes are started: none may begin after `stop`.
        self._lock = Lock()
        self._is_stopped = False
        self._server: ForkServer | None = None
        try:
            if context == "forkserver" and ForkServer.is_available():
                with self._threads_of_libraries():
                    self._server = ForkServer(name, self._payload)
            for _ in range(n_workers):
                self._start_one()
        except BaseException:
            self.stop()
            raise
        for worker in self._workers:
            self._idle.put(worker)

    @staticmethod
    def check_context(context: str) -> None:
        """Raise `ParameterError` unless processes may be started in this way."""
        if context not in CONTEXTS:
            msg = (
                f"`context` must be one of {', '.join(CONTEXTS)}. Got {context!r}: a process that "
                f"is forked inherits locks of threads that it does not have, and may wait for "
                f"them for ever."
            )
            raise ParameterError(msg)

    def call(self, what: str, *args: Any) -> Any:
        """Have one of the processes make a call, and wait for it; from any thread.

        Parameters
        ----------
        what : str
            What the call is about, for messages.
        *args : Any
            Its arguments, picklable.

        Returns
        -------
        Any
            What the function returned.

        Raises
        ------
        ParameterTypeError
            If the arguments cannot be pickled.
        LazyvoxError
            If the process ends before the function returns.
        """
        payload = self._packed(what, args)
        worker = self._idle.get()
        try:
            worker = self._living(worker)
            return worker.call(what, payload)
        finally:
            self._idle.put(worker)

    def stop(self) -> None:
        """End the processes: those that work immediately, the others in their own way."""
        with self._lock:
            self._is_stopped = True
        for worker in self._workers:
            worker.dismiss()
        for worker in self._workers:
            worker.join()
        if self._server is not None:
            self._server.stop()

    def _start_one(self) -> "_Worker":
        worker = _Worker(self._name)
        self._workers.append(worker)
        with self._threads_of_libraries():
            worker.start(self._server, self._payload)
        return worker

    def _threads_of_libraries(self) -> AbstractContextManager[None]:
        """Set the number of threads of libraries in processes that are started meanwhile."""
        given = os.environ.get(_ARROW_ALLOCATOR)
        allocator = f"{given},{_WITHOUT_THREAD}" if given else _WITHOUT_THREAD
        threads = dict.fromkeys(_THREAD_VARIABLES, str(self._n_threads))
        return _environment({**threads, _ARROW_ALLOCATOR: allocator})

    def _living(self, worker: "_Worker") -> "_Worker":
        """Return a process, or another in the place of one that is dead."""
        with self._lock:
            return worker if self._is_stopped or worker.is_alive else self._start_one()

    def _packed(self, what: str, args: tuple[Any, ...]) -> bytes:
        try:
            return packed(args)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            msg = (
                f"{self._name}: what goes to another process must be picklable. Got {what}: "
                f"{error}. Pass a path, or an image of lazyvox.load."
            )
            raise ParameterTypeError(msg) from error

    def __enter__(self) -> Self:
        """Return the crew."""
        return self

    def __exit__(self, *exc: object) -> None:
        """End the processes."""
        self.stop()


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, name: str) -> None:
        import multiprocessing

        made = multiprocessing.get_context("spawn")
        self._name = name
        self._is_busy = False
        self._here: Connection
        self._here, self._there = made.Pipe()
        # Not a daemon: those may have no processes of their own.
        self._process: SpawnProcess | ForkedProcess = made.Process(
            target=serve, args=(self._there,), name=f"lazyvox-{name}", daemon=False
        )

    def start(self, server: ForkServer | None, payload: bytes) -> None:
        """Have a server fork the process, or start it afresh; its imports run while others start."""
        with self._there:
            forked = None if server is None else server.fork(self._there)
            if forked is None:
                start_process(self._process)
            else:
                self._process = forked
        if forked is None:
            send_call(self._here, payload)

    @property
    def is_alive(self) -> bool:
        """True until the process ends."""
        return self._process.is_alive()

    def call(self, what: str, payload: bytes) -> Any:
        """Send arguments, wait, and return the result or raise the error."""
        self._is_busy = True
        answer: Any = None
        try:
            self._here.send_bytes(payload)
            self._wait()
            answer = self._here.recv_bytes()
        except (EOFError, OSError) as error:
            raise self._died(what) from error
        finally:
            self._is_busy = False
        answer = pickle.loads(answer)
        if isinstance(answer, Failure):
            answer.error.add_note(f"{self._name}: raised for {what}.")
            raise_failure(answer, "the worker")
        return answer

    def dismiss(self) -> None:
        """Tell the process to end; one that works is killed."""
        if self._process.pid is None:
            return
        if self._is_busy:
            self._process.kill()
            return
        with Caught():
            self._here.send_bytes(b"")

    def join(self) -> None:
        """Wait for the end of the process; kill it where that takes too long."""
        if self._process.pid is not None:
            self._process.join(_EXIT_TIMEOUT_S)
            if self._process.is_alive():
                self._process.kill()
                self._process.join(_EXIT_TIMEOUT_S)
        self._here.close()

    def _wait(self) -> None:
        """Wait for a word of the process, or its end."""
        from multiprocessing.connection import wait

        # In turns, because a grandchild may hold both open after the process has died.
        while not wait([self._here, self._process.sentinel], _POLL_S):
            if not self._process.is_alive():
                return

    def _died(self, what: str) -> LazyvoxError:
        self._process.join(_EXIT_TIMEOUT_S)
        how = how_it_ended(self._process.exitcode)
        msg = (
            f"{self._name}: the process must return from the function. Got: {how} while it "
            f"worked on {what}."
        )
        hint = "Signal 9 is mostly the system's, out of memory: pass a smaller `n_jobs`"
        of_scripts = (
            f"an exit code of 1 is often a script that calls {self._name} outside of "
            f'`if __name__ == "__main__":`.'
        )
        return LazyvoxError(msg, hint=f"{hint}; {of_scripts}", cli_hint=f"{hint}.")


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment for processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
