"""NIfTI header extensions."""

import struct
from typing import Any

from lazyvox.formats.spec import Findings
from lazyvox.store.files.source import ByteSource

__all__ = ["CIFTI_CODE", "extensions_end", "load_extensions"]

CIFTI_CODE = 32

#: More than any real header carries, and no burden to a machine that reads images.
MAX_EXTENSION_BYTES = 64 << 20
MAX_EXTENSIONS = 10_000


def load_extensions(
    header: Any, source: ByteSource, start: int, stop: int | None, findings: Findings
) -> bool:
    """Read the extensions between `start` and `stop` into ``header.extensions``.

    Damaged extensions are left out with a warning: voxels do not depend on them. Extensions of
    more than 64 MiB together stay on disk with a note.

    Parameters
    ----------
    header : NiftiHeader
        Gets the extensions.
    source : ByteSource
        The file of the header.
    start, stop : int or None
        Room for extensions; None is the end of the file.
    findings : Findings
        Gets warnings and notes.

    Returns
    -------
    bool
        Whether they were read, damaged or not.

    Notes
    -----
    Memory: the size of the extensions, at most 64 MiB.
    """
    room = MAX_EXTENSION_BYTES + 1 if stop is None else max(stop - start, 0)
    if stop is not None and room > MAX_EXTENSION_BYTES:
        findings.note(f"Header extensions of {room} bytes were left on disk.")
        return False
    with source.open() as reader:
        content = reader.read_upto(start, room)
    if len(content) > MAX_EXTENSION_BYTES:
        findings.note(f"Header extensions of more than {MAX_EXTENSION_BYTES} bytes were left out.")
        return False
    order = header.endianness
    header.extensions += _split(content, order, findings)
    if len(header.extensions):
        findings.note(f"The header has {len(header.extensions)} extension(s).")
    return True


def extensions_end(source: ByteSource, start: int, order: str) -> int:
    """Return where a chain of sound extensions ends, reading only their first eight bytes."""
    at = start
    with source.open() as reader:
        for _ in range(MAX_EXTENSIONS):
            first = reader.read_upto(at, 8)
            if len(first) < 8:
                break
            size, code = struct.unpack(order + "ii", first)
            if size < 16 or size % 16 or code < 0 or at + size > source.max_decoded_size:
                break
            at += size
    return at


def _split(content: bytes, order: str, findings: Findings) -> list[tuple[int, bytes]]:
    """Return code and value of each extension; stops at the first that is damaged."""
    found: list[tuple[int, bytes]] = []
    at = 0
    has_odd_size = False
    while len(content) - at >= 8 and len(found) < MAX_EXTENSIONS:
        size, code = struct.unpack_from(order + "ii", content, at)
        if not _is_sound(content, at, size, len(found), findings):
            break
        has_odd_size = has_odd_size or bool(size % 16)
        found.append((code, content[at + 8 : at + size].rstrip(b"\0")))
        at += size
    if has_odd_size:
        findings.warn("The size of a header extension is not a multiple of 16; it was read.")
    if not found and len(content) < 8:
        findings.warn("The header announces extensions, and there is no room for one.")
    if len(found) == MAX_EXTENSIONS:
        findings.note(f"Only the first {MAX_EXTENSIONS} header extensions were read.")
    return found


def _is_sound(content: bytes, at: int, size: int, n_before: int, findings: Findings) -> bool:
    if size >= 8 and at + size <= len(content):
        return True
    if n_before and not any(content[at : at + 1024]):
        return False  # Zeros up to the voxels: padding, no damage.
    findings.warn(
        f"Header extension {n_before + 1} says that it has {size} bytes, of {len(content) - at} "
        f"that are there; it and what follows it were left out. The image data are not concerned."
    )
    return False
