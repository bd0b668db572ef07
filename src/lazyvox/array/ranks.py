"""Values at ranks, of more values than memory holds: found exactly, in few looks at all of them.

The bit patterns of numbers can be made to ascend with the numbers. So a histogram of the leading 16
bits of all values finds those of the wanted one, one more look the next 16 bits, and so on: one look
for types of 8 and 16 bits, two for 32, four for 64.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazyvox._typing import Array, DType
from lazyvox.errors import ParameterError

__all__ = ["Ranks"]

#: Bits that one look finds.
N_BITS = 16


class Ranks:
    """Search for the values at percentiles.

    Parameters
    ----------
    percentiles : sequence of float
        0 to 100; each is at place ``percentile / 100 * (n - 1)`` of the sorted values.
    dtype : numpy.dtype
        Type of the values: real, of up to 64 bits.

    Raises
    ------
    ParameterError
        If a percentile is outside of 0 to 100.

    Examples
    --------
    >>> search = Ranks([50], np.dtype("f4"))
    >>> while not search.is_done:
    ...     search.take(np.array([3, -1], "f4"))
    ...     search.take(np.array([2, 7], "f4"))
    ...     search.advance()
    >>> search.neighbours()
    [(2.0, 3.0, 0.5)]
    """

    def __init__(self, percentiles: Sequence[float], dtype: DType) -> None:
        for one in percentiles:
            if not 0 <= one <= 100:
                msg = f"a percentile must be from 0 to 100. Got {one:g}."
                raise ParameterError(msg)
        self._percentiles = tuple(percentiles)
        self._dtype = dtype
        self._key_dtype: Any = np.dtype(f"u{dtype.itemsize}").type
        self._n_unknown = 8 * dtype.itemsize
        # Of each rank: the bits that are known, and the rank among the values that have them.
        self._found: list[tuple[int, int]] = []
        self.counts: dict[int, Array] = {0: self._new_counts()}
        self.is_done = False
        self.n_values = 0

    @staticmethod
    def nbytes(n_percentiles: int) -> int:
        """Return the most bytes that a search holds, and one look allocates besides its keys."""
        return (2 * n_percentiles + 3) * 8 << N_BITS

    def take(self, values: Array) -> None:
        """Take values, none of which is NaN; each time all of them, in any order and cut."""
        keys = _ascending(values)
        shift = self._shift
        for start, counts in self.counts.items():
            # Keys below `start` wrap around to large numbers, and fall out with those above.
            places = (keys - self._key_dtype(start)) >> self._key_dtype(shift)
            inside = (
                places
                if self._n_unknown == 8 * self._dtype.itemsize
                else places[places < len(counts)]
            )
            new = np.bincount(inside.astype(np.intp), minlength=len(counts))
            np.add(counts, new, out=counts)

    def merge(self, other: "Ranks") -> None:
        """Take over what another search at the same place saw of other values."""
        for start, counts in self.counts.items():
            np.add(counts, other.counts[start], out=counts)

    def advance(self) -> None:
        """End one look at all values: another one is needed until `is_done`."""
        if not self._found:
            self.n_values = int(self.counts[0].sum())
            if not self.n_values:
                self.is_done = True
                return
            self._found = [(0, rank) for rank in self._ranks()]
        shift = self._shift
        self._found = [
            _next_bits(self.counts[start], rank, start, shift) for start, rank in self._found
        ]
        self._n_unknown = shift
        self.is_done = not shift
        starts = () if self.is_done else {start for start, _ in self._found}
        self.counts = {start: self._new_counts() for start in starts}

    def neighbours(self) -> list[tuple[float, float, float]]:
        """Return of each percentile the values below and above it.

        Returns
        -------
        list of (float, float, float)
            Both values, and the place between them, from 0 to 1. NaN where there is no value.
        """
        if not self.n_values:
            return [(np.nan, np.nan, 0.0) for _ in self._percentiles]
        keys = np.array([start for start, _ in self._found], f"u{self._dtype.itemsize}")
        values = [float(one) for one in _numbers(keys, self._dtype)]
        weights = [place - int(place) for place in self._places()]
        return list(zip(values[::2], values[1::2], weights, strict=True))

    def _places(self) -> list[float]:
        return [one / 100 * (self.n_values - 1) for one in self._percentiles]

    def _ranks(self) -> list[int]:
        return [
            rank
            for place in self._places()
            for rank in (int(place), min(int(place) + 1, self.n_values - 1))
        ]

    @property
    def _shift(self) -> int:
        """Bits that are unknown after this look."""
        return max(self._n_unknown - N_BITS, 0)

    def _new_counts(self) -> Array:
        return np.zeros(1 << min(N_BITS, self._n_unknown), np.int64)


def _next_bits(counts: Array, rank: int, start: int, shift: int) -> tuple[int, int]:
    """Return the smallest key of the bin that holds a rank, and the rank within the bin."""
    totals = np.cumsum(counts)
    place = int(np.searchsorted(totals, rank, side="right"))
    return start + (place << shift), rank - (int(totals[place - 1]) if place else 0)


def _ascending(values: Array) -> Array:
    """Return unsigned integers that ascend with the values."""
    kind: Any = np.dtype(f"u{values.dtype.itemsize}")
    keys: Array = np.ascontiguousarray(values).view(kind)
    top = kind.type(1 << (8 * kind.itemsize - 1))
    if values.dtype.kind == "i":
        keys = keys ^ top
    elif values.dtype.kind == "f":
        # Negative numbers descend with their patterns, and lie below the others.
        keys = np.where(keys & top, ~keys, keys | top)
    return keys


def _numbers(keys: Array, dtype: DType) -> Array:
    """Return the values of some keys."""
    top = keys.dtype.type(1 << (8 * keys.itemsize - 1))
    patterns = keys
    if dtype.kind == "i":
        patterns = keys ^ top
    elif dtype.kind == "f":
        patterns = np.where(keys & top, keys ^ top, ~keys)
    return patterns.view(dtype)
