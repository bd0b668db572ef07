"""Signals back into images: `unmask`."""

from __future__ import annotations

from numbers import Number
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.memory_reader import MemoryReader, snapshot
from lazyvox.errors import ImageIndexError, ParameterError, ParameterTypeError
from lazyvox.formats.datatypes import storable_dtype
from lazyvox.image.checking import check_niimg_3d
from lazyvox.lazyimage.classes import image_like
from lazyvox.masking.loading import load_mask_img
from lazyvox.stream.gather import VoxelGather

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage

    from lazyvox._typing import Array, BoolArray, DType, Shape
    from lazyvox.lazyimage.classes import LazyImage
    from lazyvox.lazyimage.load import ImageLike

__all__ = ["unmask"]


def unmask(
    X: npt.ArrayLike | list[Any],
    mask_img: ImageLike,
    order: Literal["F", "C"] = "F",
) -> LazyImage | list[Any]:
    """Return signals of the voxels of a mask as images.

    Parameters
    ----------
    X : array-like of shape (n_volumes, n_voxels) or (n_voxels,), or list of them
        The signals, in the order of `apply_mask`.
    mask_img : image or path
        A 3D image of zeros and one other value.
    order : {"F", "C"}, default="F"
        Memory order of the volume made of one-dimensional signals. Volumes of two-dimensional
        ones are made when they are read, in Fortran order.

    Returns
    -------
    LazyImage, or list of them
        One of shape (i, j, k) for one-dimensional signals, else a lazy one of shape
        (i, j, k, n_volumes); zero outside of the mask. A list of arrays gives a list of images.

    Raises
    ------
    ParameterTypeError
        If the signals have another number of voxels than the mask, or another shape.
    ParameterError
        If `order` is another one.
    ImageIndexError
        If `X` is an empty list.
    RegionError
        If the mask is empty, or has more than one value besides zero.

    Notes
    -----
    Memory: a copy of two-dimensional signals, as the image does not follow what is written to the
    array later; none of an array that is read-only, such as that of ``numpy.load(path,
    mmap_mode="r")``. Volumes are made when they are read.

    Signals of 64-bit integers become images of 32-bit ones where all values fit; booleans become
    uint8 and half-precision floats float32, as images cannot hold them.

    Examples
    --------
    >>> from lazyvox.masking import apply_mask, unmask
    >>> img = unmask(apply_mask("run.nii.gz", "mask.nii.gz"), "mask.nii.gz")
    >>> img.shape, img.in_memory
    ((12, 14, 10, 40), False)
    """
    if order not in {"F", "C"}:
        msg = f"`order` must be 'F' or 'C'. Got {order!r}."
        raise ParameterError(msg)
    img = check_niimg_3d(mask_img)
    mask, affine = load_mask_img(img)
    return _unmasked(X, img, mask, affine, order)


def _unmasked(
    X: Any, template: SpatialImage, mask: BoolArray, affine: Array, order: Literal["F", "C"]
) -> LazyImage | list[Any]:
    if isinstance(X, list):
        if not X:
            msg = "`X` must hold at least one array. Got an empty list."
            raise ImageIndexError(msg)
        if not isinstance(X[0], Number):
            return [_unmasked(one, template, mask, affine, order) for one in X]
    signals = np.asanyarray(X)
    _check_signals(signals, int(mask.sum()))
    dtype = _stored_dtype(signals)
    if signals.ndim == 1:
        volume = np.zeros(mask.shape, dtype, order=order)
        volume[mask] = signals
        return image_like(template, volume, affine, copy_header=False)
    placed = _Volumes(snapshot(signals), mask, dtype)
    volumes = LazyArray.over(MemoryReader(placed, "an image of signals", placed.shape, dtype))
    # The header of the mask speaks of the mask.
    return image_like(template, volumes, affine, copy_header=False)


class _Volumes:
    """Signals at the places of their voxels, sliced like an array of shape (i, j, k, n)."""

    def __init__(self, signals: Array, mask: BoolArray, dtype: DType) -> None:
        self._signals = signals
        self._index = VoxelGather.of(mask).index
        self.shape: Shape = (*mask.shape, len(signals))
        self.dtype = dtype

    def __getitem__(self, key: tuple[Any, ...]) -> Array:
        """Return the volumes asked for, cut as asked."""
        *space, time = key
        rows = np.asarray(self._signals[time])
        lines = np.atleast_2d(rows)
        full = np.zeros((len(lines), int(np.prod(self.shape[:3]))), self.dtype)
        full[:, self._index] = lines
        volumes = full.T.reshape(*self.shape[:3], len(lines), order="F")
        return volumes[(*space, 0 if rows.ndim == 1 else slice(None))]


def _check_signals(signals: Array, n_voxels: int) -> None:
    if signals.ndim not in {1, 2}:
        msg = (
            f"`X` must have one row per volume and one column per voxel, or be one row. Got shape "
            f"{signals.shape}. Pass a list to make one image of each of several arrays."
        )
        raise ParameterTypeError(msg)
    if signals.dtype.kind not in "biufc":
        msg = f"`X` must hold numbers. Got {signals.dtype}."
        raise ParameterTypeError(msg)
    if signals.shape[-1] != n_voxels:
        turned = signals.ndim == 2 and signals.shape[0] == n_voxels
        hint = "Transpose it." if turned else "Pass the mask that the signals were taken with."
        msg = (
            f"`X` must have one column per voxel of the mask, which has {n_voxels}. Got shape "
            f"{signals.shape}. {hint}"
        )
        raise ParameterTypeError(msg)


def _stored_dtype(signals: Array) -> DType:
    """Return the type of the image; integers of 64 bits do not fit most programs."""
    dtype = signals.dtype.newbyteorder("=")
    if dtype.kind in "iu" and dtype.itemsize == 8:
        limits = np.iinfo(np.int32)
        low, high = (signals.min(), signals.max()) if signals.size else (0, 0)
        return np.dtype(np.int32) if limits.min <= low and high <= limits.max else dtype
    return storable_dtype(dtype)
