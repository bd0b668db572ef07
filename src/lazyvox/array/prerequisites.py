"""Arrays that must be read in full before the first value of another can be returned."""

from collections.abc import Hashable, Iterable

from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.reduction_reader import ReducedReader, evaluate

__all__ = [
    "fill_reductions",
    "fill_spools",
    "pending_reductions",
    "read_before",
]


def read_before(array: LazyArray) -> tuple[LazyArray, ...]:
    """Return the arrays that are read in full, once, before the first value of another.

    Parameters
    ----------
    array : LazyArray
        Any lazy array.

    Returns
    -------
    tuple of LazyArray
        Empty for the array of a file, and after the first reading.
    """
    found = [group[0].source for group in pending_reductions((array,))]
    seen = {id(array.reader)}
    waiting = [array.reader]
    while waiting:
        reader = waiting.pop()
        found += reader.reads_before
        below = {id(one.reader): one.reader for one in reader.unread_sources}
        waiting += [one for key, one in reversed(below.items()) if key not in seen]
        seen |= below.keys()
    return tuple(found)


def fill_spools(array: LazyArray) -> None:
    """Compute now, in this thread, the kept results that reading an array would compute first.

    Parameters
    ----------
    array : LazyArray
        Any lazy array. What was computed before is not computed again.
    """
    fill_reductions((array,))
    array.reader.prepare()


def fill_reductions(arrays: Iterable[LazyArray]) -> None:
    """Compute the reductions that arrays depend on, those of one source in one pass.

    Parameters
    ----------
    arrays : iterable of LazyArray
        Any lazy arrays. What was computed before is not computed again.
    """
    for group in pending_reductions(arrays):
        evaluate(group)


def pending_reductions(arrays: Iterable[LazyArray]) -> list[list[ReducedReader]]:
    """Return the reductions that have to be computed before arrays can be read.

    Parameters
    ----------
    arrays : iterable of LazyArray
        Any lazy arrays.

    Returns
    -------
    list of list of ReducedReader
        Those of one source together, in an order in which each depends on earlier ones only.
    """
    depths: dict[int, int] = {}
    groups: dict[Hashable, list[ReducedReader]] = {}
    for array in arrays:
        _find_pending(array, depths, groups)
    return sorted(groups.values(), key=lambda group: depths[id(group[0])])


def _find_pending(
    array: LazyArray, depths: dict[int, int], groups: dict[Hashable, list[ReducedReader]]
) -> int:
    """Enter the pending reductions below an array; return how many of them follow each other."""
    reader = array.reader
    if id(reader) not in depths:
        below = [_find_pending(one, depths, groups) for one in reader.unread_sources]
        depth = max(below, default=0)
        if (pending := reader.pending) is not None:
            depth += 1
            groups.setdefault(pending.source_key, []).append(pending)
        depths[id(reader)] = depth
    return depths[id(reader)]
