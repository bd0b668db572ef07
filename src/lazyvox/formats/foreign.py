"""Files that are not read here: other formats of nibabel, and files that are no images."""

from typing import Self

from lazyvox.errors import (
    CorruptFileError,
    HeaderError,
    ImageFileError,
    TruncatedFileError,
    UnsupportedFormatError,
)
from lazyvox.formats.layout import ANALYZE_BYTES
from lazyvox.store.files.paths import printable
from lazyvox.store.files.source import ByteSource

__all__ = ["ForeignFormatError", "refusal"]


class ForeignFormatError(UnsupportedFormatError):
    """The file is of a format that nibabel may read, and lazyvox does not read itself."""

    @classmethod
    def of(cls, shown: str, what: str) -> Self:
        """Return the error for a file (its printable path) and the name of its format."""
        msg = (
            f"{shown}: lazyvox reads NIfTI, Analyze and MGH itself. This is {what}. Open it with "
            f"nibabel under the name that the format usually has, or convert it to NIfTI."
        )
        return cls(msg)


#: Start of the decoded content, format. nibabel opens these under their usual names.
_FOREIGN_STARTS = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, probably MINC2 (.mnc)"),
    (b"CDF\x01", "a NetCDF file, probably MINC1 (.mnc)"),
    (b"CDF\x02", "a NetCDF file, probably MINC1 (.mnc)"),
    (b"MATRIX7", "an ECAT 7 file (.v)"),
    (b"# === DATA DESCRIPTION FILE", "a Philips PAR file"),
)

#: Ending of the name, format: binary or free text, known by the name only.
_FOREIGN_NAMES = (
    (".head", "AFNI HEAD/BRIK"),
    (".brik", "AFNI HEAD/BRIK"),
    (".par", "Philips PAR/REC"),
    (".rec", "Philips PAR/REC"),
)

#: Start of the decoded content, what it is, what to do.
_NO_IMAGES = (
    (b"version https://git-lfs", "a git-LFS pointer", "Fetch the content with `git lfs pull`"),
    (b"/annex/objects/", "a git-annex pointer", "Fetch the content with `datalad get`"),
    (b"\xfd7zXZ\x00", "an xz archive", "Unpack it with `xz -d`"),
    (b"PK\x03\x04", "a zip archive", "Unpack it with `unzip`"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it"),
    (b"\x04\x22\x4d\x18", "an lz4 stream", "Unpack it with `lz4 -d`"),
    (b"\x1f\x9d", "a file of `compress` (.Z)", "Unpack it with `uncompress`"),
    (b"Rar!", "a rar archive", "Unpack it"),
    (b"TRACK\0", "a TrackVis tractogram", "Load it with `nibabel.streamlines.load`"),
    (b"mrtrix tracks", "an MRtrix tractogram", "Load it with `nibabel.streamlines.load`"),
    (b"\x93NUMPY", "a NumPy array file", "Load it with `numpy.load`"),
    (b"NRRD", "an NRRD image", "Convert it to NIfTI"),
    (b"ObjectType", "a MetaImage header", "Convert it to NIfTI"),
    (b"mrtrix image", "an MRtrix image (.mif)", "Convert it with `mrconvert`"),
    (b"\x89PNG", "a PNG picture", "Give the image file itself"),
    (b"\xff\xd8\xff", "a JPEG picture", "Give the image file itself"),
    (b"%PDF", "a PDF document", "Give the image file itself"),
)
_COMPRESSED_STARTS = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\x28\xb5\x2f\xfd", "zstd"))
_MAGICS = (b"n+1\0", b"ni1\0", b"n+2\0", b"ni2\0")


def refusal(source: ByteSource, head: bytes) -> ImageFileError:
    """Return the error that best describes a file without a known header.

    Parameters
    ----------
    source : ByteSource
        The file.
    head : bytes
        Its first decoded bytes.

    Returns
    -------
    ImageFileError
        A `ForeignFormatError` where nibabel may read the file, else another subclass.
    """
    shown = printable(source.path)
    return (
        _as_empty(shown, head)
        or _as_other_content(shown, head)
        or _as_stream(source, shown, head)
        or _as_foreign(source.path, head)
        or _as_blank(shown, head)
        or _as_damaged_nifti(shown, head)
        or _as_short(shown, head)
        or _as_analyze(shown, head)
        or _as_unknown(shown, head)
    )


def _as_empty(shown: str, head: bytes) -> ImageFileError | None:
    if not head:
        msg = f"{shown}: an image file must hold a header. It decodes to an empty file."
        return TruncatedFileError(msg)
    return None


def _as_blank(shown: str, head: bytes) -> ImageFileError | None:
    """Return the error for zeros: a .BRIK or .REC, known by its name, may begin with them."""
    if len(head) >= ANALYZE_BYTES and not any(head):
        msg = (
            f"{shown}: an image must begin with a header. The first {len(head)} bytes are all "
            f"zero, as after an interrupted copy: copy or download the file again."
        )
        return CorruptFileError(msg)
    return None


def _as_foreign(path: str, head: bytes) -> ImageFileError | None:
    """Return the error for formats of nibabel, known by content, or some by name only."""
    shown = printable(path)
    for start, what in _FOREIGN_STARTS:
        if head.startswith(start):
            return ForeignFormatError.of(shown, what)
    if b"<GIFTI" in head or b"gifti.dtd" in head:
        return ForeignFormatError.of(shown, "a GIFTI surface")
    if head.lstrip().startswith(b"type") and b"-attribute" in head:
        return ForeignFormatError.of(shown, "an AFNI HEAD file")
    root = path.lower()
    for suffix in (".gz", ".bz2", ".zst"):
        root = root.removesuffix(suffix)
    for ending, what in _FOREIGN_NAMES:
        if root.endswith(ending):
            return ForeignFormatError.of(shown, f"{what}, as its name says")
    return None


def _as_other_content(shown: str, head: bytes) -> ImageFileError | None:
    """Return the error for content that is no image and has a name."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")) or b"<html" in text:
        return _as_named(
            shown, "an HTML page", "The download failed or needs a login: do it again"
        )
    for start, what, advice in _NO_IMAGES:
        if head.startswith(start):
            return _as_named(shown, what, advice)
    if len(head) < ANALYZE_BYTES and b"annex/objects/" in head:
        return _as_named(shown, "a git-annex pointer", "Fetch the content with `datalad get`")
    return None


def _as_stream(source: ByteSource, shown: str, head: bytes) -> ImageFileError | None:
    for start, what in _COMPRESSED_STARTS:
        if source.compression != "none" and head.startswith(start):
            outer = source.compression
            return _as_named(shown, f"{what} inside {outer}", f"Unpack the outer {outer} first")
    if head[:1] == b"\x78" and int.from_bytes(head[:2], "big") % 31 == 0:
        return _as_named(shown, "a bare zlib stream", "Compress the image with gzip instead")
    if head[128:132] == b"DICM":
        return _as_named(shown, "a DICOM file", "Convert the series with `dcm2niix`")
    return None


def _as_named(shown: str, what: str, advice: str) -> ImageFileError:
    msg = f"{shown}: an image file is needed here. This is {what}. {advice}."
    return UnsupportedFormatError(msg)


def _as_damaged_nifti(shown: str, head: bytes) -> ImageFileError | None:
    if head[344:348] in _MAGICS[2:]:
        msg = (
            f"{shown}: a NIfTI-2 header must have its magic at byte 4. Got it at byte 344, in the "
            f"layout of NIfTI-1. The header is damaged: convert the file again."
        )
        return HeaderError(msg)
    is_shifted = any(head.find(magic, 300, 400) not in (-1, 344) for magic in _MAGICS[:2])
    if is_shifted or any(magic[:3] in head[5:16] for magic in _MAGICS[2:]):
        msg = (
            f"{shown}: the magic of NIfTI must be at byte 344 (or 4). It is there, shifted: a "
            f"text-mode transfer damaged this file. Transfer it again in binary mode."
        )
        return CorruptFileError(msg)
    return None


def _as_short(shown: str, head: bytes) -> ImageFileError | None:
    n_needed = 540 if head[4:8] in _MAGICS[2:] else ANALYZE_BYTES
    if len(head) >= n_needed:
        return None
    msg = (
        f"{shown}: an image header needs {n_needed} bytes, the file has {len(head)}. It is "
        f"truncated, or no image: copy or download it again."
    )
    return TruncatedFileError(msg)


def _as_analyze(shown: str, head: bytes) -> ImageFileError | None:
    if 348 not in (int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big")):
        return None
    msg = (
        f"{shown}: a NIfTI file must have 'n+1' or 'ni1' at byte 344. Got {head[344:348]!r}: not "
        f"NIfTI. The header may be of Analyze 7.5; then the file must be a .hdr with its .img "
        f"beside it."
    )
    return HeaderError(msg)


def _as_unknown(shown: str, head: bytes) -> ImageFileError:
    msg = (
        f"{shown}: an image must be NIfTI, Analyze, MGH or another format of nibabel. The first "
        f"bytes are {head[:16]!r}, which no known format has. Is it the right file, and complete?"
    )
    return ForeignFormatError(msg)
