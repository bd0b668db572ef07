"""Fields that headers share: reading them, and checks of those of NIfTI and Analyze."""

import math
from contextlib import suppress
from typing import Any

from lazyvox._typing import Shape
from lazyvox.errors import HeaderError, TruncatedFileError
from lazyvox.formats.spec import Findings
from lazyvox.planning.spec import ArraySpec
from lazyvox.store.files.paths import printable
from lazyvox.store.files.source import ByteSource

__all__ = ["check_room", "field_error", "read_offset", "read_shape", "repair_pixdim", "time_unit"]

_MAX_NDIM = 7


def field_error(
    findings: Findings, header: Any, field: str, must: str, got: object
) -> HeaderError:
    """Return the error about one field of a nibabel header, naming its place in the file."""
    name = field.split("[", 1)[0]
    place = header.template_dtype.fields[name][1]
    msg = (
        f"{findings.shown}: header field {field} (the field starts at byte {place}) must {must}. "
        f"Got {got}. The header is damaged, or a program wrote it wrongly: copy, download or "
        f"convert the file again."
    )
    return HeaderError(msg)


def read_shape(header: Any, findings: Findings) -> Shape:
    """Return the shape in field `dim`, zero lengths included, as Python integers.

    NIfTI-1 headers may carry two devices of FreeSurfer for surfaces with more points than 16 bits
    count: -1 in dim[1] with the length in glmin, and 27307 x 1 x 6 for 163842.
    """
    dim = [int(length) for length in header["dim"]]
    ndim = dim[0]
    if not 1 <= ndim <= _MAX_NDIM:
        raise field_error(
            findings, header, "dim[0]", "be a number of axes, 1..7", f"dim[0]={ndim}"
        )
    shape = tuple(dim[1 : ndim + 1])
    if int(header.sizeof_hdr) == 348 and "magic" in header.template_dtype.fields:
        shape = _freesurfer_shape(shape, header, findings)
    for axis, length in enumerate(shape, start=1):
        if length < 0:
            raise field_error(
                findings, header, f"dim[{axis}]", "not be negative", f"dim[{axis}]={length}"
            )
    return shape


def _freesurfer_shape(shape: Shape, header: Any, findings: Findings) -> Shape:
    if shape[:3] == (-1, 1, 1):
        length = int(header["glmin"])
        if length <= 0:
            must = "hold the length of the first axis, since dim[1] is -1"
            raise field_error(findings, header, "glmin", must, f"glmin={length}")
        return (length, 1, 1, *shape[3:])
    if shape[:3] == (27307, 1, 6):
        return (163842, 1, 1, *shape[3:])
    return shape


def read_offset(header: Any, findings: Findings) -> int:
    """Return field `vox_offset` as a Python integer that is not negative."""
    stored = header["vox_offset"].item()
    if not math.isfinite(stored) or stored < 0 or stored != int(stored):
        must = "be a whole number of bytes, not negative"
        raise field_error(findings, header, "vox_offset", must, f"vox_offset={stored}")
    return int(stored)


def repair_pixdim(header: Any, findings: Findings, ndim: int) -> None:
    """Put voxel sizes right as nibabel does, 0 to 1 and negative to positive, and say so.

    Sizes that are NaN or infinite stay: no number is better than a made-up one. A zero in
    pixdim[4] means that the repetition time is unknown, which is common, and is not warned about.
    """
    pixdim = header["pixdim"]
    used = range(1, min(ndim, 4) + 1)
    wrong = [axis for axis in used if _is_odd_size(float(pixdim[axis]), is_time=axis == 4)]
    if wrong:
        listed = ", ".join(f"pixdim[{axis}]={float(pixdim[axis]):g}" for axis in wrong)
        findings.warn(
            f"Voxel sizes must be positive numbers, got {listed}. On the spatial axes 0 is read "
            f"as 1 and a negative size as positive; NaN and infinity are left as they are."
        )
    for axis in (1, 2, 3):
        if pixdim[axis] == 0:
            pixdim[axis] = 1
        elif pixdim[axis] < 0:
            pixdim[axis] = -pixdim[axis]


def _is_odd_size(size: float, *, is_time: bool) -> bool:
    if is_time and size == 0:
        return False
    return not math.isfinite(size) or size <= 0


def time_unit(header: Any) -> str:
    """Return the unit of a header's time steps: "sec", "msec", "usec" or another unit of nibabel; seconds where none is known."""
    if hasattr(header, "get_xyzt_units"):
        # nibabel raises where the field holds a code that no unit has.
        with suppress(KeyError):
            return str(header.get_xyzt_units()[1])
        return "sec"
    from nibabel.freesurfer.mghformat import MGHHeader

    # MGH has no field that says so.
    return "msec" if isinstance(header, MGHHeader) else "sec"


def check_room(source: ByteSource, array: ArraySpec, findings: Findings) -> None:
    """Check that a file can hold the voxels that its header claims, before any allocation.

    A plain file must reach to the end of the voxels. A compressed one is refused where even the
    best ratio of its format could not decode to that much; whether it does is known when it is
    read. Bytes behind the voxels are noted.
    """
    present = source.max_decoded_size
    if array.end <= present:
        if source.compression == "none" and array.end < present:
            findings.note(f"{present - array.end} bytes follow the image data.")
        return
    shown = printable(source.path)
    if source.compression == "none":
        n_present = max(present - array.offset, 0)
        state = "no image data" if not n_present else "the image data are incomplete"
        msg = (
            f"{shown}: {state}: {array.stored_bytes} bytes expected from byte {array.offset} on "
            f"(shape {array.shape}, {array.dtype}), {n_present} present. The file is truncated "
            f"or its header is damaged: copy or download it again."
        )
        raise TruncatedFileError(msg)
    msg = (
        f"{shown}: the header claims {array.end} bytes (shape {array.shape}, {array.dtype}), and "
        f"{source.stored_size} bytes of {source.compression} cannot decode to more than "
        f"{present}. The file is truncated or its header is damaged: copy or download it again."
    )
    raise TruncatedFileError(msg)
