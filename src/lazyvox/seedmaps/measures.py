"""Measures of the relation between voxels and seeds, from sums over their cleaned courses."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from lazyvox._typing import FloatArray
from lazyvox.connectome.fisher import fisher_z
from lazyvox.planning.arguments import check_choice

__all__ = ["MEASURES", "Measure", "RelationSums", "checked_measure"]

Measure: TypeAlias = Literal["correlation", "fisher-z", "regression", "t"]
MEASURES: tuple[Measure, ...] = get_args(Measure)

#: A correlation nearer to 1 than this is one of a course with itself: the rest is rounding.
_SAME = 1e-12


def checked_measure(measure: object) -> Measure:
    """Return a measure, or raise `ParameterError` if it is none."""
    return check_choice(measure, "measure", MEASURES)


@dataclass(frozen=True, slots=True, eq=False)
class RelationSums:
    """Sums over the cleaned courses of voxels and seeds, all of which have mean 0.

    Attributes
    ----------
    products : ndarray of shape (n_voxels, n_seeds), float64
        Sums of voxel times seed.
    squares : ndarray of shape (n_voxels,), float64
        Sums of squares of voxels; exactly 0 for a course without variation.
    seed_squares : ndarray of shape (n_seeds,), float64
        Sums of squares of seeds.
    """

    products: FloatArray
    squares: FloatArray
    seed_squares: FloatArray

    @classmethod
    def zeros(cls, n_voxels: int, n_seeds: int) -> "RelationSums":
        """Return the sums of no volume."""
        return cls(np.zeros((n_voxels, n_seeds)), np.zeros(n_voxels), np.zeros(n_seeds))

    @staticmethod
    def nbytes(n_voxels: int, n_seeds: int) -> int:
        """Return the bytes of such sums."""
        return 8 * (n_voxels + 1) * (n_seeds + 1)

    def add(self, other: "RelationSums") -> None:
        """Add the sums over other volumes to these."""
        np.add(self.products, other.products, out=self.products)
        np.add(self.squares, other.squares, out=self.squares)
        np.add(self.seed_squares, other.seed_squares, out=self.seed_squares)

    def values(self, measure: Measure, seed: int, n_left: int) -> FloatArray:
        """Return the measure of every voxel for one seed.

        Parameters
        ----------
        measure : {"correlation", "fisher-z", "regression", "t"}
            The measure.
        seed : int
            Number of the seed; its course varies.
        n_left : int
            Dimensions of the courses that cleaning left.

        Returns
        -------
        ndarray of shape (n_voxels,), float64
            Exactly 0 for a voxel without variation, NaN for one with values that are not finite.
        """
        products: FloatArray = self.products[:, seed].copy()
        if measure == "regression":
            products /= self.seed_squares[seed]
            return products
        scale = np.sqrt(self.squares) * np.sqrt(self.seed_squares[seed])
        values = products
        np.divide(products, scale, out=values, where=scale != 0)
        is_same = np.abs(values) > 1 - _SAME
        values[is_same] = np.sign(values[is_same])
        if measure == "fisher-z":
            fisher_z(values, out=values)
        elif measure == "t":
            with np.errstate(divide="ignore"):
                values *= np.sqrt((n_left - 1) / (1 - values**2))
        return values
