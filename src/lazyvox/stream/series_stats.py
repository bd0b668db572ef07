"""One value per volume: global signal and DVARS.

Sums run slice by slice and are added up at the end, so that results do not depend on how the
series was cut into blocks or slabs.
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Self

import numpy as np

from lazyvox._typing import Array, override
from lazyvox.errors import ParameterError
from lazyvox.lazyimage.load import ImageLike
from lazyvox.lazyimage.series import Grid
from lazyvox.stream.consumer import Consumer, check_real
from lazyvox.stream.masks import read_mask

__all__ = ["DVARS", "GlobalSignal"]

#: Voxels summed at a time: their float64 values stay in the processor's cache.
PIECE_VOXELS = 65_536


class _PerVolume(Consumer[Array]):
    """Base: keeps one float64 sum per slice and volume, over all voxels or those of a mask."""

    def __init__(self, mask_img: ImageLike | None = None) -> None:
        self._mask_img = mask_img
        self._mask: Array | None = None
        self._mask_grid: Grid | None = None

    @override
    def check(self, grid: Grid) -> None:
        check_real(grid, f"{type(self).__name__} needs")
        if self._mask_img is not None and self._mask_grid is not grid:
            self._mask = read_mask(self._mask_img, grid, name="mask_img")
            self._mask_grid = grid

    @override
    def init(self, grid: Grid) -> None:
        self.check(grid)
        self._grid = grid
        self._sums = np.full((grid.n_volumes, grid.shape[2]), np.nan)
        self._n_voxels = grid.n_voxels if self._mask is None else int(self._mask.sum())

    @override
    def update(self, block: Array, start: int) -> None:
        for i in range(block.shape[3]):
            self._take(block[..., i], start + i, 0)

    @property
    @override
    def takes_slabs(self) -> bool:
        return True

    @override
    def update_slab(self, slab: Array, volume: int, k: int) -> None:
        self._take(slab[..., 0], volume, k)

    @override
    def state_bytes(self, grid: Grid) -> int:
        mask_bytes = 0 if self._mask_img is None else grid.n_voxels
        return grid.n_volumes * (grid.shape[2] + 2) * 8 + mask_bytes

    @override
    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        slice_voxels = grid.shape[0] * grid.shape[1]
        return 3 * 8 * max(PIECE_VOXELS, slice_voxels)

    @abstractmethod
    def _take(self, values: Array, volume: int, k: int) -> None:
        """Take some slices of one volume, from slice `k` on."""

    def _pieces(self, values: Array, k: int) -> Iterator[tuple[slice, slice]]:
        """Yield groups of slices, by their places in `values` and in the volume."""
        step = max(PIECE_VOXELS // max(values.shape[0] * values.shape[1], 1), 1)
        for first in range(0, values.shape[2], step):
            last = min(first + step, values.shape[2])
            yield slice(first, last), slice(k + first, k + last)

    def _slice_sums(self, values: Array, k: int) -> Array:
        """Return the sum over each slice of some float64 values, from slice `k` on."""
        if self._mask is not None:
            # A product with zero would let NaN outside of the mask through.
            values = np.where(self._mask[:, :, k : k + values.shape[2]], values, 0)
        sums: Array = np.add.reduce(values.reshape(-1, values.shape[2], order="F"), axis=0)
        return sums


class GlobalSignal(_PerVolume):
    """Mean over voxels of every volume: an array of shape (n_volumes,), float64.

    Parameters
    ----------
    mask_img : image or path, optional
        The voxels to average; by default all of them.

    Examples
    --------
    >>> import lazyvox as lv
    >>> lv.global_signal("run.nii.gz", mask_img="mask.nii.gz").shape
    (40,)
    """

    @override
    def merge(self, other: Self) -> None:
        self._sums = np.where(np.isnan(self._sums), other._sums, self._sums)

    @override
    def finalize(self) -> Array:
        signal: Array = self._sums.sum(axis=1) / self._n_voxels
        return signal

    @override
    def _take(self, values: Array, volume: int, k: int) -> None:
        for here, there in self._pieces(values, k):
            as_float = values[..., here].astype(np.float64)
            self._sums[volume, there] = self._slice_sums(as_float, there.start)


class DVARS(_PerVolume):
    """Root mean square over voxels of the change from the volume before.

    The result is an array of shape (n_volumes,), float64; the first value is NaN.

    Parameters
    ----------
    mask_img : image or path, optional
        The voxels to take; by default all of them.

    References
    ----------
    Power, J. D. et al. (2012). Spurious but systematic correlations in functional connectivity
    MRI networks arise from subject motion. NeuroImage 59(3).

    Examples
    --------
    >>> import lazyvox as lv
    >>> import numpy as np
    >>> np.isnan(lv.dvars("run.nii.gz")).sum()
    np.int64(1)
    """

    @override
    def init(self, grid: Grid) -> None:
        super().init(grid)
        self._before = np.empty(grid.shape, grid.dtype, order="F")
        self._opening = np.empty(grid.shape, grid.dtype, order="F")
        self._seen: range = range(0)

    @override
    def merge(self, other: Self) -> None:
        if self._seen.stop != other._seen.start:
            msg = (
                f"DVARS of neighbouring volumes can be merged, in order. Got volumes "
                f"{self._seen.start} to {self._seen.stop - 1} and then {other._seen.start}."
            )
            raise ParameterError(msg)
        seam = self._squares(other._opening, self._before, 0)
        self._sums[other._seen.start] = seam
        rest = slice(other._seen.start + 1, other._seen.stop)
        self._sums[rest] = other._sums[rest]
        self._before = other._before
        self._seen = range(self._seen.start, other._seen.stop)

    @override
    def finalize(self) -> Array:
        rms: Array = np.sqrt(self._sums.sum(axis=1) / self._n_voxels)
        return rms

    @override
    def state_bytes(self, grid: Grid) -> int:
        return super().state_bytes(grid) + 2 * grid.volume_bytes

    @override
    def _take(self, values: Array, volume: int, k: int) -> None:
        part = slice(k, k + values.shape[2])
        before = self._before[..., part]
        if len(self._seen) and volume > self._seen.start:
            self._sums[volume, part] = self._squares(values, before, k)
        else:
            self._seen = range(volume, volume)
            self._opening[..., part] = values
        before[...] = values
        self._seen = range(self._seen.start, volume + 1)

    def _squares(self, values: Array, before: Array, k: int) -> Array:
        sums = np.empty(values.shape[2])
        for here, there in self._pieces(values, k):
            change = np.subtract(values[..., here], before[..., here], dtype=np.float64)
            np.multiply(change, change, out=change)
            sums[here] = self._slice_sums(change, there.start)
        return sums
