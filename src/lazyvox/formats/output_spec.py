"""An image file that is to be written: its names, its header, and its values."""

import math
import os
from dataclasses import dataclass
from pathlib import PurePath

from lazyvox._typing import DType, PathLike, Shape
from lazyvox.errors import ParameterError
from lazyvox.formats.datatypes import NIFTI_CODES
from lazyvox.formats.nifti_header import NiftiHeader
from lazyvox.formats.zarr_names import ZARR_ENDING
from lazyvox.store.files.paths import printable

__all__ = ["OutputSpec", "files_of", "is_mgh_name", "plan_map"]

_COMPRESSIONS = {".gz": "gzip", ".bz2": "bzip2", ".zst": "zstd"}
_PAIR = {".hdr": ".img", ".img": ".hdr"}
#: The longest axis that both versions of NIfTI hold.
_LONGEST_AXIS = 32767


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


def plan_map(
    path: str, *, header: NiftiHeader | None, shape: Shape, dtype: DType
) -> OutputSpec | None:
    """Return what `plan_output` does for a map on the grid of a NIfTI file, without nibabel.

    Parameters
    ----------
    path : str
        The output.
    header : NiftiHeader or None
        The header of the file.
    shape : tuple of int
        Shape of the map.
    dtype : numpy.dtype
        Stored type.

    Returns
    -------
    OutputSpec or None
        None where it takes `plan_output`: for other formats, and for headers that FreeSurfer
        bends for surfaces.
    """
    ending, files = files_of(path)
    codes = [code for code, known in NIFTI_CODES.items() if known == dtype.newbyteorder("=")]
    is_plain = len(shape) == 3 and max(shape) <= _LONGEST_AXIS and shape[1:] != (1, 1)
    if header is None or ending != ".nii" or not codes or not is_plain:
        return None
    made = header.of_map(shape, dtype, codes[0])
    before = made.to_bytes()
    name = f"NIfTI-{header.layout.version}"
    parts = (name, files[0][1], dtype.name, " x ".join(map(str, shape)))
    order = header.byte_order
    return OutputSpec(
        files=files,
        header=before,
        footer=b"",
        data_offset=len(before),
        shape=shape,
        dtype=dtype.newbyteorder(order),
        slope=1.0,
        inter=0.0,
        description=", ".join(part for part in parts if part != "none"),
    )


def is_mgh_name(path: PathLike) -> bool:
    """Return whether the ending of a name says MGH, compressed or not."""
    name = os.fsdecode(path).lower()
    for packed in _COMPRESSIONS:
        name = name.removesuffix(packed)
    return name.endswith((".mgh", ".mgz"))


def files_of(path: str) -> tuple[str, tuple[tuple[str, str], ...]]:
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
    if last.lower() == ZARR_ENDING:
        return ZARR_ENDING, ((path, "zarr"),)
    if kind in (".nii", ".mgh"):
        return kind, ((path, compression),)
    if kind not in _PAIR:
        msg = (
            f"{printable(path)}: the name of an output image must end in .nii, .hdr, .img or "
            f".mgh, each also with .gz, .bz2 or .zst behind it, or in .mgz or .zarr. Got "
            f"{ending + packed!r}. Choose one of these."
        )
        raise ParameterError(msg)
    other = _PAIR[kind].upper() if ending.isupper() else _PAIR[kind]
    partner = stem[: len(stem) - len(ending)] + other + packed
    image, head = (path, partner) if kind == ".img" else (partner, path)
    return ".hdr", ((image, compression), (head, compression))
