"""Maps whose voxels that are NaN or infinite are taken as zero."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazyvox._typing import Array, DType, Shape
from lazyvox.array.staged import staged
from lazyvox.image.new import image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj

__all__ = ["finite_img"]


@dataclass(frozen=True, slots=True)
class FiniteTransform:
    """Volumes with zeros where they were not finite."""

    @property
    def name(self) -> str:
        """What plans and messages call it."""
        return "non-finite voxels to zero"

    def out_shape(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the shape of the source."""
        return shapes[0]

    def out_dtype(self, dtypes: tuple[DType, ...]) -> DType:
        """Return the type of the source."""
        return dtypes[0]

    def work_bytes(self, shapes: tuple[Shape, ...], dtypes: tuple[DType, ...]) -> int:
        """Return the bytes of a mask of one volume."""
        del dtypes
        return int(np.prod(shapes[0]))

    def apply(self, blocks: Sequence[Array], out: Array) -> None:
        """Copy the block, and set what is not finite to zero."""
        out[...] = blocks[0]
        out[~np.isfinite(out)] = 0


def finite_img(img: Any) -> Any:
    """Return an image with zeros where voxels are NaN or infinite; reads nothing.

    Parameters
    ----------
    img : nibabel image
        3D or 4D.

    Returns
    -------
    nibabel image
        A lazy image; the image itself where its type has no such values.
    """
    array = lazy_dataobj(img)
    if array.dtype.kind != "f":
        return img
    return image_like(img, staged(FiniteTransform(), array), img.affine)
