"""NIfTI-1 and NIfTI-2 headers, single files and pairs."""

import math
from typing import Any

from lazyvox._typing import DType
from lazyvox.formats.affines import nifti_affine
from lazyvox.formats.datatypes import NIFTI_CODES, read_dtype, repair_bitpix
from lazyvox.formats.extensions import CIFTI_CODE, extensions_end, load_extensions
from lazyvox.formats.fields import check_room, field_error, read_offset, read_shape, repair_pixdim
from lazyvox.formats.foreign import ForeignFormatError
from lazyvox.formats.layout import NiftiLayout
from lazyvox.formats.nifti_header import NiftiHeader
from lazyvox.formats.spec import Findings, ImageFile
from lazyvox.planning.spec import ArraySpec
from lazyvox.store.files.source import ByteSource

__all__ = ["read_nifti"]

_EOL_CHECK = (13, 10, 26, 10)


def read_nifti(
    layout: NiftiLayout,
    head: bytes,
    header_source: ByteSource,
    source: ByteSource,
    findings: Findings,
) -> ImageFile:
    """Return the description of an image by its NIfTI header.

    Parameters
    ----------
    layout : NiftiLayout
        As found in `head`.
    head : bytes
        The first bytes of the header file, the header and four more where there are.
    header_source, source : ByteSource
        The files of the header and of the voxels; the same object for a single file.
    findings : Findings
        Gets oddities; the caller publishes them.

    Returns
    -------
    ImageFile
        Without notes.

    Raises
    ------
    HeaderError
        If a field that voxels or affine depend on breaks the format.
    UnsupportedFormatError
        If the data type is not read, or the file is CIFTI-2 (then a `ForeignFormatError`).
    TruncatedFileError
        If the file cannot hold what the header claims.

    Notes
    -----
    Memory: O(1), and the extensions, at most 64 MiB. Reads no voxel.
    """
    is_single = source is header_source
    header = NiftiHeader(head[: layout.header_bytes], layout, is_single=is_single)
    _check_line_ends(header, layout, findings)
    _repair_identity(header, layout, findings, is_single=is_single)
    shape = read_shape(header, findings)
    dtype = read_dtype(header, NIFTI_CODES, findings)
    repair_bitpix(header, dtype, findings)
    has_extensions = head[layout.header_bytes : layout.header_bytes + 1] not in (b"", b"\0")
    offset = read_offset(header, findings)
    if is_single:
        offset = _offset_in_single(header, layout, source, findings, has_extensions=has_extensions)
    slope, inter = _read_scaling(header, dtype, findings)
    array = ArraySpec(shape, dtype, offset, slope, inter)
    check_room(source, array, findings)
    if has_extensions:
        stop = offset if is_single else None
        start = layout.extensions_start
        is_loaded = load_extensions(header, header_source, start, stop, findings)
        _refuse_cifti(header, layout, findings, is_loaded=is_loaded)
    repair_pixdim(header, findings, len(shape))
    affine = nifti_affine(header, shape, findings)
    name = f"NIfTI-{layout.version}" + ("" if is_single else " pair")
    return ImageFile(name, array, affine, header, None, source, header_source)


def _check_line_ends(header: Any, layout: NiftiLayout, findings: Findings) -> None:
    if layout.version == 1:
        return
    stored = tuple(int(byte) for byte in header["eol_check"])
    if any(stored) and stored != _EOL_CHECK:
        must = "be the bytes (13, 10, 26, 10), which a text-mode transfer changes"
        got = f"{stored}: a text-mode transfer damaged this file; transfer it in binary mode"
        raise field_error(findings, header, "eol_check", must, got)
    header["eol_check"] = _EOL_CHECK


def _repair_identity(
    header: Any, layout: NiftiLayout, findings: Findings, *, is_single: bool
) -> None:
    """Put `sizeof_hdr` and the magic right; both are known from how the file was found."""
    size = int(header["sizeof_hdr"])
    if size != layout.header_bytes:
        header["sizeof_hdr"] = layout.header_bytes
        findings.warn(
            f"sizeof_hdr must be {layout.header_bytes}, got {size}; the magic is that of "
            f"NIfTI-{layout.version}, and the header was read as such."
        )
    if layout.has_single_magic != is_single:
        magic = bytes(header["magic"].item()).decode("latin-1")
        header["magic"] = header.single_magic if is_single else header.pair_magic
        place = "one file" if is_single else "a .hdr/.img pair"
        findings.warn(f"The magic {magic!r} does not fit: the image was read as {place}.")


def _offset_in_single(
    header: Any,
    layout: NiftiLayout,
    source: ByteSource,
    findings: Findings,
    *,
    has_extensions: bool,
) -> int:
    """Return where voxels begin in a single file.

    Zero cannot be meant: voxels are then looked for behind header and extensions, with a warning,
    where nibabel would hand out the header's bytes as voxels. Other offsets within the header are
    refused.
    """
    offset = read_offset(header, findings)
    least = layout.extensions_start
    if offset == 0:
        offset = least
        if has_extensions:
            offset = extensions_end(source, least, header.endianness)
        header["vox_offset"] = offset
        findings.warn(
            f"vox_offset is 0, which is inside of the header; the image data were taken to "
            f"begin at byte {offset}, behind header and extensions."
        )
    if offset < least:
        must = f"be at least {least} in a single file"
        raise field_error(findings, header, "vox_offset", must, f"vox_offset={offset}")
    return offset


def _read_scaling(header: Any, dtype: DType, findings: Findings) -> tuple[float, float]:
    """Return slope and intercept; a slope of 0, NaN or infinity means that nothing is scaled."""
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or not math.isfinite(slope):
        return 1.0, 0.0
    if not math.isfinite(inter):
        must = f"be finite, as scl_slope {slope:g} is"
        raise field_error(findings, header, "scl_inter", must, f"scl_inter={inter}")
    if dtype.names is not None and (slope, inter) != (1.0, 0.0):
        findings.warn(
            f"scl_slope {slope:g} and scl_inter {inter:g} were ignored: colours are not scaled."
        )
        return 1.0, 0.0
    return slope, inter


def _refuse_cifti(
    header: Any, layout: NiftiLayout, findings: Findings, *, is_loaded: bool
) -> None:
    if layout.version != 2 or not 3000 <= int(header["intent_code"]) < 3100:
        return
    if not is_loaded or any(code == CIFTI_CODE for code, _ in header.extensions):
        raise ForeignFormatError.of(findings.shown, "a CIFTI-2 file")
