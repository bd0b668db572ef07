"""Headers on their way to another process: the bytes that a file would hold, not nibabel's object.

nibabel's headers pickle with the names and types of all their fields, 1.5 KiB beside the 348 bytes
that say something.
"""

from dataclasses import dataclass
from typing import Any

from nibabel.freesurfer.mghformat import MGHHeader
from nibabel.wrapstruct import WrapStruct

__all__ = ["PackedHeader", "pack_header", "unpack_header"]


@dataclass(frozen=True, slots=True)
class PackedHeader:
    """A header as bytes.

    Attributes
    ----------
    header_class : type
        nibabel's class.
    block : bytes
        The header as in a file.
    endianness : str
        Byte order of the block.
    extensions : list or None
        Extensions of NIfTI, where there are any.
    """

    header_class: type[Any]
    block: bytes
    endianness: str
    extensions: Any


def pack_header(header: Any) -> Any:
    """Return a header as bytes; the header itself where bytes would lose something.

    Parameters
    ----------
    header : nibabel header
        Any header.

    Returns
    -------
    PackedHeader or nibabel header
        What `unpack_header` takes.
    """
    if not isinstance(header, WrapStruct) or set(vars(header)) - {"_structarr", "extensions"}:
        return header
    extensions = getattr(header, "extensions", None) or None
    return PackedHeader(type(header), header.binaryblock, header.endianness, extensions)


def unpack_header(packed: Any) -> Any:
    """Return the header that `pack_header` packed.

    Parameters
    ----------
    packed : PackedHeader or nibabel header
        What it returned.

    Returns
    -------
    nibabel header
        A header equal to the original, byte order included.
    """
    if not isinstance(packed, PackedHeader):
        return packed
    # MGH knows one byte order, and its constructor does not take another.
    orders = () if issubclass(packed.header_class, MGHHeader) else (packed.endianness,)
    header = packed.header_class(packed.block, *orders, check=False)
    if packed.extensions is not None:
        header.extensions = packed.extensions
    return header
