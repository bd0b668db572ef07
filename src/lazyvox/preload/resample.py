"""`LazyResampleVolume`: an image that is resampled while it is loaded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np

from lazyvox._typing import override
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.image.resample_transform import ORDERS
from lazyvox.image.resampling import resample_img
from lazyvox.lazyimage.classes import lazy_image
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.load import as_image
from lazyvox.planning.arguments import check_choice
from lazyvox.preload.lazy import LazyReadData
from lazyvox.preload.readers import in_memory, read_file
from lazyvox.store.files.paths import expand_home

if TYPE_CHECKING:
    from typing import Literal

    import numpy.typing as npt
    from nibabel.spatialimages import SpatialImage

    from lazyvox._typing import Array, PathLike, Shape
    from lazyvox.lazyimage.classes import LazyImage

__all__ = ["LazyResampleVolume"]

_OTHER_NAMES = {"cubic": "continuous"}


class LazyResampleVolume(LazyReadData):
    """A lazy reader that resamples an image to another grid while it loads.

    Parameters
    ----------
    filename : path-like, image or LazyReadData
        The image.
    target_img : path-like, image or LazyReadData, optional
        Gives the grid; only its header is read. The result is that of
        `lazyvox.image.resample_to_img`.
    target_affine : array-like of shape (4, 4) or (3, 3), optional
        Affine of the grid, in place of `target_img`. The result is that of
        `lazyvox.image.resample_img`.
    target_shape : sequence of 3 ints, optional
        Shape of the grid, with an affine of shape (4, 4).
    interpolation : {"continuous", "linear", "nearest"}, default="continuous"
        Cubic spline (also called "cubic"), linear, or the nearest voxel.
    transform : array-like of shape (4, 4), path-like, or transform of nitransforms, optional
        Moves the image before it is resampled. An array takes world coordinates of the image, in
        mm, to those of the grid: a point x of the image comes to lie at ``transform @ x``. Files
        and objects of nitransforms map the other way, as they are defined. Without a target the
        grid is that of the image.
    nops : int or "auto", default=0
        As for `LazyReadData`.
    dtype : dtype-like, optional
        Type of the resampled voxels. By default that of `lazyvox.image.resample_img`.

    Raises
    ------
    ParameterError
        If both kinds of target are given, or a parameter is out of its range.
    ParameterTypeError
        If `transform` is none.

    Notes
    -----
    Memory: the result and, while it is computed, a few volumes. However the data are reached, by
    `data`, operators, attributes or a preloading loop, they are the resampled ones. Shifts by
    whole voxels and other parallel grids are computed along axes, as `resample_img` does.

    Examples
    --------
    >>> import lazyvox as lv
    >>> small = lv.LazyResampleVolume("mask.nii.gz", target_affine=np.diag([6, 6, 6, 1]),
    ...                               target_shape=(6, 7, 5), interpolation="nearest")
    >>> small.data.shape
    (6, 7, 5)
    """

    def __init__(
        self,
        filename: Any,
        target_img: Any = None,
        *,
        target_affine: npt.ArrayLike | None = None,
        target_shape: npt.ArrayLike | None = None,
        interpolation: str = "continuous",
        transform: Any = None,
        nops: int | Literal["auto"] = 0,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        if target_img is not None and (target_affine is not None or target_shape is not None):
            msg = (
                "the grid is given by `target_img`, or by `target_affine` and `target_shape`. "
                "Got both."
            )
            raise ParameterError(msg)
        check_choice(interpolation, "interpolation", (*ORDERS, *_OTHER_NAMES))
        self._interpolation = _OTHER_NAMES.get(interpolation, interpolation)
        self._clips = target_img is None
        self._target = _grid_or_source(target_img)
        self._affine, self._shape = target_affine, target_shape
        self._transform = _checked_transform(transform)
        super().__init__(filename, nops, dtype=dtype)

    @override
    def _lazy_read(self) -> Any:
        source: Any = self._source
        img = as_image(source.data if isinstance(source, LazyReadData) else source)
        affine, shape = self._grid()
        transform = self._transform
        if isinstance(transform, str):
            transform, _ = read_file(transform, None, {}, None)
        if transform is not None and not isinstance(transform, np.ndarray):
            matrix: Any = getattr(transform, "matrix", None)
            if np.shape(matrix) != (4, 4):
                self.data = self._warped(img, transform, affine, shape)
                return self.data
            transform = np.linalg.inv(np.asarray(matrix, dtype=np.float64))
        if transform is not None:
            if affine is None:
                affine, shape = img.affine, img.shape[:3]
            img = _moved(img, transform @ img.affine)
        found = resample_img(img, affine, shape, self._interpolation, clip=self._clips)
        self.data = self._read_by_us = in_memory(found, self._dtype)
        return self.data

    def _grid(self) -> tuple[Any, Any]:
        if self._target is None:
            return self._affine, self._shape
        if isinstance(self._target, tuple):
            return self._target
        return _grid_of(as_image(self._target))

    def _warped(self, img: Any, transform: Any, affine: Any, shape: Any) -> LazyImage:
        """Resample through a transform that is no matrix, which nitransforms can do."""
        from importlib import import_module

        if affine is None:
            affine, shape = img.affine, img.shape[:3]
        affine = np.asarray(affine, dtype=np.float64)
        if shape is None or affine.shape != (4, 4):
            msg = "with such a transform a grid needs `target_shape`, and an affine of (4, 4)."
            raise ParameterError(msg)
        nifti: Any = nib.Nifti1Image
        # nitransforms wants an image for the grid; this one takes no memory.
        grid: Any = nifti(np.broadcast_to(np.uint8(0), tuple(shape)), affine)
        apply = import_module("nitransforms.resampling").apply
        order = ORDERS[self._interpolation]
        return in_memory(
            apply(transform, in_memory(img), reference=grid, order=order), self._dtype
        )


def _grid_or_source(target: Any) -> Any:
    """Return a grid, or the path of an image that will give it; no image is held on to."""
    if target is None:
        return None
    if isinstance(target, LazyReadData):
        name = target.filename
        return _grid_of(as_image(target.data)) if name is None else name
    if isinstance(target, str | bytes | os.PathLike):
        return expand_home(os.fsdecode(target))
    return _grid_of(as_image(target))


def _grid_of(img: SpatialImage) -> tuple[Array, Shape]:
    return np.array(img.affine, dtype=np.float64), tuple(img.shape[:3])


def _checked_transform(transform: Any) -> Any:
    """Return a matrix, the path of a transform, or an object of nitransforms."""
    if transform is None or hasattr(transform, "map"):
        return transform
    if isinstance(transform, str | bytes | os.PathLike):
        return expand_home(os.fsdecode(transform))
    if isinstance(transform, LazyReadData):
        return _checked_transform(transform.data)
    try:
        matrix = np.asarray(transform, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = (
            f"`transform` must be a matrix of shape (4, 4), a file, or a transform of nitransforms. "
            f"Got a {type(transform).__name__}."
        )
        raise ParameterTypeError(msg) from error
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not np.linalg.det(matrix):
        msg = (
            f"`transform` must be an invertible matrix of shape (4, 4), in mm. Got shape "
            f"{matrix.shape}."
        )
        raise ParameterError(msg)
    return matrix


def _moved(img: PathLike | SpatialImage, affine: Array) -> LazyImage:
    """Return an image with another affine; reads nothing."""
    source: Any = as_image(img)
    return lazy_image(type(source), lazy_dataobj(source), affine, source.header)
