"""`PreloadIterator` and `PreloadList`: the next items load while the current one is used."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, Self, SupportsIndex, TypeVar, runtime_checkable

from lazyvox._typing import override
from lazyvox.errors import ParameterTypeError
from lazyvox.runtime.budget import resolve_budget
from lazyvox.runtime.cores import usable_cores
from lazyvox.runtime.prefetch import Prefetched, check_count

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lazyvox.runtime.prefetch import Step

__all__ = ["PreloadIterator", "PreloadList", "Preloads"]

ItemT = TypeVar("ItemT")


@runtime_checkable
class Preloads(Protocol):
    """Protocol of objects that can be loaded ahead: see `LazyReadData`."""

    def _expects(self) -> int:
        """Return the bytes that loading will take; 0 if nothing is to be loaded, or unknown."""

    def _is_recorded(self, n_ahead: int) -> bool:
        """Return whether use comes later, when an expression is evaluated; it then reads ahead."""

    def _await_use(self, tell: Callable[[], None]) -> None:
        """Have `tell` called at the first use from now on."""

    def _preload(self) -> None:
        """Load, keeping an error for the first use of the data."""

    def _take_back(self) -> None:
        """Release an item that was loaded ahead, if it has not been used."""


class _Quota:
    """Counts the items that are loaded ahead and not yet used, given out or not."""

    def __init__(self, n_most: int, limit: int) -> None:
        self._n_most = n_most
        self._limit = limit
        self._held: dict[int, tuple[weakref.ref[Any], int]] = {}
        self._lock = threading.RLock()
        self._resume: weakref.WeakMethod[Callable[[], None]] | None = None

    def tell(self, resume: Callable[[], None]) -> None:
        """Set the callback, held weakly, for when more may be loaded."""
        self._resume = weakref.WeakMethod(resume)

    def admits(self, step: Step[Any, Any], before: Sequence[Step[Any, Any]]) -> bool:
        """Return whether an item may load; memory held by others is counted here."""
        del before
        item = step.task
        if not isinstance(item, Preloads) or item._is_recorded(self._n_most):
            return True
        step.size = item._expects()
        key = id(item)
        with self._lock:
            if key in self._held:
                return True
            held = sum(size for _, size in list(self._held.values()))
            is_room = not self._held or held + step.size <= self._limit
            if len(self._held) >= self._n_most or not is_room:
                return False
            self._held[key] = (weakref.ref(item, lambda _: self._used(key)), step.size)
        item._await_use(lambda: self._used(key))
        return True

    def delivered(self, step: Step[Any, Any], item: Any) -> None:
        """Do nothing: an item that was given out counts until it is used."""

    def withdrawn(self, step: Step[Any, Any], item: Any) -> None:
        """Release an item that is not given out."""
        del item
        if isinstance(step.task, Preloads):
            step.task._take_back()
            with self._lock:
                self._held.pop(id(step.task), None)

    def _used(self, key: int) -> None:
        with self._lock:
            self._held.pop(key, None)
        resume = None if self._resume is None else self._resume()
        if resume is not None:
            resume()


def _preloaded(item: ItemT) -> ItemT:
    if isinstance(item, Preloads):
        item._preload()
    return item


def _as_it_is(item: ItemT) -> ItemT:
    return item


class PreloadIterator(Iterator[ItemT]):
    """Iterate over lazy readers while the next ones load in background threads.

    Parameters
    ----------
    iterable : iterable of LazyReadData
        Lists, generators, anything; items of other types pass as they are.
    npreload : int, optional
        Most items that are loaded ahead and not yet used, those that were only collected
        included. By default the usable cores. No more threads load than there are cores.

    Raises
    ------
    ParameterError
        If `npreload` is below 1.
    ParameterTypeError
        If `npreload` is no whole number, or `iterable` cannot be iterated over.

    Notes
    -----
    Memory: `npreload` items besides those in use, and no more than the memory budget that is in
    force when the iterator is made. An error of loading is raised where its item is used. Leaving
    the loop ends the threads and releases unused items; a later loop, or `next`, goes on behind
    the last item. A generator is asked in the thread of the loop, for at most `npreload` items
    behind the current one.

    Examples
    --------
    >>> import lazyvox as lv
    >>> names = ["left.nii.gz", "right.nii.gz"]
    >>> volumes = [lv.LazyReadData(name, nops=1, dtype="float32") for name in names]
    >>> sum(lv.PreloadIterator(volumes, npreload=2)).data.shape
    (12, 14, 10)
    """

    def __init__(self, iterable: Iterable[ItemT], npreload: int | None = None) -> None:
        n_ahead = check_count(npreload, "npreload")
        given: object = iterable
        if not isinstance(given, Iterable):
            msg = f"`iterable` must be one of lazy readers. Got {type(given).__name__}."
            raise ParameterTypeError(msg)
        quota = _Quota(n_ahead, resolve_budget(None))
        self._items: Prefetched[ItemT, ItemT] = Prefetched(
            iterable,
            _preloaded,
            n_items=n_ahead + 1,
            n_threads=min(n_ahead, usable_cores()),
            name="lazyvox-preload",
            admission=quota,
            unloaded=_as_it_is,
        )
        quota.tell(self._items.resume)

    @override
    def __iter__(self) -> Iterator[ItemT]:  # noqa: PYI034 - the end of each loop is noticed
        """Return an iterator over the items that are left."""
        return _Loop(self._items)

    @override
    def __next__(self) -> ItemT:
        """Return the next item, loaded unless too many wait for their use."""
        return next(self._items)

    def close(self) -> None:
        """End the iteration and its threads; harmless when repeated."""
        self._items.close()

    def __enter__(self) -> Self:
        """Return the iterator itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """End the threads."""
        self.close()


class _Loop(Iterator[ItemT]):
    """One loop over a `PreloadIterator`: its end, early or not, ends the threads."""

    def __init__(self, items: Prefetched[ItemT, ItemT]) -> None:
        self._items = items

    @override
    def __iter__(self) -> Self:
        return self

    @override
    def __next__(self) -> ItemT:
        return next(self._items)

    def __del__(self) -> None:
        self._items.leave()


class PreloadList(list[ItemT]):
    """A list of lazy readers that preloads while it is iterated over.

    Parameters
    ----------
    iterable : iterable of LazyReadData, default=()
        The items.
    npreload : int, optional
        As for `PreloadIterator`.

    Raises
    ------
    ParameterError
        If `npreload` is below 1.
    ParameterTypeError
        If `npreload` is no whole number.

    Notes
    -----
    Memory: as for `PreloadIterator`. Everything but iteration is a list's, and loads nothing.
    Slices and copies are preloading lists too.

    Examples
    --------
    >>> import lazyvox as lv
    >>> volumes = lv.PreloadList((lv.LazyReadData("mask.nii.gz", nops=1) for _ in range(4)), 2)
    >>> int(sum(volumes).data.dataobj.max())
    4
    """

    def __init__(self, iterable: Iterable[ItemT] = (), npreload: int | None = None) -> None:
        self.npreload = None if npreload is None else check_count(npreload, "npreload")
        super().__init__(iterable)

    @override
    def __iter__(self) -> Iterator[ItemT]:
        """Iterate, loading ahead."""
        return iter(PreloadIterator(_Items(self), self.npreload))

    @override
    def __getitem__(self, key: SupportsIndex | slice) -> Any:
        """Return an item, or a preloading list of some."""
        found = super().__getitem__(key)
        return type(self)(_plain(found), self.npreload) if isinstance(key, slice) else found

    @override
    def copy(self) -> Self:
        """Return a preloading list of the same items."""
        return type(self)(_Items(self), self.npreload)

    @override
    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        """Pickle the items as they are, none of them loaded."""
        return type(self), (list(_Items(self)), self.npreload)


class _Items(Iterable[ItemT]):
    """The items of a list, without loading."""

    def __init__(self, items: list[ItemT]) -> None:
        self._items = items

    @override
    def __iter__(self) -> Iterator[ItemT]:
        return list.__iter__(self._items)


def _plain(items: Any) -> list[Any]:
    return list(list.__iter__(items))
