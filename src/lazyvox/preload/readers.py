"""Registry of file readers, by the ending of the name; own types register theirs."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, runtime_checkable

import nibabel as nib
import numpy as np
from nibabel.cifti2.cifti2 import Cifti2Image
from nibabel.spatialimages import SpatialImage

from lazyvox.errors import LazyvoxError, ParameterError, ParameterTypeError
from lazyvox.lazyimage.classes import LAZY_CLASSES, LazyImage, lazy_image
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.foreign import load_foreign
from lazyvox.lazyimage.load import load
from lazyvox.preload.transform_files import read_linear_transform, read_transform_chain
from lazyvox.store.files.paths import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from lazyvox._typing import Array

__all__ = [
    "Annotation",
    "Readers",
    "ReadsFiles",
    "Surface",
    "check_reader",
    "cifti_like",
    "image_bytes",
    "in_memory",
    "open_image",
    "read_file",
    "reader_of",
    "register_reader",
]


@runtime_checkable
class ReadsFiles(Protocol):
    """An object that reads files."""

    def read(self, path: str, /, **options: Any) -> Any:
        """Return the content of a file."""


ReaderLike: TypeAlias = "ReadsFiles | Callable[..., Any]"


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """A mesh from a FreeSurfer file.

    Attributes
    ----------
    vertices : ndarray of shape (n, 3)
        Coordinates in mm.
    faces : ndarray of shape (m, 3)
        Numbers of the vertices of each triangle.
    metadata : dict
        What the file says of its volume, if it was read with ``read_metadata=True``.
    """

    vertices: Array
    faces: Array
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Annotation:
    """The regions of the vertices of a surface, from a FreeSurfer file.

    Attributes
    ----------
    labels : ndarray of shape (n,)
        Index into `names` for each vertex, -1 where it has no region.
    colors : ndarray of shape (m, 5)
        Red, green, blue, transparency and code of each region.
    names : list of bytes
        Names of the regions.
    """

    labels: Array
    colors: Array
    names: list[bytes]


def in_memory(img: SpatialImage, dtype: npt.DTypeLike | None = None) -> LazyImage:
    """Return an image whose voxels are in memory.

    Parameters
    ----------
    img : nibabel image
        Lazy or not; unchanged.
    dtype : dtype-like, optional
        Type of the voxels, by default that of `img`. Integers become float32 in steps of 1 MiB,
        without float64 in between.

    Returns
    -------
    LazyImage
        An array image with the class, affine, header and file name of `img`.

    Notes
    -----
    Memory: the voxels in the new type, and at most 3 MiB besides.
    """
    array = lazy_dataobj(img)
    if dtype is not None:
        array = array.astype(dtype)
    values = array.read()
    header: Any = img.header.copy()
    image_class: Any = LAZY_CLASSES.get(type(img), type(img))
    try:
        header.set_data_dtype(values.dtype)
    except nib.spatialimages.HeaderDataError:
        image_class = LAZY_CLASSES[nib.Nifti1Image]
        header = image_class.header_class.from_header(header)
        header.set_data_dtype(values.dtype)
    path = img.get_filename()
    return lazy_image(image_class, values, np.asarray(img.affine), header, img.extra, path)


def _read_image(path: str, **options: Any) -> Any:
    img: Any = load(path, **options)
    if isinstance(img, SpatialImage):
        return in_memory(img)
    return img


def _read_cifti(path: str) -> Any:
    img: Any = load_foreign(path)
    if not isinstance(img, Cifti2Image):
        return _read_image(path)
    return cifti_like(img, np.asarray(img.dataobj))


def cifti_like(template: Any, values: Array) -> Any:
    """Return a CIFTI-2 image of other values; not copied."""
    image_class: Any = Cifti2Image
    header = template.nifti_header
    return image_class(values, template.header, header, template.extra, dtype=values.dtype)


def _read_tractogram(path: str, **options: Any) -> Any:
    return importlib.import_module("nibabel.streamlines").load(path, **options)


def _freesurfer() -> Any:
    return importlib.import_module("nibabel.freesurfer")


def _read_surface(path: str, **options: Any) -> Surface:
    return Surface(*_freesurfer().read_geometry(path, **options))


def _read_texture(path: str) -> Array:
    values: Array = _freesurfer().read_morph_data(path)
    return values


def _read_label(path: str) -> Array:
    vertices: Array = _freesurfer().read_label(path)
    return vertices


def _read_annotation(path: str) -> Annotation:
    return Annotation(*_freesurfer().read_annot(path))


class Readers:
    """The readers by the ending of a file's name; the longest ending that fits counts.

    Attributes
    ----------
    own : dict of str to reader
        What `register_reader` has registered, in this process. It comes first.
    """

    own: ClassVar[dict[str, ReaderLike]] = {}
    shipped: ClassVar[Mapping[str, ReaderLike]] = {
        **dict.fromkeys((".trk", ".tck"), _read_tractogram),
        **dict.fromkeys((".gii", ".gii.gz"), load_foreign),
        **dict.fromkeys(
            (
                ".dconn.nii",
                ".dfan.nii",
                ".dlabel.nii",
                ".dpconn.nii",
                ".dscalar.nii",
                ".dtseries.nii",
                ".pconn.nii",
                ".pconnscalar.nii",
                ".pconnseries.nii",
                ".pdconn.nii",
                ".plabel.nii",
                ".pscalar.nii",
                ".ptseries.nii",
            ),
            _read_cifti,
        ),
        **dict.fromkeys(
            (
                ".inflated",
                ".orig",
                ".orig.nofix",
                ".pial",
                ".pial.t1",
                ".pial.t2",
                ".smoothwm",
                ".sphere",
                ".sphere.reg",
                ".white",
                ".white.preaparc",
            ),
            _read_surface,
        ),
        **dict.fromkeys(
            (
                ".area",
                ".area.mid",
                ".area.pial",
                ".avg_curv",
                ".curv",
                ".curv.pial",
                ".jacobian_white",
                ".sulc",
                ".thickness",
                ".volume",
            ),
            _read_texture,
        ),
        ".annot": _read_annotation,
        ".label": _read_label,
        **dict.fromkeys((".h5", ".x5"), read_transform_chain),
        **dict.fromkeys((".lta", ".mat", ".tfm", ".txt", ".xfm"), read_linear_transform),
    }


def register_reader(ending: str, reader: ReaderLike) -> None:
    """Have files with an ending read by a reader of your own, in this process.

    Parameters
    ----------
    ending : str
        Ending of the names, such as ".mesh", in any case.
    reader : callable or object with `read`
        Called with the path, and with read options by name; returns what the file holds. It
        replaces what was registered for the ending before.

    Raises
    ------
    ParameterError
        If `ending` does not begin with a point.
    ParameterTypeError
        If `reader` can neither be called nor read.

    Notes
    -----
    Memory: O(1). Workers in other processes must register it too, or get it as `reader=`.

    Examples
    --------
    >>> from lazyvox.preload import LazyReadData, register_reader
    >>> register_reader(".numbers", np.loadtxt)
    """
    if not ending.startswith(".") or ending == ".":
        msg = f'`ending` must begin with a point, as ".mesh" does. Got {ending!r}.'
        raise ParameterError(msg)
    check_reader(reader)
    Readers.own[ending.lower()] = reader


def check_reader(reader: Any) -> None:
    """Raise `ParameterTypeError` for objects that cannot read."""
    if callable(reader) or isinstance(reader, ReadsFiles):
        return
    msg = (
        f"`reader` must be a function of a path, or an object with a method `read`. Got "
        f"{type(reader).__name__}."
    )
    raise ParameterTypeError(msg)


def reader_of(path: str) -> ReaderLike:
    """Return the reader for a file; images are read where no ending fits."""
    name = os.path.basename(path).lower()  # noqa: PTH119 - a text, not a path to go to
    parts = name.split(".")
    endings = ["." + ".".join(parts[first:]) for first in range(1, len(parts))]
    for readers in (Readers.own, Readers.shipped):
        for ending in endings:
            if ending in readers:
                return readers[ending]
    return _read_image


def read_file(
    path: str,
    reader: ReaderLike | None,
    options: Mapping[str, Any],
    dtype: npt.DTypeLike | None,
) -> tuple[Any, bool]:
    """Return the content of a file, and whether the caller has the only reference to it."""
    used = reader_of(path) if reader is None else reader
    if used is _read_image:
        given = dict(options) if dtype is None else {**options, "dtype": dtype}
        return _read_image(path, **given), not options.get("mmap", False)
    read = used.read if isinstance(used, ReadsFiles) else used
    found = read(path, **options)
    return (found if dtype is None else _cast(found, np.dtype(dtype), path)), False


def open_image(
    path: str, options: Mapping[str, Any], dtype: npt.DTypeLike | None
) -> SpatialImage | None:
    """Return the image of a file, nothing of it read; None where another reader reads the file."""
    if reader_of(path) is not _read_image:
        return None
    img: Any = load(path, **(dict(options) if dtype is None else {**options, "dtype": dtype}))
    return img if isinstance(img, SpatialImage) else None


def image_bytes(path: str, dtype: npt.DTypeLike | None) -> int:
    """Return the bytes of an image in memory, from its header; 0 where it has none."""
    if reader_of(path) is not _read_image:
        return 0
    try:
        img: Any = load(path, dtype=dtype)
    except (LazyvoxError, OSError):
        # The load itself will say so.
        return 0
    return int(getattr(img.dataobj, "nbytes", 0))


def _cast(found: Any, dtype: np.dtype[Any], path: str) -> Any:
    if isinstance(found, np.ndarray):
        return found.astype(dtype, copy=False)
    if isinstance(found, Cifti2Image):
        return cifti_like(found, np.asarray(found.dataobj).astype(dtype, copy=False))
    if isinstance(found, SpatialImage):
        return in_memory(found, dtype)
    msg = (
        f"{printable(path)}: `dtype` can be set for images, arrays and CIFTI data only. Got a "
        f"{type(found).__name__}."
    )
    raise ParameterError(msg)
