"""Images of a list as one series: the checks, and the array."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lazyvox.array.concat import concatenated
from lazyvox.errors import DimensionError
from lazyvox.lazyimage.axes import advice_on_parts
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj, name_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from nibabel.spatialimages import SpatialImage

    from lazyvox.array.lazy_array import LazyArray
    from lazyvox.lazyimage.classes import LazyImage

__all__ = ["joined", "refuse_dimension", "target_dtype"]


def joined(imgs: Sequence[SpatialImage], dtype: npt.DTypeLike | None) -> LazyImage:
    """Return 3D or 4D images on one grid, joined along time, as a lazy image.

    Without `dtype` the type is the one that holds the values of all images.
    """
    arrays = [lazy_dataobj(img) for img in imgs]
    target = target_dtype(np.result_type(*[_native(array) for array in arrays]), dtype)
    parts = tuple(array if array.dtype == target else array.astype(target) for array in arrays)
    return image_like(imgs[0], concatenated(parts), imgs[0].affine)


def target_dtype(dtype: npt.DTypeLike, wanted: npt.DTypeLike | None) -> np.dtype[np.generic]:
    """Return the type that is asked for: "auto" is int32 for signed integers, else float32."""
    held: np.dtype[np.generic] = np.dtype(dtype)
    if wanted is None:
        return held
    if isinstance(wanted, str) and wanted == "auto":
        return np.dtype(np.int32 if held.kind == "i" else np.float32)
    return np.dtype(wanted)


def refuse_dimension(img: SpatialImage, wanted: int, number: int | None = None) -> None:
    """Raise `DimensionError` for an image, which may be number `number` of a list."""
    hint = {
        3: "Take one volume, with index_img, or the mean, with mean_img.",
        4: "Join volumes with concat_imgs([...]), or take one volume as a series: [img].",
    }.get(wanted, "Select what is needed first.")
    cli_hint = {
        3: "Take one volume, with `lazyvox slice`, or the mean, with `lazyvox mean`.",
        4: "Join volumes with `lazyvox concat`.",
    }.get(wanted, "Select what is needed first.")
    if len(img.shape) > 4:
        hint, cli_hint = advice_on_parts(tuple(img.shape))
    msg = f"{name_of(img)}: the image must be {wanted}D. Got {len(img.shape)}D, shape {img.shape}."
    if number is not None:
        if len(img.shape) <= 4:
            hint = cli_hint = "Take out the one that differs, or pass images of one dimension."
        msg = (
            f"each image of the list must be {wanted}D. Image {number} ({name_of(img)}) is "
            f"{len(img.shape)}D, shape {img.shape}."
        )
    raise DimensionError(msg, hint=hint, cli_hint=cli_hint)


def _native(array: LazyArray) -> np.dtype[np.generic]:
    return array.dtype.newbyteorder("=")
