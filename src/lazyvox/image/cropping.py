"""Images without their empty borders."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyvox.errors import LazyvoxWarning
from lazyvox.geometry.affines import sliced_affine
from lazyvox.image.checking import check_niimg
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj, name_of
from lazyvox.planning.arguments import check_flag
from lazyvox.stream.scan import Scan
from lazyvox.stream.voxelwise import Max, Min

if TYPE_CHECKING:
    from lazyvox._typing import Array, BoolArray

__all__ = ["crop_img"]


def crop_img(
    img: Any,
    rtol: float = 1e-8,
    copy: bool = True,
    pad: bool = True,
    return_offset: bool = False,
    copy_header: bool = True,
    *,
    memory: int | str | None = None,
) -> Any:
    """Return the smallest box that holds all voxels that are not zero at some time.

    Parameters
    ----------
    img : image, path, or iterable of them
        A 3D or 4D image, as in `check_niimg`.
    rtol : float, default=1e-8
        Values up to this part of the largest absolute value count as zero.
    copy : bool, default=True
        Has no effect: the result is lazy, and never changes `img`.
    pad : bool, default=True
        Whether one voxel more is kept on each side, where the image has it.
    return_offset : bool, default=False
        Whether the slices that were taken are returned too.
    copy_header : bool, default=True
        Whether the header is that of `img`.
    memory : int or str, optional
        Memory budget of the pass, such as ``"256MB"``.

    Returns
    -------
    img : LazyImage
        The box, as a lazy image whose voxels stay at their world coordinates. The whole image,
        with a warning, where nothing is left of it or a voxel is NaN.
    offset : tuple of slice
        The voxels kept on each spatial axis, with `return_offset`.

    Raises
    ------
    ParameterTypeError
        If `copy_header` is not a bool, or `img` no image.
    ParameterError
        If `img` is neither 3D nor 4D.

    Notes
    -----
    One pass finds the box; reading the result is another. Memory: two volumes and the block
    buffers.

    Examples
    --------
    >>> from lazyvox.image import crop_img
    >>> cropped, offset = crop_img("left.nii.gz", return_offset=True)
    >>> cropped.shape, offset[0]
    ((7, 14, 10), slice(0, 7, None))
    """
    del copy
    check_flag(copy_header, "copy_header")
    checked = check_niimg(img)
    scan = Scan(checked)
    lowest, highest = scan.add(Min()), scan.add(Max())
    scan.run(memory=memory)
    low, high = np.asarray(lowest.result().dataobj), np.asarray(highest.result().dataobj)
    inside = _above(low, high, rtol)
    if inside.any():
        offset = _bounds(inside, pad=pad)
    else:
        msg = (
            f"{name_of(checked)}: to be cropped an image must hold values above {rtol} of the "
            f"largest one, and no NaN. It does not: the whole image is returned."
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=2)
        offset = tuple(slice(0, n) for n in low.shape)
    axes = tuple(range(one.start, one.stop) for one in offset)
    cropped = image_like(
        checked,
        lazy_dataobj(checked).view((*offset, ...)),
        sliced_affine(checked.affine, axes),
        copy_header=copy_header,
        extent=(low[offset].min(), high[offset].max()),
    )
    return (cropped, offset) if return_offset else cropped


def _above(low: Array, high: Array, rtol: float) -> BoolArray:
    """Return which voxels are at some time further from zero than negligible."""
    # As Python numbers: the negative of an unsigned or of the smallest integer would wrap around.
    limit = rtol * max(-low.min().item(), high.max().item())
    found: BoolArray = (low < -limit) | (high > limit)
    return found


def _bounds(inside: BoolArray, *, pad: bool) -> tuple[slice, ...]:
    slices = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        where = np.flatnonzero(inside.any(axis=others))
        start, stop = int(where[0]) - pad, int(where[-1]) + 1 + pad
        slices.append(slice(max(start, 0), min(stop, inside.shape[axis])))
    return tuple(slices)
