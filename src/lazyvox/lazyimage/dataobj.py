"""The voxels of any nibabel image as a `LazyArray`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from lazyvox.array.conversion import Conversion
from lazyvox.array.expression import cast, elementwise
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.memory_reader import in_memory_array
from lazyvox.array.reader import FileReader
from lazyvox.formats.datatypes import storable_dtype
from lazyvox.planning.spec import ArraySpec
from lazyvox.store.opening import open_source

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage

    from lazyvox._typing import Array

__all__ = ["lazy_dataobj", "name_of", "storable"]


def lazy_dataobj(img: SpatialImage) -> LazyArray:
    """Return the voxels of any nibabel image as a lazy array; reads none of them."""
    dataobj: Any = img.dataobj
    if isinstance(dataobj, LazyArray):
        return dataobj
    if _is_plain_proxy(dataobj):
        # nibabel's proxy would inflate a compressed file from its start for every block.
        spec = ArraySpec(tuple(dataobj.shape), dataobj.dtype, int(dataobj.offset))
        conversion = Conversion(float(dataobj.slope), float(dataobj.inter))
        return LazyArray.over(FileReader(open_source(dataobj.file_like), spec), conversion)
    return in_memory_array(dataobj, name_of(img))


@overload
def storable(values: LazyArray) -> LazyArray: ...
@overload
def storable(values: Array) -> Array: ...
def storable(values: LazyArray | Array) -> LazyArray | Array:
    """Return voxels in a type that images and sums have: bool becomes uint8; lazily if they are."""
    dtype = storable_dtype(values.dtype)
    if dtype == values.dtype:
        return values
    if isinstance(values, LazyArray):
        return elementwise(cast, values, dtype=dtype)
    return values.astype(dtype)


def name_of(img: SpatialImage) -> str:
    """Return the file of an image for a message, what it is computed from, or its class."""
    dataobj: Any = img.dataobj
    if img.get_filename():
        return str(img.get_filename())
    if isinstance(dataobj, LazyArray) and not dataobj.reader.is_in_memory:
        return dataobj.reader.describe()
    return f"an image in memory ({type(img).__name__})"


def _is_plain_proxy(dataobj: Any) -> bool:
    """Return whether an array is nibabel's proxy of a Fortran-ordered array in a named file."""
    from nibabel.arrayproxy import ArrayProxy

    return (
        type(dataobj) is ArrayProxy and isinstance(dataobj.file_like, str) and dataobj.order == "F"
    )
