"""The data type codes of NIfTI, Analyze and MGH."""

from types import MappingProxyType
from typing import Any

import numpy as np

from lazyvox._typing import DType
from lazyvox.errors import UnsupportedFormatError
from lazyvox.formats.fields import field_error
from lazyvox.formats.spec import Findings

__all__ = [
    "ANALYZE_CODES",
    "MGH_CODES",
    "NIFTI_CODES",
    "read_dtype",
    "repair_bitpix",
    "storable_dtype",
]

_RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
_RGBA = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1"), ("A", "u1")])

ANALYZE_CODES: MappingProxyType[int, DType] = MappingProxyType(
    {
        2: np.dtype("u1"),
        4: np.dtype("i2"),
        8: np.dtype("i4"),
        16: np.dtype("f4"),
        32: np.dtype("c8"),
        64: np.dtype("f8"),
        128: _RGB,
    }
)

#: Quadruple precision, on the machines whose long double is that: elsewhere digits would be lost.
_QUADRUPLE: dict[int, DType] = (
    {1536: np.dtype(np.longdouble), 2048: np.dtype(np.clongdouble)}
    if np.finfo(np.longdouble).nmant == 112
    else {}
)

NIFTI_CODES: MappingProxyType[int, DType] = MappingProxyType(
    {
        **ANALYZE_CODES,
        256: np.dtype("i1"),
        512: np.dtype("u2"),
        768: np.dtype("u4"),
        1024: np.dtype("i8"),
        1280: np.dtype("u8"),
        1792: np.dtype("c16"),
        2304: _RGBA,
        **_QUADRUPLE,
    }
)

MGH_CODES: MappingProxyType[int, DType] = MappingProxyType(
    {
        0: np.dtype("u1"),
        1: np.dtype(">i4"),
        3: np.dtype(">f4"),
        4: np.dtype(">i2"),
        10: np.dtype(">u2"),
    }
)

#: Codes of real types that are not read, and why.
_KNOWN = {
    0: "unknown",
    1: "binary, one bit a voxel",
    255: "all types",
    1536: "float128, which NumPy holds in fewer bits on this machine",
    2048: "complex256, which NumPy holds in fewer bits on this machine",
}


def read_dtype(header: Any, codes: MappingProxyType[int, DType], findings: Findings) -> DType:
    """Return the type of the stored values, in the byte order of the file.

    Quadruple precision is read where NumPy's long double has it, as in nibabel, and refused
    where it has fewer bits.
    """
    code = int(header["datatype"])
    if code in codes:
        return codes[code].newbyteorder(header.endianness)
    if code in _KNOWN or code in NIFTI_CODES:
        name = _KNOWN.get(code) or str(NIFTI_CODES[code])
        known = ", ".join(map(str, codes))
        msg = (
            f"{findings.shown}: datatype {code} ({name}) is unsupported. Data types that can be "
            f"read in this format have the codes {known}. Convert the image to one of these, "
            f"with the program that wrote it."
        )
        raise UnsupportedFormatError(msg)
    must = f"be one of the codes {', '.join(map(str, codes))}"
    raise field_error(findings, header, "datatype", must, f"unsupported datatype {code}")


def repair_bitpix(header: Any, dtype: DType, findings: Findings) -> None:
    """Set field `bitpix` from the data type, which wins, and say so."""
    stored, right = int(header["bitpix"]), dtype.itemsize * 8
    if stored == right:
        return
    header["bitpix"] = right
    findings.warn(
        f"The header says {stored} bits a voxel (bitpix), its data type {dtype} has {right}: "
        f"read as {dtype}."
    )


def storable_dtype(dtype: DType) -> DType:
    """Return the type that images give to values of a type that no format stores.

    Parameters
    ----------
    dtype : numpy.dtype
        Type of values in memory.

    Returns
    -------
    numpy.dtype
        uint8 for bool, float32 for float16, and double precision for long doubles where those are
        not quadruple; else the very type.

    Examples
    --------
    >>> storable_dtype(np.dtype(bool)), storable_dtype(np.dtype("i2"))
    (dtype('uint8'), dtype('int16'))
    """
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind == "f" and dtype.itemsize == 2:
        return np.dtype(np.float32)
    if dtype.newbyteorder("=") in (np.longdouble, np.clongdouble) and not _QUADRUPLE:
        return np.dtype(np.float64 if dtype.kind == "f" else np.complex128)
    return dtype
