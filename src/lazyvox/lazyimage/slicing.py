"""`img.slicer`: lazy slices with the right affine and zooms."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np
from nibabel.imageclasses import spatial_axes_first
from nibabel.spatialimages import SpatialImage

from lazyvox._typing import Array
from lazyvox.array.lazy_array import LazyArray
from lazyvox.errors import ImageIndexError
from lazyvox.geometry.affines import sliced_affine
from lazyvox.lazyimage.dataobj import lazy_dataobj, name_of
from lazyvox.planning.indexing import expand_key, is_array_index

__all__ = ["LazySlicer"]


ImageT = TypeVar("ImageT", bound=SpatialImage)


class LazySlicer(Generic[ImageT]):
    """Slices an image into a lazy image; the first three axes stay spatial.

    Parameters
    ----------
    img : image
        The image to slice.
    make : callable
        Makes the new image from the old one, its new voxels, an affine and a header.
    """

    def __init__(
        self, img: ImageT, make: Callable[[Any, LazyArray | Array, Array, Any], ImageT]
    ) -> None:
        self._img = img
        self._make = make

    def __getitem__(self, key: Any) -> ImageT:
        """Return the lazy image of a slice.

        An array in memory is sliced as NumPy does: the new image shares its memory.

        Raises
        ------
        ImageIndexError
            If a spatial axis is dropped, added or indexed by a list, or nothing is left.
        """
        dataobj, entries, spatial = self._resolved(key)
        taken = dataobj.view(key) if isinstance(dataobj, LazyArray) else dataobj[tuple(entries)]
        if 0 in taken.shape:
            msg = (
                f"a slice of an image must hold at least one voxel. Got shape {taken.shape} from "
                f"an image of shape {dataobj.shape}."
            )
            raise ImageIndexError(msg)
        header = self._img.header.copy()
        _set_zooms(header, entries, taken.shape, spatial)
        return self._make(self._img, taken, sliced_affine(self._img.affine, spatial), header)

    def check_slicing(self, slicer: Any, return_spatial: bool = False) -> tuple[Any, ...]:  # noqa: FBT001, FBT002
        """Return an index with one entry for each axis, as nibabel's slicer does.

        Parameters
        ----------
        slicer : int, slice, Ellipsis, None, list or tuple of these
            Index of the voxels.
        return_spatial : bool, default=False
            Whether to return the entries of the three spatial axes only.

        Returns
        -------
        tuple
            The entries.

        Raises
        ------
        ImageIndexError
            If a spatial axis is dropped, added or indexed by a list.
        """
        _, entries, spatial = self._resolved(slicer)
        return tuple(entries[: len(spatial)] if return_spatial else entries)

    def slice_affine(self, slicer: Any) -> Array:
        """Return the affine of a slice; right for negative bounds and steps too.

        Parameters
        ----------
        slicer : int, slice, Ellipsis, None, list or tuple of these
            Index of the voxels.

        Returns
        -------
        ndarray of shape (4, 4)
            Voxel indices of the slice to world coordinates, in mm.

        Raises
        ------
        ImageIndexError
            If a spatial axis is dropped, added or indexed by a list.
        """
        return sliced_affine(self._img.affine, self._resolved(slicer)[2])

    def _resolved(self, key: Any) -> tuple[Any, list[Any], tuple[range, ...]]:
        """Return the voxels, an entry for each axis, and the positions on the spatial axes."""
        image: Any = self._img
        if not spatial_axes_first(image):
            msg = (
                f"{name_of(image)}: slicing needs the three spatial axes first. "
                f"{type(image).__name__} of 4 axes has them elsewhere."
            )
            raise ImageIndexError(
                msg,
                hint="Slice img.dataobj.",
                cli_hint="Convert it to NIfTI first, with MINC's mnc2nii say.",
            )
        dataobj: Any = image.dataobj
        if not isinstance(dataobj, np.ndarray):
            dataobj = lazy_dataobj(image)
        # An Ellipsis that stands for no axis says nothing about an image.
        entries = [one for one in expand_key(key, dataobj.ndim) if one is not Ellipsis]
        _check_spatial(entries[: min(3, dataobj.ndim)])
        axes = tuple(range(n)[e] for n, e in zip(dataobj.shape, entries[:3], strict=False))
        return dataobj, entries, (*axes, *[range(1)] * (3 - len(axes)))


def _check_spatial(entries: list[Any]) -> None:
    for entry in entries:
        if entry is None:
            msg = "new axes are not possible among the three spatial axes of an image."
            raise ImageIndexError(msg)
        if not isinstance(entry, slice):
            msg = (
                f"the three spatial axes of an image must stay: index them with slices, such as "
                f"5:6 for one voxel. Got {entry!r}."
            )
            raise ImageIndexError(msg)


def _set_zooms(
    header: Any, entries: list[Any], shape: tuple[int, ...], spatial: tuple[range, ...]
) -> None:
    """Set the shape of a header, and the zooms of the axes that remain."""
    old = [float(zoom) for zoom in header.get_zooms()]
    steps = [float(abs(axis.step)) for axis in spatial]
    zooms = [zoom * step for zoom, step in zip(old[:3], steps, strict=False)]
    axis = len(zooms)
    for entry in entries[len(zooms) :]:
        if isinstance(entry, slice):
            zooms.append(old[axis] * abs(entry.step or 1) if axis < len(old) else 1.0)
            axis += 1
        elif entry is None:
            zooms.append(1.0)
        else:
            # A list keeps its axis, and no step is right for it but the one there was.
            if is_array_index(entry):
                zooms.append(old[axis] if axis < len(old) else 1.0)
            axis += 1
    header.set_data_shape(shape)
    header.set_zooms(np.array(zooms[: len(header.get_zooms())]))
