"""Affines of cropped, stepped and reversed grids, and when two grids are the same."""

import numpy as np

from lazyvox._typing import Array, Shape

__all__ = ["same_affine", "sliced_affine", "voxel_sizes"]

#: Largest shift in mm, at any corner of a grid, that two affines of one grid may differ by:
#: float32 headers round by up to 1e-5 mm at 200 mm, and no scanner resolves a hundredth of 0.1 mm.
CORNER_TOLERANCE_MM = 1e-3


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


def same_affine(first: Array, second: Array, shape: Shape) -> bool:
    """Return whether two affines place every voxel of a grid within 0.001 mm of each other.

    Parameters
    ----------
    first, second : ndarray of shape (4, 4)
        Voxel indices to world coordinates, in mm.
    shape : tuple of int of length 3
        The grid.

    Returns
    -------
    bool
        True where the affines agree to rounding: a flip, a shift or another zoom is a difference.
    """
    corners = np.array(np.meshgrid(*[(0, max(n - 1, 0)) for n in shape[:3]])).reshape(3, -1)
    homogeneous = np.vstack([corners, np.ones(corners.shape[1])])
    shift = (np.asarray(first, np.float64) - np.asarray(second, np.float64)) @ homogeneous
    return bool(np.all(np.abs(shift[:3]) <= CORNER_TOLERANCE_MM))
