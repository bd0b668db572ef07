"""What has to be computed, or read to its end, before the first value of an array is there."""

from collections.abc import Hashable, Iterable

from lazyvox.array.computed_reader import DerivedReader, unread_sources
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.reduction_reader import ReducedReader, evaluate
from lazyvox.array.spool import SpooledReader

__all__ = [
    "fill_reductions",
    "fill_spools",
    "forget_reductions",
    "pending_reductions",
    "read_before",
]


def read_before(array: LazyArray) -> tuple[LazyArray, ...]:
    """Return what is read to its end, once, before the first value of an array is there.

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
    return (*found, *_read_by_stages(array))


def _read_by_stages(array: LazyArray) -> tuple[LazyArray, ...]:
    reader = array.reader
    found = list(reader.reads_before) if isinstance(reader, DerivedReader) else []
    for source in unread_sources(array):
        found += _read_by_stages(source)
    return tuple(found)


def fill_spools(array: LazyArray) -> None:
    """Compute now what reading an array would compute first, in the thread that waits for it.

    Parameters
    ----------
    array : LazyArray
        Any lazy array. What was computed before is not computed again.
    """
    fill_reductions((array,))
    _prepare_spools(array)


def _prepare_spools(array: LazyArray) -> None:
    if isinstance(array.reader, SpooledReader):
        array.reader.prepare()
        return
    for source in unread_sources(array):
        _prepare_spools(source)


def fill_reductions(arrays: Iterable[LazyArray]) -> None:
    """Compute the reductions that arrays depend on, those of one source in one pass.

    Parameters
    ----------
    arrays : iterable of LazyArray
        Any lazy arrays. What was computed before is not computed again.
    """
    for group in pending_reductions(arrays):
        evaluate(group)


def forget_reductions(array: LazyArray) -> None:
    """Drop the values of reductions that an array depends on.

    Parameters
    ----------
    array : LazyArray
        Any lazy array.
    """
    seen: set[int] = set()
    stack = [array]
    while stack:
        reader = stack.pop().reader
        if isinstance(reader, ReducedReader):
            reader.forget()
        below = reader.sources_below if isinstance(reader, DerivedReader) else ()
        stack += [one for one in below if id(one.reader) not in seen]
        seen |= {id(one.reader) for one in below}


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
        below = [_find_pending(one, depths, groups) for one in unread_sources(array)]
        depth = max(below, default=0)
        if isinstance(reader, ReducedReader) and reader.is_pending:
            depth += 1
            groups.setdefault(reader.source_key, []).append(reader)
        depths[id(reader)] = depth
    return depths[id(reader)]
