"""From the name of an output to everything that must be known before it is written."""

import math
import os
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
import numpy.typing as npt
from nibabel.nifti1 import Nifti1Header, Nifti1PairHeader
from nibabel.nifti2 import Nifti2PairHeader

from lazyvox._typing import Array, DType, PathLike, Shape
from lazyvox.errors import ParameterError
from lazyvox.formats.header_out import (
    FORMAT_NAMES,
    Header,
    HeaderClass,
    best_affine,
    choose_class,
    header_bytes,
    make_header,
    stored_scaling,
    supported_dtypes,
)
from lazyvox.store.files.paths import printable

__all__ = ["OutputSpec", "is_mgh_name", "plan_output"]

_COMPRESSIONS = {".gz": "gzip", ".bz2": "bzip2", ".zst": "zstd"}
_PAIR = {".hdr": ".img", ".img": ".hdr"}
_MOST_AXES = 7


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """An image file, or a pair, that is to be written.

    Attributes
    ----------
    files : tuple of (str, str)
        Path and compression of the file with the values, then of the header's where it has its
        own.
    header : bytes
        Header with extensions, padded to `data_offset` where it precedes the values.
    footer : bytes
        What follows the values.
    data_offset : int
        Bytes before the first value in the decoded file.
    shape : tuple of int
        Length of each axis.
    dtype : numpy.dtype
        Stored type, byte order included.
    slope, inter : float
        Scaling as readers will find it in the header.
    description : str
        Format, compression, type and shape, for people.
    """

    files: tuple[tuple[str, str], ...]
    header: bytes
    footer: bytes
    data_offset: int
    shape: Shape
    dtype: DType
    slope: float
    inter: float
    description: str

    @property
    def n_values(self) -> int:
        """Number of values that the file holds."""
        return math.prod(self.shape)

    @property
    def decoded_bytes(self) -> int:
        """Bytes of all files before compression."""
        own_header = len(self.header) if len(self.files) > 1 else 0
        stored = self.n_values * self.dtype.itemsize
        return own_header + self.data_offset + stored + len(self.footer)


def plan_output(
    path: str,
    *,
    header: Header,
    affine: npt.ArrayLike | None,
    shape: Shape,
    dtype: npt.DTypeLike,
    slope: float | None = None,
    inter: float | None = None,
) -> OutputSpec:
    """Decide format, compression and header of an output; writes nothing.

    Parameters
    ----------
    path : str
        ``.nii``, ``.hdr`` or ``.img`` (a pair, by either name), ``.mgh``, each also with ``.gz``,
        ``.bz2`` or ``.zst``, or ``.mgz``; in any case.
    header : nibabel header, optional
        Where fields come from: all that the format can hold are kept, extensions included.
    affine : array-like of shape (4, 4), optional
        Voxel indices to mm. Where it differs from the header's, the sform is set with code 2 and
        the qform with code 0, as nibabel does.
    shape : tuple of int
        Shape of the values.
    dtype : dtype-like
        Stored type. Booleans are stored as uint8; the byte order is the header's.
    slope, inter : float, optional
        Scaling to store; none by default.

    Returns
    -------
    OutputSpec
        What `ImageWriter` needs.

    Raises
    ------
    ParameterError
        If the ending is unknown, or the format cannot hold the type, shape, affine or scaling.

    Notes
    -----
    Memory: O(size of the header). NIfTI-2 is written where the header is NIfTI-2 or an axis is
    longer than 32767. A pair stays Analyze where its header is and holds everything; else it
    becomes NIfTI-1.

    Examples
    --------
    >>> output = plan_output("mean.nii.gz", header=None, affine=np.eye(4), shape=(4, 5, 6),
    ...                      dtype="f4")
    >>> output.description
    'NIfTI-1, gzip, float32, 4 x 5 x 6'
    """
    ending, files = _files(path)
    grid = _check_shape(path, shape)
    scaling = (1.0 if slope is None else float(slope), 0.0 if inter is None else float(inter))
    kind = choose_class(header, grid, ending=ending)
    matrix = _check_affine(path, affine, kind)
    stored = np.dtype("u1") if np.dtype(dtype) == np.bool_ else np.dtype(dtype)
    if kind not in FORMAT_NAMES and not _analyze_holds(
        kind, header, matrix, grid, stored, scaling
    ):
        is_long = max(grid) > np.iinfo(np.int16).max
        kind = Nifti2PairHeader if is_long else Nifti1PairHeader
    _check_dtype(path, kind, stored)
    _check_axes(path, kind, grid)
    made = make_header(kind, header, matrix, grid, stored)
    if stored.kind == "V" and scaling != (1.0, 0.0):
        msg = f"Colours must not be scaled. Got slope {scaling[0]} and inter {scaling[1]}."
        raise ParameterError(msg)
    stored_slope, stored_inter = stored_scaling(made, *scaling)
    before, after, offset = header_bytes(made)
    name = FORMAT_NAMES.get(kind, "Analyze pair")
    parts = (name, files[0][1], stored.name, " x ".join(map(str, grid)))
    return OutputSpec(
        files=files,
        header=before,
        footer=after,
        data_offset=offset,
        shape=grid,
        dtype=stored.newbyteorder(made.endianness),
        slope=stored_slope,
        inter=stored_inter,
        description=", ".join(part for part in parts if part != "none"),
    )


def is_mgh_name(path: PathLike) -> bool:
    """Return whether the ending of a name says MGH, compressed or not."""
    name = os.fsdecode(path).lower()
    for packed in _COMPRESSIONS:
        name = name.removesuffix(packed)
    return name.endswith((".mgh", ".mgz"))


def _files(path: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the format's ending in lower case, and path and compression of each file."""
    suffixes = PurePath(path).suffixes
    last = suffixes[-1] if suffixes else ""
    if last.lower() == ".mgz":
        return ".mgh", ((path, "gzip"),)
    compression = _COMPRESSIONS.get(last.lower(), "none")
    packed = last if compression != "none" else ""
    stem = path[: len(path) - len(packed)]
    ending = PurePath(stem).suffix
    kind = ending.lower()
    if kind in (".nii", ".mgh"):
        return kind, ((path, compression),)
    if kind not in _PAIR:
        msg = (
            f"{printable(path)}: the name of an output image must end in .nii, .hdr, .img or "
            f".mgh, each also with .gz, .bz2 or .zst behind it, or in .mgz. Got "
            f"{ending + packed!r}. Choose one of these."
        )
        raise ParameterError(msg)
    other = _PAIR[kind].upper() if ending.isupper() else _PAIR[kind]
    partner = stem[: len(stem) - len(ending)] + other + packed
    image, head = (path, partner) if kind == ".img" else (partner, path)
    return ".hdr", ((image, compression), (head, compression))


def _check_shape(path: str, shape: Shape) -> Shape:
    grid = tuple(int(length) for length in shape)
    if not 1 <= len(grid) <= _MOST_AXES:
        msg = f"{printable(path)}: an image must have 1 to {_MOST_AXES} axes. Got shape {grid}."
        raise ParameterError(msg)
    return grid


def _check_axes(path: str, kind: HeaderClass, shape: Shape) -> None:
    if FORMAT_NAMES.get(kind) == "MGH" and (len(shape) > 4 or 0 in shape):
        msg = (
            f"{printable(path)}: MGH holds at most 4 axes, of at least one voxel each. Got shape "
            f"{shape}. Write NIfTI, or one 4D part."
        )
        raise ParameterError(msg)


def _check_affine(path: str, affine: npt.ArrayLike | None, kind: HeaderClass) -> Array | None:
    """Return an affine as a matrix; only the sform of NIfTI holds one without an inverse."""
    if affine is None:
        return None
    matrix = np.asarray(affine, dtype=np.float64)
    if matrix.shape != (4, 4):
        msg = f"{printable(path)}: affine must be of shape (4, 4). Got shape {matrix.shape}."
        raise ParameterError(msg)
    is_nifti = issubclass(kind, Nifti1Header)
    sizes = np.linalg.norm(matrix[:3, :3], axis=0)
    if not is_nifti and not (np.isfinite(matrix).all() and sizes.all()):
        msg = (
            f"{printable(path)}: affine must give every axis a voxel size above zero in this "
            f"format. Got {matrix[:3].tolist()}. Write NIfTI, whose sform holds any affine."
        )
        raise ParameterError(msg)
    return matrix


def _check_dtype(path: str, kind: HeaderClass, dtype: DType) -> None:
    supported = supported_dtypes(kind)
    if dtype.newbyteorder("=") in supported:
        return
    names = ", ".join("RGBA"[: len(one.names)] if one.names else one.name for one in supported)
    msg = (
        f"{printable(path)}: dtype must be one that {FORMAT_NAMES.get(kind, 'Analyze')} can "
        f"store: {names}. Got {dtype.name}. Pass one of these as dtype."
    )
    raise ParameterError(msg)


def _analyze_holds(
    kind: HeaderClass,
    header: Header,
    affine: Array | None,
    shape: Shape,
    dtype: DType,
    scaling: tuple[float, float],
) -> bool:
    """Return whether plain Analyze or its SPM dialects can store all of this."""
    slope, inter = scaling
    is_scaled = slope != 1.0 and not kind.has_data_slope
    fits = max(shape) <= np.iinfo(np.int16).max and dtype.newbyteorder("=") in supported_dtypes(
        kind
    )
    if is_scaled or inter != 0.0 or not fits:
        return False
    if affine is None:
        return True
    # Whether the fields of the header can say this affine, not whether two grids are one.
    return np.allclose(affine, best_affine(make_header(kind, header, affine, shape, dtype)))
