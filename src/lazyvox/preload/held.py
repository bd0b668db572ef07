"""State of a lazy reader: the loaded object, its users, and whether it was edited."""

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from isal import isal_zlib
from nibabel.cifti2.cifti2 import Cifti2Image
from nibabel.gifti.gifti import GiftiImage
from nibabel.spatialimages import SpatialImage

from lazyvox._typing import Array

__all__ = ["Held"]


@dataclass(slots=True, eq=False)
class Held:
    """A loaded object.

    Attributes
    ----------
    value : object
        What was loaded.
    is_private : bool
        Whether the reader has the only reference to it, as long as it is not handed out.
    n_users : int
        Operations under way that use it.
    mark : int or None
        Checksum of its values when it was first handed out.
    is_edited : bool
        Whether it is known to differ from its file.
    """

    value: Any
    is_private: bool = False
    n_users: int = 0
    mark: int | None = None
    is_edited: bool = False

    def hand_out(self) -> None:
        """Remember the values: from now on the user may edit them."""
        if self.mark is None and not self.is_edited:
            self.mark = checksum(self.value)

    def differs(self) -> bool:
        """Return whether the values were edited since they were handed out."""
        if not self.is_edited and self.mark is not None:
            self.is_edited = checksum(self.value) != self.mark or _has_edited_cache(self.value)
        return self.is_edited


def checksum(value: Any) -> int:
    """Return a number that changes with the values of an object."""
    crc = 0
    for part in _parts(value):
        crc = isal_zlib.crc32(part, crc)
    return crc


def _parts(value: Any) -> Iterator[Any]:
    """Yield the contents of an object as bytes; nothing of one that cannot be looked into."""
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        yield _bytes_of(value)
    elif isinstance(value, SpatialImage):
        held: Any = value.dataobj
        yield _bytes_of(held) if isinstance(held, np.ndarray) else b""
        yield _bytes_of(np.asarray(value.affine))
        yield getattr(value.header, "binaryblock", b"")
    elif isinstance(value, Cifti2Image):
        yield _bytes_of(np.asarray(value.dataobj))
    elif isinstance(value, GiftiImage):
        for array in value.darrays:
            yield _bytes_of(array.data)
    elif hasattr(value, "streamlines"):
        yield _bytes_of(value.streamlines.get_data())
    else:
        yield _pickled(value)


def _bytes_of(values: Array) -> Array:
    flat: Array = values.ravel(order="K")
    return np.ascontiguousarray(flat).view(np.uint8)


def _pickled(value: Any) -> bytes:
    try:
        return pickle.dumps(value, protocol=5)
    # Objects refuse in many ways; such a one is taken to be unchanged.
    except Exception:  # noqa: BLE001 - what a type of the user raises is unknown
        return b""


def _has_edited_cache(value: Any) -> bool:
    """Return whether the array that `get_fdata` gave differs from the voxels."""
    cache = getattr(value, "_fdata_cache", None)
    if not isinstance(cache, np.ndarray):
        return False
    voxels: Any = value.dataobj
    return cache is not voxels and not np.array_equal(
        cache, np.asarray(voxels).astype(cache.dtype, copy=False), equal_nan=True
    )
