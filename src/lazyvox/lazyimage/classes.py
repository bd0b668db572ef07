"""Lazy images: nibabel's image classes over a `LazyArray`."""

import contextlib
from typing import Any, Self

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel import imageclasses
from nibabel.brikhead import AFNIImage
from nibabel.filebasedimages import ImageFileError
from nibabel.freesurfer.mghformat import MGHError
from nibabel.parrec import PARRECImage
from nibabel.spatialimages import HeaderDataError, SpatialImage
from nibabel.wrapstruct import WrapStruct

from lazyvox._typing import Array, DType, PathLike, Shape, override
from lazyvox.array.lazy_array import LazyArray
from lazyvox.formats.datatypes import storable_dtype
from lazyvox.formats.header_out import header_shape, make_header
from lazyvox.geometry.affines import is_invertible
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.describe import describe, describe_html
from lazyvox.lazyimage.encoding import nibabels_scale
from lazyvox.lazyimage.grids import affine_of
from lazyvox.lazyimage.operators import ImageOperators
from lazyvox.lazyimage.packing import pack_header, unpack_header
from lazyvox.lazyimage.save import save
from lazyvox.lazyimage.slicing import LazySlicer
from lazyvox.runtime.strict import check_materialization
from lazyvox.store.files.paths import absolute_path

__all__ = ["LAZY_CLASSES", "LazyImage", "image_like", "lazy_image"]


class LazyImage(SpatialImage, ImageOperators):
    """Lazy slicing, saving, pickling and `repr` for nibabel's image classes.

    Everything else is nibabel's: `affine`, `header`, `get_fdata`, `in_memory`, `uncache` mean
    what nibabel documents. Made by `lazyvox.load`; use a class of `LAZY_CLASSES` to make one.
    """

    @property
    @override
    def slicer(self) -> Any:
        """Slice the image lazily: ``img.slicer[:, :, 2:8, ::2]`` reads nothing.

        Affine and zooms of the result are right for negative bounds and steps too; a step along
        time multiplies the repetition time.
        """
        return LazySlicer(self, _sliced)

    @override
    def to_filename(
        self, filename: PathLike, dtype: npt.DTypeLike | None = None, **kwargs: Any
    ) -> None:
        """Write the image block by block, atomically; see `lazyvox.save`.

        Parameters
        ----------
        filename : path-like
            Target; its ending decides format and compression.
        dtype : dtype-like, optional
            Type on disk. Values that may not fit integers are scaled, as nibabel's method does.
        **kwargs : Any
            Further parameters of `lazyvox.save`.
        """
        scale = kwargs.pop("scale", None)
        if scale is None:
            scale = nibabels_scale(lazy_dataobj(self), dtype)
        save(self, filename, dtype=dtype, scale=scale, **kwargs)
        # As nibabel does, the image is now known by this name, where it is one of its format.
        with contextlib.suppress(ImageFileError):
            self.set_filename(absolute_path(filename))

    @override
    def to_file_map(self, file_map: Any = None, *args: Any, **kwargs: Any) -> None:
        """Write through nibabel's file map, which needs the whole array in memory.

        Parameters
        ----------
        file_map : dict, optional
            Where to write, as in nibabel.
        *args : Any
            Further parameters of nibabel's method.
        **kwargs : Any
            Further parameters of nibabel's method.
        """
        _check_load(self, "to_file_map (use to_filename)")
        super().to_file_map(file_map, *args, **kwargs)

    @override
    def as_reoriented(self, ornt: Any) -> Self:
        """Return the image with axes permuted and flipped, its array in memory as in nibabel.

        Parameters
        ----------
        ornt : array-like of shape (n, 2)
            Orientation transform, as in nibabel.

        Returns
        -------
        LazyImage
            The reoriented image; the very image where nothing changes.
        """
        if not np.array_equal(ornt, [[0, 1], [1, 1], [2, 1]]):
            _check_load(self, "as_reoriented")
        reoriented: Self = super().as_reoriented(ornt)
        return reoriented

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the description of the image; a cached array and its edits stay behind."""
        # Bytes of a known shape and type: an array pickles with more about itself than it holds.
        affine = None if self._affine is None else self._affine.tobytes()
        header, extra = pack_header(self._header), self.extra or None
        return _unpickled, (
            type(self),
            self._dataobj,
            affine,
            header,
            extra,
            self.get_filename(),
        )

    def __enter__(self) -> Self:
        """Return the image itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Drop the cached array: an image holds nothing else that would have to be closed."""
        self.uncache()

    @override
    def __repr__(self) -> str:
        """Describe the image in one line; reads no voxel."""
        return describe(self)

    def _repr_html_(self) -> str:
        return describe_html(self)

    @override
    def uncache(self) -> None:
        """Drop the cached array, as in nibabel, and everything else kept for the next read.

        That is, blocks decoded from its files, and the reductions that it was made of.
        """
        super().uncache()
        dataobj: Any = self._dataobj
        if isinstance(dataobj, LazyArray):
            dataobj.reader.forget()

    @override
    def _made(self, template: SpatialImage, values: LazyArray) -> "LazyImage":
        return image_like(template, values, is_new_kind=True)


class LazyNifti1Image(LazyImage, nib.Nifti1Image):
    """A single-file NIfTI-1 image."""


class LazyNifti1Pair(LazyImage, nib.Nifti1Pair):
    """A NIfTI-1 image in a .hdr/.img pair."""


class LazyNifti2Image(LazyImage, nib.Nifti2Image):
    """A single-file NIfTI-2 image."""


class LazyNifti2Pair(LazyImage, nib.Nifti2Pair):
    """A NIfTI-2 image in a .hdr/.img pair."""


class LazyAnalyzeImage(LazyImage, nib.AnalyzeImage):
    """An Analyze 7.5 image."""


class LazySpm99AnalyzeImage(LazyImage, nib.Spm99AnalyzeImage):
    """An Analyze image in the manner of SPM99."""


class LazySpm2AnalyzeImage(LazyImage, nib.Spm2AnalyzeImage):
    """An Analyze image in the manner of SPM2."""


class LazyMGHImage(LazyImage, nib.MGHImage):
    """A FreeSurfer MGH or MGZ image."""


class LazyMinc1Image(LazyImage, nib.Minc1Image):
    """A MINC1 image, read through nibabel."""


class LazyMinc2Image(LazyImage, nib.Minc2Image):
    """A MINC2 image, read through nibabel."""


class LazyAFNIImage(LazyImage, AFNIImage):
    """An AFNI HEAD/BRIK image, read through nibabel."""


class LazyPARRECImage(LazyImage, PARRECImage):
    """A Philips PAR/REC image, read through nibabel."""


#: The lazy class of each nibabel class.
LAZY_CLASSES: dict[type[SpatialImage], type[LazyImage]] = {
    nib.Nifti1Image: LazyNifti1Image,
    nib.Nifti1Pair: LazyNifti1Pair,
    nib.Nifti2Image: LazyNifti2Image,
    nib.Nifti2Pair: LazyNifti2Pair,
    nib.AnalyzeImage: LazyAnalyzeImage,
    nib.Spm99AnalyzeImage: LazySpm99AnalyzeImage,
    nib.Spm2AnalyzeImage: LazySpm2AnalyzeImage,
    nib.MGHImage: LazyMGHImage,
    nib.Minc1Image: LazyMinc1Image,
    nib.Minc2Image: LazyMinc2Image,
    AFNIImage: LazyAFNIImage,
    PARRECImage: LazyPARRECImage,
}


# nibabel asks for very types, not for subclasses, whether time is the last axis.
imageclasses.KNOWN_SPATIAL_FIRST = (
    *imageclasses.KNOWN_SPATIAL_FIRST,
    *(
        lazy
        for plain, lazy in LAZY_CLASSES.items()
        if plain in imageclasses.KNOWN_SPATIAL_FIRST
        and lazy not in imageclasses.KNOWN_SPATIAL_FIRST
    ),
)


def lazy_image(
    image_class: type[SpatialImage],
    dataobj: LazyArray | Array,
    affine: Array,
    header: Any,
    extra: Any = None,
    path: str | None = None,
) -> LazyImage:
    """Return a lazy image of a nibabel class, or of its lazy class.

    Parameters
    ----------
    image_class : type
        A key or a value of `LAZY_CLASSES`.
    dataobj : LazyArray or ndarray
        The voxels.
    affine : ndarray of shape (4, 4)
        Voxel indices to world coordinates, in mm.
    header : nibabel header
        Copied into the image.
    extra : dict, optional
        Further content, as in nibabel.
    path : str, optional
        Name of the file of the image.

    Returns
    -------
    LazyImage
        The image; nothing is read.
    """
    lazy_class: Any = LAZY_CLASSES.get(image_class, image_class)
    # The affine is set behind the constructor's back, as nibabel does on loading: given openly,
    # rounding differences would make it rewrite the sform and qform of the header.
    img: LazyImage = lazy_class(dataobj, None, header=header, extra=extra)
    img._affine = np.array(affine, dtype=np.float64)
    if not dataobj.shape and isinstance(header, WrapStruct) and "pixdim" in header:
        # nibabel reads the shape of a scalar as (0,), so sets it again, and the zooms to 1.
        held: Any = img._header
        held["pixdim"] = header["pixdim"]
    if path is not None:
        _set_name(img, path)
    return img


def _unpickled(
    image_class: type[SpatialImage],
    dataobj: LazyArray | Array,
    affine: bytes | None,
    header: Any,
    extra: Any,
    path: str | None,
) -> LazyImage:
    """Return the image that was pickled."""
    matrix = np.eye(4) if affine is None else np.frombuffer(affine, np.float64).reshape(4, 4)
    held: Any = unpack_header(header)
    img = lazy_image(image_class, dataobj, matrix, held, extra, path)
    has_fields = isinstance(held, WrapStruct)
    if has_fields:
        # nibabel's constructor drops a scaling that was set in the header, to be stored by saves.
        img._header = held.copy()
    if affine is None:
        img._affine = None
    return img


def image_like(
    ref: SpatialImage,
    data: LazyArray | Array,
    affine: npt.ArrayLike | None = None,
    *,
    copy_header: bool = True,
    is_new_kind: bool = False,
    extent: tuple[float, float] | None = None,
) -> LazyImage:
    """Return an image of `data` with the class and, if asked, the header of another image.

    Parameters
    ----------
    ref : nibabel image
        Gives class and header. A class that cannot hold or write the data becomes NIfTI-1, or
        NIfTI-2 where an axis is longer than 32,767.
    data : ndarray or LazyArray
        Voxels; neither copied nor, if lazy, read.
    affine : array-like of shape (4, 4), optional
        Voxel indices to world coordinates, in mm. By default that of `ref`.
    copy_header : bool, default=True
        Whether the header is that of `ref`, else a new one.
    is_new_kind : bool, default=False
        Whether the values are no longer what the header of `ref` says of its values: intent and
        display limits then stay unset.
    extent : tuple of float, optional
        Smallest and largest value, where they are known of lazy data.

    Returns
    -------
    LazyImage
        The type in the header is that of the data, whatever `ref` is stored as: in the type of
        integers that were averaged or smoothed the result would be rounded on saving. A part of
        `ref` keeps the stored type, in which it is saved bit by bit.
    """
    dtype, shape = storable_dtype(data.dtype), tuple(data.shape)
    image_class: Any = _class_for(ref, dtype, shape)
    matrix = affine_of(ref) if affine is None else np.array(affine, dtype=np.float64)
    stored = ref.get_data_dtype() if copy_header and _is_part(ref, data) else dtype
    given = ref.header if copy_header else None
    header = make_header(image_class.header_class, given, matrix, shape, stored)
    if copy_header:
        _set_display_limits(header, None if is_new_kind else data, extent)
    if is_new_kind and hasattr(header, "set_intent"):
        header.set_intent("none")
    img = lazy_image(image_class, data, matrix, header)
    if not shape and isinstance(img, nib.Nifti1Pair):
        # nibabel reads no axes as one of length 0, and sets the voxel sizes to 1.
        img.header["pixdim"] = header["pixdim"]
    return img


def _class_for(ref: SpatialImage, dtype: DType, shape: Shape) -> type[LazyImage]:
    """Return the first class that can hold and write values of a type: of `ref`, or NIfTI."""
    plain = next((base for base in type(ref).__mro__ if base in LAZY_CLASSES), nib.Nifti1Pair)
    classes: list[Any] = [LAZY_CLASSES[plain], LazyNifti1Image, LazyNifti2Image]
    if not classes[0].rw or plain is nib.Nifti1Pair:
        del classes[0]
    for image_class in classes[:-1]:
        header = image_class.header_class()
        with contextlib.suppress(HeaderDataError, MGHError):
            header.set_data_dtype(dtype)
            header.set_data_shape(header_shape(header, shape))
            found: type[LazyImage] = image_class
            return found
    return LazyNifti2Image


def _is_part(ref: SpatialImage, data: LazyArray | Array) -> bool:
    """Return whether an array is a slice of the voxels of an image, neither computed nor cast."""
    if not isinstance(data, LazyArray) or isinstance(ref.dataobj, np.ndarray):
        return False
    whole = lazy_dataobj(ref)
    # NumPy takes float64 and None, the type that is not set, as equal: dtypes are compared too.
    is_cast = data.dtype != whole.dtype or data.conversion != whole.conversion
    return data.reader == whole.reader and not is_cast


def _set_display_limits(
    header: Any, data: LazyArray | Array | None, extent: tuple[float, float] | None
) -> None:
    """Set the fields of a header that speak of its values; to 0, unset, where nothing is known."""
    fields = set(header) if isinstance(header, WrapStruct) else set()
    limits = fields & {"glmax", "glmin", "cal_max", "cal_min"}
    if "dim" in fields and header["dim"][1] == -1:
        # Of a surface of FreeSurfer's, it holds the length of the first axis.
        limits -= {"glmin"}
    for field in limits:
        header[field] = 0
    if isinstance(data, np.ndarray) and data.size and data.dtype.kind in "biuf":
        extent = (np.min(data), np.max(data))
    if extent is not None and {"cal_max", "cal_min"} <= fields:
        with np.errstate(over="ignore"):
            header["cal_min"], header["cal_max"] = extent


def _set_name(img: LazyImage, path: str) -> None:
    """Set the file name of an image; its format was found from the content, not the name."""
    with contextlib.suppress(ImageFileError):
        img.set_filename(path)
    # nibabel adds an ending where it misses its own.
    if path not in {holder.filename for holder in img.file_map.values()}:
        img.file_map = img.make_file_map()
        img.file_map[img.files_types[0][0]].filename = path


def _check_load(img: SpatialImage, what: str) -> None:
    dataobj: Any = img.dataobj
    if isinstance(dataobj, LazyArray):
        check_materialization(what, dataobj.nbytes)


def _sliced(img: SpatialImage, dataobj: LazyArray | Array, affine: Array, header: Any) -> Any:
    part = lazy_image(type(img), dataobj, affine, header)
    if is_invertible(affine):
        # Only where the slice moved the grid: nibabel then sets the sform, with code 2.
        part.update_header()
    return part
