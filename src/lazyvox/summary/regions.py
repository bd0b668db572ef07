"""Statistics of all values of regions, over whole series or volume by volume: a consumer."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from lazyvox._typing import Array, BoolArray, IntArray, Shape, override
from lazyvox.array.ranks import Ranks
from lazyvox.errors import ParameterError
from lazyvox.lazyimage.series import Grid
from lazyvox.summary.robust_range import count_in_bins, robust_range
from lazyvox.summary.spooled_voxels import PIECE_VOXELS, Voxels, VoxelsConsumer

__all__ = ["RegionNumbers", "RegionStatistics", "Selection"]

#: Numbers of a region as Python has them, and then a row of a table of them.
ROW_BYTES = 1200

#: Values that are ranked at a time; regions of so many are sorted.
RANKED_VALUES = 1 << 17


@dataclass(frozen=True, slots=True)
class Selection:
    """The values that count: finite ones, between limits.

    Attributes
    ----------
    above, below : float or None
        Values must be larger than the first, and smaller than the second.
    nonzero : bool
        Whether values that are 0 are left out.
    """

    above: float | None = None
    below: float | None = None
    nonzero: bool = False

    def __post_init__(self) -> None:
        """Refuse limits that no value is between."""
        given = {"above": self.above, "below": self.below}
        for name, limit in given.items():
            if limit is not None and math.isnan(limit):
                msg = f"`{name}` must be a number. Got {limit}."
                raise ParameterError(msg, value=limit)
        if self.above is not None and self.below is not None and self.above >= self.below:
            msg = (
                f"`above` must be smaller than `below`: values between them count. Got "
                f"{self.above:g} and {self.below:g}."
            )
            raise ParameterError(msg, value=self.above)

    def of(self, values: Array) -> tuple[BoolArray, int]:
        """Return which values count, and how many are not finite."""
        chosen: BoolArray = np.isfinite(values)
        n_bad = len(values) - int(np.count_nonzero(chosen))
        with np.errstate(invalid="ignore"):
            if self.above is not None:
                chosen &= values > self.above
            if self.below is not None:
                chosen &= values < self.below
        if self.nonzero:
            chosen &= values != 0
        return chosen, n_bad


@dataclass(slots=True)
class RegionNumbers:
    """Statistics of the values of one region.

    Attributes
    ----------
    count : int
        Values that count.
    n_bad : int
        Values that are not finite.
    mean, squares : float
        Mean, and sum of squared deviations from it.
    low, high : float
        Smallest and largest value.
    weights : ndarray of shape (4,)
        Sums of the values times their voxel indices, and of the values.
    percentiles : tuple of float
        Those that were asked for.
    robust : (float, float)
        The robust range.
    """

    count: int = 0
    n_bad: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = np.inf
    high: float = -np.inf
    weights: Array = field(default_factory=lambda: np.zeros(4))
    percentiles: tuple[float, ...] = ()
    robust: tuple[float, float] = (np.nan, np.nan)

    def take(self, values: Array, voxels: IntArray, n_bad: int, shape: Shape) -> None:
        """Take finite values, and the numbers of their voxels in Fortran order."""
        self.n_bad += n_bad
        if not len(values):
            return
        self.low = min(self.low, values.min().item())
        self.high = max(self.high, values.max().item())
        numbers = values.astype(np.float64)
        total, mean = numbers.sum(), numbers.mean()
        places = np.unravel_index(voxels, shape, order="F")
        sums = [float((numbers * axis).sum()) for axis in places]
        self.weights += [*sums, total]
        numbers -= mean
        numbers *= numbers
        self._join(len(numbers), float(mean), float(numbers.sum()))

    def merge(self, other: "RegionNumbers") -> None:
        """Take over the statistics of other values of the region."""
        self.n_bad += other.n_bad
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.weights += other.weights
        self._join(other.count, other.mean, other.squares)

    def _join(self, count: int, mean: float, squares: float) -> None:
        if not count:
            return
        # As in lazyvox.array.moments, by Chan and others.
        n_all, shift = self.count + count, mean - self.mean
        self.squares += squares + shift**2 * (self.count * count / n_all)
        self.mean += shift * (count / n_all)
        self.count = n_all


class RegionStatistics(VoxelsConsumer[list[list[RegionNumbers]]]):
    """Statistics of regions: of all volumes together, or of each.

    Moments are summed up while volumes come. For percentiles and the robust range values are
    written to a spool, and looked at again in the end.

    Parameters
    ----------
    voxels : Voxels
        The voxels of the regions.
    selection : Selection
        The values that count.
    percentiles : sequence of float
        0 to 100.
    per_volume : bool
        Whether each volume has its own statistics.
    """

    def __init__(
        self,
        voxels: Voxels,
        selection: Selection,
        percentiles: Sequence[float],
        *,
        per_volume: bool,
    ) -> None:
        super().__init__(voxels)
        self._selection = selection
        self._percentiles = tuple(percentiles)
        self._per_volume = per_volume

    @override
    def init(self, grid: Grid) -> None:
        super().init(grid)
        self._results: list[list[RegionNumbers]] = []
        self._begin()

    @override
    def merge(self, other: Self) -> None:
        if self._per_volume:
            self._results += other._results
            return
        self._spooled.append(other._spooled)
        for mine, others in zip(self._numbers, other._numbers, strict=True):
            mine.merge(others)

    @override
    def finalize(self) -> list[list[RegionNumbers]]:
        if not self._per_volume:
            self._end()
        self.abort()
        return self._results

    @override
    def state_bytes(self, grid: Grid) -> int:
        n_results = (grid.n_volumes if self._per_volume else 1) * len(self._voxels.starts)
        # Ranked values: as they are, those that count, as float64, their keys, places and bins.
        ranked = RANKED_VALUES * (2 * grid.dtype.itemsize + 6 * 8)
        search = Ranks.nbytes(len(self._percentiles))
        held = self._voxels.memory_bytes(grid, self._n_rows(grid))
        return held + ranked + search + ROW_BYTES * n_results

    @override
    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        return 10 * 8 * max(PIECE_VOXELS, grid.shape[0] * grid.shape[1])

    @override
    def describe(self) -> str:
        return "statistics"

    @override
    def _n_rows(self, grid: Grid) -> int:
        return 1 if self._per_volume else grid.n_volumes

    def _begin(self) -> None:
        self._numbers = [RegionNumbers() for _ in self._voxels.starts]

    def _end(self) -> None:
        """Rank the values that were taken, and keep the result."""
        stops = np.append(self._voxels.starts[1:], self._spooled.n_columns)
        for numbers, start, stop in zip(self._numbers, self._voxels.starts, stops, strict=True):
            self._rank(numbers, range(start, stop))
        self._results.append(self._numbers)

    @override
    def _take(self, values: Array, first: int) -> None:
        n_before = self._spooled.n_rows
        for column, piece in self._spooled.take(values, first):
            self._add(piece, column)
        if self._per_volume and self._spooled.n_rows > n_before:
            self._end()
            self._begin()
            self._spooled.restart()

    def _add(self, values: Array, first: int) -> None:
        """Take the values of some columns of the spool, from column `first` on."""
        starts, last = self._voxels.starts, first + len(values)
        region = int(np.searchsorted(starts, first, side="right")) - 1
        while region < len(starts) and starts[region] < last:
            stop = starts[region + 1] if region + 1 < len(starts) else self._spooled.n_columns
            part = slice(max(starts[region], first), min(stop, last))
            some = values[part.start - first : part.stop - first]
            chosen, n_bad = self._selection.of(some)
            voxels = self._voxels.numbers(part)[chosen]
            self._numbers[region].take(some[chosen], voxels, n_bad, self._grid.shape)
            region += 1

    def _rank(self, numbers: RegionNumbers, columns: range) -> None:
        """Find percentiles and robust range of a region."""
        if not numbers.count:
            numbers.percentiles = (np.nan,) * len(self._percentiles)
            return
        is_small = len(columns) * self._spooled.n_rows <= RANKED_VALUES
        kept = list(self._looks(columns)) if is_small else []

        def looks() -> Iterator[Array]:
            return iter(kept) if is_small else self._looks(columns)

        found = self._sorted_percentiles(kept[0]) if is_small else self._percentiles_of(looks)
        numbers.percentiles = tuple(found)

        def count(low: float, high: float) -> Array:
            counts = (count_in_bins(values, low, high) for values in looks())
            total: Array = sum(counts, np.zeros(1, np.int64))
            return total

        numbers.robust = robust_range(numbers.low, numbers.high, count)

    def _sorted_percentiles(self, values: Array) -> Iterator[float]:
        """Yield percentiles of values in memory."""
        ordered = np.sort(values)
        last = len(ordered) - 1
        for one in self._percentiles:
            place = one / 100 * last
            low, high = ordered[int(place)], ordered[min(int(place) + 1, last)]
            yield _between(float(low), float(high), place - int(place))

    def _percentiles_of(self, looks: Callable[[], Iterator[Array]]) -> Iterator[float]:
        """Yield percentiles of values in the spool."""
        search = Ranks(self._percentiles, self._grid.dtype)
        while not search.is_done:
            for values in looks():
                search.take(values)
            search.advance()
        yield from (_between(*one) for one in search.neighbours())

    def _looks(self, columns: range) -> Iterator[Array]:
        """Yield the values of a region that count, read from the spool."""
        for _, block in self._spooled.blocks(columns, RANKED_VALUES, whole_rows=True):
            flat = block.ravel()
            yield flat[self._selection.of(flat)[0]]


def _between(low: float, high: float, place: float) -> float:
    """Return the value between two, computed as `numpy.percentile` does."""
    step = high - low
    return high - step * (1 - place) if place >= 0.5 else low + step * place
