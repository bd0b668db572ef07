"""The rule that says whether two images lie on one voxel grid, and its error."""

from dataclasses import dataclass

import numpy as np

from lazyvox._typing import Array, Shape
from lazyvox.errors import GridMismatchError
from lazyvox.geometry.affines import voxel_sizes

__all__ = ["VoxelGrid"]

#: Largest displacement of a corner voxel, in voxels. Headers round affines to float32, up to
#: 1e-5 mm at 200 mm; no interpolation over a thousandth of a voxel changes what a voxel shows.
MOST_VOXELS = 1e-3

#: Rounding of the affines themselves, for each of their entries, which comes on top. These are
#: the tolerances of `np.allclose`, so that whatever nilearn takes as one grid is one here.
RELATIVE_ROUNDING = 1e-5
ABSOLUTE_ROUNDING = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class VoxelGrid:
    """The voxel grid of an image, with the name that messages give to the image.

    Attributes
    ----------
    shape : tuple of int
        Voxels on each axis; axes after the third do not matter.
    affine : ndarray of shape (4, 4)
        Voxel indices to world coordinates, in mm.
    name : str
        The image, for messages.
    """

    shape: Shape
    affine: Array
    name: str = ""

    def matches(self, other: "VoxelGrid") -> bool:
        """Return whether two grids are one: the same shape, and no corner voxel displaced.

        Parameters
        ----------
        other : VoxelGrid
            The other grid; the order of the two does not matter.

        Returns
        -------
        bool
            True where the corner voxels lie within a thousandth of a voxel of each other, apart
            from what rounding the affines to five digits may move them. Affines of the same
            numbers are the same, NaN included.

        Examples
        --------
        >>> run = VoxelGrid((64, 64, 36), np.diag([3.0, 3, 3, 1]))
        >>> turned = run.affine.copy()
        >>> turned[0, 1] = 1e-5
        >>> run.matches(VoxelGrid(run.shape, turned))
        True
        >>> run.matches(VoxelGrid(run.shape, np.diag([3.003, 3, 3, 1])))
        False
        """
        if tuple(self.shape[:3]) != tuple(other.shape[:3]):
            return False
        if np.array_equal(self.affine, other.affine, equal_nan=True):
            return True
        with np.errstate(invalid="ignore"):
            return bool(np.all(self._displacement(other) <= self._allowed(other)))

    def require(self, other: "VoxelGrid", hint: str = "", cli_hint: str | None = None) -> None:
        """Raise unless two grids are one.

        Parameters
        ----------
        other : VoxelGrid
            The other grid.
        hint : str
            Advice, where there is more to say than to resample one of them first.
        cli_hint : str, optional
            Advice for the command line, where it is another.

        Raises
        ------
        GridMismatchError
            If they differ; the message shows both.
        """
        if self.matches(other):
            return
        one, two = (f"shape {tuple(g.shape[:3])} and affine {g._rows}" for g in (self, other))
        apart = ""
        if tuple(self.shape[:3]) == tuple(other.shape[:3]):
            with np.errstate(all="ignore"):
                shift = self._displacement(other).max()
            if np.isfinite(shift):
                apart = f" Their corner voxels lie up to {shift:.3g} mm apart."
        msg = (
            f"images must share one voxel grid. {self.name} has {one}; {other.name} has {two}."
            f"{apart}"
        )
        resample = "Resample one to the grid of the other first"
        if hint:
            raise GridMismatchError(msg, hint=hint, cli_hint=cli_hint)
        raise GridMismatchError(
            msg, hint=f"{resample}: lazyvox.image.resample_to_img.", cli_hint=f"{resample}."
        )

    @property
    def _corners(self) -> Array:
        """The corner voxels, in homogeneous coordinates, one in each column."""
        last = [max(length - 1, 0) for length in self.shape[:3]]
        corners = np.array([(*index, 1) for index in np.ndindex(2, 2, 2)], np.float64).T
        corners[:3] *= np.array(last)[:, None]
        return corners

    def _displacement(self, other: "VoxelGrid") -> Array:
        """Return the distance of each corner in one grid from that in the other, on each axis."""
        moved = np.asarray(self.affine, np.float64) - np.asarray(other.affine, np.float64)
        return np.abs(moved @ self._corners)

    def _allowed(self, other: "VoxelGrid") -> Array:
        magnitudes = np.maximum(np.abs(self.affine), np.abs(other.affine))
        rounding = (ABSOLUTE_ROUNDING + RELATIVE_ROUNDING * magnitudes) @ self._corners
        edges = [voxel_sizes(grid.affine) for grid in (self, other)]
        allowed: Array = MOST_VOXELS * np.min(edges) + rounding
        return allowed

    @property
    def _rows(self) -> object:
        return np.asarray(self.affine)[:3].tolist()
