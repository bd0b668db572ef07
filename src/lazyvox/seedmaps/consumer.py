"""The consumer that relates all voxels to the signals of seeds while a series is read.

The signal of a seed is a mean of voxels of the same volume, so it is known as soon as the volume
is: the sums of each voxel with the seeds are collected beside those with the regressors. When a run
is complete, the part of both that regressors explain is taken off the sums.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from lazyvox._typing import Array, BoolArray, FloatArray, IntArray, override
from lazyvox.errors import RegionError
from lazyvox.extraction.gathered_regions import GatheredRegions
from lazyvox.glm.sums import N_WAITING, VoxelSums
from lazyvox.image.smooth_transform import SmoothTransform
from lazyvox.lazyimage.classes import LazyImage
from lazyvox.lazyimage.describe import set_repetition_time
from lazyvox.lazyimage.series import Grid
from lazyvox.seedmaps.measures import Measure, RelationSums
from lazyvox.seedmaps.space import CleanSpace
from lazyvox.signal.products import multiply
from lazyvox.stream.consumer import Consumer, check_real
from lazyvox.stream.gather import VoxelGather

__all__ = ["SeedMaps", "SeedRelations"]

#: Part of the sum of squares of a course, as differences to its first volumes, below which what
#: cleaning leaves is rounding error: a millionth of the amplitude.
_LOST = 1e-12

#: Voxels whose sums are cleaned at a time.
_N_VOXELS = 1024


@dataclass(frozen=True, slots=True, eq=False)
class SeedMaps:
    """Maps of all seeds.

    Attributes
    ----------
    grid : Grid
        The grid of the series.
    values : ndarray of shape (i, j, k, n_seeds), float64
        The maps.
    names : tuple of str
        A name for each seed.
    n_still : int
        Voxels without variation, where maps are 0, among those that were asked for.
    n_not_finite : int
        Voxels with values that are not finite, where maps are NaN, likewise.
    """

    grid: Grid
    values: Array
    names: tuple[str, ...]
    n_still: int
    n_not_finite: int

    def image(self, seeds: slice) -> LazyImage:
        """Return the maps of some seeds: a 3D image for one, else a 4D image."""
        values = self.values[..., seeds]
        if values.shape[3] == 1:
            values = values[..., 0]
        img = self.grid.image_of(values)
        set_repetition_time(img.header, None)
        return img


class SeedRelations(Consumer[SeedMaps]):
    """Sums of voxels with seeds and regressors, cleaned run by run.

    Parameters
    ----------
    seeds : sequence of GatheredRegions
        Consumers that give the signals of seeds, in memory.
    spaces : sequence of CleanSpace
        What cleaning leaves of each run.
    measure : {"correlation", "fisher-z", "regression", "t"}
        What maps hold.
    mask : ndarray of shape (i, j, k), bool, optional
        The voxels to relate; by default all.
    smoothing : SmoothTransform, optional
        Smooths the voxels, not the seeds.
    n_lost : int, default=0
        Dimensions that were removed of the courses before.
    n_waiting : int, default=64
        Volumes that wait for one product with seeds and regressors.
    """

    def __init__(
        self,
        seeds: Sequence[GatheredRegions],
        spaces: Sequence[CleanSpace],
        measure: Measure,
        *,
        mask: BoolArray | None = None,
        smoothing: SmoothTransform | None = None,
        n_lost: int = 0,
        n_waiting: int = N_WAITING,
    ) -> None:
        self._seeds = list(seeds)
        self._spaces = list(spaces)
        self._measure = measure
        self._mask = mask
        self._smoothing = smoothing
        self._n_left = sum(space.n_left for space in spaces) - n_lost
        self._n_waiting = n_waiting
        self._gather: VoxelGather | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the seeds; known once the consumer was checked."""
        return tuple(name for one in self._seeds for name in one.column_names)

    @override
    def check(self, grid: Grid) -> None:
        check_real(grid, "seed maps need")
        for one in self._seeds:
            one.check(grid)

    @override
    def init(self, grid: Grid) -> None:
        self._grid = grid
        self._moved = grid if self._smoothing is None else grid.transformed(self._smoothing)
        if self._mask is not None:
            self._gather = VoxelGather(np.flatnonzero(self._mask.reshape(-1, order="F")))
        for one in self._seeds:
            one.init(grid)
        self._relations = RelationSums.zeros(self._n_voxels(grid), self._n_seeds)
        self._open: dict[int, VoxelSums] = {}
        self._smoothed: Array | None = None

    @override
    def update(self, block: Array, start: int) -> None:
        stop = start + block.shape[3]
        for one in self._seeds:
            one.update(block, start)
        # NaN and infinite values make all sums of their voxel NaN.
        with np.errstate(invalid="ignore", over="ignore"):
            volumes: Array | None = None
            for run, space in enumerate(self._spaces):
                rows = slice(*np.searchsorted(space.volumes, (start, stop)))
                if rows.start < rows.stop:
                    if volumes is None:
                        volumes = self._prepared(block)
                    self._add(run, rows, volumes, start)

    @override
    def merge(self, other: Self) -> None:
        for mine, others in zip(self._seeds, other._seeds, strict=True):
            mine.merge(others)
        self._relations.add(other._relations)
        for sums in (*self._open.values(), *other._open.values()):
            sums.finish()
        for run, sums in other._open.items():
            if run in self._open:
                self._open[run].merge(sums)
            else:
                self._open[run] = sums
        for run in sorted(self._open):
            self._close_if_complete(run)

    @override
    def finalize(self) -> SeedMaps:
        assert not self._open, "bug in lazyvox: a run is not complete"
        relations, names, grid = self._relations, self.names, self._grid
        self._refuse_still_seeds(relations.seed_squares, names)
        squares = relations.squares
        is_finite = np.isfinite(squares)
        values = np.zeros((grid.n_voxels, self._n_seeds), order="F")
        index = slice(None) if self._gather is None else self._gather.index
        for seed in range(self._n_seeds):
            found = relations.values(self._measure, seed, self._n_left)
            found[~is_finite] = np.nan
            values[index, seed] = found
        n_bad = int(len(squares) - np.count_nonzero(is_finite))
        n_still = int(np.count_nonzero(squares == 0))
        shaped = values.reshape((*grid.shape, self._n_seeds), order="F")
        del self._relations, self._smoothed
        return SeedMaps(grid, shaped, names, n_still, n_bad)

    @override
    def state_bytes(self, grid: Grid) -> int:
        self.check(grid)
        n_voxels, n_seeds = self._n_voxels(grid), self._n_seeds
        dtype = self._moved_dtype(grid)
        ends = [(int(one.volumes[0]), int(one.volumes[-1])) for one in self._spaces]
        most_open = max(sum(first <= start <= last for first, last in ends) for start, _ in ends)
        n_rows = max(self._n_rows(space) for space in self._spaces)
        sums = most_open * VoxelSums.nbytes(
            n_voxels, n_rows, 0, dtype=dtype, n_waiting=self._n_waiting
        )
        # While maps are made: one of them, which voxels are finite, and what a measure works in.
        maps = 8 * n_seeds * grid.n_voxels + 5 * 8 * n_voxels
        held = RelationSums.nbytes(n_voxels, n_seeds) + max(sums, maps)
        mask = 0 if self._mask is None else grid.n_voxels + 8 * n_voxels
        bases = sum(space.basis.nbytes + space.volumes.nbytes for space in self._spaces)
        return held + mask + bases + sum(one.state_bytes(grid) for one in self._seeds)

    @override
    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        n_voxels, dtype = self._n_voxels(grid), self._moved_dtype(grid)
        n_rows = max(self._n_rows(space) for space in self._spaces)
        longest = max(len(space.volumes) for space in self._spaces)
        taken = block_volumes * (n_voxels * dtype.itemsize + 8 * n_rows)
        # Seeds of a run, their residuals, and the sums of some voxels that are cleaned: volumes
        # wait no longer then.
        closing = 8 * (4 * longest * self._n_seeds + _N_VOXELS * (2 * n_rows + 8))
        closing += RelationSums.nbytes(n_voxels, self._n_seeds)
        steps = [one.work_bytes(grid, block_volumes) for one in self._seeds]
        steps.append(taken + max(VoxelSums.work_bytes(n_rows, 0, self._n_waiting), closing))
        if self._smoothing is None:
            return max(steps)
        steps.append(block_volumes * self._smoothing.work_bytes((grid.shape,), (grid.dtype,)))
        return max(steps) + block_volumes * grid.n_voxels * dtype.itemsize

    @property
    @override
    def steps(self) -> tuple[str, ...]:
        smoothed = () if self._smoothing is None else (f"{self._smoothing.name} (not the seeds)",)
        n_volumes = sum(len(space.volumes) for space in self._spaces)
        n_removed = n_volumes - self._n_left
        return (*smoothed, f"{n_removed} of {n_volumes} dimensions removed", self._measure)

    @override
    def abort(self) -> None:
        for one in self._seeds:
            one.abort()
        self._open = {}

    @override
    def describe(self) -> str:
        inner = ", ".join(one.describe() for one in self._seeds)
        return f"seed maps ({inner})"

    @property
    def _n_seeds(self) -> int:
        return len(self.names)

    def _n_voxels(self, grid: Grid) -> int:
        return grid.n_voxels if self._mask is None else int(np.count_nonzero(self._mask))

    def _n_rows(self, space: CleanSpace) -> int:
        """Return how many products a voxel has: seeds are known by what is left of them."""
        return space.n_columns + (0 if space.is_left else self._n_seeds)

    def _moved_dtype(self, grid: Grid) -> np.dtype[np.generic]:
        return grid.dtype if self._smoothing is None else grid.transformed(self._smoothing).dtype

    def _prepared(self, block: Array) -> Array:
        """Return the volumes of a block, smoothed if that is asked for, as flat rows."""
        n_volumes = block.shape[3]
        if self._smoothing is not None:
            if self._smoothed is None or self._smoothed.shape[3] < n_volumes:
                shape = (*self._moved.shape, n_volumes)
                self._smoothed = np.empty(shape, self._moved.dtype, order="F")
            out = self._smoothed[..., :n_volumes]
            self._smoothing.apply([block], out)
            block = out
        return block.reshape(-1, n_volumes, order="F").T

    def _add(self, run: int, rows: slice, volumes: Array, start: int) -> None:
        """Take the kept volumes of one run that are in a block."""
        space = self._spaces[run]
        numbers = space.volumes[rows] - start
        if run not in self._open:
            self._open[run] = VoxelSums(
                self._n_voxels(self._grid),
                self._n_rows(space),
                dtype=self._moved.dtype,
                n_waiting=self._n_waiting,
            )
        taken = self._taken(volumes, numbers)
        factors = space.basis[rows]
        if not space.is_left:
            seeds = self._signals(int(start + numbers[0]), int(start + numbers[-1] + 1))
            factors = np.concatenate([factors, seeds[numbers - numbers[0]]], axis=1)
        self._open[run].add(taken, factors)
        if rows.stop == len(space.volumes):
            self._open[run].finish()
            self._close_if_complete(run)

    def _taken(self, volumes: Array, numbers: IntArray) -> Array:
        """Return the voxels of some volumes that maps are of."""
        if self._gather is None:
            first, stop = int(numbers[0]), int(numbers[-1]) + 1
            return volumes[first:stop] if stop - first == len(numbers) else volumes[numbers]
        taken = np.empty((len(numbers), self._gather.n_voxels), self._moved.dtype)
        for number, row in zip(numbers.tolist(), taken, strict=True):
            self._gather.take(volumes[number], row)
        return taken

    def _signals(self, start: int, stop: int) -> FloatArray:
        """Return the signals of all seeds in consecutive volumes that were taken."""
        parts = [one.rows_taken(start, stop) for one in self._seeds]
        return np.concatenate(parts, axis=1, dtype=np.float64)

    def _close_if_complete(self, run: int) -> None:
        """Take what regressors explain off the sums of a run, and add the rest to the others."""
        space = self._spaces[run]
        if self._open[run].count < len(space.volumes):
            return
        sums = self._open.pop(run)
        first = int(space.volumes[0])
        seeds = self._signals(first, int(space.volumes[-1]) + 1)[space.volumes - first]
        self._relations.add(_cleaned(sums, space, seeds))

    def _refuse_still_seeds(self, squares: FloatArray, names: Sequence[str]) -> None:
        still = [name for name, one in zip(names, squares, strict=True) if not one > 0]
        if still:
            is_bad = not np.isfinite(squares).all()
            why = "hold values that are not finite, or do" if is_bad else "do"
            msg = (
                f"`seeds`: the signal of every seed must vary over time. {len(still)} of "
                f"{len(names)} {why} not: {', '.join(still[:6])}{', ...' * (len(still) > 6)}. "
                f"Such a seed may lie outside of the brain, or in another space than the images."
            )
            raise RegionError(msg)


def _cleaned(sums: VoxelSums, space: CleanSpace, seeds: FloatArray) -> RelationSums:
    """Return the sums over the cleaned courses of voxels and seeds of one run."""
    n_columns, lags = space.n_columns, sums.lags[0]
    found = RelationSums.zeros(len(lags), seeds.shape[1])
    with np.errstate(invalid="ignore", over="ignore"):
        course = seeds - seeds[0]
        along = multiply(space.basis.T, course)
        left = along if space.is_left else course - multiply(space.basis, along)
        found.seed_squares[:] = _without_lost(
            np.einsum("ij,ij->j", left, left), np.einsum("ij,ij->j", course, course)
        )
        for start in range(0, len(lags), _N_VOXELS):
            part = slice(start, start + _N_VOXELS)
            columns = sums.products[part, :n_columns]
            squares = np.einsum("ij,ij->i", columns, columns)
            products = multiply(columns, along)
            if not space.is_left:
                squares = lags[part] - squares
                total = sums.total[part, None]
                products = sums.products[part, n_columns:] - total * seeds[0] - products
            found.squares[part] = _without_lost(squares, lags[part])
            products[found.squares[part] == 0] = 0
            found.products[part] = products
    return found


def _without_lost(left: FloatArray, whole: FloatArray) -> FloatArray:
    """Return sums of squares, exactly 0 where they are rounding errors of those before."""
    return np.where(left <= _LOST * whole, 0.0, left)
