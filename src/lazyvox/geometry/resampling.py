"""Nearest neighbours between two grids."""

import numpy as np

from lazyvox._typing import Array, Shape
from lazyvox.geometry.grids import inverted

__all__ = ["fraction_inside", "resample_nearest"]

#: Decimals of a voxel that coordinates are rounded to before the nearest voxel is chosen, so that
#: rounding errors of an affine do not decide where a point lies half-way between two voxels.
_DECIMALS = 6


def resample_nearest(
    values: Array, affine: Array, target_shape: Shape, target_affine: Array, fill: float = 0
) -> Array:
    """Return the value of the nearest voxel of a volume at every voxel of another grid.

    Parameters
    ----------
    values : ndarray of shape (i, j, k)
        The volume.
    affine : ndarray of shape (4, 4)
        Its voxel indices to world coordinates, in mm.
    target_shape : tuple of int of length 3
        The grid wanted.
    target_affine : ndarray of shape (4, 4)
        Its voxel indices to world coordinates, in mm.
    fill : number
        Value outside of the volume: further than half a voxel from its outermost voxel centres.

    Returns
    -------
    ndarray of shape `target_shape`, of the type of `values`
        The resampled volume. Half-way between two voxels the one with the larger index counts.

    Raises
    ------
    AffineError
        If `affine` cannot be inverted.

    Notes
    -----
    Memory: the result, and seven float64 planes of the target grid.

    Examples
    --------
    >>> fine = np.arange(4).reshape(4, 1, 1)
    >>> coarse = resample_nearest(fine, np.eye(4), (3, 1, 1), np.diag([2, 1, 1, 1]), fill=-1)
    >>> coarse.ravel()
    array([ 0,  2, -1])
    """
    to_source = inverted(np.asarray(affine, np.float64), "the affine of the image") @ np.asarray(
        target_affine, np.float64
    )
    resampled = np.full(target_shape, fill, values.dtype)
    j, k = np.indices(target_shape[1:])
    for i in range(target_shape[0]):
        plane = np.stack([np.full(j.size, i), j.ravel(), k.ravel(), np.ones(j.size)])
        nearest, is_inside = _nearest(to_source @ plane, values.shape)
        found = values[tuple(nearest[:, is_inside])]
        resampled[i].reshape(-1)[is_inside] = found
    return resampled


def fraction_inside(
    indices: Array, affine: Array, target_shape: Shape, target_affine: Array
) -> float:
    """Return the share of some voxels of one grid whose centres lie inside of another grid.

    Parameters
    ----------
    indices : ndarray of shape (3, n), int
        The voxels.
    affine : ndarray of shape (4, 4)
        Their indices to world coordinates, in mm.
    target_shape : tuple of int of length 3
        The other grid.
    target_affine : ndarray of shape (4, 4)
        Its voxel indices to world coordinates, in mm.

    Returns
    -------
    float
        From 0 to 1; 1 where there are no voxels.

    Raises
    ------
    AffineError
        If `target_affine` cannot be inverted.

    Examples
    --------
    >>> fraction_inside(np.array([[0, 1], [0, 0], [0, 0]]), np.eye(4), (1, 1, 1), np.eye(4))
    0.5
    """
    if not indices.shape[1]:
        return 1.0
    to_target = inverted(np.asarray(target_affine, np.float64), "target_affine") @ np.asarray(
        affine, np.float64
    )
    homogeneous = np.vstack([indices, np.ones(indices.shape[1])])
    return float(_nearest(to_target @ homogeneous, target_shape)[1].mean())


def _nearest(coordinates: Array, shape: Shape) -> tuple[Array, Array]:
    """Return the nearest voxels of homogeneous coordinates, and which lie inside of the grid."""
    nearest = np.floor(np.round(coordinates[:3], _DECIMALS) + 0.5)
    last = np.array(shape[:3])[:, None]
    is_inside = ((nearest >= 0) & (nearest < last)).all(axis=0)
    # Far outside a coordinate may exceed every integer type: those are not looked up.
    return np.where(is_inside, nearest, 0).astype(np.intp), is_inside
