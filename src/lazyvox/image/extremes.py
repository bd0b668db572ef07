"""Smallest and largest value of a series, found by a pass of their own when first asked for."""

import threading
from typing import Any

import numpy as np

from lazyvox._typing import override
from lazyvox.array.block_reading import block_values, buffered_itemsize, iter_blocks
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.value_range import ValueRange

__all__ = ["Extremes"]

#: Size of all buffers together: the pass that needs the limits counts with it.
_BUFFER_BYTES = 2 << 20


class Extremes:
    """Smallest and largest value of an array, 0 among them; NaN does not count.

    Nothing is read before `limits` is called. Safe from many threads: one of them reads.

    Parameters
    ----------
    array : LazyArray
        3D or 4D.
    """

    def __init__(self, array: LazyArray) -> None:
        self._array = array
        self._lock = threading.Lock()
        self._limits: tuple[float, float] | None = None

    def limits(self) -> tuple[float, float]:
        """Return smallest and largest value; reads the array the first time.

        Returns
        -------
        tuple of float
            The smaller of 0 and the smallest value, the larger of 0 and the largest.
        """
        with self._lock:
            if self._limits is None:
                self._limits = self._read()
            return self._limits

    @property
    def reads_before(self) -> tuple[LazyArray, ...]:
        """The array, as long as it has not been read."""
        return (self._array,) if self._limits is None else ()

    @property
    def work_bytes(self) -> int:
        """Most bytes that reading allocates."""
        array = self._array
        return block_values(array, _BUFFER_BYTES) * buffered_itemsize(array)

    def _read(self) -> tuple[float, float]:
        array, seen = self._array, ValueRange("nan")
        seen.take(np.zeros(1))
        with iter_blocks(array, block_values(array, _BUFFER_BYTES)) as blocks:
            for block in blocks:
                seen.take(block.values)
        return seen.limits

    @override
    def __getstate__(self) -> tuple[LazyArray, tuple[float, float] | None]:
        """Return the state without the lock."""
        return self._array, self._limits

    def __setstate__(self, state: Any) -> None:
        """Take a state over."""
        self._array, self._limits = state
        self._lock = threading.Lock()
