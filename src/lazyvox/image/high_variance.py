"""Confounds out of the voxels that vary most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazyvox._typing import Array, BoolArray, override
from lazyvox.array.reductions import REDUCTIONS, Reduction
from lazyvox.image.checking import check_niimg_4d
from lazyvox.image.masks import mask_on_grid
from lazyvox.image.single_scan import scan_once
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.signal.variance import check_numbers, detrending_basis, main_courses, strongest
from lazyvox.stream.gather import MaskedVoxels, zero_non_finite
from lazyvox.stream.voxelwise import OneVolume

if TYPE_CHECKING:
    from lazyvox.array.reduction_states import State
    from lazyvox.lazyimage.load import ImageLike
    from lazyvox.lazyimage.series import Grid

__all__ = ["high_variance_confounds"]


def high_variance_confounds(
    imgs: Any,
    n_confounds: int = 5,
    percentile: float = 2.0,
    detrend: bool = True,
    mask_img: ImageLike | None = None,
    *,
    memory: int | str | None = None,
) -> Array:
    """Return the main time courses of the voxels that vary most.

    Parameters
    ----------
    imgs : image, path, or iterable of them
        A 4D image, or 3D images.
    n_confounds : int, default=5
        Time courses to return.
    percentile : float, default=2.0
        Percentage of voxels, those with the largest sums of squares, to take.
    detrend : bool, default=True
        Whether mean and linear trend are removed first.
    mask_img : image or path, optional
        The voxels to choose from, on the grid of `imgs`; all by default.
    memory : int or str, optional
        Memory budget, such as ``"256MB"``.

    Returns
    -------
    ndarray of shape (n_volumes, n_confounds)
        Orthonormal time courses, the one that explains most first. The sign of each is arbitrary.

    Raises
    ------
    DimensionError
        If the image is not 4D.
    GridMismatchError
        If the mask is not on the grid of the image.
    ParameterError
        If a number is outside of what is possible.

    Notes
    -----
    Two passes: one finds the voxels, one takes their signals. Memory: five float64 volumes, the
    signals taken, and the block buffers. Inside of a mask NaN counts as 0; without one a voxel
    that is NaN at some time is never chosen.

    References
    ----------
    Behzadi, Y. et al. (2007). A component based noise correction method (CompCor) for BOLD and
    perfusion based fMRI. NeuroImage 37(1).

    Examples
    --------
    >>> from lazyvox.image import high_variance_confounds
    >>> high_variance_confounds("run.nii.gz", mask_img="mask.nii.gz", percentile=10).shape
    (40, 5)
    """
    img = check_niimg_4d(imgs)
    check_numbers(percentile, n_confounds)
    basis = detrending_basis(img.shape[3], detrend=detrend)
    mask = None
    if mask_img is not None:
        mask = mask_on_grid(mask_img, img, resample=False)
        # The type of signals under a mask.
        img = image_like(img, lazy_dataobj(img).astype(np.float32))
    power = scan_once(img, _Power(mask, detrend=detrend), memory, 1, None)
    chosen = strongest(power, percentile, mask)
    is_single = lazy_dataobj(img).dtype.newbyteorder("=") == np.float32
    voxels = MaskedVoxels(
        chosen, np.dtype("f4" if is_single else "f8"), ensure_finite=mask is not None
    )
    signals = scan_once(img, voxels, memory, 1, None)
    n_candidates = power.size if mask is None else int(np.count_nonzero(mask))
    return main_courses(
        signals, n_confounds, basis, percentile=percentile, n_candidates=n_candidates
    )


class _Power(OneVolume[Array]):
    """Mean over time of the squares of every voxel, after its trend was removed if asked."""

    def __init__(self, mask: BoolArray | None, *, detrend: bool) -> None:
        self._mask = mask
        self._detrend = detrend

    @override
    def _new_state(self, grid: Grid) -> State:
        self._reduction = self._reduction_of(grid)
        return self._reduction.new_state(grid.shape, grid.dtype, grid.n_volumes)

    @override
    def update(self, block: Array, start: int) -> None:
        for i in range(block.shape[3]):
            self.update_slab(block[..., i : i + 1], start + i, 0)

    @override
    def update_slab(self, slab: Array, volume: int, k: int) -> None:
        if self._mask is not None:
            slab = slab.copy(order="F")
            zero_non_finite(slab)
        super().update_slab(slab, volume, k)

    @override
    def finalize(self) -> Array:
        return self._reduction.finalize(self._state, 0)

    @override
    def state_bytes(self, grid: Grid) -> int:
        reduction = self._reduction_of(grid)
        return reduction.nbytes(grid.shape, grid.dtype, grid.n_volumes)

    @override
    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        # A volume whose values are made finite, and which are.
        return 0 if self._mask is None else grid.n_voxels * (grid.dtype.itemsize + 2)

    def _reduction_of(self, grid: Grid) -> Reduction:
        # One volume has no trend.
        is_trended = self._detrend and grid.n_volumes > 1
        return REDUCTIONS["detrended_mean_square" if is_trended else "mean_square"]
