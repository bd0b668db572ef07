"""The voxels of a mask out of flat volumes, in the order of NumPy's boolean indexing."""

from dataclasses import dataclass

import numpy as np

from lazyvox._typing import Array, BoolArray, IntArray

__all__ = ["VoxelGather"]


@dataclass(frozen=True, slots=True, eq=False)
class VoxelGather:
    """The voxels of one mask, ready to be taken out of volumes in Fortran order.

    Attributes
    ----------
    index : ndarray of shape (n,), intp
        The voxels, numbered in Fortran order and listed in C order.
    ascending : ndarray of shape (n,), intp
        The same, sorted: a slab of a volume holds a range of them.
    places : ndarray of shape (n,), intp
        The position in `index` of each of the sorted ones.
    """

    index: IntArray
    ascending: IntArray
    places: IntArray

    @classmethod
    def of(cls, mask: BoolArray) -> "VoxelGather":
        """Return the gather of a mask of shape (i, j, k)."""
        i, j, k = np.nonzero(mask)
        index = i + mask.shape[0] * (j + mask.shape[1] * k)
        places = np.argsort(index, kind="stable")
        return cls(index, index[places], places)

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return len(self.index)

    @property
    def nbytes(self) -> int:
        """Bytes that the gather holds."""
        return self.index.nbytes + self.ascending.nbytes + self.places.nbytes

    def take(self, volumes: Array, out: Array) -> None:
        """Fill `out`, of shape (n, n_voxels), from flat volumes of shape (n, n_grid)."""
        if out.dtype == volumes.dtype and out.flags.c_contiguous:
            # Every index is on the grid by construction. "clip" only spares NumPy the copy that
            # it makes of `out` to undo a failure.
            np.take(volumes, self.index, axis=1, out=out, mode="clip")
        else:
            np.copyto(out, np.take(volumes, self.index, axis=1), casting="unsafe")

    def take_slab(self, values: Array, first: int, out: Array) -> None:
        """Fill the part of the row `out` that lies in voxels `first` ... of the grid."""
        start, stop = np.searchsorted(self.ascending, (first, first + len(values)))
        found = values[self.ascending[start:stop] - first]
        out[self.places[start:stop]] = found.astype(out.dtype, copy=False)
