"""The description of an image: shape, type, grid, values in memory, cost of loading."""

import math
from contextlib import suppress
from typing import Any

import numpy as np

from lazyvox._typing import Array
from lazyvox.array.lazy_array import LazyArray
from lazyvox.errors import ParameterError
from lazyvox.formats.fields import time_unit
from lazyvox.geometry.affines import voxel_sizes
from lazyvox.planning.memory import format_bytes

__all__ = ["describe", "describe_html", "orientation", "repetition_time", "set_repetition_time"]

#: Length in seconds of the units of time that are not seconds.
_SECONDS = {"msec": 1e-3, "usec": 1e-6}

#: Largest number of seconds that is finite in any of these units, in float32.
_LONGEST = float(np.finfo(np.float32).max) * 1e-6


def orientation(affine: Array) -> str:
    """Return the directions in which the axes of voxels grow, such as "RAS".

    Parameters
    ----------
    affine : ndarray of shape (4, 4)
        Voxel indices to world coordinates, in mm.

    Returns
    -------
    str
        A letter for each axis; "?" where the affine does not say.

    Examples
    --------
    >>> orientation(np.diag([-2.0, 2, 2, 1]))
    'LAS'
    """
    if not np.isfinite(affine).all():
        return "???"
    # A series that is opened by its header alone does without nibabel.
    from nibabel.orientations import aff2axcodes

    axcodes: Any = aff2axcodes
    return "".join(letter or "?" for letter in axcodes(affine))


def describe(img: Any) -> str:
    """Return a one-line description of an image; reads no voxel."""
    facts = _facts(img)
    rest = ", ".join(f"{name}: {value}" for name, value in facts.items() if name != "file")
    where = f" of {facts['file']!r}" if "file" in facts else ""
    return f"<{type(img).__name__}{where}, {rest}>"


def describe_html(img: Any) -> str:
    """Return the description as an HTML table, for notebooks."""
    import html

    rows = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        f"<td style='text-align:left'>{html.escape(str(value))}</td></tr>"
        for name, value in _facts(img).items()
    )
    return f"<table><caption>{type(img).__name__}</caption>{rows}</table>"


def repetition_time(header: Any) -> float | None:
    """Return the seconds between two volumes, None where the header does not say."""
    zooms = header.get_zooms()
    if len(zooms) < 4 or not np.isfinite(zooms[3]) or zooms[3] <= 0:
        return None
    # MGH has milliseconds and no field that says so.
    return float(zooms[3]) * _SECONDS.get(time_unit(header), 1.0)


def set_repetition_time(header: Any, t_r: float | None) -> None:
    """Write the seconds between two volumes into a header; 0, which is unknown, for None.

    A header without a time axis stays as it is.

    Raises
    ------
    ParameterError
        If float32, the type of the field, cannot hold it.
    """
    if t_r is not None and not 0 < t_r <= _LONGEST:
        msg = (
            f"`t_r`, the seconds between volumes, must be above 0, and at most {_LONGEST:.2g} for "
            f"a header. Got {t_r}."
        )
        raise ParameterError(msg, value=t_r)
    zooms = header.get_zooms()
    if len(zooms) < 4 or (t_r is not None and repetition_time(header) == t_r):
        return
    if hasattr(header, "set_xyzt_units"):
        space = "unknown"
        with suppress(KeyError):
            space = header.get_xyzt_units()[0]
        header.set_xyzt_units(space, "sec")
    header.set_zooms((*zooms[:3], (t_r or 0.0) / _SECONDS.get(time_unit(header), 1.0), *zooms[4:]))


def _facts(img: Any) -> dict[str, str]:
    dataobj = img.dataobj
    facts = {}
    if img.get_filename():
        facts["file"] = str(img.get_filename())
    computation = dataobj.reader.computation if isinstance(dataobj, LazyArray) else ""
    if computation:
        facts["computes"] = computation
    facts["shape"] = str(tuple(dataobj.shape))
    dtype = str(dataobj.dtype)
    is_stored = isinstance(dataobj, LazyArray) and not computation
    if is_stored and dataobj.ondisk_dtype != dataobj.dtype:
        dtype += f" (on disk {dataobj.ondisk_dtype})"
    facts["dtype"] = dtype
    facts["voxels"] = " x ".join(f"{size:.4g}" for size in voxel_sizes(img.affine)) + " mm"
    t_r = repetition_time(img.header) if len(dataobj.shape) > 3 else None
    if t_r is not None:
        facts["t_r"] = f"{t_r:.4g} s"
    cached = img._fdata_cache
    if cached is not None:
        facts["in memory"] = f"{cached.dtype} copy, {format_bytes(cached.nbytes)}"
    elif img.in_memory:
        facts["in memory"] = f"yes, {format_bytes(dataobj.nbytes)}"
    else:
        facts["in memory"] = "nothing"
        as_float64 = math.prod(dataobj.shape) * np.dtype(np.float64).itemsize
        facts["get_fdata() would take"] = format_bytes(as_float64)
    if isinstance(dataobj, LazyArray) and (use := dataobj.reader.cache_use).is_used:
        facts["decoded blocks"] = (
            f"{format_bytes(use.nbytes)} in {use.n_blocks}, {use.hits} hits, {use.misses} misses"
        )
    return facts
