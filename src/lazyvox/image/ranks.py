"""Exact percentiles of images that are larger than memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lazyvox._typing import Array, BoolArray, override
from lazyvox.array.ranks import Ranks
from lazyvox.image.single_scan import scan_once
from lazyvox.stream.consumer import Consumer, check_real
from lazyvox.stream.gather import zero_non_finite

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
    One pass for voxels of 8 and 16 bits, two for 32, four for 64; see `lazyvox.array.ranks`.
    Memory: 3 MiB, and what is made of a block.
    """
    look = _Look(percentile, mask, two_sided=two_sided)
    search = scan_once(img, look, memory, 1, None)
    while not search.is_done:
        search = scan_once(img, look, memory, 1, None)
    ((low, high, place),) = search.neighbours()
    if not place:
        return low
    weights = np.array([1 - place, place])
    return float((np.array([low, high]) * weights).sum() / weights.sum())


class _Look(Consumer[Ranks]):
    """One look of the search at all voxels; the next pass is the next one."""

    def __init__(self, percentile: float, mask: BoolArray | None, *, two_sided: bool) -> None:
        self._percentile = percentile
        self._mask = mask
        self._two_sided = two_sided
        self._search: Ranks | None = None

    @override
    def check(self, grid: Grid) -> None:
        check_real(grid, "a percentile needs", most_bits=64)

    @override
    def init(self, grid: Grid) -> None:
        if self._search is None:
            # The magnitude of the smallest integer is right once it is unsigned.
            kind = "u" if grid.dtype.kind in "biu" else "f"
            self._search = Ranks([self._percentile], np.dtype(f"{kind}{grid.dtype.itemsize}"))

    @override
    def update(self, block: Array, start: int) -> None:
        assert self._search is not None, "bug in lazyvox: update before init"
        values = block.ravel(order="K") if self._mask is None else block[self._mask].ravel()
        self._search.take(_ranked(values, two_sided=self._two_sided))

    @override
    def merge(self, other: Self) -> None:
        assert self._search is not None, "bug in lazyvox: merge before init"
        assert other._search is not None, "bug in lazyvox: merge before init"
        self._search.merge(other._search)

    @override
    def finalize(self) -> Ranks:
        assert self._search is not None, "bug in lazyvox: finalize before init"
        self._search.advance()
        return self._search

    @override
    def state_bytes(self, grid: Grid) -> int:
        return Ranks.nbytes(1)

    @override
    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        # Values, their finite copy, keys, places, those inside, and these as int64.
        return grid.n_voxels * block_volumes * (6 * grid.dtype.itemsize + 10)


def _ranked(values: Array, *, two_sided: bool) -> Array:
    """Return the magnitudes of values, or the non-negative ones; 0 for non-finite ones."""
    if values.dtype.kind == "f":
        values = values.copy()
        zero_non_finite(values)
    if not two_sided:
        values = values[values >= 0]
    magnitudes: Any = values if values.dtype.kind in "bu" else np.abs(values)
    kind = "f" if values.dtype.kind == "f" else "u"
    found: Array = magnitudes.view(f"{kind}{values.dtype.itemsize}")
    return found
