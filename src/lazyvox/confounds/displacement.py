"""Framewise displacement from the motion tables of fMRIPrep, FSL, AFNI and SPM."""

import os
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from lazyvox._typing import FloatArray, PathLike
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.planning.arguments import check_choice
from lazyvox.store.files.paths import printable
from lazyvox.tables.numeric import Table, TextTable, has_titles, is_frame, open_table, open_text

__all__ = [
    "DEFAULT_RADIUS",
    "MOTION_COLUMNS",
    "MOTION_FORMATS",
    "check_has_motion",
    "displacement_of_run",
    "framewise_displacement",
    "has_motion",
    "read_motion",
]

#: Radius in mm of the sphere on which rotations are lengths.
DEFAULT_RADIUS = 50.0

#: The column in which fMRIPrep has what is computed here.
_DONE = "framewise_displacement"

#: fMRIPrep's names of the motion parameters.
MOTION_COLUMNS = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")


@dataclass(frozen=True, slots=True)
class _Format:
    """Order of the six columns of a program, and the unit of its rotations."""

    rotations_first: bool
    in_degrees: bool = False


_FORMATS = MappingProxyType(
    {
        "fmriprep": _Format(rotations_first=False),
        "fsl": _Format(rotations_first=True),
        "afni": _Format(rotations_first=True, in_degrees=True),
        "spm": _Format(rotations_first=False),
    }
)

#: Names of the formats of motion tables.
MOTION_FORMATS = tuple(_FORMATS)


def framewise_displacement(
    motion: PathLike | Any, *, radius: float = DEFAULT_RADIUS, motion_format: str | None = None
) -> FloatArray:
    """Return how far the head moved from the volume before, as Power and others sum it up.

    Parameters
    ----------
    motion : path-like, DataFrame or ndarray of shape (n_volumes, 6)
        Parameters of a rigid movement of every volume, see `motion_format`.
    radius : float, default=50.0
        Radius in mm of the sphere on whose surface rotations are lengths of arcs.
    motion_format : {"fmriprep", "fsl", "afni", "spm"}, optional
        "fmriprep": the columns trans_x, trans_y, trans_z (mm), rot_x, rot_y, rot_z (radians), by
        name. "fsl", of mcflirt's ``.par``: three rotations in radians, three translations in mm.
        "afni", of 3dvolreg's ``-1Dfile``: three rotations in degrees, three translations in mm.
        "spm", of ``rp_*.txt``: three translations in mm, three rotations in radians. By default
        the names of columns, or of the file, decide.

    Returns
    -------
    ndarray of shape (n_volumes,), float64
        In mm; the first value is NaN.

    Raises
    ------
    ParameterError
        If the format is not known, or the table does not fit it.
    ParameterTypeError
        If `motion` is nothing of the above.
    ImageFileError
        If a file cannot be read.

    Notes
    -----
    ``sum(abs(diff(translations))) + radius * sum(abs(diff(rotations)))``.

    References
    ----------
    Power, J. D. et al. (2012). Spurious but systematic correlations in functional connectivity
    MRI networks arise from subject motion. NeuroImage 59(3).

    Examples
    --------
    >>> framewise_displacement([[0, 0, 0, 0, 0, 0], [1, 0, 0, 0.01, 0, 0]], motion_format="spm")
    array([nan, 1.5])
    """
    return _displacement(read_motion(motion, motion_format), radius)


def check_has_motion(motion_format: str | None, *, has_motion: bool) -> None:
    """Raise `ParameterError` where there is a format of motion, and no motion."""
    if motion_format is not None and not has_motion:
        msg = "`motion_format` needs `motion`, which is missing."
        raise ParameterError(msg, parameter="motion_format")


def displacement_of_run(
    motion: PathLike | Any, motion_format: str | None, radius: float, n_volumes: int
) -> FloatArray | None:
    """Return the framewise displacement of a run, None where no motion is given.

    Parameters
    ----------
    motion, motion_format, radius
        As of `framewise_displacement`. A table may have fMRIPrep's column framewise_displacement
        instead of motion parameters.
    n_volumes : int
        Volumes of the run.

    Returns
    -------
    ndarray of shape (n_volumes,), float64, or None
        In mm, NaN at first.

    Raises
    ------
    ParameterError
        If the table is none of motion, or of another number of volumes, or only its format is given.
    """
    check_has_motion(motion_format, has_motion=motion is not None)
    if motion is None:
        return None
    if motion_format is None and _is_done(motion):
        found = _read_done(motion, radius)
    else:
        found = _displacement(read_motion(motion, motion_format), radius)
    if len(found) != n_volumes:
        msg = (
            f"`motion` must have a row for each volume. Got {len(found)} rows and "
            f"{n_volumes} volumes."
        )
        error = ParameterError(msg, parameter="motion", value=len(found))
        is_path = isinstance(motion, str | bytes | os.PathLike)
        raise error.at(printable(os.fsdecode(motion))) if is_path else error
    return found


def _is_done(table: PathLike | Any) -> bool:
    """Return whether a table has displacements, and no motion parameters to compute them from."""
    names = _titles(table)
    return _DONE in names and not set(MOTION_COLUMNS) <= names


def _read_done(motion: PathLike | Any, radius: float) -> FloatArray:
    """Return the displacements that are in a table."""
    table = _opened(motion)
    if radius != DEFAULT_RADIUS:
        msg = (
            f"{table.source}: `radius` must be left out where the table has {_DONE} and lacks a "
            f"motion parameter ({', '.join(MOTION_COLUMNS)}). Got {radius} mm."
        )
        raise ParameterError(msg, parameter="radius", value=radius)
    found: FloatArray = table.read([_DONE])[:, 0]
    bad = np.flatnonzero(~np.isfinite(found[1:])) + 1
    if bad.size:
        msg = (
            f"{table.source}: {_DONE} must be finite after the first volume. Got {found[bad[0]]} "
            f"for volume {bad[0]}."
        )
        raise ParameterError(msg, parameter="motion")
    return found


def _displacement(parameters: FloatArray, radius: float) -> FloatArray:
    """Return the framewise displacement of parameters as `read_motion` gives them."""
    given: object = radius
    is_number = isinstance(given, int | float | np.number) and not isinstance(given, bool)
    if not is_number or not 0 < radius < np.inf:
        msg = f"`radius` must be a length above 0, in mm. Got {radius!r}."
        raise ParameterError(msg, value=radius)
    change = np.abs(np.diff(parameters, axis=0))
    change[:, 3:] *= radius
    return np.concatenate([[np.nan], change.sum(axis=1)])


def read_motion(motion: PathLike | Any, motion_format: str | None = None) -> FloatArray:
    """Return three translations in mm and three rotations in radians of every volume.

    Parameters
    ----------
    motion, motion_format
        As of `framewise_displacement`.

    Returns
    -------
    ndarray of shape (n_volumes, 6), float64
        All finite.

    Raises
    ------
    ParameterError
        If the format is not known, or the table does not fit it.
    """
    check_choice(motion_format, "motion_format", (*_FORMATS, None))
    is_path = isinstance(motion, str | bytes | os.PathLike)
    if is_path or is_frame(motion):
        source, values, chosen = _from_table(motion, motion_format)
    else:
        source, chosen = "`motion`", motion_format
        try:
            values = np.array(motion, np.float64, ndmin=2)
        except (TypeError, ValueError) as error:
            msg = f"`motion` must be a table of numbers. Got {type(motion).__name__}."
            raise ParameterTypeError(msg) from error
    if chosen is None:
        msg = (
            f"{source}: the format of motion parameters must be known by the names of the columns "
            f"({', '.join(MOTION_COLUMNS)}), or by that of the file (.par of FSL, .1D of AFNI, rp_*.txt of "
            f"SPM). It is not: pass `motion_format`, one of {', '.join(_FORMATS)}."
        )
        raise ParameterError(msg, parameter="motion_format")
    return _in_mm_and_radians(values, source, _FORMATS[chosen])


def has_motion(table: PathLike | Any) -> bool:
    """Return whether a table has fMRIPrep's motion parameters, or its displacements.

    Parameters
    ----------
    table : path-like, DataFrame or anything else
        A table of confounds; of a file, the first lines are read.

    Returns
    -------
    bool
        False for what has no names of columns.
    """
    names = _titles(table)
    return _DONE in names or set(MOTION_COLUMNS) <= names


def _titles(table: PathLike | Any) -> set[str]:
    """Return the names of the columns of a table, none of what has no names."""
    is_path = isinstance(table, str | bytes | os.PathLike) and not _is_array_file(table)
    return set(_opened(table).names) if is_path or is_frame(table) else set()


def _opened(table: PathLike | Any) -> Table:
    if is_frame(table):
        return open_table(table)
    return open_text(table, "a motion table", has_comments=True)


def _is_array_file(path: PathLike) -> bool:
    return os.fsdecode(path).lower().endswith(".npy")


def _from_table(motion: Any, asked: str | None) -> tuple[str, FloatArray, str | None]:
    """Return name, six columns and format of a table."""
    if is_frame(motion):
        table = open_table(motion)
        is_named = True
    else:
        table = open_text(motion, "a motion table", has_comments=True)
        is_named = has_titles(table.text.titles)
        if not is_named:
            table = TextTable(table.text.without_titles())
    if asked == "fmriprep" or (asked is None and set(MOTION_COLUMNS) <= set(table.names)):
        missing = [name for name in MOTION_COLUMNS if name not in table.names]
        if missing:
            msg = f"{table.source}: the table must have the columns {', '.join(MOTION_COLUMNS)}. It has no {', '.join(missing)}."
            raise ParameterError(msg, parameter="motion")
        return table.source, table.read(MOTION_COLUMNS), "fmriprep"
    found = asked
    if asked is None and not is_named:
        found = _format_of_name(Path(os.fsdecode(motion)).name)
    return table.source, table.read_all(), found


def _format_of_name(name: str) -> str | None:
    lower = name.lower()
    if lower.startswith("rp_"):
        return "spm"
    return next(
        (one for end, one in ((".par", "fsl"), (".1d", "afni")) if lower.endswith(end)), None
    )


def _in_mm_and_radians(values: FloatArray, source: str, of: _Format) -> FloatArray:
    if values.ndim != 2 or values.shape[1] != 6:
        msg = f"{source}: motion parameters must have six columns. Got shape {values.shape}."
        raise ParameterError(msg, parameter="motion")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        msg = f"{source}: motion parameters must be finite. Got {values[row].tolist()} for volume {row}."
        raise ParameterError(msg, parameter="motion")
    rotations, translations = (
        (slice(0, 3), slice(3, 6)) if of.rotations_first else (slice(3, 6), slice(0, 3))
    )
    turned = np.radians(values[:, rotations]) if of.in_degrees else values[:, rotations]
    found: FloatArray = np.concatenate([values[:, translations], turned], axis=1)
    return found
