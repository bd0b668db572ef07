"""Analyze 7.5 headers and their SPM dialects, always in .hdr/.img pairs."""

import math
import zlib
from io import BytesIO
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.spm2analyze import Spm2AnalyzeHeader

from lazyvox._typing import DType, FloatArray
from lazyvox.errors import HeaderError, MissingDependencyError
from lazyvox.formats.affines import warn_if_singular
from lazyvox.formats.datatypes import ANALYZE_CODES, read_dtype, repair_bitpix
from lazyvox.formats.fields import check_room, read_offset, read_shape, repair_pixdim
from lazyvox.formats.layout import ANALYZE_BYTES
from lazyvox.formats.spec import Findings, ImageFile
from lazyvox.planning.spec import ArraySpec
from lazyvox.store.files.paths import printable
from lazyvox.store.files.source import ByteSource

__all__ = ["read_analyze"]

#: A .mat file holds one or two 4 x 4 matrices, or one for each volume of a series.
_MAX_MAT_BYTES = 16 << 20


def read_analyze(
    byte_order: str,
    head: bytes,
    header_source: ByteSource,
    source: ByteSource,
    mat_source: ByteSource | None,
    findings: Findings,
) -> ImageFile:
    """Return the description of an image by its Analyze header.

    The three dialects cannot be distinguished for certain. As in `nibabel.load`, the header is read
    as SPM2's, which gives what the others would where their fields are unset. The name of the
    format follows the fields that are in use.

    Parameters
    ----------
    byte_order : str
        '<' or '>'.
    head : bytes
        At least the 348 bytes of the header.
    header_source, source : ByteSource
        The .hdr and the .img.
    mat_source : ByteSource or None
        SPM's .mat file with the affine, if there is one.
    findings : Findings
        Gets oddities; the caller publishes them.

    Returns
    -------
    ImageFile
        Without notes.

    Raises
    ------
    HeaderError
        If a field that voxels or affine depend on breaks the format, or the .mat is damaged.
    UnsupportedFormatError
        If the data type is not read.
    TruncatedFileError
        If the .img cannot hold what the header claims.
    MissingDependencyError
        If there is a .mat file and scipy is not installed.
    """
    header_class: Any = Spm2AnalyzeHeader
    header = header_class(head[:ANALYZE_BYTES], byte_order, check=False)
    shape = read_shape(header, findings)
    dtype = read_dtype(header, ANALYZE_CODES, findings)
    repair_bitpix(header, dtype, findings)
    offset = read_offset(header, findings)
    slope, inter = _read_scaling(header, dtype, findings)
    array = ArraySpec(shape, dtype, offset, slope, inter)
    check_room(source, array, findings)
    repair_pixdim(header, findings, len(shape))
    name = _dialect(header, array)
    with np.errstate(all="ignore"):
        affine: FloatArray = np.array(header.get_best_affine(), dtype=np.float64)
    if mat_source is not None:
        affine = _affine_from_mat(mat_source, findings)
    warn_if_singular(affine, findings)
    return ImageFile(name, array, affine, header, nib.Spm2AnalyzeImage, source, header_source)


def _dialect(header: Any, array: ArraySpec) -> str:
    if array.inter != 0.0 or (array.is_scaled and not float(header["scl_slope"])):
        return "SPM2 Analyze"
    if array.is_scaled or header["origin"][:3].any():
        return "SPM99 Analyze"
    return "Analyze 7.5"


def _read_scaling(header: Any, dtype: DType, findings: Findings) -> tuple[float, float]:
    """Return SPM's slope and intercept, from their own fields or from the ranges of values."""
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope and math.isfinite(slope):
        scaling = slope, inter if math.isfinite(inter) else 0.0
    else:
        scaling = _scaling_of_ranges(header, findings)
    if dtype.names is not None and scaling != (1.0, 0.0):
        findings.warn(f"The scaling {scaling} was ignored: colours are not scaled.")
        return 1.0, 0.0
    return scaling


def _scaling_of_ranges(header: Any, findings: Findings) -> tuple[float, float]:
    """Return the scaling that maps glmin..glmax to cal_min..cal_max, as SPM2 did."""
    stored_range = int(header["glmax"]) - int(header["glmin"])
    with np.errstate(all="ignore"):
        scaled_range = float(header["cal_max"] - header["cal_min"])
        low = float(header["cal_min"])
    if not stored_range or not scaled_range:
        return 1.0, 0.0
    slope = scaled_range / stored_range
    inter = low - slope * int(header["glmin"])
    if not math.isfinite(slope) or not math.isfinite(inter):
        findings.warn("cal_min and cal_max must be finite to scale values; nothing is scaled.")
        return 1.0, 0.0
    return slope, inter


def _affine_from_mat(source: ByteSource, findings: Findings) -> FloatArray:
    """Return the affine in SPM's .mat: `mat`, or else `M` with its first axis flipped.

    Its indices start at 1, as in Matlab.
    """
    matrices = _load_mat(source)
    if "mat" in matrices:
        matrix = np.asarray(matrices["mat"])
        if matrix.ndim > 2:
            findings.warn("The .mat file holds more than one affine; the first is used.")
            matrix = matrix[:, :, 0]
    elif "M" in matrices:
        matrix = np.asarray(matrices["M"])
    else:
        matrix = np.empty(0)
    if matrix.shape != (4, 4) or matrix.dtype.kind not in "fiu":
        msg = (
            f"{printable(source.path)}: SPM's .mat file must hold a 4 x 4 matrix `mat` or `M`. "
            f"Got {sorted(matrices)}, of shape {matrix.shape}. Remove the file if it does not "
            f"belong to the image."
        )
        raise HeaderError(msg)
    if "mat" not in matrices:
        matrix = np.diag([-1.0, 1.0, 1.0, 1.0]) @ matrix
    from_one = np.eye(4)
    from_one[:3, 3] = 1.0
    return np.asarray(matrix @ from_one, dtype=np.float64)


def _load_mat(source: ByteSource) -> dict[str, Any]:
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError as error:
        msg = (
            f"{printable(source.path)}: SPM's .mat file gives the affine, and reading it needs "
            f"scipy. Install scipy, or remove the file if it does not belong to the image."
        )
        raise MissingDependencyError(msg) from error
    with source.open() as reader:
        content = reader.read_upto(0, _MAX_MAT_BYTES)
    try:
        matrices: dict[str, Any] = loadmat(BytesIO(content))
    except (ArithmeticError, LookupError, MemoryError, NotImplementedError, OSError) as error:
        raise _damaged_mat(source) from error
    except (MatReadError, TypeError, ValueError, zlib.error) as error:
        raise _damaged_mat(source) from error
    return {name: value for name, value in matrices.items() if not name.startswith("__")}


def _damaged_mat(source: ByteSource) -> HeaderError:
    msg = (
        f"{printable(source.path)}: SPM's .mat file must be a Matlab file of version 4 to 7. It "
        f"cannot be read. Remove the file if it does not belong to the image."
    )
    return HeaderError(msg)
