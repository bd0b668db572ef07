"""Load the next items in a background thread while the current one is used."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

from lazyvox._threads import join_all, start

__all__ = ["ReadAhead"]

TaskT = TypeVar("TaskT")
ItemT = TypeVar("ItemT")


class ReadAhead(Generic[TaskT, ItemT]):
    """Iterate over ``load(task)`` for each task, in order, loading up to `n_ahead` in advance.

    An item counts until the next one is asked for. So with `n_ahead` buffers, task number i may
    use buffer ``i % n_ahead``: whoever used it last has let go of it.

    One thread loads, as one compressed file can be decoded by one thread only. It is started by
    the first item, ends with the last, and is joined on leaving the context, whatever happened:
    an error while loading appears where its item would have, and an error of the user, an early
    exit or Ctrl-C stops the thread at the end of the load that is under way.

    Parameters
    ----------
    tasks : iterable
        Taken in the background thread, one at a time.
    load : callable
        Called in the background thread.
    n_ahead : int
        Number of items that may exist at a time, the one in use included.
    """

    def __init__(
        self, tasks: Iterable[TaskT], load: Callable[[TaskT], ItemT], *, n_ahead: int
    ) -> None:
        self._tasks = tasks
        self._load = load
        # Queues written in C only, for the reason that `lazyvox._threads` gives.
        self._free: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(n_ahead):
            self._free.put(None)
        self._items: queue.SimpleQueue[tuple[ItemT | None, BaseException | None]] = (
            queue.SimpleQueue()
        )
        self._is_stopped = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Return the iterable itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop and join the thread."""
        self.close()

    def __iter__(self) -> Iterator[ItemT]:
        """Yield the items in order."""
        if self._thread is not None:
            msg = "bug in lazyvox: items are loaded once, and were asked for twice"
            raise AssertionError(msg)
        self._thread = threading.Thread(target=self._run, name="lazyvox-readahead", daemon=True)
        start(self._thread)
        while True:
            item, error = self._items.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item
            self._free.put(None)

    def close(self) -> None:
        """Stop loading and wait for the thread to end, through Ctrl-C too.

        Whatever the thread reads from is closed after this, so an interrupt must wait: it is
        raised when the thread has ended.
        """
        self._is_stopped = True
        self._free.put(None)
        if self._thread is not None:
            join_all([self._thread])

    def _run(self) -> None:
        try:
            for task in self._tasks:
                self._free.get()
                if self._is_stopped:
                    return
                self._items.put((self._load(task), None))
        except BaseException as error:  # noqa: BLE001 - handed to the user of the item
            self._items.put((None, error))
        else:
            self._items.put((None, None))
