"""Arrays that are in memory already, and proxies of others, behind the same protocol."""

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np

from lazyvox._typing import Array, DType, Shape
from lazyvox.array.lazy_array import LazyArray
from lazyvox.planning.indexing import Axis, as_key

__all__ = ["MemoryReader", "in_memory_array"]


@dataclass(frozen=True, slots=True, eq=False)
class MemoryReader:
    """Reads from an array in memory, or from an object that can be sliced like one.

    Used for images that lazyvox did not load: their arrays, or nibabel's proxies.
    """

    values: Any
    path: str
    shape: Shape
    dtype: DType

    @property
    def is_random_access(self) -> bool:
        """True for arrays; a proxy may think otherwise."""
        return isinstance(self.values, np.ndarray)

    def open(self) -> "MemorySession":
        """Start a reading session."""
        return MemorySession(self.values)


class MemorySession:
    """One reading session on an array."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
