"""Headers for writing: fields of the input's header in the format that is written."""

import io
from typing import Any, TypeAlias

import numpy as np
from nibabel.analyze import AnalyzeHeader
from nibabel.freesurfer.mghformat import MGHHeader
from nibabel.nifti1 import Nifti1Header, Nifti1PairHeader
from nibabel.nifti2 import Nifti2Header, Nifti2PairHeader
from nibabel.spatialimages import HeaderDataError

from lazyvox._typing import Array, DType, Shape
from lazyvox.errors import ParameterError
from lazyvox.formats.fields import time_unit
from lazyvox.geometry.affines import is_invertible

__all__ = [
    "FORMAT_NAMES",
    "Header",
    "HeaderClass",
    "best_affine",
    "choose_class",
    "header_bytes",
    "header_shape",
    "make_header",
    "stored_scaling",
    "supported_dtypes",
]

# nibabel's header classes have more than the types of their common base say. None: no header.
Header: TypeAlias = Any
HeaderClass: TypeAlias = type[Any]

FORMAT_NAMES: dict[HeaderClass, str] = {
    Nifti1Header: "NIfTI-1",
    Nifti1PairHeader: "NIfTI-1 pair",
    Nifti2Header: "NIfTI-2",
    Nifti2PairHeader: "NIfTI-2 pair",
    MGHHeader: "MGH",
}
_LONGEST_NIFTI1_AXIS = 32767
_CANDIDATES = (
    *("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", "c8", "c16"),
    *([("R", "u1"), ("G", "u1"), ("B", "u1")],),
    *([("R", "u1"), ("G", "u1"), ("B", "u1"), ("A", "u1")],),
)
# FreeSurfer reads 16-bit unsigned files in its newest versions only.
_MGH_DTYPES = ("u1", "i2", "i4", "f4")
_MS_PER_UNIT = {"sec": 1000.0, "msec": 1.0, "usec": 0.001}


def supported_dtypes(kind: HeaderClass) -> tuple[DType, ...]:
    """Return the stored types of a format, in native byte order."""
    if issubclass(kind, MGHHeader):
        return tuple(np.dtype(name) for name in _MGH_DTYPES)
    header, found = kind(), []
    for candidate in _CANDIDATES:
        dtype = np.dtype(candidate)
        try:
            header.set_data_dtype(dtype)
        except HeaderDataError:
            continue
        found.append(dtype)
    return tuple(found)


def choose_class(header: Header, shape: Shape, *, ending: str) -> HeaderClass:
    """Return the header class for an ending ('.nii', '.zarr', '.hdr', '.mgh') and the values.

    A pair stays plain Analyze only where its header is; `plan_output` turns it into NIfTI where
    Analyze cannot hold what is written.
    """
    if ending == ".mgh":
        return MGHHeader
    is_single = ending in (".nii", ".zarr")
    if not is_single and _is_kind(header, AnalyzeHeader) and not _is_nifti(header):
        return type(header)
    keeps_shape = _is_nifti(header) and header.get_data_shape() == shape
    is_long = max(shape) > _LONGEST_NIFTI1_AXIS and not keeps_shape
    if isinstance(header, Nifti2Header) or is_long:
        return Nifti2Header if is_single else Nifti2PairHeader
    return Nifti1Header if is_single else Nifti1PairHeader


def make_header(
    kind: HeaderClass,
    header: Header,
    affine: Array | None,
    shape: Shape,
    dtype: DType,
) -> Header:
    """Return a new header of a class with the fields of the given one."""
    made = _converted(kind, header)
    if affine is None and header is not None:
        affine = best_affine(header)
    if made.get_data_dtype().newbyteorder("=") != dtype.newbyteorder("="):
        made.set_data_dtype(dtype)
    stored_shape = header_shape(made, shape)
    if made.get_data_shape() != stored_shape:
        made.set_data_shape(stored_shape)
    if kind is MGHHeader:
        _set_mgh_time(made, header)
    is_new_kind = _is_nifti(made) and not _is_nifti(header)
    # Numbers of a header, not two grids: what float32 fields can hold of the affine.
    if affine is not None and (
        is_new_kind or not np.allclose(affine, best_affine(made), equal_nan=True)
    ):
        _set_affine(made, affine)
    return made


def header_shape(header: Header, shape: Shape) -> Shape:
    """Return the shape as a header holds it: MGH has three axes at least."""
    return shape + (1,) * (3 - len(shape)) if _is_kind(header, MGHHeader) else shape


def best_affine(header: Header) -> Array:
    """Return the affine that readers take from a header."""
    affine: Array = np.asarray(header.get_best_affine())
    return affine


def stored_scaling(header: Header, slope: float, inter: float) -> tuple[float, float]:
    """Put a scaling into a header and return it as readers will find it there."""
    name = FORMAT_NAMES.get(type(header), "Analyze")
    wants = (slope, inter) != (1.0, 0.0)
    has_inter = getattr(header, "has_data_intercept", False)
    has_slope = getattr(header, "has_data_slope", False)
    if wants and (not has_slope or (inter != 0.0 and not has_inter)):
        msg = (
            f"The scaling must be one that the format can store. Got slope {slope} and inter "
            f"{inter} for {name}. Write NIfTI, or convert the values to a type that holds them."
        )
        raise ParameterError(msg)
    if not has_slope:
        return 1.0, 0.0
    with np.errstate(over="ignore", under="ignore"):
        header["scl_slope"] = slope
        if has_inter:
            header["scl_inter"] = inter
    stored = float(header["scl_slope"]), float(header["scl_inter"]) if has_inter else 0.0
    if not np.isfinite(stored).all() or stored[0] == 0.0:
        msg = (
            f"slope must be finite and not zero, and inter finite, as {name} stores them. Got "
            f"slope {slope} and inter {inter}, stored as {stored[0]} and {stored[1]}."
        )
        raise ParameterError(msg)
    return stored


def header_bytes(header: Header) -> tuple[bytes, bytes, int]:
    """Return the bytes before the values, those behind them, and the values' offset.

    The offset is that in the file of the values; for pairs it is 0.
    """
    if _is_kind(header, MGHHeader):
        block, n_footer = bytes(header.binaryblock), header._ftrdtype.itemsize
        offset = int(header.get_data_offset())
        return block[:-n_footer].ljust(offset, b"\0"), block[-n_footer:], offset
    is_single = getattr(header, "is_single", False) and _is_nifti(header)
    # 0 lets nibabel compute the first offset behind the extensions.
    header.set_data_offset(0)
    stream = io.BytesIO()
    header.write_to(stream)
    offset = int(header.get_data_offset()) if is_single else 0
    return stream.getvalue().ljust(offset, b"\0"), b"", offset


def _is_kind(header: Header, kind: HeaderClass) -> bool:
    return isinstance(header, kind)


def _is_nifti(header: Header) -> bool:
    return isinstance(header, Nifti1Header)


def _zooms(affine: Array) -> Array:
    zooms: Array = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    return zooms


def _converted(kind: HeaderClass, header: Header) -> Header:
    """Return a header of the class with all fields that both formats share."""
    if header is None:
        return kind()
    if type(header) is kind:
        return kind.from_header(header, check=False)
    if _is_nifti(header) and kind.template_dtype == type(header).template_dtype:
        made = kind(
            header.binaryblock, header.endianness, check=False, extensions=header.extensions
        )
        made["magic"] = made.single_magic if kind.is_single else made.pair_magic
        return made
    if kind is MGHHeader:
        return kind()
    if _is_kind(header, AnalyzeHeader):
        made = kind.from_header(header, check=False)
        # nibabel takes over the length of the other header, and logs that it is wrong later.
        made["sizeof_hdr"] = made.sizeof_hdr
        return made
    return _from_foreign(kind, header)


def _from_foreign(kind: HeaderClass, header: Header) -> Header:
    """Return a new header with the zooms of one that shares no fields; time in seconds."""
    made = kind()
    made.set_data_shape(header.get_data_shape())
    zooms = [float(zoom) for zoom in header.get_zooms()]
    if _is_kind(header, MGHHeader) and len(zooms) > 3:
        zooms[3] /= 1000
    made.set_zooms(zooms)
    if _is_nifti(made):
        made.set_xyzt_units("mm", "sec" if len(zooms) > 3 else "unknown")
    return made


def _set_mgh_time(made: Header, header: Header) -> None:
    """Carry the repetition time over, in the milliseconds of MGH."""
    if not _is_nifti(header) or len(header.get_data_shape()) < 4:
        return
    factor = _MS_PER_UNIT.get(time_unit(header))
    if factor is not None:
        made["tr"] = float(header.get_zooms()[3]) * factor


def _set_affine(header: Header, affine: Array) -> None:
    """Set an affine the way nibabel's image of that format does."""
    if _is_kind(header, MGHHeader):
        zooms = _zooms(affine)
        center = affine @ np.append(np.array(header["dims"][:3]) / 2, 1)
        header["delta"], header["Mdc"] = zooms, (affine[:3, :3] / zooms).T
        header["Pxyz_c"], header["goodRASFlag"] = center[:3], 1
    elif _is_nifti(header):
        header.set_sform(affine, code="aligned")
        header["qform_code"] = 0
        if is_invertible(affine):
            header.set_qform(affine, code="unknown")
    else:
        sizes = list(header.get_zooms())
        n_spatial = min(len(sizes), 3)
        sizes[:n_spatial] = _zooms(affine)[:n_spatial]
        header.set_zooms(sizes)
