"""Exact percentiles of images that are larger than memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lazyvox._typing import Array, BoolArray, DType, override
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.image.single_scan import scan_once
from lazyvox.stream.consumer import Consumer

if TYPE_CHECKING:
    from lazyvox.lazyimage.load import ImageLike
    from lazyvox.lazyimage.series import Grid

__all__ = ["percentile_of"]


def percentile_of(
    img: ImageLike,
    percentile: float,
    mask: BoolArray | None,
    *,
    two_sided: bool,
    memory: int | str | None = None,
) -> float:
    """Return a percentile of the magnitudes, or of the values from 0 up, of all voxels.

    Parameters
    ----------
    img : image or path
        A 3D or 4D image; NaN and infinite voxels count as 0.
    percentile : float
        0 to 100; between two values it is interpolated linearly.
    mask : ndarray of shape (i, j, k), bool, or None
        The voxels to take; all by default.
    two_sided : bool
        Whether magnitudes are ranked, else the values that are not negative.
    memory : int or str, optional
        Memory budget of a pass.

    Returns
    -------
    float
        The exact percentile; NaN if no value is left.

    Raises
    ------
    ParameterError
        If `percentile` is outside of 0 to 100.
    ParameterTypeError
        If voxels are complex.

    Notes
    -----
    The bit patterns of numbers that are not negative ascend with their values. So a histogram of
    the leading bits of all values finds those of the wanted one, one more pass the next bits, and
    so on: one pass for 8 and 16 bits, two for 32, three or four for 64. Memory: 32 MiB at most.
    """
    if not 0 <= percentile <= 100:
        msg = f"a percentile must be from 0 to 100. Got {percentile:g}."
        raise ParameterError(msg)
    counter = LeadingBits([(0, None)], mask, two_sided=two_sided)
    whole: list[Array] = scan_once(img, counter, memory, 1, None)
    counts = whole[0]
    n_values = int(counts.sum())
    if not n_values:
        return float("nan")
    place = percentile / 100 * (n_values - 1)
    low = int(place)
    ranks = [low] if place == low else [low, low + 1]
    keys = _keys_at(img, ranks, counts, counter, memory)
    values = counter.values_of(keys)
    if len(values) == 1:
        return float(values[0])
    weights = np.array([low + 1 - place, place - low])
    return float((values * weights).sum() / weights.sum())


def _keys_at(
    img: ImageLike,
    ranks: list[int],
    counts: Array,
    first: LeadingBits,
    memory: int | str | None,
) -> list[int]:
    """Return the bit patterns at some ranks, pass by pass."""
    shift = first.shift_of(None)
    found = [_next_bits(counts, rank, 0, shift) for rank in ranks]
    while shift:
        shift = first.shift_of(shift)
        starts = sorted({start for start, _ in found})
        counter = LeadingBits(
            [(start, shift) for start in starts], first.mask, two_sided=first.two_sided
        )
        counted: list[Array] = scan_once(img, counter, memory, 1, None)
        tables = dict(zip(starts, counted, strict=True))
        found = [_next_bits(tables[start], rank, start, shift) for start, rank in found]
    return [start for start, _ in found]


def _next_bits(counts: Array, rank: int, start: int, shift: int) -> tuple[int, int]:
    """Return the smallest key of the bin that holds a rank, and the rank within the bin."""
    totals = np.cumsum(counts)
    place = int(np.searchsorted(totals, rank, side="right"))
    return start + (place << shift), rank - (int(totals[place - 1]) if place else 0)


class LeadingBits(Consumer[list[Array]]):
    """Histograms of the bit patterns of values, each over one range of them."""

    def __init__(
        self, ranges: list[tuple[int, int | None]], mask: BoolArray | None, *, two_sided: bool
    ) -> None:
        self.mask = mask
        self.two_sided = two_sided
        self._ranges = ranges
        self._counts: list[Array] = []
        self._dtype: DType = np.dtype(np.float32)

    @property
    def n_bits(self) -> int:
        """Bits that one pass finds."""
        return min(21 if self._dtype.itemsize == 8 else 16, 8 * self._dtype.itemsize)

    def shift_of(self, before: int | None) -> int:
        """Return how many bits are unknown after the next pass."""
        unknown = 8 * self._dtype.itemsize if before is None else before
        return max(unknown - self.n_bits, 0)

    def values_of(self, keys: list[int]) -> Array:
        """Return the numbers of some bit patterns."""
        if self._dtype.kind == "f":
            return np.array(keys, f"u{self._dtype.itemsize}").view(self._dtype)
        return np.array(keys, np.uint64)

    @override
    def check(self, grid: Grid) -> None:
        if grid.dtype.kind not in "biuf" or grid.dtype.itemsize > 8:
            msg = f"a percentile needs real voxels of up to 64 bits. Got {grid.dtype}."
            raise ParameterTypeError(msg)

    @override
    def init(self, grid: Grid) -> None:
        self._dtype = grid.dtype
        self._counts = [np.zeros(1 << self.n_bits, np.int64) for _ in self._ranges]

    @override
    def update(self, block: Array, start: int) -> None:
        del start
        values = block.ravel(order="K") if self.mask is None else block[self.mask].ravel()
        keys = _keys(values, two_sided=self.two_sided)
        for (low, shift), counts in zip(self._ranges, self._counts, strict=True):
            bits = self.shift_of(None) if shift is None else shift
            # Keys below `low` wrap around to large numbers, and fall out with those above.
            places = (keys - keys.dtype.type(low)) >> keys.dtype.type(bits)
            inside = places if shift is None else places[places < len(counts)]
            new = np.bincount(inside.astype(np.intp), minlength=len(counts))
            np.add(counts, new, out=counts)

    @override
    def merge(self, other: Self) -> None:
        for mine, others in zip(self._counts, other._counts, strict=True):
            np.add(mine, others, out=mine)

    @override
    def finalize(self) -> list[Array]:
        return self._counts

    @override
    def state_bytes(self, grid: Grid) -> int:
        n_bits = 21 if grid.dtype.itemsize == 8 else 16
        return len(self._ranges) * 8 << n_bits

    @override
    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        # Values, their finite copy, keys, places, those inside, as int64, and the new counts.
        per_value = 5 * grid.dtype.itemsize + 10
        bins = 8 << (21 if grid.dtype.itemsize == 8 else 16)
        return grid.n_voxels * block_volumes * per_value + bins


def _keys(values: Array, *, two_sided: bool) -> Array:
    """Return unsigned integers that ascend with magnitudes, or with what is not negative."""
    kind: Any = np.dtype(f"u{values.dtype.itemsize}")
    if values.dtype.kind == "f":
        bits = values.view(kind)
        magnitudes: Array = bits & kind.type(np.iinfo(kind).max >> 1)
        # All patterns from that of infinity on are infinite or NaN.
        beyond = np.array(np.inf, values.dtype).view(kind)
        magnitudes[magnitudes >= beyond] = 0
        return magnitudes if two_sided else magnitudes[(bits == magnitudes) | (magnitudes == 0)]
    if values.dtype.kind != "i":
        return values.view(kind)
    if not two_sided:
        return values[values >= 0].view(kind)
    # The magnitude of the smallest integer is itself, which is right once it is unsigned.
    return np.abs(values).view(kind)
