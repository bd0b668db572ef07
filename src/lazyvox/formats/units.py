"""The unit in which a header counts time."""

from contextlib import suppress
from typing import Any

from nibabel.freesurfer.mghformat import MGHHeader

__all__ = ["time_unit"]


def time_unit(header: Any) -> str:
    """Return "sec", "msec", "usec" or another unit of nibabel; seconds where none is known."""
    if isinstance(header, MGHHeader):
        # MGH has no field that says so.
        return "msec"
    if hasattr(header, "get_xyzt_units"):
        # nibabel raises where the field holds a code that no unit has.
        with suppress(KeyError):
            return str(header.get_xyzt_units()[1])
    return "sec"
