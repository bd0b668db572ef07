"""Content of images, tables and options as a key for results that are kept.

Files go in with their size, their modification time and a hash of their beginning and end; arrays
in memory with all of their values.
"""

import hashlib
import os
import pickle
from contextlib import closing
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from nibabel.spatialimages import SpatialImage

from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.reader import ArrayReader
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.store.files.identity import SourceFile
from lazyvox.store.files.urls import is_url
from lazyvox.store.opening import find_file

__all__ = ["fingerprint"]

_PLAIN = (bool, int, float, str, bytes, np.generic, np.dtype)

#: Bytes at each end of a file that are hashed. The header and first values, and the last values
#: with the checksum of a gzip file, which covers all of it.
_END_BYTES = 64 * 1024


def fingerprint(thing: Any) -> Any:
    """Return the part of a key for an object: the same for the same content.

    Parameters
    ----------
    thing : object
        An image, a lazy array, an array, a path of a file, a list, a dict, or a plain value.

    Returns
    -------
    object
        Text, numbers and tuples of them.
    """
    if isinstance(thing, SpatialImage):
        affine = None if thing.affine is None else np.asarray(thing.affine, np.float64).tobytes()
        return ("image", fingerprint(lazy_dataobj(thing)), affine)
    if isinstance(thing, LazyArray):
        window = (str(thing.window.axes), str(thing.window.dims))
        return ("array", _of_reader(thing.reader), window, repr(thing.conversion))
    if isinstance(thing, np.ndarray):
        return _of_values(thing)
    if isinstance(thing, SourceFile):
        return _of_file(thing)
    is_name = isinstance(thing, str) and (is_url(thing) or Path(thing).is_file())
    if isinstance(thing, os.PathLike) or is_name:
        return _of_file(find_file(str(thing)))
    return _of_parts(thing)


def _of_parts(thing: Any) -> Any:
    """Return the part of a cache key for a container, a table, a value, or any other object."""
    if isinstance(thing, list | tuple):
        return tuple(fingerprint(item) for item in thing)
    if isinstance(thing, dict):
        return tuple((str(key), fingerprint(thing[key])) for key in sorted(thing, key=str))
    if is_dataclass(thing) and not isinstance(thing, type):
        values = ((field.name, getattr(thing, field.name)) for field in fields(thing))
        return (type(thing).__qualname__, *((name, fingerprint(value)) for name, value in values))
    if hasattr(thing, "to_numpy"):
        return (str(list(thing.columns)), fingerprint(np.asarray(thing.to_numpy())))
    if thing is None or isinstance(thing, _PLAIN):
        return repr(thing)
    return (type(thing).__qualname__, hashlib.blake2b(pickle.dumps(thing)).hexdigest())


def _of_reader(reader: ArrayReader) -> Any:
    if reader.content_key is None:
        # A proxy of nibabel, for one: its values, volume by volume.
        return ("values", _of_volumes(LazyArray.over(reader)))
    kind, *parts = reader.content_key
    return (kind, *(fingerprint(part) for part in parts))


def _of_values(values: np.ndarray[Any, Any]) -> tuple[Any, ...]:
    if values.dtype.hasobject:
        return ("objects", values.shape, repr(values.tolist()))
    order: Literal["F", "C"] = "F" if values.flags.f_contiguous else "C"
    flat = values.reshape(-1, order=order)
    digest = hashlib.blake2b(digest_size=16)
    step = max((1 << 20) // max(values.itemsize, 1), 1)
    for start in range(0, flat.size, step):
        digest.update(np.ascontiguousarray(flat[start : start + step]).view(np.uint8).data)
    return ("values", values.shape, str(values.dtype), order, digest.hexdigest())


def _of_volumes(array: LazyArray) -> tuple[Any, ...]:
    digest = hashlib.blake2b(digest_size=16)
    n_volumes = array.shape[3] if array.ndim == 4 else 1
    for volume in range(n_volumes):
        view = array.view((..., volume)) if array.ndim == 4 else array
        digest.update(np.asfortranarray(view.read()).tobytes(order="F"))
    return (array.shape, str(array.dtype), digest.hexdigest())


def _of_file(found: SourceFile) -> tuple[Any, ...]:
    identity = found.identity
    if identity.validator:
        return (found.path, identity.size, identity.mtime_ns, identity.validator)
    digest = hashlib.blake2b(digest_size=16)
    with closing(found.open_stored()) as file:
        digest.update(file.pread(_END_BYTES, 0))
        digest.update(file.pread(_END_BYTES, max(identity.size - _END_BYTES, 0)))
    return (found.path, identity.size, identity.mtime_ns, digest.hexdigest())
