"""Images of Zarr stores, as lazy images."""

import os
from pathlib import Path
from typing import Any

from lazyvox.array.chunked_reader import ChunkedReader
from lazyvox.array.conversion import Conversion
from lazyvox.array.lazy_array import LazyArray
from lazyvox.errors import (
    ImageFileError,
    ImageNotFoundError,
    ImagePermissionError,
    ReadError,
    UnsupportedFormatError,
)
from lazyvox.formats.nifti_zarr import header_of_group
from lazyvox.formats.zarr_chunks import StoredChunks
from lazyvox.formats.zarr_names import ZARR_MARKS
from lazyvox.lazyimage.classes import LazyImage, lazy_image
from lazyvox.runtime.optional import require
from lazyvox.store.files.identity import FileIdentity, SourceFile
from lazyvox.store.files.paths import printable
from lazyvox.store.files.urls import is_url

__all__ = ["load_zarr"]


def load_zarr(store: Any, level: int = 0) -> LazyImage:
    """Return the image of a store, which is an absolute path or what zarr opens; reads a header.

    The errors are those of `lazyvox.interop.from_zarr`.
    """
    require("zarr", "interop", "Zarr stores")
    path = store if isinstance(store, str) else str(store)
    is_remote = isinstance(store, str) and is_url(store)
    opened = _remote_store(store) if is_remote else store
    stored = header_of_group(_open(opened, path), path, level)
    mark, nbytes = None, 0
    if is_remote:
        # Rewriting changes its time, on servers that tell one.
        mark = _first_mark(opened, stored.array.path)
    elif isinstance(store, str):
        mark, nbytes = _state_of(path, stored.array.path)
    objects = StoredChunks(stored.array)
    reader = ChunkedReader(stored.array, stored.place, path, mark, nbytes, objects)
    spec = stored.file.array
    dataobj = LazyArray.over(reader, Conversion(spec.slope, spec.inter))
    name = path if isinstance(store, str) else None
    return lazy_image(
        stored.file.image_class, dataobj, stored.file.affine, stored.file.header, path=name
    )


def _open(store: Any, path: str) -> Any:
    import zarr

    if isinstance(store, zarr.Group):
        return store
    if isinstance(store, str) and not os.path.lexists(store):
        msg = f"{printable(path)}: no such folder."
        raise ImageNotFoundError(msg)
    try:
        node = zarr.open(store, mode="r")
    except ImageFileError:
        raise
    except (FileNotFoundError, KeyError, ValueError, TypeError, AttributeError) as error:
        # The last of metadata that are JSON of another kind.
        msg = f"{printable(path)}: the store must hold a Zarr group. zarr says: {error}"
        raise UnsupportedFormatError(msg) from error
    except OSError as error:
        msg = f"{printable(path)}: the store could not be opened: {error}"
        raise ReadError(msg) from error
    if not isinstance(node, zarr.Group):
        msg = f"{printable(path)}: the store must hold a Zarr group. Got an array."
        raise UnsupportedFormatError(msg)
    return node


def _remote_store(url: str) -> Any:
    """Return the store behind a URL, where there is one."""
    from lazyvox.lazyimage.zarr_objects import ObjectStore
    from lazyvox.store.remote.options import Access, chosen_options

    store = ObjectStore(url, Access.of(chosen_options(None)))
    _first_mark(store, "")
    return store


def _first_mark(store: Any, folder: str) -> SourceFile:
    """Return the metadata of a group or an array behind a URL, as a mark of its state."""
    refusals: list[ImageFileError] = []
    for mark in ZARR_MARKS:
        try:
            found: SourceFile = store.find(f"{folder}/{mark}".lstrip("/"))
        except (ImageNotFoundError, ImagePermissionError) as error:
            refusals.append(error)
        else:
            return found
    # S3 says that it may not be read of what is not there.
    if denied := [one for one in refusals if isinstance(one, ImagePermissionError)]:
        raise denied[0]
    msg = f"{store}: a folder of Zarr must hold {' or '.join(ZARR_MARKS)}. It has none of them."
    raise ImageNotFoundError(msg)


def _state_of(path: str, name: str) -> tuple[SourceFile, int]:
    """Return the metadata of an array in a folder, as a mark of its state, and its size on disk."""
    folder = Path(path, name)
    found = next(one for mark in ZARR_MARKS if (one := folder / mark).is_file())
    nbytes = 0
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    waiting.append(Path(entry.path))
                else:
                    nbytes += entry.stat().st_size
    return SourceFile(str(found), FileIdentity.of(found.stat())), nbytes
