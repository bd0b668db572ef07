"""Interpolation between grids whose axes are parallel: one matrix, or list of voxels, per axis.

Coordinates, edges and weights are those of `scipy.ndimage.affine_transform` with its default
mode: a point outside of the outermost voxel centres, on any axis, has no value.
"""

from dataclasses import dataclass

import numpy as np

from lazyvox._typing import Array, BoolArray, IntArray, Shape
from lazyvox.geometry.separable import BandMatrix, SeparableMap

__all__ = ["AlignedMap", "aligned_map"]

#: Shift in voxels, at the far corner of a grid, that counts as rounding of two parallel axes.
_PARALLEL_TOLERANCE = 1e-9

#: Distance in voxels that coordinates must then keep from where the choice of a voxel flips.
_CHOICE_MARGIN = 1e-6

#: Weights of cubic splines fall by 0.27 with each voxel. What is left out is far below the
#: rounding of float32, and 1e-11 of the largest magnitude in float64.
_SPLINE_TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Mapping of one axis of the result onto one axis of the source.

    Attributes
    ----------
    length : int
        Voxels of the source.
    places : ndarray of shape (m,)
        Coordinates of the voxels of the result.
    """

    length: int
    places: Array

    @property
    def is_inside(self) -> BoolArray:
        """Mask of the voxels that lie between the outermost centres of the source."""
        inside: BoolArray = (self.places >= 0) & (self.places <= self.length - 1)
        return inside

    @property
    def nearest(self) -> IntArray:
        """The nearest voxel of the source, 0 for those outside."""
        found: IntArray = np.where(self.is_inside, np.floor(self.places + 0.5), 0).astype(np.intp)
        return found

    @property
    def is_exact(self) -> bool:
        """True if every voxel inside is a voxel of the source."""
        return bool((self.places == np.floor(self.places))[self.is_inside].all())

    def matrix(self, order: int) -> Array:
        """Return the interpolation as a matrix; rows of voxels outside are 0."""
        rows = np.flatnonzero(self.is_inside)
        places = self.places[rows]
        first = np.floor(places).astype(np.intp)
        rest = places - first
        matrix = np.zeros((len(self.places), self.length))
        if order == 1:
            taps: list[tuple[int, Array]] = [(0, 1 - rest), (1, rest)]
        else:
            one = 1 - rest
            before, after = one**3 / 6, rest**3 / 6
            here = (rest * rest * (rest - 2) * 3 + 4) / 6
            taps = [(-1, before), (0, here), (1, 1 - before - here - after), (2, after)]
        for offset, weights in taps:
            np.add.at(matrix, (rows, _mirrored(first + offset, self.length)), weights)
        if order == 3:
            matrix = matrix @ _spline_filter(self.length)
        # A spline goes through its points; the products say so only to rounding.
        exact = rows[rest == 0]
        matrix[exact] = 0
        matrix[exact, first[rest == 0]] = 1
        return matrix


@dataclass(frozen=True, slots=True, eq=False)
class AlignedMap:
    """Interpolation along parallel axes.

    Attributes
    ----------
    axes : tuple of int of length 3
        For each axis of the result, the axis of the source that it follows.
    lines : tuple of Line of length 3
        For each axis of the result, where its voxels lie.
    weights : SeparableMap or None
        Matrices in the order of the axes of the source; None where every voxel of the result has
        the value of one voxel.
    """

    axes: tuple[int, ...]
    lines: tuple[Line, ...]
    weights: SeparableMap | None

    @property
    def shape(self) -> Shape:
        """Shape of the result."""
        return tuple(len(line.places) for line in self.lines)

    def take_nearest(self, values: Array, out: Array, fill: float) -> None:
        """Fill `out` with the value of the nearest voxel, with `fill` outside of the source."""
        turned = values.transpose(self.axes)
        # Axis by axis from the slowest, so that whole planes, then whole lines, are copied.
        for axis in (2, 1):
            turned = _taken(turned, self.lines[axis].nearest, axis)
        nearest = self.lines[0].nearest
        run = _run_of(nearest)
        if run is None:
            np.take(turned.T, nearest, axis=2, out=out.T, mode="clip")
        else:
            out[...] = turned[run]
        self.fill_outside(out, fill)

    def interpolate(self, values: Array, out: Array, fill: float) -> None:
        """Fill `out`, of the type of `values`, with interpolated values, `fill` outside."""
        assert self.weights is not None, "bug in lazyvox: no weights to interpolate with"
        if self.axes == (0, 1, 2):
            self.weights.apply(values, out)
        else:
            turned = np.empty(self.weights.out_shape, out.dtype, order="F")
            self.weights.apply(values, turned)
            out[...] = turned.transpose(self.axes)
        if fill != 0:
            self.fill_outside(out, fill)

    def fill_outside(self, out: Array, fill: float) -> None:
        """Set the voxels of a result that lie outside of the source."""
        for axis, line in enumerate(self.lines):
            inside = line.is_inside
            if not inside.all():
                np.moveaxis(out, axis, 0)[~inside] = fill


def aligned_map(
    shape: Shape, matrix: Array, offset: Array, target_shape: Shape, order: int
) -> AlignedMap | None:
    """Return the interpolation between two grids, None if their axes are not parallel.

    Parameters
    ----------
    shape : tuple of int of length 3
        Shape of the source.
    matrix : ndarray of shape (3, 3)
        Voxel indices of the result to those of the source.
    offset : ndarray of shape (3,)
        Where voxel 0 of the result lies in the source.
    target_shape : tuple of int of length 3
        Shape of the result.
    order : {0, 1, 3}
        Nearest voxel, linear, cubic spline.

    Returns
    -------
    AlignedMap or None
        The interpolation.

    Examples
    --------
    >>> found = aligned_map((4, 4, 4), np.diag([0.5, 1, 1]), np.zeros(3), (7, 4, 4), 1)
    >>> found.lines[0].places.tolist()
    [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    """
    # The axis of the source that each axis of the result follows, and the rest.
    axes = tuple(int(axis) for axis in np.abs(matrix).argmax(axis=0))
    if len(set(axes)) < 3:
        return None
    rest = np.abs(matrix)
    rest[axes, (0, 1, 2)] = 0
    shift = float((rest @ (np.array(target_shape) - 1.0)).max())
    is_diagonal = shift == 0 and axes == (0, 1, 2)
    lines = tuple(
        Line(shape[axis], _places(matrix[axis, i], offset[axis], target_shape[i], is_diagonal))
        for i, axis in enumerate(axes)
    )
    if shift and (
        shift > _PARALLEL_TOLERANCE or not all(_is_clear(line, order) for line in lines)
    ):
        return None
    if order == 0 or all(line.is_exact for line in lines):
        return AlignedMap(axes, lines, None)
    matrices: list[BandMatrix | None] = [None, None, None]
    for line, axis in zip(lines, axes, strict=True):
        if not np.array_equal(line.places, np.arange(line.length)):
            matrices[axis] = BandMatrix.of(line.matrix(order), _SPLINE_TOLERANCE)
    return AlignedMap(axes, lines, SeparableMap(tuple(shape), tuple(matrices)))


def _places(zoom: float, offset: float, length: int, is_diagonal: bool) -> Array:  # noqa: FBT001
    """Return coordinates as scipy computes them: the last bit decides which are outside.

    scipy has a routine for diagonal matrices, which adds before it multiplies.
    """
    steps = np.arange(length, dtype=np.float64)
    return (steps + offset / zoom) * zoom if is_diagonal else steps * zoom + offset


def _is_clear(line: Line, order: int) -> bool:
    """Return whether rounding cannot move a voxel out of the source, or to another neighbour."""
    edges = np.array([[0.0], [line.length - 1.0]])
    distance = np.abs(line.places - edges).min()
    if order == 0:
        halves = line.places + 0.5
        distance = min(distance, np.abs(halves - np.round(halves)).min())
    return bool(distance > _CHOICE_MARGIN)


def _mirrored(positions: IntArray, length: int) -> IntArray:
    """Return positions beyond the ends of a line reflected about its outermost voxels."""
    if length == 1:
        return np.zeros_like(positions)
    period = 2 * length - 2
    folded: IntArray = np.mod(positions, period)
    return np.minimum(folded, period - folded)


def _spline_filter(length: int) -> Array:
    """Return the matrix from values of a line to the coefficients of its cubic spline."""
    if length == 1:
        return np.ones((1, 1))
    rows = np.arange(length)
    values = np.zeros((length, length))
    for offset, weight in ((-1, 1 / 6), (0, 4 / 6), (1, 1 / 6)):
        np.add.at(values, (rows, _mirrored(rows + offset, length)), weight)
    return np.linalg.inv(values)


def _taken(values: Array, positions: IntArray, axis: int) -> Array:
    """Return the values at positions of an axis, in Fortran order; a view where it can be one."""
    run = _run_of(positions)
    if run is not None:
        return values[(*[slice(None)] * axis, run)]
    return np.take(values.T, positions, axis=2 - axis).T


def _run_of(positions: IntArray) -> slice | None:
    """Return positions as a slice where they are consecutive."""
    first = int(positions[0])
    if np.array_equal(positions, np.arange(first, first + len(positions))):
        return slice(first, first + len(positions))
    return None
