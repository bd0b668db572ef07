"""Sums over volumes that a regression needs: of regressors with voxels, of voxels with themselves.

A sum of squares loses the digits that voxels have in common, so values are taken as differences to
a reference of each voxel: the mean of the first volumes. `VoxelSums.shift` moves to another one.

Volumes wait until there are `N_WAITING`, counted from the first one: a product with many of them
goes through the sums once, and its result does not depend on how the series was cut into blocks.
"""

from typing import Self

import numpy as np

from lazyvox._typing import Array, DType, FloatArray, IntArray
from lazyvox.signal.products import MOST_STEPS

__all__ = ["N_WAITING", "VoxelSums", "stack_lagged"]

#: Volumes that wait for one product. With 100 rows and 70,000 voxels, 64 take 18 MB as float32 and
#: spare 98 % of the traffic of the sums.
N_WAITING = 64

#: Voxels whose float64 values stay in the second level of the processor's cache.
_N_VOXELS = 1024


class VoxelSums:
    """Sums over consecutive volumes, for each voxel.

    Parameters
    ----------
    n_voxels : int
        Number of voxels.
    n_rows : int
        Number of regressors, or of other numbers that each volume has.
    n_lags : int, default=0
        Largest distance in time of products of a voxel with itself.
    dtype : numpy.dtype
        Type in which volumes wait: that of the values.
    n_waiting : int, default=64
        Volumes that wait for one product.

    Attributes
    ----------
    count : int
        Number of volumes.
    reference : ndarray of shape (n_voxels,), float64
        What is subtracted from each value: y below is the difference.
    products : ndarray of shape (n_voxels, n_rows), float64
        Sums of row times y.
    row_sums : ndarray of shape (n_rows,), float64
        Sums of the rows.
    total : ndarray of shape (n_voxels,), float64
        Sums of y.
    lags : ndarray of shape (n_lags + 1, n_voxels), float64
        Sums of y times the y of so many volumes later.
    first, last : ndarray of shape (n, n_voxels), float64
        y of the first and of the last volumes: `n_lags` of them, or all if there are fewer.

    Notes
    -----
    Memory: `nbytes`, besides a megabyte while volumes are added.

    Examples
    --------
    >>> sums = VoxelSums(1, 1, dtype=np.dtype(float))
    >>> sums.add(np.array([[3.0], [5.0]]), np.array([[1.0], [2.0]]))
    >>> sums.finish()
    >>> sums.reference, sums.products, sums.lags
    (array([4.]), array([[1.]]), array([[2.]]))
    """

    def __init__(
        self,
        n_voxels: int,
        n_rows: int,
        n_lags: int = 0,
        *,
        dtype: DType,
        n_waiting: int = N_WAITING,
    ) -> None:
        self.count = 0
        self.reference: FloatArray = np.zeros(n_voxels)
        self.products: FloatArray = np.zeros((n_voxels, n_rows))
        self.row_sums: FloatArray = np.zeros(n_rows)
        self.total: FloatArray = np.zeros(n_voxels)
        self.lags: FloatArray = np.zeros((n_lags + 1, n_voxels))
        self.first: FloatArray = np.empty((0, n_voxels))
        self.last: FloatArray = np.empty((0, n_voxels))
        self._n_waiting = 0
        self._values: Array = np.empty((n_waiting, n_voxels), dtype)
        self._rows: FloatArray = np.empty((n_waiting, n_rows))

    @property
    def n_lags(self) -> int:
        """Largest distance in time of products of a voxel with itself."""
        return len(self.lags) - 1

    @staticmethod
    def nbytes(
        n_voxels: int, n_rows: int, n_lags: int, *, dtype: DType, n_waiting: int = N_WAITING
    ) -> int:
        """Return the bytes of the sums, and of what waits.

        Parameters
        ----------
        n_voxels, n_rows, n_lags : int
            As for the class.
        dtype : numpy.dtype
            Type in which volumes wait.
        n_waiting : int, default=64
            Volumes that wait for one product.

        Returns
        -------
        int
            Bytes.
        """
        # The last volumes exist twice while they are replaced.
        numbers = n_rows + 2 + n_lags + 1 + 3 * n_lags
        waiting = n_waiting * (n_voxels * dtype.itemsize + 8 * n_rows)
        return 8 * n_voxels * numbers + waiting

    @staticmethod
    def work_bytes(n_rows: int, n_lags: int, n_waiting: int = N_WAITING) -> int:
        """Return the bytes that are allocated while volumes are added.

        Parameters
        ----------
        n_rows, n_lags : int
            As for the class.
        n_waiting : int, default=64
            Volumes that wait for one product.

        Returns
        -------
        int
            Bytes.
        """
        return 8 * _N_VOXELS * (2 * (n_waiting + n_lags) + n_rows + 8)

    def add(self, values: Array, rows: FloatArray) -> None:
        """Take the next volumes.

        Parameters
        ----------
        values : ndarray of shape (n, n_voxels)
            Finite real values.
        rows : ndarray of shape (n, n_rows), float64
            The regressors at these volumes.
        """
        start = 0
        while start < len(values):
            n_taken = min(len(values) - start, len(self._values) - self._n_waiting)
            there = slice(self._n_waiting, self._n_waiting + n_taken)
            here = slice(start, start + n_taken)
            self._values[there], self._rows[there] = values[here], rows[here]
            self._n_waiting += n_taken
            start += n_taken
            if self._n_waiting == len(self._values):
                self._add_waiting()

    def finish(self) -> None:
        """Take what waits, and release its memory; nothing can be added afterwards."""
        self._add_waiting()
        self._values, self._rows = self._values[:0].copy(), self._rows[:0].copy()

    def merge(self, other: Self) -> None:
        """Take over what other sums have of the volumes that follow; they are used up.

        Parameters
        ----------
        other : VoxelSums
            Of the same voxels and rows. Both are finished.
        """
        if not self.count:
            self.__dict__.update(other.__dict__)
            return
        if not other.count:
            return
        other.shift(other.reference - self.reference)
        self.products += other.products
        self.row_sums += other.row_sums
        self.total += other.total
        self.lags += other.lags
        for lag in range(1, self.n_lags + 1):
            # Of each such pair of volumes one is in either range.
            for after in range(max(lag - len(self.last), 0), min(lag, len(other.first))):
                self.lags[lag] += self.last[len(self.last) - lag + after] * other.first[after]
        self.first = _ends(self.first, other.first, self.n_lags)[0]
        self.last = _ends(self.last, other.last, self.n_lags)[1]
        self.count += other.count

    def shift(self, by: FloatArray) -> None:
        """Add a number to every y of each voxel: its reference becomes lower by it.

        Parameters
        ----------
        by : ndarray of shape (n_voxels,), float64
            The numbers.
        """
        self.products += by[:, None] * self.row_sums
        for lag in range(min(self.n_lags + 1, self.count)):
            pairs = 2 * self.total
            if lag:
                pairs -= self.last[len(self.last) - lag :].sum(axis=0)
                pairs -= self.first[:lag].sum(axis=0)
            self.lags[lag] += by * (pairs + by * (self.count - lag))
        self.total += self.count * by
        self.first += by
        self.last += by
        self.reference -= by

    def scale(self, by: FloatArray) -> None:
        """Multiply every y of each voxel, and its reference.

        Parameters
        ----------
        by : ndarray of shape (n_voxels,), float64
            The factors.
        """
        self.products *= by[:, None]
        self.lags *= by * by
        for part in (self.total, self.first, self.last, self.reference):
            np.multiply(part, by, out=part)

    def part(self, voxels: slice | IntArray) -> Self:
        """Return finished sums of some voxels; of a slice they share memory with these.

        Parameters
        ----------
        voxels : slice, or ndarray of int
            The voxels.

        Returns
        -------
        VoxelSums
            Their sums.
        """
        part = type(self)(0, 0, dtype=self._values.dtype, n_waiting=0)
        part.count, part.row_sums = self.count, self.row_sums
        part.products, part.reference = self.products[voxels], self.reference[voxels]
        part.total, part.lags = self.total[voxels], self.lags[:, voxels]
        part.first, part.last = self.first[:, voxels], self.last[:, voxels]
        return part

    def _add_waiting(self) -> None:
        n_new, n_lags = self._n_waiting, self.n_lags
        if not n_new:
            return
        values, rows = self._values[:n_new], self._rows[:n_new]
        n_voxels, n_before = values.shape[1], len(self.last)
        if not self.count:
            np.mean(values, axis=0, dtype=np.float64, out=self.reference)
        first = np.empty((min(n_lags - len(self.first), n_new), n_voxels))
        last = np.empty((min(n_lags, n_before + n_new), n_voxels))
        work = np.empty((n_before + n_new, _N_VOXELS))
        for start in range(0, n_voxels, _N_VOXELS):
            part = slice(start, min(start + _N_VOXELS, n_voxels))
            known = work[:, : part.stop - part.start]
            known[:n_before] = self.last[:, part]
            new = known[n_before:]
            # In two steps: a subtraction that casts goes through buffers of NumPy's own.
            np.copyto(new, values[:, part])
            np.subtract(new, self.reference[part], out=new)
            self._add_products(part, new, rows)
            for lag in range(min(n_lags + 1, len(known))):
                later = known[max(n_before, lag) :]
                sooner = known[max(n_before, lag) - lag : len(known) - lag]
                self.lags[lag, part] += np.einsum("ij,ij->j", later, sooner)
            self.total[part] += np.add.reduce(new, axis=0)
            first[:, part], last[:, part] = new[: len(first)], known[len(known) - len(last) :]
        self.first, self.last = np.concatenate((self.first, first)), last
        self.row_sums += rows.sum(axis=0)
        self.count += n_new
        self._n_waiting = 0

    def _add_products(self, part: slice, new: FloatArray, rows: FloatArray) -> None:
        """Add the products of some voxels, few enough at a time that BLAS uses one core."""
        step = max((MOST_STEPS - 1) // max(rows.size, 1), 1)
        for start in range(0, new.shape[1], step):
            some = new[:, start : start + step]
            begin = part.start + start
            self.products[begin : begin + some.shape[1]] += some.T @ rows


def stack_lagged(regressors: FloatArray, n_lags: int) -> FloatArray:
    """Return regressors, and for each lag the sum of each one's values before and after.

    Parameters
    ----------
    regressors : ndarray of shape (n_volumes, n)
        The regressors.
    n_lags : int
        Largest distance in time.

    Returns
    -------
    ndarray of shape (n_volumes, n * (n_lags + 1)), float64
        The regressors; then x[t - 1] + x[t + 1] of each; and so on. Values before the first volume
        and after the last one count as zero.

    Examples
    --------
    >>> stack_lagged(np.array([[1.0], [2.0], [4.0]]), 1)
    array([[1., 2.],
           [2., 5.],
           [4., 2.]])
    """
    parts = [np.asarray(regressors, dtype=np.float64)]
    for lag in range(1, n_lags + 1):
        around = np.zeros_like(parts[0])
        around[lag:] += parts[0][:-lag]
        around[:-lag] += parts[0][lag:]
        parts.append(around)
    return np.concatenate(parts, axis=1)


def _ends(before: FloatArray, after: FloatArray, n_lags: int) -> tuple[FloatArray, FloatArray]:
    """Return the first and the last of the volumes of two ranges."""
    both = np.concatenate((before, after))
    return both[:n_lags], both[len(both) - min(n_lags, len(both)) :]
