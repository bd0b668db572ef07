"""The voxels of any nibabel image as a `LazyArray`."""

from dataclasses import dataclass
from typing import Any

from nibabel.arrayproxy import ArrayProxy
from nibabel.spatialimages import SpatialImage

from lazyvox.array.computed_reader import DerivedReader
from lazyvox.array.conversion import Conversion
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.memory_map import MappedReader
from lazyvox.array.memory_reader import MemoryReader, in_memory_array
from lazyvox.array.prerequisites import read_before
from lazyvox.array.reader import FileReader
from lazyvox.array.reduction_reader import ReducedReader
from lazyvox.array.spool import SpooledReader
from lazyvox.array.transformed import StagedReader
from lazyvox.planning.spec import ArraySpec
from lazyvox.store.files.identity import identify
from lazyvox.store.opening import open_source

__all__ = ["Reading", "decoded_bytes", "lazy_dataobj", "name_of", "reading_of", "stored_bytes"]


def lazy_dataobj(img: SpatialImage) -> LazyArray:
    """Return the voxels of an image as a lazy array, whoever loaded it; reads none of them."""
    dataobj: Any = img.dataobj
    if isinstance(dataobj, LazyArray):
        return dataobj
    if _is_plain_proxy(dataobj):
        # nibabel's proxy would inflate a compressed file from its start for every block.
        spec = ArraySpec(tuple(dataobj.shape), dataobj.dtype, int(dataobj.offset))
        conversion = Conversion(float(dataobj.slope), float(dataobj.inter))
        return LazyArray.over(FileReader(open_source(dataobj.file_like), spec), conversion)
    return in_memory_array(dataobj, name_of(img))


def stored_bytes(array: LazyArray) -> int:
    """Return the bytes that the files of an array take on disk, as they were when opened."""
    reader = array.reader
    if isinstance(reader, ReducedReader):
        # The pass that computes it comes before, and is counted by itself.
        return 0
    if isinstance(reader, DerivedReader):
        return sum(stored_bytes(source) for source in reader.sources_below)
    if isinstance(reader, FileReader | MappedReader):
        return reader.source.stored_size
    return 0 if isinstance(reader, MemoryReader) else identify(reader.path).size


def decoded_bytes(array: LazyArray) -> int:
    """Return the bytes of stored values that reading an array decodes."""
    reader = array.reader
    if isinstance(reader, ReducedReader):
        return 0
    if isinstance(reader, SpooledReader):
        # All of them, whatever is asked for: each volume of the result depends on all volumes.
        return sum(decoded_bytes(source) for source in reader.sources_below)
    if isinstance(reader, StagedReader):
        whole = sum(decoded_bytes(source) for source in reader.sources)
        n_volumes = array.shape[3] if array.ndim > 3 else 1
        return whole * n_volumes // max(reader.shape[3] if len(reader.shape) > 3 else 1, 1)
    return array.size * reader.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Reading:
    """What passes over an array read.

    Attributes
    ----------
    passes : int
        Passes over its file, those included that come before the first value.
    bytes_read : int
        Bytes from disk.
    bytes_decoded : int
        Bytes of stored values.
    """

    passes: int
    bytes_read: int
    bytes_decoded: int


def reading_of(array: LazyArray, passes: int) -> Reading:
    """Return what so many passes over an array read, and what has to be read before them."""
    before = read_before(array)
    # Parts of a series may each need a pass of their own: the plan counts those over its source.
    passes_before = sum(one.reader.path == array.reader.path for one in before)
    return Reading(
        passes + passes_before,
        passes * _read_bytes(array) + sum(_read_bytes(one) for one in before),
        passes * decoded_bytes(array) + sum(decoded_bytes(one) for one in before),
    )


def _read_bytes(array: LazyArray) -> int:
    stored = stored_bytes(array)
    return min(decoded_bytes(array), stored) if array.reader.is_random_access else stored


def name_of(img: SpatialImage) -> str:
    """Return the file of an image for a message, or its class."""
    return str(img.get_filename() or f"an image in memory ({type(img).__name__})")


def _is_plain_proxy(dataobj: Any) -> bool:
    """Return whether an array is nibabel's proxy of a Fortran-ordered array in a named file."""
    return (
        type(dataobj) is ArrayProxy and isinstance(dataobj.file_like, str) and dataobj.order == "F"
    )
