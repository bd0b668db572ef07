"""XCP-D's tables beside a run: motion, design and outliers, as one table of confounds."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lazyvox._typing import BoolArray, FloatArray, PathLike
from lazyvox.confounds.beside import is_xcp_d
from lazyvox.store.files.paths import absolute_path
from lazyvox.tables.numeric import Table, TextTable, open_table, open_text

__all__ = ["open_confound_table"]

_MOTION, _OUTLIERS = "_motion.tsv", "_outliers.tsv"
#: Names of the design, now and in version 0.6.
_DESIGNS = ("_desc-preproc_design.tsv", "_design.tsv")
#: Column of flags of the volumes that XCP-D censors, named as fMRIPrep's are.
_FLAG = "motion_outlier_xcpd"


@dataclass(frozen=True, slots=True, eq=False)
class _Joined:
    """Columns of several tables side by side, of which some rows are taken.

    Attributes
    ----------
    parts : tuple of TextTable
        The tables; of columns with one name the first is taken.
    flags : ndarray of bool, or None
        Whether XCP-D censors each volume.
    rows : ndarray of bool, or None
        Which rows are taken.
    """

    parts: tuple[TextTable, ...]
    flags: BoolArray | None
    rows: BoolArray | None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        every = [name for part in self.parts for name in part.names]
        return tuple(dict.fromkeys([*every, *([] if self.flags is None else [_FLAG])]))

    @property
    def source(self) -> str:
        """The first of the tables."""
        return self.parts[0].source

    def read(self, names: Sequence[str]) -> FloatArray:
        """Return columns, of shape (rows, len(names)), with NaN where there is no value."""
        left = list(dict.fromkeys(names))
        columns: dict[str, Any] = {}
        if self.flags is not None and _FLAG in left:
            columns[_FLAG] = self.flags
        for part in self.parts:
            own = [name for name in left if name in part.names and name not in columns]
            # A table of which nothing is asked still says how many rows there are.
            values = part.read(own or part.names[:1])
            columns |= dict(zip(own, values.T, strict=False))
        n_rows = len(values)
        found = np.empty((n_rows, len(names)))
        for number, name in enumerate(names):
            found[:, number] = columns[name]
        return found if self.rows is None else found[self.rows]

    def read_all(self) -> FloatArray:
        """Return the columns of all `names`."""
        return self.read(self.names)


def open_confound_table(path_or_table: PathLike | Any, n_volumes: int | None = None) -> Table:
    """Return a table of confounds; XCP-D's table of motion with what lies beside it.

    Parameters
    ----------
    path_or_table : path-like or DataFrame
        A table; one called ``*_motion.tsv`` is XCP-D's.
    n_volumes : int, optional
        Volumes of the run. XCP-D's denoised runs may lack the volumes that it censors, which its
        tables have: then rows of these are left out.

    Returns
    -------
    Table
        Of XCP-D the columns of ``*_motion.tsv``, of ``*_design.tsv``, and
        "motion_outlier_xcpd", which is 1 for the volumes that ``*_outliers.tsv`` flags.

    Raises
    ------
    ParameterError
        If a file is no table.
    ImageFileError
        If it cannot be read.
    """
    if not isinstance(path_or_table, str | bytes | os.PathLike) or not is_xcp_d(path_or_table):
        return open_table(path_or_table)
    motion = Path(absolute_path(path_or_table))
    stem = motion.name.removesuffix(_MOTION)
    designs = [motion.parent / f"{stem}{ending}" for ending in _DESIGNS]
    parts = [open_text(motion), *(open_text(one) for one in designs if one.is_file())][:2]
    flags = rows = None
    outliers = motion.parent / f"{stem}{_OUTLIERS}"
    if outliers.is_file():
        flags = open_text(outliers).read_all()[:, 0] != 0
        if n_volumes is not None and n_volumes != len(flags) and n_volumes == (~flags).sum():
            rows = ~flags
    return _Joined(tuple(parts), flags, rows)
