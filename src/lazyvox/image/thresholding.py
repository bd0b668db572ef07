"""Thresholding of images: small values and small clusters become 0."""

from __future__ import annotations

import numbers
import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.spatialimages import SpatialImage

from lazyvox.array.memory_reader import in_memory_array
from lazyvox.array.transformed import staged
from lazyvox.errors import LazyvoxWarning, ParameterError, ParameterTypeError
from lazyvox.image.checking import check_niimg
from lazyvox.image.masks import mask_on_grid
from lazyvox.image.ranks import percentile_of
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj, name_of
from lazyvox.lazyimage.series import as_series
from lazyvox.planning.arguments import check_flag
from lazyvox.stream.gather import zero_non_finite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lazyvox._typing import Array, BoolArray, DType, Shape
    from lazyvox.lazyimage.classes import LazyImage
    from lazyvox.lazyimage.load import ImageLike

__all__ = ["ThresholdTransform", "binarize_img", "threshold_img"]


def threshold_img(
    img: ImageLike,
    threshold: float | str,
    cluster_threshold: int = 0,
    two_sided: bool = True,
    mask_img: ImageLike | None = None,
    copy: bool = True,
    copy_header: bool = True,
    *,
    memory: int | str | None = None,
) -> LazyImage:
    """Return an image in which small values, and small clusters, are 0.

    Parameters
    ----------
    img : image or path
        A 3D or 4D image. NaN and infinite voxels become 0.
    threshold : float or str
        What values are compared with, or a percentile of them such as ``"95%"``: of magnitudes
        with `two_sided`, else of the values that are not negative.
    cluster_threshold : int, default=0
        Clusters of fewer voxels become 0. Voxels of one sign that share a face are one cluster.
    two_sided : bool, default=True
        Whether magnitudes below the threshold become 0. Otherwise values below a positive
        threshold do, or values above a negative one.
    mask_img : image or path, optional
        Voxels outside become 0 and do not count for percentiles. A mask on another grid is
        brought to that of `img` by nearest neighbour.
    copy : bool, default=True
        Has no effect: `img` is never changed.
    copy_header : bool, default=True
        Whether the header is that of `img`.
    memory : int or str, optional
        Memory budget of the passes that find a percentile, such as ``"256MB"``.

    Returns
    -------
    LazyImage
        An array image for a 3D image; a lazy one for a 4D image, in the type of its voxels.

    Raises
    ------
    ParameterError
        If the threshold is negative with `two_sided`, or a text that is no percentage.
    ParameterTypeError
        If an argument is of the wrong type.
    RegionError
        If `mask_img` is no mask.

    Warns
    -----
    LazyvoxWarning
        If a 3D image holds NaN or infinite voxels, or nothing beyond the threshold.

    Notes
    -----
    A number needs no pass over a 4D image; a percentile, which is exact, one for voxels of 16
    bits, two for 32, three for 64 (see `lazyvox.image.ranks`). Memory: 32 MiB and the block
    buffers; a 3D image twice.

    Examples
    --------
    >>> from lazyvox.image import threshold_img
    >>> threshold_img("run.nii.gz", "80%").shape
    (12, 14, 10, 40)
    """
    del copy
    check_flag(copy_header, "copy_header")
    _check_cluster(cluster_threshold)
    return _thresholded(
        img,
        (threshold, cluster_threshold, bool(two_sided), False),
        mask_img,
        copy_header=copy_header,
        memory=memory,
    )


def binarize_img(
    img: ImageLike,
    threshold: float | str = 0.0,
    mask_img: ImageLike | None = None,
    two_sided: bool = False,
    copy_header: bool = True,
    *,
    memory: int | str | None = None,
) -> LazyImage:
    """Return an image that is 1 where another one is beyond a threshold, else 0.

    Parameters
    ----------
    img : image or path
        A 3D or 4D image.
    threshold : float or str, default=0.0
        As in `threshold_img`. Values that are 0 themselves stay 0.
    mask_img : image or path, optional
        Voxels outside are 0.
    two_sided : bool, default=False
        Whether magnitudes are compared.
    copy_header : bool, default=True
        Whether the header is that of `img`.
    memory : int or str, optional
        Memory budget of the passes that find a percentile.

    Returns
    -------
    LazyImage
        An image of int8; lazy for a 4D image.

    Raises
    ------
    ParameterError
        If the threshold is negative with `two_sided`, or a text that is no percentage.
    ParameterTypeError
        If an argument is of the wrong type.
    RegionError
        If `mask_img` is no mask.

    Notes
    -----
    Passes and memory: those of `threshold_img`.

    Examples
    --------
    >>> from lazyvox.image import binarize_img
    >>> binarize_img("run.nii.gz", 500).get_data_dtype().name
    'int8'
    """
    check_flag(copy_header, "copy_header")
    rule = (threshold, 0, bool(two_sided), True)
    return _thresholded(img, rule, mask_img, copy_header=copy_header, memory=memory)


@dataclass(frozen=True, slots=True)
class ThresholdTransform:
    """Sets small values to 0, volume by volume. The sources are an image and, maybe, a mask.

    Attributes
    ----------
    cutoff : float
        What values are compared with.
    two_sided : bool
        Whether magnitudes are.
    min_cluster : int
        Fewest voxels of a cluster that stays.
    is_binary : bool
        Whether what stays becomes 1.
    """

    cutoff: float
    two_sided: bool
    min_cluster: int
    is_binary: bool

    @property
    def name(self) -> str:
        """Name in plans and messages."""
        return "binarize" if self.is_binary else "threshold"

    def out_shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the shape of the image."""
        return shapes[0]

    def out_dtype(self, dtypes: tuple[DType, ...]) -> DType:
        """Return the type of the image, or int8."""
        return np.dtype(np.int8) if self.is_binary else dtypes[0]

    def work_bytes(self, shapes: tuple[Shape, ...], dtypes: tuple[DType, ...]) -> int:
        """Return the bytes of one volume, of its comparisons, and of labels where there are."""
        labels = 4 + 8 + 2 if self.min_cluster > 0 else 0
        return int(np.prod(shapes[0])) * (dtypes[0].itemsize + 3 + labels)

    def apply(self, blocks: Sequence[Array], out: Array) -> None:
        """Fill `out`, one volume at a time."""
        outside = blocks[1][..., 0] == 0 if len(blocks) > 1 else None
        for i in range(out.shape[3]):
            values = blocks[0][..., i].copy(order="F")
            zero_non_finite(values)
            if outside is not None:
                values[outside] = 0
            values[self._is_small(values)] = 0
            if self.min_cluster > 0:
                _drop_clusters(values, self.min_cluster)
            out[..., i] = values != 0 if self.is_binary else values

    def _is_small(self, values: Array) -> BoolArray:
        if self.two_sided:
            return (-self.cutoff < values) & (values < self.cutoff)
        small: BoolArray = values < self.cutoff if self.cutoff >= 0 else values > self.cutoff
        return small


def _thresholded(
    img: ImageLike,
    rule: tuple[float | str, int, bool, bool],
    mask_img: ImageLike | None,
    *,
    copy_header: bool,
    memory: int | str | None,
) -> LazyImage:
    threshold, min_cluster, two_sided, is_binary = rule
    checked = _single_image(img)
    number, is_percentage = _parsed(threshold, two_sided=two_sided)
    is_3d = len(checked.shape) == 3
    if is_3d:
        checked = image_like(checked, _read_finite(checked))
    mask = None if mask_img is None else mask_on_grid(mask_img, checked, resample=True)
    if is_percentage:
        # As in scipy's and nilearn's comparison, the value at the percentile itself is small.
        number = percentile_of(checked, number, mask, two_sided=two_sided, memory=memory) + 1e-5
    elif is_3d:
        _warn_of_range(checked, number, mask, two_sided=two_sided)
    transform = ThresholdTransform(number, two_sided, int(min_cluster), is_binary)
    masks = [] if mask is None else [in_memory_array(mask, "mask_img")]
    array = staged(transform, lazy_dataobj(checked), *masks)
    return image_like(
        checked,
        array.read() if is_3d else array,
        copy_header=copy_header,
        extent=(0, 1) if is_binary else None,
    )


def _single_image(img: Any) -> Any:
    if not isinstance(img, SpatialImage | str | bytes | os.PathLike):
        msg = (
            f"`img` must be a 3D or 4D image, or its path. Got {type(img).__name__}. Join a list "
            f"with concat_imgs first."
        )
        raise ParameterTypeError(msg)
    checked = check_niimg(img)
    as_series(checked)
    return checked


def _check_cluster(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        msg = (
            f"`cluster_threshold` must be a number of voxels, an integer. Got {value!r}, of type "
            f"{type(value).__name__}."
        )
        raise ParameterTypeError(msg)


def _parsed(threshold: object, *, two_sided: bool) -> tuple[float, bool]:
    """Return the number of a threshold, and whether it is a percentage."""
    is_percentage = isinstance(threshold, str)
    if isinstance(threshold, str):
        try:
            number = float(threshold.removesuffix("%")) if threshold.endswith("%") else None
        except ValueError:
            number = None
        if number is None:
            msg = (
                f"`threshold` given as text must be a number and the percent sign, such as "
                f'"25.3%". Got {threshold!r}.'
            )
            raise ParameterError(msg)
    elif isinstance(threshold, numbers.Real):
        number = float(threshold)
    else:
        msg = (
            f'`threshold` must be a number or a percentage such as "95%". Got {threshold!r}, of '
            f"type {type(threshold).__name__}."
        )
        raise ParameterTypeError(msg)
    if number < 0 and (two_sided or is_percentage):
        hint = "Pass two_sided=False." if not is_percentage else "Pass a number for a value."
        msg = f"`threshold` must not be negative here. Got {threshold!r}. {hint}"
        raise ParameterError(msg)
    return number, is_percentage


def _read_finite(img: Any) -> Array:
    values = np.asarray(lazy_dataobj(img).read())
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        n_bad = int((~np.isfinite(values)).sum())
        msg = (
            f"{name_of(img)}: {n_bad} of {values.size} voxels are NaN or infinite. They count as "
            f"0."
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=4)
        zero_non_finite(values)
    return values


def _warn_of_range(img: Any, number: float, mask: BoolArray | None, *, two_sided: bool) -> None:
    """Warn of a threshold that nothing reaches."""
    values = np.asarray(img.dataobj)
    if mask is not None:
        values = values[mask]
    largest = max(values.max(initial=0).item(), -values.min(initial=0).item() * two_sided)
    smallest = values.min(initial=0).item()
    if smallest <= number <= largest:
        return
    msg = (
        f"{name_of(img)}: the threshold should lie between the values of the image, from "
        f"{smallest:g} to {largest:g}. Got {number:g}: nothing is beyond it, all voxels become 0."
    )
    warnings.warn(msg, LazyvoxWarning, stacklevel=4)


def _drop_clusters(values: Array, min_cluster: int) -> None:
    """Set clusters of too few voxels of one sign to 0, in place."""
    from scipy import ndimage

    for sign in (values > 0, values < 0):
        labels, _ = ndimage.label(sign)
        sizes = np.bincount(labels.ravel())
        is_dropped = sizes < min_cluster
        is_dropped[0] = False
        values[is_dropped[labels]] = 0
