"""FreeSurfer's MGH headers, plain (.mgh) or compressed (.mgz)."""

import struct
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.freesurfer.mghformat import MGHHeader

from lazyvox.errors import HeaderError, TruncatedFileError, UnsupportedFormatError
from lazyvox.formats.affines import warn_if_singular
from lazyvox.formats.datatypes import MGH_CODES
from lazyvox.formats.fields import check_room
from lazyvox.formats.spec import Findings, ImageFile
from lazyvox.planning.spec import ArraySpec
from lazyvox.store.files.source import ByteSource

__all__ = ["read_mgh", "with_footer"]

_DATA_OFFSET = 284
#: Bytes of the header that have a meaning; the rest up to the voxels is unused.
_HEADER_BYTES = 90
_FOOTER_BYTES = 20
#: A compressed file is decoded to its footer up to this size, in 0.1 to 0.2 seconds: one volume of
#: 256 x 256 x 256 float32 values, FreeSurfer's usual grid, is below it.
MAX_DECODED_FOR_FOOTER = 72 << 20


def read_mgh(head: bytes, source: ByteSource, findings: Findings) -> ImageFile:
    """Return the description of an image by its MGH header.

    Repetition time, echo time and flip angle lie behind the voxels. They are read from plain files
    and from compressed ones that decode to at most 72 MiB; larger ones would have to be decoded
    whole to be opened, so that the fields stay zero there, with a warning. `with_footer` reads them.

    Parameters
    ----------
    head : bytes
        The first bytes of the file.
    source : ByteSource
        The file.
    findings : Findings
        Gets oddities; the caller publishes them.

    Returns
    -------
    ImageFile
        Without notes.

    Raises
    ------
    HeaderError
        If a length is not positive.
    UnsupportedFormatError
        If the data type is not read.
    TruncatedFileError
        If the file cannot hold what the header claims.

    Notes
    -----
    Memory: O(1).
    """
    if len(head) < _DATA_OFFSET:
        msg = (
            f"{findings.shown}: an MGH header needs {_DATA_OFFSET} bytes, the file has "
            f"{len(head)}. It is truncated: copy it again."
        )
        raise TruncatedFileError(msg)
    array = _read_array(head, findings)
    # What follows the voxels is the footer, so that the room behind them is no oddity.
    check_room(source, array, Findings(source.path))
    footer = _read_footer(source, array.end, findings)
    header_class: Any = MGHHeader
    header = header_class(head[:_HEADER_BYTES] + footer, check=False)
    with np.errstate(all="ignore"):
        affine = np.array(header.get_affine(), dtype=np.float64)
    warn_if_singular(affine, findings)
    return ImageFile("MGH", array, affine, header, nib.MGHImage, source, source)


def _read_array(head: bytes, findings: Findings) -> ArraySpec:
    _, *lengths, code = struct.unpack(">6i", head[:24])
    for place, length in zip(("width", "height", "depth", "nframes"), lengths, strict=True):
        if length < 1:
            msg = (
                f"{findings.shown}: MGH header field {place} (bytes 4 to 19) must be positive. "
                f"Got {length}. The header is damaged: copy the file again."
            )
            raise HeaderError(msg)
    if code not in MGH_CODES:
        msg = (
            f"{findings.shown}: MGH type {code} (bytes 20 to 23) is unsupported. Types that can "
            f"be read are {', '.join(map(str, MGH_CODES))}. Convert it with `mri_convert`."
        )
        raise UnsupportedFormatError(msg)
    shape = tuple(lengths if lengths[3] > 1 else lengths[:3])
    return ArraySpec(shape, MGH_CODES[code], _DATA_OFFSET)


def _read_footer(source: ByteSource, end: int, findings: Findings) -> bytes:
    if source.compression != "none" and end > MAX_DECODED_FOR_FOOTER:
        findings.warn(
            "Repetition time, echo time and flip angle lie behind the compressed voxels and were "
            "not read: the header says 0 for them. Saving the image as it is reads them."
        )
        return b""
    with source.open() as reader:
        return reader.read_upto(end, _FOOTER_BYTES)


def with_footer(header: MGHHeader, source: ByteSource, end: int) -> MGHHeader:
    """Return a header with the fields behind the voxels, if opening the file left them out.

    Parameters
    ----------
    header : MGHHeader
        Header of an image of the file; unchanged.
    source : ByteSource
        The file.
    end : int
        Offset of the first byte behind the voxels, in the decoded file.

    Returns
    -------
    MGHHeader
        The very header where the fields were read on opening, or set since.

    Notes
    -----
    Memory: O(1). Decodes the whole file where the fields were left out.
    """
    block = bytes(header.binaryblock)
    was_left_out = source.compression != "none" and end > MAX_DECODED_FOR_FOOTER
    if not was_left_out or any(block[-_FOOTER_BYTES:]):
        return header
    with source.open() as reader:
        footer = reader.read_upto(end, _FOOTER_BYTES)
    header_class: Any = MGHHeader
    found: MGHHeader = header_class(block[:-_FOOTER_BYTES] + footer, check=False)
    return found
