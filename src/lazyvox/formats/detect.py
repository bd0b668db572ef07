"""`read_image_file`: the description of an image file, its format found from the content."""

from dataclasses import replace
from pathlib import Path

from lazyvox.errors import CorruptFileError, HeaderError
from lazyvox.formats.foreign import ForeignFormatError, refusal
from lazyvox.formats.layout import (
    HEAD_BYTES,
    NiftiLayout,
    analyze_byte_order,
    is_mgh,
    nifti_layout,
)
from lazyvox.formats.nifti import read_nifti
from lazyvox.formats.pairs import PairName, missing_partner, pair_name
from lazyvox.formats.spec import Findings, ImageFile
from lazyvox.formats.zarr_names import is_zarr_folder
from lazyvox.store.files.paths import printable
from lazyvox.store.files.source import ByteSource
from lazyvox.store.opening import find_file, open_binary, open_source

__all__ = ["read_image_file"]

_COMPRESSION_OF_SUFFIX = {".gz": "gzip", ".mgz": "gzip", ".bz2": "bzip2", ".zst": "zstd"}

_TEXT_SAMPLE_BYTES = 64 << 10


def read_image_file(path: str) -> ImageFile:
    """Read and check the header of an image file.

    Format and compression are found from the content. Only pairs need their names: either of
    .hdr and .img may be given, compressed or not.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    ImageFile
        What the header says. Oddities that were decided for the user come in one
        `LazyvoxWarning`.

    Raises
    ------
    ForeignFormatError
        If the file is of a format that nibabel may read, or of none that is known here, or is
        the folder of a Zarr store.
    UnsupportedFormatError
        If it is something else that can be named, or its data type is not read.
    HeaderError
        If a field of the header breaks its format.
    TruncatedFileError
        If the file cannot hold what its header claims.
    ImageNotFoundError
        If the file, or its partner in a pair, does not exist.
    ImageFileError
        If it is empty or damaged in another way.

    Notes
    -----
    Memory: O(1), and NIfTI extensions, at most 64 MiB. Reads the header and the extensions.
    """
    if is_zarr_folder(path):
        raise ForeignFormatError.of(printable(path), "a Zarr store")
    name = pair_name(path)
    findings = Findings(path)
    image = _read_single(path, findings) if name is None else _read_pair(path, name, findings)
    _compare_suffix(image.source, findings)
    return replace(image, notes=findings.publish())


def _read_single(path: str, findings: Findings) -> ImageFile:
    source = open_source(path)
    head = _read_head(source)
    layout = nifti_layout(head)
    if layout is not None and len(head) >= layout.header_bytes:
        return read_nifti(layout, head, source, source, findings)
    if layout is None and is_mgh(head):
        _refuse_disguised_mgh(path)
        # These parsers take nibabel's headers, which NIfTI has no need of.
        from lazyvox.formats.mgh import read_mgh

        return read_mgh(head, source, findings)
    raise refusal(source, head)


def _read_pair(path: str, name: PairName, findings: Findings) -> ImageFile:
    """Read a pair, or a single file that has the name of a part of one.

    A file with the magic of single files and no partner is read as what it says it is.
    """
    partner = name.find(".img" if name.is_header else ".hdr")
    source = open_source(path if name.is_header or partner is None else partner)
    head = _read_head(source)
    layout = nifti_layout(head)
    if partner is None:
        return _read_lone(path, name, source, head, layout, findings)
    data_source = open_source(partner if name.is_header else path)
    if layout is not None and len(head) >= layout.header_bytes:
        return read_nifti(layout, head, source, data_source, findings)
    byte_order = analyze_byte_order(head)
    if byte_order is None:
        raise refusal(source, head)
    from lazyvox.formats.analyze import read_analyze

    mat = name.find(".mat")
    has_mat = mat is not None and find_file(mat).identity.size > 0
    mat_source = open_source(mat) if mat is not None and has_mat else None
    return read_analyze(byte_order, head, source, data_source, mat_source, findings)


def _read_lone(
    path: str,
    name: PairName,
    source: ByteSource,
    head: bytes,
    layout: NiftiLayout | None,
    findings: Findings,
) -> ImageFile:
    if layout is not None and layout.has_single_magic and len(head) >= layout.header_bytes:
        findings.warn(f"Named {name.ending}, and a single NIfTI file; it was read as such.")
        return read_nifti(layout, head, source, source, findings)
    if name.is_header and layout is None and analyze_byte_order(head) is None:
        raise refusal(source, head)
    raise missing_partner(path, name)


def _read_head(source: ByteSource) -> bytes:
    try:
        with source.open() as reader:
            return reader.read_upto(0, HEAD_BYTES)
    except CorruptFileError as error:
        if not _has_only_text_lines(source):
            raise
        msg = (
            f"{printable(source.path)}: each line feed in this {source.compression} file has a "
            f"carriage return before it: a text-mode transfer damaged it. Transfer it again in "
            f"binary mode."
        )
        raise CorruptFileError(msg) from error


def _has_only_text_lines(source: ByteSource) -> bool:
    """Return whether the stored bytes look converted to lines of text.

    By chance, one in 256 line feeds of compressed bytes follows a carriage return.
    """
    with open_binary(source.path) as file:
        content = file.read(_TEXT_SAMPLE_BYTES)
    n_lines = content.count(b"\n")
    return n_lines >= 2 and content.count(b"\r\n") == n_lines


def _refuse_disguised_mgh(path: str) -> None:
    root = path.lower()
    for suffix in (".gz", ".bz2", ".zst"):
        root = root.removesuffix(suffix)
    if root.endswith(".nii"):
        msg = (
            f"{printable(path)}: a file named .nii must be NIfTI. This is an MGH file: rename it "
            f"to .mgh, or .mgz if it is compressed."
        )
        raise HeaderError(msg)


def _compare_suffix(source: ByteSource, findings: Findings) -> None:
    """Record a compression that differs from the file's ending; the content decides."""
    suffix = Path(source.path).suffix.lower()
    said = _COMPRESSION_OF_SUFFIX.get(suffix, "none")
    if said == source.compression:
        return
    text = f"The name says compression {said}, the content is {source.compression}; it was read."
    if "none" in (said, source.compression):
        findings.note(text)
    else:
        findings.warn(text)
