"""Voxels that are NaN or infinite: looked for, or taken as zero."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from lazyvox._typing import Array, DType, Shape, override
from lazyvox.array.transformed import staged
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.series import Grid
from lazyvox.stream.consumer import Consumer
from lazyvox.stream.gather import zero_non_finite

__all__ = ["NonFiniteWatch", "finite_img"]


@dataclass(frozen=True, slots=True)
class FiniteTransform:
    """Volumes with zeros where they were not finite."""

    @property
    def name(self) -> str:
        """Name in plans and messages."""
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
        """Copy the block, and set non-finite values to zero."""
        out[...] = blocks[0]
        zero_non_finite(out)


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


class NonFiniteWatch(Consumer[bool]):
    """Consumer that watches for voxels that are NaN or infinite.

    Notes
    -----
    The sum of a block says so, at a small part of the cost of looking at every voxel.
    """

    def __init__(self) -> None:
        self._found = False

    @override
    def init(self, grid: Grid) -> None:
        del grid
        self._found = False

    @override
    def update(self, block: Array, start: int) -> None:
        del start
        if not self._found:
            with np.errstate(over="ignore", invalid="ignore"):
                total = np.add.reduce(block.reshape(-1, order="F"))
            # Finite values may add up to infinity: then all are looked at.
            self._found = not np.isfinite(total) and not bool(np.isfinite(block).all())

    @property
    @override
    def takes_slabs(self) -> bool:
        return True

    @override
    def update_slab(self, slab: Array, volume: int, k: int) -> None:
        del k
        self.update(slab, volume)

    @override
    def merge(self, other: Self) -> None:
        self._found = self._found or other._found

    @override
    def finalize(self) -> bool:
        return self._found

    @override
    def state_bytes(self, grid: Grid) -> int:
        return 1

    @override
    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        return grid.n_voxels * block_volumes
