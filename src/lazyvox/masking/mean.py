"""The mean volume that masks are computed from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyvox._typing import Array, override
from lazyvox.array.reduction_states import Fold, State
from lazyvox.array.reductions import REDUCTIONS
from lazyvox.array.transformed import staged
from lazyvox.errors import ParameterTypeError
from lazyvox.image.resample_transform import ResampleTransform
from lazyvox.image.resampling import resample_img
from lazyvox.image.single_scan import scan_once
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj, name_of
from lazyvox.stream.voxelwise import OneVolume

if TYPE_CHECKING:
    import numpy.typing as npt
    from nibabel.spatialimages import SpatialImage

    from lazyvox.array.lazy_array import LazyArray
    from lazyvox.lazyimage.series import Grid
    from lazyvox.runtime.progress import ProgressLike

__all__ = ["MeanVolume", "mean_volume"]

#: What the computation of a mask holds for each voxel once the series has been read: the mean, its
#: sorted values, their differences; or numbered parts and their count.
BYTES_AFTERWARDS = 32


def mean_volume(
    img: SpatialImage,
    target_affine: npt.ArrayLike | None,
    target_shape: npt.ArrayLike | None,
    progress: ProgressLike = None,
) -> tuple[Array, Array]:
    """Return the mean over time as nilearn computes it for masks, and its affine.

    Parameters
    ----------
    img : nibabel image
        A 3D or 4D image of real numbers; a 3D one is its own mean.
    target_affine : array-like, optional
        Affine that the mean is resampled to, as in `lazyvox.image.resample_img`.
    target_shape : array-like, optional
        Shape that it is resampled to.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    mean : ndarray of shape (i, j, k)
        A fresh array: of floats in their own type, of integers in float64. A 3D image keeps its
        type.
    affine : ndarray of shape (4, 4)
        Voxel indices to world coordinates, in mm.

    Raises
    ------
    ParameterTypeError
        If voxels are no real numbers.

    Notes
    -----
    One pass.
    """
    if lazy_dataobj(img).dtype.kind not in "biuf":
        msg = (
            f"{name_of(img)}: a mask is computed from real voxels. Got "
            f"{lazy_dataobj(img).dtype}. Take the magnitude first."
        )
        raise ParameterTypeError(msg)
    is_volume = len(img.shape) == 3
    mean = _volume(img) if is_volume else scan_once(img, MeanVolume(), None, 1, progress)
    affine: Any = np.array(img.affine, dtype=np.float64)
    if target_affine is None and target_shape is None:
        return mean, affine
    resampled = resample_img(
        image_like(img, mean, copy_header=False),
        target_affine=target_affine,
        target_shape=target_shape,
    )
    values = _as_scipy_does(lazy_dataobj(resampled)).read()
    return values, np.asarray(resampled.affine, dtype=np.float64)


class MeanVolume(OneVolume[Array]):
    """Mean over time, summed in the type that NumPy sums in: float32 voxels in float32.

    The widest gap of a histogram may move with the last bit of the values. Added in the same
    order and type as in an array read by nibabel, they are the same to that bit.
    """

    @override
    def _new_state(self, grid: Grid) -> State:
        return Fold(np.add, grid.shape, _sum_dtype(grid.dtype))

    @override
    def update(self, block: Array, start: int) -> None:
        # Infinities of both signs make NaN, here as in NumPy's mean.
        with np.errstate(over="ignore", invalid="ignore"):
            super().update(block, start)

    @override
    def update_slab(self, slab: Array, volume: int, k: int) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            super().update_slab(slab, volume, k)

    @override
    def finalize(self) -> Array:
        return REDUCTIONS["mean"].finalize(self._state, 0)

    @override
    def state_bytes(self, grid: Grid) -> int:
        return max(BYTES_AFTERWARDS, _sum_dtype(grid.dtype).itemsize) * grid.n_voxels

    @override
    def describe(self) -> str:
        return "mean, and the mask made of it"


def _as_scipy_does(array: LazyArray) -> LazyArray:
    """Return a resampled volume computed by scipy's spline, not by its products of matrices.

    What is background is decided by equality: here the last bit of the result matters, and for a
    single volume the time does not.
    """
    transform = array.reader.transform
    if not isinstance(transform, ResampleTransform):
        return array
    return staged(replace(transform, aligned=None), *array.reader.sources)


def _volume(img: SpatialImage) -> Array:
    values = np.asarray(img.dataobj)
    return values.astype(values.dtype.newbyteorder("="), order="F")


def _sum_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    is_wide = dtype.kind == "f" and dtype.itemsize > 2
    return dtype.newbyteorder("=") if is_wide else np.dtype(np.float64)
