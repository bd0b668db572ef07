"""Voxels of a grid that lie in spheres around points."""

import numpy as np

from lazyvox._typing import Array, BoolArray, IntArray, Shape
from lazyvox.geometry.grids import inverted

__all__ = ["sphere_voxels"]

#: Furthest that a point lies from another one with the same whole millimetres: both coordinates
#: between -1 and 1 are cut to zero, which leaves less than 2 on each axis.
_WHOLE_MM_REACH = 2 * np.sqrt(3)


def sphere_voxels(
    seed: Array, radius: float | None, affine: Array, shape: Shape, mask: BoolArray | None = None
) -> IntArray:
    """Return the voxels of a sphere, chosen as the field's tools choose them.

    Parameters
    ----------
    seed : ndarray of shape (3,)
        Centre, in mm.
    radius : float or None
        Radius in mm; None takes the voxel of the seed only.
    affine : ndarray of shape (4, 4)
        Voxel indices to world coordinates, in mm.
    shape : tuple of int of length 3
        The grid.
    mask : ndarray of shape `shape`, bool, optional
        Voxels outside of it are left out.

    Returns
    -------
    ndarray of shape (n,), intp
        Voxels numbered in Fortran order, ascending: those with their centre within the radius,
        the one nearest to the seed, and the first, in C order, that has the same whole
        millimetres as the seed. None if all of these are outside of the grid or the mask.

    Notes
    -----
    Memory: some 100 bytes per voxel of the box around the sphere.

    Examples
    --------
    >>> sphere_voxels(np.array([4.0, 2.0, 0.0]), 2.0, np.diag([2.0, 2, 2, 1]), (5, 4, 3))
    array([ 2,  6,  7,  8, 12, 27])
    """
    inverse = inverted(affine, "the affine of the image")
    centre = np.dot(inverse, [*seed, 1.0])[:3]
    ijk = _box(centre, max(radius or 0.0, _WHOLE_MM_REACH), inverse, shape)
    if mask is not None:
        ijk = ijk[:, mask[tuple(ijk)]]
    xyz = np.dot(affine, np.vstack([ijk, np.ones(ijk.shape[1])]))[:3]
    is_inside = np.all(np.round(centre) == ijk.T, axis=1)
    if radius is not None:
        offsets = xyz - np.asarray(seed)[:, None]
        is_inside |= offsets[0] ** 2 + offsets[1] ** 2 + offsets[2] ** 2 <= radius**2
    same_mm = np.flatnonzero(np.all(np.trunc(xyz.T) == np.trunc(seed), axis=1))
    is_inside[same_mm[:1]] = True
    found = ijk[:, is_inside]
    return np.sort(np.ravel_multi_index(tuple(found), shape, order="F"))


def _box(centre: Array, reach: float, inverse: Array, shape: Shape) -> IntArray:
    """Return the voxels, in C order, of a box that holds all points within `reach` mm."""
    half = reach * np.sqrt((inverse[:3, :3] ** 2).sum(axis=1))
    # Rounding must not cut off a voxel on the surface.
    low = np.clip(np.floor(centre - half) - 1, 0, shape).astype(np.intp)
    high = np.clip(np.ceil(centre + half) + 2, 0, shape).astype(np.intp)
    sides = tuple(int(n) for n in np.maximum(high - low, 0))
    box: IntArray = np.indices(sides).reshape(3, -1) + low[:, None]
    return box
