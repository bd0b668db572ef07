"""Content of a shared image or array, and its reconstruction as an image."""

import hashlib
import math
import pickle
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from nibabel.spatialimages import HeaderDataError, SpatialImage

from lazyvox._typing import Array, DType
from lazyvox.array.conversion import Conversion
from lazyvox.array.lazy_array import LazyArray, fill_block
from lazyvox.array.memory_reader import MemoryReader, in_memory_array
from lazyvox.array.prerequisites import fill_spools
from lazyvox.array.shared_array import SharedArray, SharedRecord
from lazyvox.errors import CorruptFileError, ParameterError, ParameterTypeError
from lazyvox.lazyimage.classes import LAZY_CLASSES, LazyImage, lazy_image
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.grids import affine_of
from lazyvox.lazyimage.load import as_image
from lazyvox.lazyimage.packing import pack_header, unpack_header
from lazyvox.store.files.shared_files import SharedFile, map_shared

__all__ = [
    "SharedContent",
    "SharedNote",
    "content_of",
    "fill_shared",
    "image_over",
    "write_note",
]


@dataclass(frozen=True, slots=True)
class SharedNote:
    """Class, header and name of a shared image; stored behind its voxels in the shared file.

    The digest travels with the handle: what does not match it is not unpickled.
    """

    nbytes: int
    digest: bytes


@dataclass(frozen=True, slots=True, eq=False)
class SharedContent:
    """Content to be shared: values in their memory layout, and the facts that make them an image."""

    values: LazyArray | Array
    order: str
    note: bytes
    name: str

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        return math.prod(self.values.shape) * self.values.dtype.itemsize


def content_of(img: Any) -> SharedContent:
    """Return the values that are to be shared, and the header data that make an image of them."""
    if isinstance(img, LazyArray):
        return SharedContent(img, "F", b"", img.reader.path)
    if isinstance(img, np.ndarray):
        return _array_content(img)
    if getattr(img, "is_proxy", False) and not isinstance(img, SpatialImage):
        return SharedContent(in_memory_array(img, "a proxy"), "F", b"", "a proxy")
    if not isinstance(img, SpatialImage | str | bytes) and not hasattr(img, "__fspath__"):
        msg = (
            f"`img` must be an image, its path, or an array. Got {type(img).__name__}. Pass "
            f"np.asarray(...) of other objects."
        )
        raise ParameterTypeError(msg)
    return _image_content(as_image(img))


def _array_content(values: Array) -> SharedContent:
    if values.dtype.hasobject or isinstance(values, np.ma.MaskedArray):
        kind = "a masked array" if isinstance(values, np.ma.MaskedArray) else str(values.dtype)
        msg = (
            f"an array to be shared must hold plain values. Got {kind}, of shape {values.shape}. "
            f"Share the values of it that are numbers, such as np.asarray(array, float)."
        )
        raise ParameterError(msg)
    is_fortran = values.flags.f_contiguous and not values.flags.c_contiguous
    return SharedContent(values, "F" if is_fortran else "C", b"", "an array in memory")


def _image_content(img: SpatialImage) -> SharedContent:
    array = lazy_dataobj(img)
    header: Any = img.header
    conversion = array.conversion
    is_stored = conversion.is_scaled and conversion.dtype is None and conversion.cast is None
    if is_stored:
        array = replace(array, conversion=Conversion())
    elif conversion.changes(array.reader.dtype):
        header = _with_type(header, array.dtype)
    lazy_class = next(
        (LAZY_CLASSES[one] for one in type(img).__mro__ if one in LAZY_CLASSES), type(img)
    )
    note = pickle.dumps(
        (
            lazy_class,
            affine_of(img).tobytes(),
            pack_header(header),
            img.extra or None,
            img.get_filename(),
            conversion if is_stored else None,
        )
    )
    return SharedContent(array, "F", note, array.reader.path)


def _with_type(header: Any, dtype: DType) -> Any:
    """Return a header that says the type of values in memory, where its format has that type."""
    copy = header.copy()
    try:
        copy.set_data_dtype(dtype)
    except HeaderDataError:
        return header
    return copy


def fill_shared(values: LazyArray | Array, out: Array) -> None:
    """Read values into shared memory; nothing else is held but the buffers of reading."""
    if not isinstance(values, LazyArray):
        out[...] = values
        return
    kept = [len(axis) for axis in values.window.axes if not isinstance(axis, int)]
    if not values.size or math.prod(kept) != values.size:
        # Axes that indexing added, longer than one.
        out[...] = values.read()
        return
    fill_spools(values)
    with values.open() as session:
        fill_block(values, session, out)


def write_note(file: SharedFile, content: SharedContent) -> SharedNote:
    """Write the header data of an image behind its voxels."""
    file.map()[content.nbytes :] = content.note
    return SharedNote(len(content.note), _digest(content.note))


def image_over(values: SharedArray, record: SharedRecord, note: SharedNote) -> LazyImage:
    """Return the image of shared values."""
    packed = map_shared(record.path, record.nbytes)[record.nbytes - note.nbytes :]
    if _digest(packed) != note.digest:
        msg = (
            f"{record.path}: the header of shared data must be what was written. Somebody else "
            f"wrote to the memory. Share the image again."
        )
        raise CorruptFileError(msg)
    image_class, affine, header, extra, path, conversion = pickle.loads(packed)
    dataobj: LazyArray | Array = values
    if conversion is not None:
        reader = MemoryReader(values, path or record.path, values.shape, values.dtype)
        dataobj = LazyArray.over(reader, conversion)
    matrix = np.frombuffer(affine, np.float64).reshape(4, 4)
    return lazy_image(image_class, dataobj, matrix, unpack_header(header), extra, path)


def _digest(packed: bytes) -> bytes:
    return hashlib.blake2b(packed, digest_size=16).digest()
