"""Length of the header of a gzip member, without reading its other fields."""

from lazyvox.errors import CorruptFileError
from lazyvox.store.files.paths import printable
from lazyvox.store.files.source import StoredBytes

__all__ = ["header_length"]

_FHCRC, _FEXTRA, _FNAME, _FCOMMENT = 2, 4, 8, 16
_FIXED_BYTES = 10
_FIRST_PIECE = 512
_MOST_BYTES = 16 << 20


def header_length(file: StoredBytes, offset: int, path: str) -> int:
    """Return the length in bytes of the gzip header at `offset` of an open file.

    Raises `CorruptFileError` where there is none. The header was decoded before: only its length
    is found, its checksum is not looked at again.
    """
    nbytes = _FIRST_PIECE
    while nbytes <= _MOST_BYTES:
        piece = file.pread(nbytes, offset)
        if not piece.startswith(b"\x1f\x8b\x08"):
            break
        length = _length_in(piece)
        if length is not None:
            return length
        if len(piece) < nbytes:
            break
        nbytes *= 16
    msg = (
        f"{printable(path)}: a gzip member must begin at byte {offset}, and none does. The file "
        f"changed or is damaged: load it again."
    )
    raise CorruptFileError(msg)


def _length_in(piece: bytes) -> int | None:
    """Return the length of the header that `piece` begins with, None where it is cut off."""
    if len(piece) < _FIXED_BYTES:
        return None
    flags, end = piece[3], _FIXED_BYTES
    if flags & _FEXTRA:
        end += 2 + int.from_bytes(piece[end : end + 2], "little")
    for flag in (_FNAME, _FCOMMENT):
        if flags & flag:
            end = piece.find(b"\0", end) + 1
            if not end:
                return None
    if flags & _FHCRC:
        end += 2
    return end if end <= len(piece) else None
