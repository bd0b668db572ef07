"""Reduce the voxels of one volume to one value per region; the strategies, and their names."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from lazyvox._typing import Array, DType, IntArray
from lazyvox.errors import ParameterError, ParameterTypeError

__all__ = ["EIGENVARIATE", "SHORT_NAMES", "STRATEGIES", "Regions", "Strategies", "Strategy"]

Strategy: TypeAlias = Literal[
    "mean", "sum", "median", "minimum", "maximum", "standard_deviation", "variance"
]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)

#: The strategy that needs all volumes; the others need one at a time.
EIGENVARIATE = "eigenvariate"

#: Other names of strategies.
SHORT_NAMES: dict[str, Strategy] = {
    "min": "minimum",
    "max": "maximum",
    "std": "standard_deviation",
    "var": "variance",
}


@dataclass(frozen=True, slots=True)
class Strategies:
    """Statistics over the voxels of a region, one or several.

    Attributes
    ----------
    given : tuple of str
        Their names as they were given, which columns are called by.
    """

    given: tuple[str, ...]

    @classmethod
    def of(cls, strategy: str | Sequence[str]) -> "Strategies":
        """Return the strategies that a name, names with commas between them, or a list holds.

        Parameters
        ----------
        strategy : str or sequence of str
            Any of `STRATEGIES`, `SHORT_NAMES` and "eigenvariate".

        Returns
        -------
        Strategies
            At least one, all different.

        Raises
        ------
        ParameterError
            If a name is unknown, or one strategy is given twice.
        ParameterTypeError
            If it is no text, and no list of texts.

        Examples
        --------
        >>> Strategies.of("mean,std").given
        ('mean', 'std')
        """
        listed = strategy.split(",") if isinstance(strategy, str) else strategy
        if not isinstance(listed, list | tuple) or not all(isinstance(one, str) for one in listed):
            msg = f"`strategy` must be a name, or a list of names. Got {strategy!r}."
            raise ParameterTypeError(msg)
        given = tuple(one.strip() for one in listed)
        known = (*STRATEGIES, *SHORT_NAMES, EIGENVARIATE)
        for one in given or ("",):
            if one not in known:
                msg = f"`strategy` must be one of {', '.join(known)}, or several. Got {one!r}."
                raise ParameterError(msg, value=one)
        meant = [SHORT_NAMES.get(one, one) for one in given]
        for one in meant:
            if meant.count(one) > 1:
                msg = f"`strategy` must hold each statistic once. Got {one!r} twice."
                raise ParameterError(msg, value=one)
        return cls(given)

    def __len__(self) -> int:
        """Return the number of strategies, which is that of the columns of a region."""
        return len(self.given)

    @property
    def of_volumes(self) -> list[tuple[int, Strategy]]:
        """Strategies that need one volume at a time, each with its place among all."""
        meant = [SHORT_NAMES.get(one, one) for one in self.given]
        return [(meant.index(one), one) for one in STRATEGIES if one in meant]

    @property
    def eigenvariate(self) -> int | None:
        """Place of the eigenvariate among all, None where it is not among them."""
        return self.given.index(EIGENVARIATE) if EIGENVARIATE in self.given else None

    def column_names(self, regions: Sequence[str]) -> list[str]:
        """Return the name of each column: the columns of a region stand side by side."""
        if len(self) == 1:
            return list(regions)
        return [f"{region}_{strategy}" for region in regions for strategy in self.given]


class Regions:
    """Buffers and kernels for the labelled voxels of one volume at a time.

    One volume at a time keeps the float64 values in the processor's cache, and makes results
    independent of how the series was cut.

    Parameters
    ----------
    starts : ndarray of shape (n_regions,), intp
        Where each region starts in the sorted voxels. No region is empty.
    n_voxels : int
        Number of labelled voxels.
    dtype : numpy.dtype
        Type of the series.

    Attributes
    ----------
    gathered : ndarray of shape (n_voxels,)
        To be filled with the voxels of a volume, sorted by region, before `reduce`.
    """

    def __init__(self, starts: IntArray, n_voxels: int, dtype: DType) -> None:
        self.gathered = np.empty(n_voxels, dtype)
        self._values = np.empty(n_voxels)
        self._starts = starts
        self._stops = np.append(starts[1:], n_voxels)
        self._sizes = self._stops - starts

    @staticmethod
    def bytes_per_voxel(dtype: DType) -> int:
        """Return the bytes held per labelled voxel, temporaries included."""
        return dtype.itemsize + 3 * 8

    def reduce(self, strategy: Strategy) -> Array:
        """Return one value per region, float64."""
        self._values[...] = self.gathered
        values = self._values
        # Infinities and NaN give NaN, which is said in the documentation, not in a warning.
        with np.errstate(invalid="ignore", over="ignore"):
            if strategy == "sum":
                return self._sum(values)
            if strategy == "mean":
                return self._sum(values) / self._sizes
            if strategy == "minimum":
                return np.asarray(np.minimum.reduceat(values, self._starts))
            if strategy == "maximum":
                return np.asarray(np.maximum.reduceat(values, self._starts))
            if strategy == "median":
                return self._median()
            variance = self._variance()
            return variance if strategy == "variance" else np.sqrt(variance)

    def _sum(self, values: Array) -> Array:
        return np.asarray(np.add.reduceat(values, self._starts))

    def _variance(self) -> Array:
        """Return the mean squared deviation, in two passes over values in the cache."""
        values, sizes = self._values, self._sizes
        values -= np.repeat(self._sum(values) / sizes, sizes)
        # The sum of the deviations is what rounding left in the mean.
        residue = self._sum(values)
        squares = self._sum(np.multiply(values, values, out=values))
        return np.asarray(np.maximum(squares - residue * residue / sizes, 0) / sizes)

    def _median(self) -> Array:
        values, starts, sizes = self._values, self._starts, self._sizes
        for start, stop in zip(starts.tolist(), self._stops.tolist(), strict=True):
            values[start:stop].sort()
        low, high = values[starts + (sizes - 1) // 2], values[starts + sizes // 2]
        # Sorting puts NaN last.
        is_nan = np.isnan(values[self._stops - 1])
        return np.where(is_nan, np.nan, (low + high) / 2)
