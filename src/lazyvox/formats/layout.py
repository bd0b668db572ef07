"""Header layouts, recognised by the first bytes of a file."""

import struct
from dataclasses import dataclass

__all__ = [
    "ANALYZE_BYTES",
    "HEAD_BYTES",
    "NiftiLayout",
    "analyze_byte_order",
    "is_mgh",
    "nifti_layout",
]

#: The longest header, NIfTI-2, and the four bytes that announce extensions.
HEAD_BYTES = 544
ANALYZE_BYTES = 348

_SINGLE_MAGICS = (b"n+1\0", b"n+2\0")
_NIFTI1_MAGICS = (b"n+1\0", b"ni1\0")
_NIFTI2_MAGICS = (b"n+2\0", b"ni2\0")


@dataclass(frozen=True, slots=True)
class NiftiLayout:
    """Version, byte order and magic of a NIfTI header."""

    version: int
    byte_order: str
    has_single_magic: bool

    @property
    def header_bytes(self) -> int:
        """Size of the header without extensions."""
        return 348 if self.version == 1 else 540

    @property
    def extensions_start(self) -> int:
        """Offset of the extensions, and the least offset of voxels in the same file."""
        return self.header_bytes + 4


def nifti_layout(head: bytes) -> NiftiLayout | None:
    """Return the layout of a NIfTI header, known by its magic; None if there is none.

    A wrong `sizeof_hdr` does not matter, unless both magics are there.
    """
    magic1, magic2 = head[344:348], head[4:8]
    is_1, is_2 = magic1 in _NIFTI1_MAGICS, magic2 in _NIFTI2_MAGICS
    if is_2 and not (is_1 and 540 not in _sizes(head)):
        order = _byte_order(head, 540, 16, "q")
        return NiftiLayout(2, order, magic2 in _SINGLE_MAGICS)
    if is_1:
        return NiftiLayout(1, _byte_order(head, 348, 40, "h"), magic1 in _SINGLE_MAGICS)
    return None


def analyze_byte_order(head: bytes) -> str | None:
    """Return the byte order of an Analyze header; None if it is none."""
    if len(head) < ANALYZE_BYTES or 348 not in _sizes(head):
        return None
    return _byte_order(head, 348, 40, "h")


def is_mgh(head: bytes) -> bool:
    """Return whether bytes begin an MGH file: version 1, four lengths, a small type code."""
    if len(head) < 24:
        return False
    version, *lengths, code = struct.unpack(">6i", head[:24])
    return version == 1 and 0 <= code <= 10 and all(-1 << 24 < n < 1 << 28 for n in lengths)


def _sizes(head: bytes) -> tuple[int, int]:
    field = head[:4].ljust(4, b"\0")
    return int.from_bytes(field, "little"), int.from_bytes(field, "big")


def _byte_order(head: bytes, size: int, dim_at: int, dim_code: str) -> str:
    """Return the order in which `sizeof_hdr` is right, or else dim[0], or else little."""
    little, big = _sizes(head)
    if little == size:
        return "<"
    if big == size:
        return ">"
    for order in "<>":
        field = head[dim_at : dim_at + struct.calcsize(dim_code)]
        if len(field) == struct.calcsize(dim_code):
            (ndim,) = struct.unpack(order + dim_code, field)
            if 1 <= ndim <= 7:
                return order
    return "<"
