"""The header of a NIfTI file as its fields, without nibabel: what reading and maps need of it."""

from __future__ import annotations

import struct
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from lazyvox.formats.layout import NiftiLayout

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage

    from lazyvox._typing import DType, FloatArray, Shape

__all__ = ["NiftiHeader"]

#: Code of the extensions that hold DICOM.
_DICOM_CODE = 2
_AXES = (8,)
_ROW = (4,)
_VERSION_1: list[Any] = [
    ("sizeof_hdr", "i4"),
    ("data_type", "S10"),
    ("db_name", "S18"),
    ("extents", "i4"),
    ("session_error", "i2"),
    ("regular", "S1"),
    ("dim_info", "u1"),
    ("dim", "i2", _AXES),
    *((f"intent_p{number}", "f4") for number in (1, 2, 3)),
    ("intent_code", "i2"),
    ("datatype", "i2"),
    ("bitpix", "i2"),
    ("slice_start", "i2"),
    ("pixdim", "f4", _AXES),
    ("vox_offset", "f4"),
    ("scl_slope", "f4"),
    ("scl_inter", "f4"),
    ("slice_end", "i2"),
    ("slice_code", "u1"),
    ("xyzt_units", "u1"),
    ("cal_max", "f4"),
    ("cal_min", "f4"),
    ("slice_duration", "f4"),
    ("toffset", "f4"),
    ("glmax", "i4"),
    ("glmin", "i4"),
    ("descrip", "S80"),
    ("aux_file", "S24"),
    ("qform_code", "i2"),
    ("sform_code", "i2"),
    *((f"quatern_{letter}", "f4") for letter in "bcd"),
    *((f"qoffset_{letter}", "f4") for letter in "xyz"),
    *((f"srow_{letter}", "f4", _ROW) for letter in "xyz"),
    ("intent_name", "S16"),
    ("magic", "S4"),
]
_VERSION_2: list[Any] = [
    ("sizeof_hdr", "i4"),
    ("magic", "S4"),
    ("eol_check", "i1", (4,)),
    ("datatype", "i2"),
    ("bitpix", "i2"),
    ("dim", "i8", _AXES),
    *((f"intent_p{number}", "f8") for number in (1, 2, 3)),
    ("pixdim", "f8", _AXES),
    ("vox_offset", "i8"),
    ("scl_slope", "f8"),
    ("scl_inter", "f8"),
    ("cal_max", "f8"),
    ("cal_min", "f8"),
    ("slice_duration", "f8"),
    ("toffset", "f8"),
    ("slice_start", "i8"),
    ("slice_end", "i8"),
    ("descrip", "S80"),
    ("aux_file", "S24"),
    ("qform_code", "i4"),
    ("sform_code", "i4"),
    *((f"quatern_{letter}", "f8") for letter in "bcd"),
    *((f"qoffset_{letter}", "f8") for letter in "xyz"),
    *((f"srow_{letter}", "f8", _ROW) for letter in "xyz"),
    ("slice_code", "i4"),
    ("xyzt_units", "i4"),
    ("intent_code", "i4"),
    ("intent_name", "S16"),
    ("dim_info", "u1"),
    ("unused_str", "S15"),
]
_FIELDS = MappingProxyType({1: np.dtype(_VERSION_1), 2: np.dtype(_VERSION_2)})
#: Unit of space and of time for the bits that stand for it.
_SPACE = MappingProxyType({0: "unknown", 1: "meter", 2: "mm", 3: "micron"})
_TIME = MappingProxyType(
    {0: "unknown", 8: "sec", 16: "msec", 24: "usec", 32: "hz", 40: "ppm", 48: "rads"}
)


class NiftiHeader:
    """The fields of a NIfTI header by name, with those methods of nibabel's that parsing calls.

    Parameters
    ----------
    block : bytes
        The header.
    layout : NiftiLayout
        Version and byte order.
    is_single : bool
        Whether it is that of one file, not of a pair.

    Notes
    -----
    The standard stores a rotation as the last three parts of a unit quaternion.

    References
    ----------
    The NIfTI-1 Data Format, nifti1.h, METHOD 1 to 3 of its section on orientation; nifti2.h.
    """

    def __init__(self, block: bytes, layout: NiftiLayout, *, is_single: bool) -> None:
        self.layout = layout
        self.is_single = is_single
        self.byte_order = cast("Literal['<', '>']", layout.byte_order)
        self.extensions: list[tuple[int, bytes]] = []
        dtype = self.template_dtype.newbyteorder(self.byte_order)
        self._fields = np.frombuffer(bytearray(block), dtype)

    @property
    def endianness(self) -> str:
        """The byte order, as nibabel calls it."""
        return str(self.byte_order)

    @property
    def template_dtype(self) -> DType:
        """The fields, in native byte order."""
        return _FIELDS[self.layout.version]

    @property
    def sizeof_hdr(self) -> int:
        """Bytes of the header without extensions."""
        return self.layout.header_bytes

    @property
    def single_magic(self) -> bytes:
        """The magic of one file."""
        return f"n+{self.layout.version}".encode()

    @property
    def pair_magic(self) -> bytes:
        """The magic of a pair."""
        return b"ni1" if self.layout.version == 1 else b"ni2"

    @property
    def quaternion_threshold(self) -> float:
        """Excess of a squared length over 1 that rounding explains, negative."""
        kind = np.float32 if self.layout.version == 1 else np.float64
        return float(-np.finfo(kind).eps * 3)

    @property
    def binaryblock(self) -> bytes:
        """The bytes of the header."""
        return self._fields.tobytes()

    def __getitem__(self, name: str) -> Any:
        """Return the value of a field; that of an array can be written to."""
        return self._fields[name][0] if self._fields[name].ndim > 1 else self._scalar(name)

    def __setitem__(self, name: str, value: Any) -> None:
        """Set a field."""
        self._fields[name][0] = value

    def _scalar(self, name: str) -> Any:
        # An array without axes, as nibabel's headers give it.
        return self._fields[name].reshape(())

    def get_sform(self) -> FloatArray:
        """Return the affine of the three rows."""
        affine = np.eye(4)
        for row, letter in enumerate("xyz"):
            affine[row] = self[f"srow_{letter}"]
        return affine

    def get_qform(self) -> FloatArray:
        """Return the affine of the rotation, the voxel sizes and the offsets."""
        sizes = np.array(self["pixdim"][1:4])
        sizes[2] *= self["pixdim"][0]
        affine = np.eye(4)
        affine[:3, :3] = self._rotation() @ np.diag(sizes)
        affine[:3, 3] = [float(self[f"qoffset_{letter}"]) for letter in "xyz"]
        return affine

    def _rotation(self) -> FloatArray:
        """Return the rotation matrix of the quaternion, whose first part is not stored."""
        # In the precision of nibabel, so that affines are equal to the last bit.
        parts = np.array([self[f"quatern_{letter}"] for letter in "bcd"], np.longdouble)
        rest = 1 - np.dot(parts, parts)
        first = 0 * rest if abs(rest) < abs(self.quaternion_threshold) else np.sqrt(rest)
        w, x, y, z = first, *parts
        scale = 2 / (w * w + x * x + y * y + z * z)
        x2, y2, z2 = x * scale, y * scale, z * scale
        rotation: FloatArray = np.array(
            [
                [1 - (y * y2 + z * z2), x * y2 - w * z2, x * z2 + w * y2],
                [x * y2 + w * z2, 1 - (x * x2 + z * z2), y * z2 - w * x2],
                [x * z2 - w * y2, y * z2 + w * x2, 1 - (x * x2 + y * y2)],
            ]
        )
        return rotation

    def get_base_affine(self) -> FloatArray:
        """Return the affine of the voxel sizes: the centre is 0, and x grows to the left."""
        n_axes = min(int(self["dim"][0]), 3)
        lengths, sizes = np.ones(3), np.ones(3)
        lengths[:n_axes] = self.get_data_shape()[:n_axes]
        sizes[:n_axes] = self["pixdim"][1 : n_axes + 1]
        sizes[0] *= -1
        affine = np.diag([*sizes, 1.0])
        affine[:3, 3] = -sizes * ((lengths - 1) / 2)
        return affine

    def get_data_shape(self) -> Shape:
        """Return the lengths of the axes."""
        dim = self["dim"]
        return tuple(int(length) for length in dim[1 : int(dim[0]) + 1])

    def get_zooms(self) -> tuple[float, ...]:
        """Return the voxel sizes, and the steps along further axes."""
        n_axes = int(self["dim"][0])
        return tuple(float(size) for size in self["pixdim"][1 : n_axes + 1])

    def get_xyzt_units(self) -> tuple[str, str]:
        """Return the units of space and time; KeyError for bits that no unit has."""
        code = int(self["xyzt_units"])
        return _SPACE[code % 8], _TIME[code - code % 8]

    @property
    def image_class(self) -> type[SpatialImage]:
        """The class of nibabel's images with such headers."""
        import nibabel as nib

        single, pair = {
            1: (nib.Nifti1Image, nib.Nifti1Pair),
            2: (nib.Nifti2Image, nib.Nifti2Pair),
        }[self.layout.version]
        return single if self.is_single else pair

    def to_nibabel(self) -> Any:
        """Return the header as nibabel has it."""
        header_class: Any = self.image_class.header_class
        made = header_class(self.binaryblock, self.endianness, check=False)
        made.extensions.extend(_nibabel_extension(*one) for one in self.extensions)
        return made

    def of_map(self, shape: Shape, dtype: DType, code: int) -> NiftiHeader:
        """Return the header of values of another kind on the grid, as maps have it.

        Parameters
        ----------
        shape : tuple of int of length 3
            Shape of the grid.
        dtype : numpy.dtype
            Type that is stored.
        code : int
            Its code.

        Returns
        -------
        NiftiHeader
            A new header of a single file: intent, display limits and scaling are not set.
        """
        layout = NiftiLayout(self.layout.version, self.layout.byte_order, has_single_magic=True)
        made = NiftiHeader(self.binaryblock, layout, is_single=True)
        made.extensions = list(self.extensions)
        made["magic"] = made.single_magic
        if made.get_data_shape() != shape:
            made["pixdim"][len(shape) + 1 :] = 1
        made["dim"] = (len(shape), *shape, *[1] * (7 - len(shape)))
        made["datatype"], made["bitpix"] = code, dtype.itemsize * 8
        made["scl_slope"], made["scl_inter"] = 1, 0
        for name in ("cal_max", "cal_min", "glmax", "glmin", "intent_code"):
            if name in (made.template_dtype.names or ()):
                made[name] = 0
        for number in (1, 2, 3):
            made[f"intent_p{number}"] = 0
        made["intent_name"] = b""
        return made

    def to_bytes(self) -> bytes:
        """Return the header and its extensions as a single file begins; sets the offset."""
        parts = [_extension_bytes(self.endianness, *one) for one in self.extensions]
        announced = b"\1\0\0\0" if parts else b"\0\0\0\0"
        size = self.sizeof_hdr + 4 + sum(map(len, parts))
        # As nibabel has it.
        self["vox_offset"] = -(-size // 16) * 16
        start = self.binaryblock + announced + b"".join(parts)
        return start.ljust(int(self["vox_offset"]), b"\0")


def _extension_bytes(byte_order: str, code: int, value: bytes) -> bytes:
    size = -(-(len(value) + 8) // 16) * 16
    return struct.pack(byte_order + "ii", size, code) + value.ljust(size - 8, b"\0")


def _nibabel_extension(code: int, value: bytes) -> Any:
    """Return an extension as nibabel has it."""
    from nibabel.nifti1 import Nifti1Extension, extension_codes

    # The handler of DICOM takes the value apart when it is made, and fails on junk.
    if code == _DICOM_CODE:
        is_sound = len(value) >= 8 and value[4:6].isascii()
    else:
        is_sound = code in extension_codes.handler
    handler: Any = extension_codes.handler[code] if is_sound else Nifti1Extension
    return handler(code, value)
