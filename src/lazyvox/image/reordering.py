"""Images with other axes: in the order of the world, or with left and right exchanged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyvox.array.transformed import staged
from lazyvox.errors import ParameterError
from lazyvox.image.checking import check_niimg, check_niimg_3d
from lazyvox.image.regridding import resampled
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj, name_of
from lazyvox.planning.arguments import check_choice, check_flag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lazyvox._typing import Array, DType, Shape
    from lazyvox.lazyimage.classes import LazyImage

__all__ = ["TransposeTransform", "reorder_img", "swap_img_hemispheres"]

#: An entry of an affine up to this size is rounding, not rotation: nilearn's limit.
_ROTATION_TOLERANCE = 1e-3


def reorder_img(
    img: Any,
    resample: str | None = None,
    copy_header: bool = True,
) -> LazyImage:
    """Return an image whose axes point right, anterior, superior.

    Parameters
    ----------
    img : image, path, or iterable of them
        A 3D or 4D image, as in `check_niimg`.
    resample : {"continuous", "linear", "nearest"}, optional
        How an image is interpolated whose axes are rotated. By default that is an error.
    copy_header : bool, default=True
        Whether the header is that of `img`.

    Returns
    -------
    LazyImage
        A lazy image with a diagonal affine of positive voxel sizes.

    Raises
    ------
    ParameterError
        If the axes are rotated and `resample` is None, or it is no interpolation.
    ParameterTypeError
        If `img` is no image, or `copy_header` not a bool.

    Notes
    -----
    Memory: O(1). Reads no voxel. Axes are exchanged and turned volume by volume when voxels are
    read.

    Examples
    --------
    >>> import lazyvox as lv
    >>> from lazyvox.image import reorder_img
    >>> turned = lv.load("run.nii.gz").slicer[::-1]
    >>> reorder_img(turned).affine[:3, 3].tolist()
    [-16.5, -19.5, -13.5]
    """
    check_flag(copy_header, "copy_header")
    check_choice(resample, "resample", (None, "continuous", "linear", "nearest"))
    checked = check_niimg(img)
    matrix = np.asarray(checked.affine, dtype=np.float64)
    if not ((np.abs(matrix[:3, :3]) > _ROTATION_TOLERANCE).sum(axis=0) == 1).all():
        return _straightened(checked, matrix, resample)
    order = np.argsort(np.argmax(np.abs(matrix[:3, :3]), axis=0), kind="stable")
    array = lazy_dataobj(checked)
    if (order != np.arange(3)).any():
        array = staged(TransposeTransform(tuple(order.tolist())), array)
    sizes = np.diag(matrix[:3, :3][:, order])
    turned = matrix[:3, 3] + np.where(sizes < 0, sizes * (np.array(array.shape[:3]) - 1), 0)
    flips = tuple(slice(None, None, -1 if size < 0 else 1) for size in sizes)
    affine = np.diag([*np.abs(sizes), 1.0])
    affine[:3, 3] = turned
    return image_like(checked, array.view((*flips, ...)), affine, copy_header=copy_header)


def swap_img_hemispheres(img: Any) -> LazyImage:
    """Return a 3D image with its left and right exchanged.

    Parameters
    ----------
    img : image or path
        A 3D image whose first axis, after `reorder_img`, is symmetric about the middle of the
        brain.

    Returns
    -------
    LazyImage
        A lazy image on the same grid, in the order of `reorder_img`.

    Raises
    ------
    DimensionError
        If the image is not 3D.
    ParameterError
        If its axes are rotated.

    Notes
    -----
    Memory: O(1). Reads no voxel.

    Examples
    --------
    >>> from lazyvox.image import swap_img_hemispheres
    >>> swapped = swap_img_hemispheres("left.nii.gz").dataobj
    >>> bool((np.asarray(swapped)[:6] == 0).all())
    True
    """
    ordered = reorder_img(check_niimg_3d(img))
    return image_like(ordered, lazy_dataobj(ordered).view((slice(None, None, -1), ...)))


@dataclass(frozen=True, slots=True)
class TransposeTransform:
    """Exchanges the spatial axes of volumes.

    Attributes
    ----------
    order : tuple of int of length 3
        For each axis of the result, the axis of the source.
    """

    order: tuple[int, ...]

    @property
    def name(self) -> str:
        """Name in plans and messages."""
        return "transpose"

    def out_shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the shape with its axes exchanged."""
        return tuple(shapes[0][axis] for axis in self.order)

    def out_dtype(self, dtypes: tuple[DType, ...]) -> DType:
        """Return the type of the source."""
        return dtypes[0]

    def work_bytes(self, shapes: tuple[Shape, ...], dtypes: tuple[DType, ...]) -> int:
        """Return 0: values go straight into the result."""
        del shapes, dtypes
        return 0

    def apply(self, blocks: Sequence[Array], out: Array) -> None:
        """Fill `out`."""
        np.copyto(out, blocks[0].transpose(*self.order, 3))


def _straightened(img: Any, matrix: Array, resample: str | None) -> LazyImage:
    """Return a rotated image on a grid along the axes of the world."""
    if resample is None:
        msg = (
            f"{name_of(img)}: to be reordered an image must have its axes along those of the "
            f"world. Its affine has rotations: {matrix[:3, :3].tolist()}. Pass "
            f"resample='continuous', or 'nearest' for labels, to interpolate it."
        )
        raise ParameterError(msg)
    orthogonal, sizes = np.linalg.qr(matrix[:3, :3])
    target = np.diag(np.abs(np.diag(sizes))[np.abs(orthogonal).argmax(axis=1)])
    moved: LazyImage = resampled(img, target, None, resample)
    return moved
