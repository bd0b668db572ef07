"""The reader of arrays in memory, and of the array proxies of other libraries."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from lazyvox._typing import Array, DType, Shape, override
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.reader import ArrayReader
from lazyvox.planning.indexing import Axis, as_key

__all__ = ["MemoryReader", "in_memory_array", "snapshot"]


@dataclass(frozen=True, slots=True, eq=False)
class MemoryReader(ArrayReader):
    """Reads from an array in memory, or from an object that can be sliced like one.

    Used for images that lazyvox did not load: their arrays, or nibabel's proxies. Two readers are
    equal if they read one object.
    """

    values: Any
    path: str = field()
    shape: Shape = field()
    dtype: DType = field()

    @override
    def __eq__(self, other: object) -> bool:
        """Return whether another reader reads the same object."""
        return isinstance(other, MemoryReader) and self.values is other.values

    @override
    def __hash__(self) -> int:
        """Return a hash of the identity of the array."""
        return id(self.values)

    @property
    @override
    def is_random_access(self) -> bool:
        """True for arrays; a proxy may think otherwise."""
        return isinstance(self.values, np.ndarray)

    @override
    def open(
        self, axes: tuple[Axis, ...], memory: int | None = None, n_jobs: int = 1
    ) -> "MemorySession":
        """Start a reading session."""
        return MemorySession(self.values)

    @property
    @override
    def is_in_memory(self) -> bool:
        """True for arrays."""
        return isinstance(self.values, np.ndarray)

    @property
    @override
    def content_key(self) -> tuple[Any, ...] | None:
        """The array; None for a proxy."""
        return ("memory", self.values) if isinstance(self.values, np.ndarray) else None


class MemorySession:
    """One reading session on an array."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing to end."""

    def read(self, axes: tuple[Axis, ...], out: Array, /) -> None:
        """Copy the values at `axes` into `out`."""
        lists = [i for i, axis in enumerate(axes) if isinstance(axis, tuple)]
        if not lists:
            out[...] = self._values[as_key(axes)]
            return
        # One position of a listed axis at a time: proxies cannot take lists.
        kept = [i for i, axis in enumerate(axes) if not isinstance(axis, int)]
        where = kept.index(lists[0])
        positions = axes[lists[0]]
        assert isinstance(positions, tuple)
        for place, position in enumerate(positions):
            single = (*axes[: lists[0]], position, *axes[lists[0] + 1 :])
            self.read(single, np.moveaxis(out, where, 0)[place, ...])


def snapshot(values: Array) -> Array:
    """Return an array whose values stay: a copy, or the very array where nothing can change it.

    Parameters
    ----------
    values : ndarray
        An array of the caller's, who may write to it later.

    Returns
    -------
    ndarray
        Of the same values, type and order of axes in memory; read-only.

    Notes
    -----
    Memory: as much again, unless `values` and the arrays that it is a view of are read-only, as
    those of ``numpy.load(path, mmap_mode="r")`` and of an earlier call are.
    """
    link: Any = values
    while isinstance(link, np.ndarray) and not link.flags.writeable:
        link = link.base
    if not isinstance(link, np.ndarray):
        return values
    # What `numpy.broadcast_to` repeats is copied once.
    once = values[tuple(slice(None) if step else slice(1) for step in values.strides)]
    kept = np.array(once, order="K", copy=True)
    kept.flags.writeable = False
    return np.broadcast_to(kept, values.shape)


def in_memory_array(values: Any, name: str) -> LazyArray:
    """Return an array, or another library's proxy, as a lazy array.

    Parameters
    ----------
    values : array-like
        Has `shape` and basic slicing.
    name : str
        What messages call it.

    Returns
    -------
    LazyArray
        Reads from `values`; an array is not copied.
    """
    shape = tuple(int(n) for n in values.shape)
    if isinstance(values, np.ndarray):
        dtype = values.dtype
    else:
        # The type of scaled values shows in an empty slice, which reads nothing.
        dtype = np.asarray(values[(slice(0, 0), *[slice(None)] * (len(shape) - 1))]).dtype
    return LazyArray.over(MemoryReader(values, name, shape, dtype))
