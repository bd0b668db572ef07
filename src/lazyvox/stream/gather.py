"""Voxels of a mask, in the order of NumPy's boolean indexing: of volumes, and of a whole series."""

from functools import cached_property
from typing import Self

import numpy as np

from lazyvox._typing import Array, BoolArray, DType, IntArray, override
from lazyvox.lazyimage.series import Grid
from lazyvox.stream.consumer import Consumer

__all__ = ["MaskedVoxels", "VoxelGather", "zero_non_finite"]


class VoxelGather:
    """Voxels of a grid, ready to be taken out of volumes in Fortran order, or out of slabs.

    Parameters
    ----------
    index : ndarray of shape (n,), intp
        The voxels, numbered in Fortran order; one may occur several times.
    """

    def __init__(self, index: IntArray) -> None:
        self.index = index

    @classmethod
    def of(cls, mask: BoolArray) -> "VoxelGather":
        """Return the gather of a mask of shape (i, j, k), its voxels in C order."""
        i, j, k = np.nonzero(mask)
        return cls(i + mask.shape[0] * (j + mask.shape[1] * k))

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return len(self.index)

    @property
    def nbytes(self) -> int:
        """Most bytes that the gather holds: the voxels, and the copies that slabs need."""
        return 3 * self.index.nbytes

    def take(self, volumes: Array, out: Array) -> None:
        """Fill `out`, of shape (..., n_voxels), from flat volumes of shape (..., n_grid)."""
        if out.dtype == volumes.dtype and out.flags.c_contiguous:
            # Every index is on the grid by construction. "clip" only spares NumPy the copy that
            # it makes of `out` to undo a failure.
            np.take(volumes, self.index, axis=-1, out=out, mode="clip")
        else:
            np.copyto(out, np.take(volumes, self.index, axis=-1), casting="unsafe")

    def take_slab(self, slab: Array, k: int, out: Array) -> None:
        """Fill the part of `out`, of shape (n_voxels,), that a slab from slice `k` on holds."""
        self.take_range(slab.reshape(-1, order="F"), slab.shape[0] * slab.shape[1] * k, out)

    def take_range(self, values: Array, first: int, out: Array) -> None:
        """Fill the part of `out`, of shape (n_voxels,), that consecutive voxels hold.

        Parameters
        ----------
        values : ndarray of shape (n,)
            Voxels of one volume in Fortran order.
        first : int
            Number of the first one.
        out : ndarray of shape (n_voxels,)
            Where they go.
        """
        places, ascending = self._sorted
        start, stop = np.searchsorted(ascending, (first, first + len(values)))
        found = values[ascending[start:stop] - first]
        out[places[start:stop]] = found.astype(out.dtype, copy=False)

    @cached_property
    def _sorted(self) -> tuple[IntArray, IntArray]:
        """The voxels in ascending order, and before them their positions in `index`.

        A slab holds a range of them. Volumes that come whole do not need it.
        """
        places = np.argsort(self.index, kind="stable")
        return places, self.index[places]


class MaskedVoxels(Consumer[Array]):
    """The voxels of a mask as an array of shape (n_volumes, n_voxels).

    Parameters
    ----------
    mask : ndarray of shape (i, j, k), bool
        The voxels to take.
    dtype : numpy.dtype
        Type of the result.
    ensure_finite : bool
        Whether NaN and infinite values become zero.
    """

    def __init__(self, mask: BoolArray, dtype: DType, *, ensure_finite: bool) -> None:
        self._gather = VoxelGather.of(mask)
        self._dtype = dtype
        self._ensure_finite = ensure_finite
        self._n_slices = mask.shape[2]
        self._rows: Array | None = None
        self._seen = np.zeros(0, bool)

    @override
    def init(self, grid: Grid) -> None:
        self._rows = np.empty((grid.n_volumes, self._gather.n_voxels), self._dtype)
        self._seen = np.zeros(grid.n_volumes, bool)

    @override
    def update(self, block: Array, start: int) -> None:
        n_volumes = block.shape[3]
        volumes = block.reshape(-1, n_volumes, order="F").T
        part = self._held[start : start + n_volumes]
        self._seen[start : start + n_volumes] = True
        if self._dtype.kind in "biu" and volumes.dtype.kind == "f":
            taken = np.empty(part.shape, volumes.dtype)
            self._gather.take(volumes, taken)
            if self._ensure_finite:
                zero_non_finite(taken)
            # NaN and what does not fit becomes what the processor makes of it, as with astype.
            with np.errstate(invalid="ignore"):
                np.copyto(part, taken, casting="unsafe")
            return
        with np.errstate(over="ignore"):
            self._gather.take(volumes, part)
        if self._ensure_finite:
            zero_non_finite(part)

    @property
    @override
    def takes_slabs(self) -> bool:
        return True

    @override
    def update_slab(self, slab: Array, volume: int, k: int) -> None:
        if self._ensure_finite and self._dtype.kind in "biu" and slab.dtype.kind == "f":
            slab = slab.copy(order="F")
            zero_non_finite(slab)
        row = self._held[volume]
        self._seen[volume] = True
        with np.errstate(over="ignore", invalid="ignore"):
            self._gather.take_slab(slab, k, row)
        if self._ensure_finite and k + slab.shape[2] == self._n_slices:
            zero_non_finite(row)

    @override
    def merge(self, other: Self) -> None:
        self._held[other._seen] = other._held[other._seen]
        self._seen |= other._seen

    @override
    def finalize(self) -> Array:
        rows, self._rows = self._held, None
        return rows

    @override
    def state_bytes(self, grid: Grid) -> int:
        result = grid.n_volumes * self._gather.n_voxels * self._dtype.itemsize
        return result + self._gather.nbytes

    @override
    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        copied = 0 if self._dtype == grid.dtype else grid.dtype.itemsize
        # Two bytes: which of the values are finite, and which are not.
        return block_volumes * self._gather.n_voxels * (copied + 2 * self._ensure_finite)

    @override
    def abort(self) -> None:
        self._rows = None

    @override
    def describe(self) -> str:
        return "voxels of a mask"

    @property
    def _held(self) -> Array:
        assert self._rows is not None, "bug in lazyvox: update before init"
        return self._rows


def zero_non_finite(values: Array) -> None:
    """Set NaN and infinite values of an array to zero, in place; takes a byte per value."""
    if values.dtype.kind in "fc":
        is_bad = np.isfinite(values)
        np.logical_not(is_bad, out=is_bad)
        if is_bad.any():
            values[is_bad] = 0
