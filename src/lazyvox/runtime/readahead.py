"""Load the next items in one background thread, into buffers that are used in turns."""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Self, TypeVar

from lazyvox.runtime.prefetch import Prefetched

__all__ = ["ReadAhead"]

TaskT = TypeVar("TaskT")
ItemT = TypeVar("ItemT")


class ReadAhead(Generic[TaskT, ItemT]):
    """Iterate over ``load(task)`` for each task, in order, loading up to `n_ahead` in advance.

    An item counts until the next one is asked for. So with `n_ahead` buffers, task number i may
    use buffer ``i % n_ahead``: its previous item has been released.

    One thread loads, as one compressed file can be decoded by one thread only. It is started by
    the first item, ends with the last, and is joined on leaving the context, whatever happened:
    an error while loading appears where its item would have, and an error of the user, an early
    exit or Ctrl-C stops the thread at the end of the load that is under way.

    Parameters
    ----------
    tasks : iterable
        Taken one at a time, at most `n_ahead` of them.
    load : callable
        Called in the background thread.
    n_ahead : int
        Number of items that may exist at a time, the one in use included.
    """

    def __init__(
        self, tasks: Iterable[TaskT], load: Callable[[TaskT], ItemT], *, n_ahead: int
    ) -> None:
        self._items = Prefetched(
            tasks, load, n_items=n_ahead, n_threads=1, name="lazyvox-readahead"
        )
        self._is_used = False

    def __enter__(self) -> Self:
        """Return the iterable itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop and join the thread."""
        self._items.close()

    def __iter__(self) -> Iterator[ItemT]:
        """Return an iterator over the items in order."""
        if self._is_used:
            msg = "bug in lazyvox: items are loaded once, and were asked for twice"
            raise AssertionError(msg)
        self._is_used = True
        return self._items

    def close(self) -> None:
        """Stop loading and wait for the thread to end, through Ctrl-C too.

        Whatever the thread reads from is closed after this, so an interrupt must wait: it is
        raised when the thread has ended.
        """
        self._items.close()
