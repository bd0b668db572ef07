"""The grid that an image is resampled to, and how its voxels lie in the image."""

from dataclasses import dataclass
from operator import index
from typing import Any

import numpy as np
import numpy.typing as npt

from lazyvox._typing import Array, Shape
from lazyvox.errors import GridMismatchError, ParameterError, ParameterTypeError
from lazyvox.geometry.voxel_grid import VoxelGrid

__all__ = [
    "AffineError",
    "BoundingBoxError",
    "ResamplingGrid",
    "inverted",
    "resampling_grid",
    "voxel_mapping",
]


class AffineError(ParameterError, np.linalg.LinAlgError):
    """A matrix that is no affine, or cannot be inverted."""


class BoundingBoxError(GridMismatchError):
    """The field of view that was asked for holds nothing of the image."""


@dataclass(frozen=True, slots=True, eq=False)
class ResamplingGrid:
    """Grid of resampled voxels.

    Attributes
    ----------
    affine : ndarray of shape (4, 4), float64
        Voxel indices to world coordinates, in mm.
    shape : tuple of int of length 3
        Voxels on each axis.
    is_same : bool
        Whether it is the grid of the image already.
    """

    affine: Array
    shape: Shape
    is_same: bool


def resampling_grid(
    shape: Shape,
    affine: Array,
    target_affine: npt.ArrayLike | None = None,
    target_shape: npt.ArrayLike | None = None,
) -> ResamplingGrid:
    """Return the grid that an image is resampled to.

    Parameters
    ----------
    shape : tuple of int
        Shape of the image; what follows the third axis does not matter.
    affine : ndarray of shape (4, 4)
        Its voxel indices to world coordinates, in mm.
    target_affine : array-like of shape (4, 4) or (3, 3), optional
        Affine of the grid. Of shape (3, 3) it says only how the axes lie: the grid then begins at
        the corner of the bounding box of the image.
    target_shape : sequence of 3 ints, optional
        Shape of the grid, with an affine of shape (4, 4). By default the grid ends with the
        bounding box of the image.

    Returns
    -------
    ResamplingGrid
        The grid; that of the image where nothing is asked.

    Raises
    ------
    BoundingBoxError
        If all of the image has negative indices in the grid on some axis.
    AffineError
        If an affine has another shape or cannot be inverted.
    ParameterError
        If `target_shape` is not of length 3 or comes without an affine of shape (4, 4).
    ParameterTypeError
    from lazyvox.geometry.voxel_grid import VoxelGrid
        If `target_shape` does not consist of integers.

    Examples
    --------
    >>> grid = resampling_grid((4, 4, 4), np.eye(4), np.diag([2, 2, 2]))
    >>> grid.shape, grid.affine[0].tolist()
    ((3, 3, 3), [2.0, 0.0, 0.0, 0.0])
    """
    source = np.asarray(affine, np.float64)
    wanted = _checked_shape(target_shape, target_affine)
    if target_affine is None:
        return ResamplingGrid(source, tuple(shape[:3]), is_same=True)
    target = _checked_affine(target_affine)
    if wanted and VoxelGrid(wanted, target).matches(VoxelGrid(shape[:3], source)):
        return ResamplingGrid(source, wanted, is_same=True)
    embedded = np.eye(4)
    embedded[: len(target), : len(target)] = target
    low, high = _bounds(shape[:3], np.dot(inverted(embedded, "target_affine"), source))
    if len(target) == 3:
        embedded[:3, 3] = target @ low
        high = high - low
    if wanted is None:
        wanted = tuple(int(np.ceil(edge)) + 1 for edge in high)
    if (high < 0).any():
        _refuse_disjoint(shape, source, embedded, high)
    return ResamplingGrid(embedded, wanted, is_same=False)


def voxel_mapping(affine: Array, target_affine: Array) -> tuple[Array, Array]:
    """Return matrix and offset that take voxel indices of a grid to those of an image.

    Parameters
    ----------
    affine : ndarray of shape (4, 4)
        Voxel indices of the image to world coordinates, in mm.
    target_affine : ndarray of shape (4, 4)
        The same for the grid.

    Returns
    -------
    matrix : ndarray of shape (3, 3)
        Linear part.
    offset : ndarray of shape (3,)
        Where voxel 0 of the grid lies in the image.

    Raises
    ------
    AffineError
        If `affine` cannot be inverted.

    Examples
    --------
    >>> matrix, offset = voxel_mapping(np.diag([2.0, 2, 2, 1]), np.eye(4))
    >>> matrix[0].tolist(), offset.tolist()
    ([0.5, 0.0, 0.0], [0.0, 0.0, 0.0])
    """
    if np.array_equal(affine, target_affine):
        # The product with the inverse would be this only to rounding.
        return np.eye(3), np.zeros(3)
    mapping = np.dot(_inverse_as_scipys(np.asarray(affine, np.float64)), target_affine)
    return mapping[:3, :3], mapping[:3, 3]


def _checked_shape(target_shape: Any, target_affine: Any) -> Shape | None:
    if target_shape is None:
        return None
    try:
        lengths = tuple(index(length) for length in np.asarray(target_shape).ravel().tolist())
    except TypeError:
        msg = f"`target_shape` must be three integers. Got {target_shape!r}."
        raise ParameterTypeError(msg) from None
    if len(lengths) != 3 or min(lengths) < 1:
        msg = f"`target_shape` must be the three lengths of a grid, 1 or more. Got {lengths}."
        raise ParameterError(msg)
    if np.shape(target_affine) == (4, 4):
        return lengths
    got = "none" if target_affine is None else f"one of shape {np.shape(target_affine)}"
    msg = (
        f"`target_shape` needs a `target_affine` of shape (4, 4), which says where the grid "
        f"begins. Got {got}. Pass the affine of the grid, or leave the shape out."
    )
    raise ParameterError(msg)


def _checked_affine(target_affine: Any) -> Array:
    try:
        target = np.array(target_affine, np.float64)
    except (TypeError, ValueError):
        msg = f"`target_affine` must be a matrix of numbers. Got {target_affine!r}."
        raise ParameterTypeError(msg) from None
    if target.shape not in {(3, 3), (4, 4)}:
        msg = f"`target_affine` must be of shape (4, 4) or (3, 3). Got shape {target.shape}."
        raise AffineError(msg)
    return target


def inverted(affine: Array, name: str) -> Array:
    """Return the inverse of an affine.

    Parameters
    ----------
    affine : ndarray of shape (4, 4)
        The affine.
    name : str
        What the message calls it.

    Returns
    -------
    ndarray of shape (4, 4), float64
        Its inverse.

    Raises
    ------
    AffineError
        If there is none.
    """
    try:
        inverse = np.linalg.inv(affine)
    except np.linalg.LinAlgError:
        inverse = np.full_like(affine, np.nan)
    if np.isfinite(inverse).all():
        return inverse
    msg = (
        f"{name} must be invertible: each axis needs a length and a direction of its own. Got "
        f"{np.asarray(affine).tolist()}."
    )
    raise AffineError(msg)


def _inverse_as_scipys(affine: Array) -> Array:
    """Return the inverse of an affine with the last bits of `scipy.linalg.inv`.

    They decide whether a voxel at the very edge of an image lies inside. For affines along the
    axes NumPy gives the same bits.
    """
    if (np.count_nonzero(affine[:3, :3], axis=0) > 1).any():
        from scipy import linalg

        try:
            inverse: Array = linalg.inv(affine)
        except linalg.LinAlgError:
            return inverted(affine, "the image's affine")
        return inverse
    return inverted(affine, "the image's affine")


def _bounds(shape: Shape, mapping: Array) -> tuple[Array, Array]:
    """Return smallest and largest index, on each axis of a grid, of the centres of corner voxels.

    The box has its corners in a fixed order and is multiplied in one product: nilearn rounds up what
    comes out, so that the last bit of the product counts.
    """
    i, j, k = (length - 1 for length in shape)
    corners = [(0, 0, 0), (i, 0, 0), (0, j, 0), (0, 0, k), (i, j, 0), (i, 0, k), (0, j, k)]
    box = np.array([[*corner, 1.0] for corner in [*corners, (i, j, k)]]).T
    places = np.dot(mapping, box)[:3]
    return places.min(axis=-1), places.max(axis=-1)


def _refuse_disjoint(shape: Shape, affine: Array, target: Array, high: Array) -> None:
    msg = (
        f"the grid that is asked for must reach into the image. The image, of shape {shape[:3]} "
        f"and affine {affine[:3].tolist()}, ends at voxel {np.round(high, 2).tolist()} of the "
        f"grid with affine {target[:3].tolist()}. Check that both are in one space."
    )
    raise BoundingBoxError(msg)
