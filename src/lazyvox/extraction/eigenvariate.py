"""The first principal time course of the voxels of a region: its eigenvariate."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lazyvox._typing import Array, FloatArray, IntArray
from lazyvox.extraction.cleaning import ColumnTable
from lazyvox.extraction.table_stores import HeldTable, SpooledTable
from lazyvox.extraction.table_writers import TableSpec

__all__ = ["KeptVoxels", "KeptVoxelsPlan", "eigenvariate"]

#: Voxels that are converted to float64 and multiplied at a time.
_BLOCK_BYTES = 8 << 20

#: Part of the budget that the voxels of all regions may take in memory.
_HELD_PART = 4

#: Matrices of up to so many rows are decomposed as a whole: Lanczos's method needs more.
_SMALL = 32
#: Vectors that Lanczos's method holds.
_LANCZOS_VECTORS = 40


def eigenvariate(
    read: Callable[[int, int], Array], n_volumes: int, start: int, stop: int
) -> FloatArray:
    """Return the first principal time course of voxels, with mean 0 and variance 1.

    Parameters
    ----------
    read : callable
        Returns voxels from one to another, of shape (n_volumes, n), of any real type.
    n_volumes : int
        Number of volumes.
    start, stop : int
        The voxels.

    Returns
    -------
    ndarray of shape (n_volumes,), float64
        The time course: zeros where no voxel varies, NaN where a voxel is not finite.

    Notes
    -----
    With X the voxels, of shape (n_volumes, n_voxels), the mean of each removed, and X = U S V' its
    singular value decomposition: sqrt(n_volumes) times the first column of U, its sign such that
    its product with the mean over voxels is not negative. Equal to ``fslmeants --eig``.

    U comes from X X', which is summed over blocks of voxels, or from X' X where there are fewer
    voxels than volumes. Memory: the smaller of these twice, and a block, or X in the second case.

    Examples
    --------
    >>> voxels = np.outer([1.0, 2.0, 3.0], [1.0, 5.0])
    >>> eigenvariate(lambda start, stop: voxels[:, start:stop], 3, 0, 2).round(4).tolist()
    [-1.2247, 0.0, 1.2247]
    """
    # NaN and infinities give NaN, which is said above, not in a warning.
    with np.errstate(invalid="ignore", over="ignore"):
        if stop - start < n_volumes:
            centred = _centred(read(start, stop))
            mean = centred.sum(axis=1)
            course: FloatArray = mean
            if np.isfinite(mean).all():
                course = centred @ _first_vector(centred.T @ centred)
        else:
            mean, product = np.zeros(n_volumes), np.zeros((n_volumes, n_volumes))
            width = _block_voxels(n_volumes)
            for first in range(start, stop, width):
                centred = _centred(read(first, min(first + width, stop)))
                mean += centred.sum(axis=1)
                product += centred @ centred.T
            course = _first_vector(product) if np.isfinite(mean).all() else mean
    if not np.isfinite(mean).all():
        return np.full(n_volumes, np.nan)
    length = float(np.sqrt(course @ course))
    if length == 0:
        return np.zeros(n_volumes)
    sign = -1 if course @ mean < 0 else 1
    scaled: FloatArray = course * (sign * np.sqrt(n_volumes) / length)
    return scaled


def _centred(voxels: Array) -> FloatArray:
    values = voxels.astype(np.float64)
    is_constant = values.min(axis=0) == values.max(axis=0)
    values -= values.mean(axis=0)
    # Exactly, and not the rounding error of the mean.
    values[:, is_constant] = 0
    return values


def _first_vector(product: FloatArray) -> FloatArray:
    """Return the eigenvector of the largest eigenvalue of a symmetric matrix; zeros of zeros."""
    size = float(product.trace())
    if size == 0:
        return np.zeros(len(product))
    product /= size
    if len(product) > _SMALL:
        from scipy.sparse.linalg import ArpackNoConvergence, eigsh

        # The row of the largest variance is not orthogonal to the vector that is sought.
        begin = product[int(product.diagonal().argmax())]
        try:
            return np.asarray(eigsh(product, 1, which="LA", v0=begin)[1][:, 0])
        except ArpackNoConvergence:
            pass
    return np.asarray(np.linalg.eigh(product)[1][:, -1])


def _block_voxels(n_volumes: int) -> int:
    return max(_BLOCK_BYTES // (8 * n_volumes), 1)


@dataclass(frozen=True, slots=True, eq=False)
class KeptVoxelsPlan:
    """Memory and disk space of the eigenvariates of regions.

    Attributes
    ----------
    spec : TableSpec
        The voxels of all regions over all volumes.
    sizes : ndarray of shape (n_regions,), int
        Voxels of each region.
    budget : int
        Memory budget of the pass: voxels that take more than a quarter of it wait in a temporary
        file.
    """

    spec: TableSpec
    sizes: IntArray
    budget: int

    def __post_init__(self) -> None:
        """Import now what is used at the end: imports are no part of what a plan counts."""
        import scipy.sparse.linalg  # noqa: F401

    @property
    def is_spooled(self) -> bool:
        """True if the voxels are kept on disk."""
        return self.spec.nbytes > self.budget // _HELD_PART

    @property
    def scratch_bytes(self) -> int:
        """Temporary disk space."""
        return self.spec.nbytes if self.is_spooled else 0

    @property
    def state_bytes(self) -> int:
        """Bytes of the voxels in memory, and of decomposing those of the largest region."""
        n_volumes, item = self.spec.shape[0], self.spec.dtype.itemsize
        largest = int(self.sizes.max(initial=0))
        side = min(n_volumes, largest)
        width = largest if largest < n_volumes else min(_block_voxels(n_volumes), largest)
        # As read, in float64, and which values are constant; the product, and one to be added.
        work = n_volumes * width * (item + 8) + 3 * 8 * side * side
        work += 8 * _LANCZOS_VECTORS * side + 64 * (n_volumes + width)
        return work + (0 if self.is_spooled else self.spec.nbytes)

    def open(self) -> "KeptVoxels":
        """Begin to keep voxels."""
        return KeptVoxels(self)


class KeptVoxels:
    """The voxels of all regions over all volumes, until their eigenvariates are computed.

    Parameters
    ----------
    plan : KeptVoxelsPlan
        Shape, and where they are kept.
    """

    def __init__(self, plan: KeptVoxelsPlan) -> None:
        self._shape = plan.spec.shape
        self._table = SpooledTable(plan.spec) if plan.is_spooled else HeldTable(plan.spec)
        self._seen: list[int] = []

    def add(self, volume: int, values: Array) -> None:
        """Keep the voxels of a volume."""
        self._table.write_rows(volume, values[None])
        self._seen.append(volume)

    def merge(self, other: "KeptVoxels") -> None:
        """Take over the volumes that the other one was given."""
        for volume in other._seen:
            self.add(volume, other._table.read_rows(volume, volume + 1)[0])

    def fill(self, table: ColumnTable, columns: IntArray, starts: IntArray) -> None:
        """Put the eigenvariate of each region, which begins at a voxel, into its column."""
        n_volumes, n_voxels = self._shape
        stops = [*starts[1:].tolist(), n_voxels]
        for column, start, stop in zip(columns.tolist(), starts.tolist(), stops, strict=True):
            values = table.read_columns(column, column + 1)
            values[:, 0] = eigenvariate(self._table.read_columns, n_volumes, start, stop)
            table.write_columns(column, values)

    def close(self) -> None:
        """Give disk space back."""
        self._table.close()
