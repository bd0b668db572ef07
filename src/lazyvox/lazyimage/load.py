"""`lazyvox.load` and its kin: from a path to a lazy image."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from xml.parsers.expat import ExpatError

import numpy as np
import numpy.typing as npt
from nibabel.brikhead import AFNIHeaderError
from nibabel.filebasedimages import FileBasedImage
from nibabel.filebasedimages import ImageFileError as NibabelImageFileError
from nibabel.parrec import PARRECError
from nibabel.spatialimages import HeaderDataError, ImageDataError, SpatialImage
from nibabel.tripwire import TripWireError

from lazyvox._typing import PathLike
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.memory_map import MappedReader
from lazyvox.errors import (
    ImageFileError,
    LazyvoxError,
    ParameterError,
    ParameterTypeError,
    UnsupportedFormatError,
    join_nibabel,
)
from lazyvox.formats import ForeignFormatError, ImageFile
from lazyvox.formats.zarr_names import is_zarr_folder
from lazyvox.lazyimage.classes import LazyImage, lazy_image
from lazyvox.lazyimage.foreign import load_foreign
from lazyvox.lazyimage.opening import array_of_file, open_image_file
from lazyvox.lazyimage.zarr_image import load_zarr
from lazyvox.store.files.identity import raise_read_error
from lazyvox.store.files.local import PlainSource
from lazyvox.store.files.paths import absolute_path, printable
from lazyvox.store.files.urls import is_url
from lazyvox.store.remote.options import chosen_options
from lazyvox.store.remote.options import storage_options as storage_options_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ImageLike", "as_image", "image_of_file", "load"]

#: What nibabel's readers of other formats raise on damaged or incomplete files.
_NIBABEL_ERRORS = (
    HeaderDataError,
    AFNIHeaderError,
    ImageDataError,
    PARRECError,
    ExpatError,
    TripWireError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
)

ImageLike: TypeAlias = PathLike | SpatialImage

join_nibabel()


def load(
    path: PathLike,
    *,
    dtype: npt.DTypeLike | None = None,
    mmap: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> LazyImage:
    """Open an image file; reads the header only.

    Parameters
    ----------
    path : path-like or URL
        A file of any format that nibabel opens; NIfTI-1 and -2, Analyze and MGH are streamed by
        lazyvox itself, plain or compressed with gzip, bzip2 or zstd. Format and compression are
        found from the content, not from the name. Or the folder of a Zarr store that holds an
        image, as `lazyvox.interop.from_zarr` reads it.
    dtype : dtype-like, optional
        Type that voxels are cast to when they are read, block by block. Scaled integers asked
        for as float32 are scaled in float32. By default the type is nibabel's: the stored type,
        or float64 where the header scales.
    mmap : bool, default=False
        Whether slices of an uncompressed, unscaled file are views of a private memory map.
    storage_options : mapping, optional
        Options of a URL by name, such as ``{"anon": True}``; see `lazyvox.storage_options`. The
        image keeps them; those that hold secrets do not pickle.

    Returns
    -------
    LazyImage
        A nibabel image (a `nibabel.Nifti1Image` for NIfTI-1) whose `dataobj` is a `LazyArray`.
        Surfaces and CIFTI-2 files come back as nibabel's own images.

    Raises
    ------
    ImageNotFoundError, ImagePermissionError, ImageIsADirectoryError
        If the file cannot be opened.
    ImageFileError
        If it is not an image, its header is damaged, or it is shorter than its header says.
    ParameterError
        If `mmap` is asked for a file that cannot be mapped, or an option is unknown.

    Notes
    -----
    Memory: O(1). Reads no voxel. An object behind a URL takes one request for its first 64 KiB.
    Any number of images can be open: none holds a file handle.

    Examples
    --------
    >>> import lazyvox as lv
    >>> img = lv.load("run.nii.gz")
    >>> img.shape, img.in_memory
    ((12, 14, 10, 40), False)
    >>> img.dataobj[..., 3].shape
    (12, 14, 10)
    """
    if storage_options is not None:
        full_path = absolute_path(path)
        # A file that is missing is named as such, below.
        if storage_options and not is_url(full_path) and Path(full_path).exists():
            msg = (
                f"`storage_options` must go with a URL: nothing uses them for the local path "
                f"{printable(full_path)}. Leave them out."
            )
            raise ParameterError(msg, parameter="storage_options")
        with storage_options_of(**chosen_options(storage_options)):
            return load(path, dtype=dtype, mmap=mmap)
    try:
        file = open_image_file(path)
    except ForeignFormatError as error:
        full_path = absolute_path(path)
        if is_zarr_folder(full_path):
            return _load_zarr(full_path, dtype=dtype, mmap=mmap)
        if is_url(full_path):
            raise
        foreign: LazyImage = _load_foreign(full_path, error, dtype=dtype, mmap=mmap)
        return foreign
    img = image_of_file(file, mmap=mmap)
    return img if dtype is None else _cast(img, dtype)


def as_image(img: Any) -> SpatialImage:
    """Return an image: the argument itself, or the image at its path.

    Parameters
    ----------
    img : path-like or nibabel image
        A path, or any nibabel image, lazy or not.

    Returns
    -------
    nibabel image
        A spatial image.

    Raises
    ------
    ParameterTypeError
        If `img` is neither.
    """
    if isinstance(img, SpatialImage):
        return img
    if isinstance(img, str | bytes | os.PathLike):
        loaded: Any = load(img)
        if isinstance(loaded, SpatialImage):
            return loaded
        msg = (
            f"{printable(absolute_path(img))}: an image on a voxel grid is needed here. Got a "
            f"{type(loaded).__name__}."
        )
        raise ImageFileError(msg)
    msg = f"an image must be a path or a nibabel image. Got {type(img).__name__}."
    raise ParameterTypeError(msg)


def image_of_file(file: ImageFile, *, mmap: bool = False) -> LazyImage:
    """Return the lazy image of a file whose header was read."""
    dataobj, path = array_of_file(file), file.source.path
    if mmap:
        if not isinstance(file.source, PlainSource) or file.source.fetch_bytes:
            found = (
                "an object over a network" if file.source.fetch_bytes else file.source.compression
            )
            msg = (
                f"{printable(path)}: mmap=True needs an uncompressed file on a disk. Got {found}. "
                f"Load it without mmap, or convert it to .nii."
            )
            raise ParameterError(msg)
        dataobj = LazyArray.over(MappedReader(file.source, file.array), dataobj.conversion)
    return lazy_image(
        file.image_class, dataobj, file.affine, file.header, path=file.header_source.path
    )


def _load_zarr(path: str, *, dtype: npt.DTypeLike | None, mmap: bool) -> LazyImage:
    if mmap:
        msg = f"{printable(path)}: mmap=True needs an uncompressed NIfTI, Analyze or MGH file."
        raise ParameterError(msg)
    img = load_zarr(path)
    return img if dtype is None else _cast(img, dtype)


def _load_foreign(
    path: str, reason: ForeignFormatError, *, dtype: npt.DTypeLike | None, mmap: bool
) -> Any:
    if mmap:
        msg = f"{printable(path)}: mmap=True needs an uncompressed NIfTI, Analyze or MGH file."
        raise ParameterError(msg)
    try:
        img: FileBasedImage = load_foreign(path)
    except LazyvoxError:
        raise
    except NibabelImageFileError as error:
        raise reason from error
    except OSError as error:
        raise_read_error(error, os.fsdecode(error.filename or path))
    except _NIBABEL_ERRORS as error:
        msg = (
            f"{printable(path)}: an image must be whole and of a kind that nibabel or lazyvox reads. "
            f"nibabel could not open it: {type(error).__name__}: {error}"
        )
        raise UnsupportedFormatError(msg) from error
    if dtype is None:
        return img
    if isinstance(img, LazyImage):
        return _cast(img, dtype)
    msg = (
        f"{printable(path)}: `dtype` can be set for images on a voxel grid only. Got a "
        f"{type(img).__name__}."
    )
    raise ParameterError(msg)


def _cast(img: LazyImage, dtype: npt.DTypeLike) -> LazyImage:
    target = np.dtype(dtype)
    if target.kind not in "biufc":
        msg = f"`dtype` must be a type of numbers. Got {target}."
        raise ParameterError(msg)
    dataobj: Any = img.dataobj
    if dataobj.dtype.names is not None:
        msg = f"RGB and RGBA voxels cannot be read as {target}: they have no single number."
        raise ParameterError(msg)
    img._dataobj = dataobj.astype(target)
    return img
