"""Memory of volumes that are gone, for those that are loaded next.

New memory has to be cleared by the system, which takes about as long as adding to it. A loop that
loads volume after volume gets along with the memory of a few.
"""

from collections import deque
from sys import getrefcount
from typing import Any
from weakref import getweakrefcount

import numpy as np
from nibabel.spatialimages import SpatialImage

from lazyvox._typing import Array, DType, Shape

__all__ = ["Spare"]


class Spare:
    """Keeps the memory of one volume at the most.

    Safe from many threads, and from a destructor in the midst of its methods: it has no lock.
    """

    __slots__ = ("__weakref__", "_arrays")

    def __init__(self) -> None:
        self._arrays: deque[Array] = deque(maxlen=1)

    def take(self, shape: Shape, dtype: DType) -> Array | None:
        """Return an array to be filled, None where none fits; one that does not fit is dropped."""
        try:
            found = self._arrays.pop()
        except IndexError:
            return None
        return found if found.shape == shape and found.dtype == dtype else None

    def give(self, owner: list[Any]) -> None:
        """Take the voxels of an image, if nothing but the list `owner` and its image has them.

        Parameters
        ----------
        owner : list of object
            One object, which is taken out.
        """
        img = owner.pop()
        # The count is that of a name and of the argument of the function that counts.
        if getrefcount(img) != ALONE or getweakrefcount(img) or not isinstance(img, SpatialImage):
            return
        array: Any = img.dataobj
        del img
        if (
            type(array) is np.ndarray
            and getrefcount(array) == ALONE
            and not getweakrefcount(array)
            and array.base is None
            and array.flags.owndata
            and array.flags.writeable
            and array.flags.f_contiguous
        ):
            self._arrays.append(array)


def _count_alone() -> int:
    """Return the count of an object that a single name refers to, in this Python."""
    thing = object()
    return getrefcount(thing)


#: References to an object that a single name refers to.
ALONE = _count_alone()
