"""Voxels of regions, volume after volume, as rows of a spool."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from lazyvox._typing import Array, IntArray, override
from lazyvox.lazyimage.series import Grid
from lazyvox.store.files import spool
from lazyvox.store.files.spool import Spool
from lazyvox.stream.consumer import Consumer, ResultT, check_real
from lazyvox.stream.gather import VoxelGather

__all__ = ["SpooledVoxels", "Voxels", "VoxelsConsumer"]

#: Voxels that are handed on at a time: their float64 values stay in the processor's cache.
PIECE_VOXELS = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class Voxels:
    """Voxels of regions, one region after the other.

    Attributes
    ----------
    index : ndarray of shape (n_voxels,), intp, or None
        Their numbers in Fortran order, ascending within a region; None for all voxels of a grid.
    starts : ndarray of shape (n_regions,), intp
        Where each region begins; none is empty.
    """

    index: IntArray | None = None
    starts: IntArray = field(default_factory=lambda: np.zeros(1, np.intp))

    def n_voxels(self, grid: Grid) -> int:
        """Return the number of voxels of all regions."""
        return grid.n_voxels if self.index is None else len(self.index)

    def numbers(self, columns: slice) -> IntArray:
        """Return the numbers of some voxels in Fortran order."""
        if self.index is None:
            return np.arange(columns.start, columns.stop)
        return self.index[columns]

    def spool_bytes(self, grid: Grid, n_rows: int) -> int:
        """Return the bytes of so many volumes of them."""
        return n_rows * self.n_voxels(grid) * grid.dtype.itemsize

    def file_bytes(self, grid: Grid, n_rows: int) -> int:
        """Return the bytes of them on disk."""
        nbytes = self.spool_bytes(grid, n_rows)
        return nbytes if nbytes > spool.SMALL_SPOOL_BYTES else 0

    def memory_bytes(self, grid: Grid, n_rows: int) -> int:
        """Return the bytes that they, and `SpooledVoxels` of so many volumes, hold in memory."""
        held = self.spool_bytes(grid, n_rows) - self.file_bytes(grid, n_rows)
        if self.index is None:
            return held + self.starts.nbytes
        row = len(self.index) * grid.dtype.itemsize
        return held + self.starts.nbytes + VoxelGather(self.index).nbytes + row


class SpooledVoxels:
    """Rows of voxels, which come in whole volumes or in slabs of them.

    Parameters
    ----------
    voxels : Voxels
        The columns.
    grid : Grid
        The grid of the volumes.
    n_rows : int
        Volumes that are kept at a time.
    """

    def __init__(self, voxels: Voxels, grid: Grid, n_rows: int) -> None:
        self._voxels = voxels
        self._grid = grid
        self.n_columns = voxels.n_voxels(grid)
        self.n_rows = 0
        self._spool = Spool.of_size(n_rows, self.n_columns, grid.dtype, spool.SMALL_SPOOL_BYTES)
        self._gather: VoxelGather | None = None
        if voxels.index is not None:
            self._gather = VoxelGather(voxels.index)
            self._row = np.empty(self.n_columns, grid.dtype)

    def take(self, values: Array, first: int) -> list[tuple[int, Array]]:
        """Take some consecutive voxels of the next volume, from voxel `first` on.

        Parameters
        ----------
        values : ndarray of shape (n,)
            The values, in Fortran order.
        first : int
            Number of the first one.

        Returns
        -------
        list of (int, ndarray)
            Columns that are written now, in pieces that do not depend on how volumes were cut:
            the first column, and the values. `n_rows` counts the volume once it is complete.
        """
        is_last = first + len(values) == self._grid.n_voxels
        pieces: list[tuple[int, Array]] = []
        if self._gather is None:
            step = self._grid.shape[0] * self._grid.shape[1]
            pieces = [(first + at, values[at : at + step]) for at in range(0, len(values), step)]
        else:
            self._gather.take_range(values, first, self._row)
            if is_last:
                starts = range(0, self.n_columns, PIECE_VOXELS)
                pieces = [(at, self._row[at : at + PIECE_VOXELS]) for at in starts]
        for column, piece in pieces:
            columns = range(column, column + len(piece))
            self._spool.write_columns(columns, np.ascontiguousarray(piece)[None], self.n_rows)
        self.n_rows += is_last
        return pieces

    def append(self, other: "SpooledVoxels") -> None:
        """Take over the volumes of another one."""
        row = np.empty(self.n_columns, self._grid.dtype)
        for number in range(other.n_rows):
            other._spool.read_row(number, row)
            self._spool.write_row(self.n_rows + number, row)
        self.n_rows += other.n_rows

    def blocks(
        self, columns: range, n_values: int, *, whole_rows: bool = False
    ) -> Iterator[tuple[slice, Array]]:
        """Yield the values of some columns.

        Parameters
        ----------
        columns : range
            The columns.
        n_values : int
            Most values of a block.
        whole_rows : bool, default=False
            Whether blocks have as many columns as fit, of some volumes; else all volumes of some
            columns.

        Yields
        ------
        slice
            The columns of the block.
        ndarray of shape (n_rows, n_columns)
            A new array.
        """
        n_rows = max(self.n_rows, 1)
        height = 1 if whole_rows else n_rows
        width = min(max(n_values // height, 1), max(len(columns), 1))
        height = min(max(n_values // width, 1), n_rows) if whole_rows else n_rows
        for start in range(columns.start, columns.stop, width):
            part = range(start, min(start + width, columns.stop))
            for row in range(0, n_rows, height):
                block = np.empty((min(height, n_rows - row), len(part)), self._grid.dtype)
                self._spool.read_columns(part, block, row)
                yield slice(part.start, part.stop), block

    def restart(self) -> None:
        """Begin with the first row again."""
        self.n_rows = 0

    def close(self) -> None:
        """Give the space back."""
        self._spool.close()


class VoxelsConsumer(Consumer[ResultT]):
    """Consumer that spools voxels of regions, whole volumes or slabs of them.

    Parameters
    ----------
    voxels : Voxels
        The voxels.
    """

    def __init__(self, voxels: Voxels) -> None:
        self._voxels = voxels
        self._rows: SpooledVoxels | None = None

    @override
    def check(self, grid: Grid) -> None:
        check_real(grid, f"{self.describe()} need", most_bits=64)

    @override
    def init(self, grid: Grid) -> None:
        self._grid = grid
        self._rows = SpooledVoxels(self._voxels, grid, self._n_rows(grid))

    @override
    def update(self, block: Array, start: int) -> None:
        for i in range(block.shape[3]):
            self._take(block[..., i].reshape(-1, order="F"), 0)

    @property
    @override
    def takes_slabs(self) -> bool:
        return True

    @override
    def update_slab(self, slab: Array, volume: int, k: int) -> None:
        self._take(slab.reshape(-1, order="F"), k * slab.shape[0] * slab.shape[1])

    @override
    def abort(self) -> None:
        if self._rows is not None:
            self._rows.close()
        self._rows = None

    @override
    def scratch_bytes(self, grid: Grid) -> int:
        return self._voxels.file_bytes(grid, self._n_rows(grid))

    @abstractmethod
    def _take(self, values: Array, first: int) -> None:
        """Take some consecutive voxels of a volume, from voxel `first` on."""

    def _n_rows(self, grid: Grid) -> int:
        """Return the number of volumes that are kept at a time."""
        return grid.n_volumes

    @property
    def _spooled(self) -> SpooledVoxels:
        assert self._rows is not None, "bug in lazyvox: voxels before the pass"
        return self._rows
