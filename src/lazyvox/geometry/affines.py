"""Affines of cropped, stepped and reversed grids, and voxel sizes."""

import numpy as np

from lazyvox._typing import Array

__all__ = ["is_invertible", "sliced_affine", "voxel_sizes", "voxel_volume"]


def sliced_affine(affine: Array, axes: tuple[range, ...]) -> Array:
    """Return the affine of the grid that keeps the voxels in `axes`.

    Parameters
    ----------
    affine : ndarray of shape (4, 4)
        Voxel indices to world coordinates, in mm.
    axes : tuple of range of length 3
        Voxels kept on each axis; steps may be negative.

    Returns
    -------
    ndarray of shape (4, 4), float64
        Affine of the new grid: its voxel 0 is the first voxel kept.

    Examples
    --------
    >>> sliced_affine(np.diag([2.0, 2, 2, 1]), (range(9, -1, -3), range(4), range(1, 4)))[:3]
    array([[-6.,  0.,  0., 18.],
           [ 0.,  2.,  0.,  0.],
           [ 0.,  0.,  2.,  2.]])
    """
    change = np.eye(4)
    for i, axis in enumerate(axes):
        change[i, i] = axis.step
        change[i, 3] = axis.start
    with np.errstate(invalid="ignore"):
        return np.asarray(affine, dtype=np.float64) @ change


def voxel_sizes(affine: Array) -> tuple[float, float, float]:
    """Return the edge lengths of a voxel in mm.

    Parameters
    ----------
    affine : ndarray of shape (4, 4)
        Voxel indices to world coordinates, in mm.

    Returns
    -------
    tuple of float of length 3
        The Euclidean lengths of the first three columns.

    Examples
    --------
    >>> voxel_sizes(np.diag([-3.0, 3, 4, 1]))
    (3.0, 3.0, 4.0)
    """
    lengths = np.sqrt((np.asarray(affine, dtype=np.float64)[:3, :3] ** 2).sum(axis=0))
    return float(lengths[0]), float(lengths[1]), float(lengths[2])


def voxel_volume(affine: Array) -> float:
    """Return the volume of a voxel in mm3.

    Parameters
    ----------
    affine : ndarray of shape (4, 4)
        Voxel indices to world coordinates, in mm.

    Returns
    -------
    float
        The determinant of the first three columns, without sign. Headers have float32: digits
        beyond the twelfth are of rounding, and are cut.

    Examples
    --------
    >>> voxel_volume(np.diag([-2.5, 2.5, 3, 1]))
    18.75
    """
    return float(f"{abs(np.linalg.det(affine[:3, :3])):.12g}")


def is_invertible(affine: Array) -> bool:
    """Return whether an affine gives every axis a length and a direction of its own.

    Parameters
    ----------
    affine : ndarray of shape (4, 4)
        Voxel indices to world coordinates, in mm.

    Returns
    -------
    bool
        False where it holds NaN or infinity, too.

    Examples
    --------
    >>> is_invertible(np.eye(4)), is_invertible(np.diag([1.0, 0, 1, 1]))
    (True, False)
    """
    matrix = np.asarray(affine, dtype=np.float64)
    return bool(np.isfinite(matrix).all() and np.linalg.matrix_rank(matrix[:3, :3]) == 3)
