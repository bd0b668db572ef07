"""Points in space."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lazyvox.errors import ParameterError

__all__ = ["coord_transform"]


def coord_transform(
    x: npt.ArrayLike, y: npt.ArrayLike, z: npt.ArrayLike, affine: npt.ArrayLike
) -> tuple[Any, Any, Any]:
    """Return points after an affine transform.

    Parameters
    ----------
    x : number or ndarray
        First coordinates.
    y : number or ndarray, same shape as `x`
        Second coordinates.
    z : number or ndarray, same shape as `x`
        Third coordinates.
    affine : array-like of shape (4, 4)
        The transform: an image's affine takes voxel indices to mm, its inverse mm to voxels.

    Returns
    -------
    x, y, z : float or ndarray of the shape of `x`
        The coordinates of the transformed points.

    Raises
    ------
    ParameterError
        If `affine` is not of shape (4, 4), or the coordinates differ in number.

    Notes
    -----
    Reads no voxel.

    Examples
    --------
    >>> from lazyvox.image import coord_transform
    >>> coord_transform(1, 2, 3, np.diag([3.0, 3.0, 3.0, 1.0]))
    (3.0, 6.0, 9.0)
    """
    matrix = np.asarray(affine)
    given = [np.asarray(one) for one in (x, y, z)]
    if matrix.shape != (4, 4) or len({one.size for one in given}) > 1:
        msg = (
            f"`affine` must be of shape (4, 4), and there must be as many x as y and z. Got shape "
            f"{matrix.shape}, and {', '.join(str(one.size) for one in given)} coordinates."
        )
        raise ParameterError(msg)
    points = np.stack([one.ravel() for one in given])
    moved = matrix[:3, :3] @ points + matrix[:3, 3:]
    if given[0].ndim == 0:
        first, second, third = (one[0] for one in moved)
        return (first.item(), second.item(), third.item())
    first, second, third = (one.reshape(given[0].shape) for one in moved)
    return first, second, third
