"""Results of maskers kept on disk, found again by content, not by the names of files.

nilearn asks joblib for the hash of a path: a file that was overwritten gives the result of the one
before. Here files go in with their size, their modification time and a hash of their beginning
and end; arrays in memory with all of their values.
"""

import hashlib
import os
import warnings
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from nibabel.spatialimages import SpatialImage

from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.reader import ArrayReader
from lazyvox.errors import ParameterError
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.maskers.parameters import MaskerWarning
from lazyvox.store.files.identity import identify
from lazyvox.store.files.paths import expand_home

__all__ = ["KeptResults", "fingerprint", "open_memory"]

ResultT = TypeVar("ResultT")

_PLAIN = (bool, int, float, str, bytes, np.generic, np.dtype)

#: Bytes at each end of a file that are hashed. The header and first values, and the last values
#: with the checksum of a gzip file, which covers all of it.
_END_BYTES = 64 * 1024


class KeptResults:
    """The cache of a masker: opened when it is fitted, or when `memory` is set afterwards."""

    memory: Any
    memory_level: int
    verbose: int
    get_params: Any
    _opened: Any

    #: Parameters that do not change the result of a transform.
    _UNKEYED: ClassVar[frozenset[str]] = frozenset(
        {"memory", "memory_level", "memory_budget", "memmap_dir", "verbose", "n_jobs", "reports"}
    )

    def _has_cache(self) -> bool:
        return self._memory().location is not None

    def _memory(self) -> Any:
        # A cache may be set after fitting, as nilearn allows.
        if self.memory is not self._opened:
            self._opened = self.memory
            self.memory_ = open_memory(self.memory, verbose=self.verbose)
        return self.memory_

    def _cached(self, compute: Callable[[], Any], key: tuple[Any, ...]) -> Any:
        """Return a result from the cache, where `memory` and `memory_level` ask for one."""
        memory = self._memory()
        if memory.location is not None and self.memory_level == 0:
            msg = (
                "`memory_level` should be at least 1 where `memory` is given. Got 0. It is set to "
                "1, and results are kept."
            )
            warnings.warn(msg, MaskerWarning, stacklevel=4)
            self.memory_level = 1
        if memory.location is None and self.memory_level > 1:
            msg = (
                f"`memory` should be a folder where `memory_level` is above 1. Got None and "
                f"{self.memory_level}: nothing is kept."
            )
            warnings.warn(msg, MaskerWarning, stacklevel=4)
        return cached(memory, compute, key, shelve=getattr(self, "_shelving", False) or False)

    def _key(self, what: str, img: Any, *parts: Any) -> tuple[Any, ...]:
        """Return the cache key of a result: the images, the parameters, and more."""
        if not self._has_cache():
            return ()
        options = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in self._UNKEYED
        }
        return (
            what,
            type(self).__name__,
            fingerprint(img),
            fingerprint(options),
            fingerprint(parts),
        )

    def _image_key(self, what: str, img: Any) -> tuple[Any, ...]:
        """Return the key of a result that depends on an image alone."""
        if not self._has_cache():
            return ()
        return (what, fingerprint(img))


def open_memory(memory: Any, *, verbose: int | bool = 0) -> Any:
    """Return the joblib.Memory that a `memory` parameter means.

    Parameters
    ----------
    memory : joblib.Memory, path-like or None
        None for no cache.
    verbose : int or bool
        How much joblib tells.

    Returns
    -------
    joblib.Memory
        The cache; without a location where there is none.

    Raises
    ------
    ParameterError
        If the folder that would hold the new folder does not exist.
    """
    from joblib import Memory

    if memory is None:
        return Memory(location=None, verbose=int(verbose))
    if not isinstance(memory, str | os.PathLike):
        return memory
    folder = Path(expand_home(os.fspath(memory)))
    if not folder.parent.exists():
        msg = (
            f"`memory` must name a folder, or a new one in a folder that exists. Got {memory}: "
            f"there is no folder {folder.parent}."
        )
        raise ParameterError(msg)
    return Memory(location=str(folder), verbose=int(verbose))


def cached(
    memory: Any, compute: Callable[[], ResultT], key: tuple[Any, ...], *, shelve: bool = False
) -> Any:
    """Return a result from the cache, or compute it and keep it there.

    Parameters
    ----------
    memory : joblib.Memory
        The cache.
    compute : callable
        Computes the result.
    key : tuple
        All that the result depends on; see `fingerprint`.
    shelve : bool
        Whether to return joblib's reference to the result instead.

    Returns
    -------
    object
        The result, or the reference.
    """
    if memory is None or (memory.location is None and not shelve):
        return compute()
    remembered = memory.cache(_computed, ignore=["compute"])
    if shelve:
        return remembered.call_and_shelve(key, compute)
    return remembered(key, compute)


def _computed(key: tuple[Any, ...], compute: Callable[[], ResultT]) -> ResultT:
    """Return the result of `compute`, which joblib caches under `key` alone."""
    del key
    return compute()


def fingerprint(thing: Any) -> Any:
    """Return the part of a cache key for an object.

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
    if isinstance(thing, os.PathLike) or (isinstance(thing, str) and Path(thing).is_file()):
        return _of_file(str(thing))
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
    from joblib import hash as joblib_hash

    return joblib_hash(thing)


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


def _of_file(path: str) -> tuple[Any, ...]:
    identity = identify(path)
    digest = hashlib.blake2b(digest_size=16)
    with Path(path).open("rb") as file:
        digest.update(file.read(_END_BYTES))
        file.seek(max(identity.size - _END_BYTES, 0))
        digest.update(file.read(_END_BYTES))
    return (str(Path(path).absolute()), identity.size, identity.mtime_ns, digest.hexdigest())
