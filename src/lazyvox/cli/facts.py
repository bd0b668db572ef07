"""Facts about an image: its header, and the cost of loading it."""

import math
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.brikhead import AFNIHeader
from nibabel.nifti2 import Nifti2Image
from nibabel.spatialimages import SpatialImage
from nibabel.wrapstruct import WrapStruct

from lazyvox._typing import Array, DType, Shape
from lazyvox.array.conversion import Conversion
from lazyvox.array.lazy_array import LazyArray
from lazyvox.formats import ForeignFormatError, read_image_file
from lazyvox.geometry.affines import voxel_sizes
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.describe import orientation, repetition_time
from lazyvox.lazyimage.load import as_image
from lazyvox.planning.blocks import Costs, choose_layout
from lazyvox.planning.memory import format_bytes
from lazyvox.planning.spec import ArraySpec
from lazyvox.store.files.paths import absolute_path, printable

__all__ = ["Facts", "describe_image"]

#: Names of the codes of sform and qform.
_SPACES = {
    0: "unknown",
    1: "scanner",
    2: "aligned",
    3: "talairach",
    4: "mni",
    5: "template",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about one image, as `lazyvox info` shows them.

    Attributes
    ----------
    format : str
        Name of the format.
    shape : tuple of int
        Shape of the array.
    n_volumes : int
        Volumes of 3 axes: 1 of a 3D image.
    dtype : str
        Stored type, byte order included.
    slope, inter : float
        Scaling; 1 and 0 where there is none.
    voxel_sizes : tuple of float
        In mm.
    affine : tuple of 4 tuples of 4 floats
        Voxel indices to world coordinates, in mm.
    origin : tuple of 3 floats
        Place of the voxel at index 0, in mm: the last column of the affine.
    orientation : str
        Where the axes point, such as "RAS".
    sform_code, qform_code : int or None
        Codes of NIfTI for the two ways to say the affine; 0 is not set, None where a format has
        none.
    space : str
        Space of the affine, by the code of the sform, or else of the qform, as NIfTI names them:
        unknown, scanner, aligned, talairach, mni, template; of AFNI its view or template. Empty
        where the format does not say.
    units : str
        Units of space and time in the header, such as "mm, sec".
    description : str
        Free text of the header.
    t_r : float or None
        Seconds between two volumes.
    compression : str
        How the file is compressed.
    stored_bytes, decoded_bytes : int
        Size of the file, and of its voxels.
    get_fdata_bytes, nifti_masker_bytes, lazyvox_bytes : int
        Memory for loading it with nibabel, with nilearn's NiftiMasker, and for extracting from it
        with lazyvox, above what Python and the imports hold. The first two are estimates.
    notes : tuple of str
        Oddities.
    """

    format: str
    shape: Shape
    n_volumes: int
    dtype: str
    slope: float
    inter: float
    voxel_sizes: tuple[float, ...]
    affine: tuple[tuple[float, ...], ...]
    origin: tuple[float, ...]
    orientation: str
    sform_code: int | None
    qform_code: int | None
    space: str
    units: str
    description: str
    t_r: float | None
    compression: str
    stored_bytes: int
    decoded_bytes: int
    get_fdata_bytes: int
    nifti_masker_bytes: int
    lazyvox_bytes: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the facts for JSON, in which numbers are finite."""
        return {name: _finite(value) for name, value in asdict(self).items()}

    def lines(self) -> list[tuple[str, str]]:
        """Return name and text of each fact, for people."""
        scaling = "none"
        if (self.slope, self.inter) != (1.0, 0.0):
            scaling = f"x {self.slope:.6g} + {self.inter:.6g}"
        packed = "" if self.compression == "none" else f", {self.compression}"
        size = " x ".join(f"{length:.4g}" for length in self.voxel_sizes)
        found = [
            ("format", self.format),
            ("shape", " x ".join(str(length) for length in self.shape)),
            ("dtype", self.dtype),
            ("scaling", scaling),
            ("voxels", f"{size} mm, {self.orientation}"),
            ("origin", f"{' '.join(f'{place:.6g}' for place in self.origin)} mm"),
            ("space", self._space_and_codes()),
            ("units", self.units),
            ("t_r", "" if self.t_r is None else f"{self.t_r:.4g} s"),
            ("on disk", f"{format_bytes(self.stored_bytes)}{packed}"),
            ("decoded", format_bytes(self.decoded_bytes)),
            ("memory", "above what Python and its imports hold:"),
            ("", f"about {format_bytes(self.get_fdata_bytes)} for get_fdata()"),
            ("", f"about {format_bytes(self.nifti_masker_bytes)} for nilearn's NiftiMasker"),
            ("", f"{format_bytes(self.lazyvox_bytes)} and the result for lazyvox extract"),
            ("text", printable(self.description)),
            *[("note", note) for note in self.notes],
        ]
        return [(name, text) for name, text in found if text]

    def _space_and_codes(self) -> str:
        codes = ", ".join(
            f"{name} {code}"
            for name, code in (("sform", self.sform_code), ("qform", self.qform_code))
            if code is not None
        )
        return f"{self.space} ({codes})" if codes else self.space


def _finite(value: Any) -> Any:
    """Return a value as JSON can hold it: numbers that are not finite are null."""
    if isinstance(value, tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def describe_image(path: str) -> Facts:
    """Return the facts in the header of an image; reads no voxel.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    Facts
        What there is to say.

    Raises
    ------
    ImageFileError
        If the file cannot be taken as an image.
    """
    full = absolute_path(path)
    try:
        file = read_image_file(full)
    except ForeignFormatError:
        return _foreign_facts(full)
    source = file.source
    return _facts(
        file.array,
        file.affine,
        file.header,
        _Storage(file.format, source.compression, source.stored_size, file.notes),
    )


@dataclass(frozen=True, slots=True)
class _Storage:
    """Storage of an image: type, scaling, compression."""

    format: str
    compression: str
    stored_bytes: int
    notes: tuple[str, ...] = ()


def _foreign_facts(path: str) -> Facts:
    img = as_image(path)
    array = lazy_dataobj(img)
    if array.reader.chunks is not None:
        return _zarr_facts(img, array, array.reader.chunks)
    name = f"{type(img).__name__.removeprefix('Lazy')}, read through nibabel"
    # nibabel computes values where it scales: the type on disk is in the header only.
    header: Any = img.header
    stored = img.get_data_dtype()
    is_afni = isinstance(img.header, AFNIHeader)
    given = header.get_data_scaling() if is_afni else None
    slopes = set() if given is None else set(np.ravel(given).tolist())
    has_many = array.ondisk_dtype != stored and len(slopes) != 1
    notes = ("values are scaled when they are read",) if has_many else ()
    return _facts(
        ArraySpec(array.shape, stored, slope=slopes.pop() if len(slopes) == 1 else 1.0),
        np.asarray(img.affine),
        header,
        _Storage(name, "none", Path(path).stat().st_size, notes),
    )


def _zarr_facts(img: SpatialImage, array: LazyArray, chunks: Shape) -> Facts:
    version = 2 if isinstance(img, Nifti2Image) else 1
    name = f"NIfTI-{version} in a Zarr store, chunks of {' x '.join(map(str, chunks))}"
    return _facts(
        ArraySpec(array.shape, array.reader.dtype, 0, array.slope, array.inter),
        np.asarray(img.affine),
        img.header,
        _Storage(name, "none", array.reader.stored_bytes),
    )


def _facts(spec: ArraySpec, affine: Array, header: Any, storage: _Storage) -> Facts:
    as_float64 = spec.n_values * np.dtype(np.float64).itemsize
    stored = spec.stored_bytes
    return Facts(
        format=storage.format,
        shape=spec.shape,
        n_volumes=math.prod(spec.shape[3:]),
        dtype=_type_name(spec.dtype),
        slope=spec.slope,
        inter=spec.inter,
        voxel_sizes=voxel_sizes(affine),
        affine=tuple(tuple(row) for row in affine.tolist()),
        origin=tuple(affine[:3, 3].tolist()),
        orientation=orientation(affine),
        **_space(header),
        t_r=repetition_time(header) if len(spec.shape) > 3 else None,
        compression=storage.compression,
        stored_bytes=storage.stored_bytes,
        decoded_bytes=stored,
        get_fdata_bytes=as_float64 + stored,
        # Measured: 2 times the decoded size for float32, 8 to 9 times for scaled int16, which
        # becomes float64 on the way.
        nifti_masker_bytes=2 * as_float64 + stored if spec.is_scaled else 2 * stored,
        lazyvox_bytes=_pass_bytes(spec),
        notes=storage.notes,
    )


def _space(header: Any) -> dict[str, Any]:
    """Return what a header says about space, units and itself."""
    fields = set(header) if isinstance(header, WrapStruct) else set()
    codes: dict[str, int | None] = dict.fromkeys(("sform_code", "qform_code"))
    space, units = "", ""
    if "sform_code" in fields:
        codes = {name: int(header[name]) for name in codes}
        code = codes["sform_code"] or codes["qform_code"] or 0
        space = _SPACES.get(code, f"code {code}")
        with suppress(KeyError):
            units = ", ".join(one for one in header.get_xyzt_units() if one != "unknown")
    elif hasattr(header, "get_space"):
        space = str(header.get_space())
    text = bytes(header["descrip"].item()) if "descrip" in fields else b""
    described = text.split(b"\0")[0].decode("latin-1").strip()
    return {**codes, "space": space, "units": units, "description": described}


def _type_name(dtype: DType) -> str:
    if dtype.names:
        return "".join(dtype.names)
    order = {"<": ", little-endian", ">": ", big-endian"}
    native = {"little": "<", "big": ">"}[sys.byteorder]
    return dtype.name + order.get(dtype.byteorder.replace("=", native), "")


def _pass_bytes(spec: ArraySpec) -> int:
    """Return the bytes of a pass besides its results, with as much budget as it can use."""
    grid = (*spec.shape, 1, 1, 1)[:3]
    n_volumes = math.prod(spec.shape[3:])
    # As in a scan: values that are scaled or turned round are converted into one block more.
    dtype = Conversion(spec.slope, spec.inter).result_dtype(spec.dtype).newbyteorder("=")
    stored = None if dtype == spec.dtype else spec.dtype.itemsize
    layout = choose_layout(
        (*grid, n_volumes), dtype.itemsize, Costs(), 1 << 80, stored_itemsize=stored
    )
    return layout.peak_bytes
