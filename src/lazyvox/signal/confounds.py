"""`Confounds`: signals to remove, and the volumes to keep."""

import os
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from lazyvox._typing import Array, FloatArray, IntArray, override
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.runtime.logs import log_info
from lazyvox.runtime.optional import require
from lazyvox.signal.confound_files import FMRIPREP_ENDINGS, read_confounds
from lazyvox.store.files.paths import printable
from lazyvox.tables.numeric import FrameTable, is_frame

__all__ = [
    "ConfoundTable",
    "Confounds",
    "JoinedConfounds",
    "join_confounds",
    "stack_confounds",
]

#: A pandas.DataFrame also; pandas need not be installed.
ConfoundTable: TypeAlias = Any

#: Volumes and reasons that `Confounds.summary` lists.
_MOST_LISTED = 12


@dataclass(frozen=True, slots=True, eq=False)
class Confounds:
    """Regressors of one run, and the volumes of it that are kept.

    Every parameter called `confounds` takes one, and keeps its volumes. It unpacks into a
    pandas.DataFrame and the sample mask, as the pair that nilearn returns.

    Attributes
    ----------
    values : ndarray of shape (n_volumes, n_columns), float64
        Regressors, also in the volumes that are censored.
    names : tuple of str
        Their names, ascending.
    sample_mask : ndarray of int, or None
        Numbers of the volumes that are kept, ascending; None where all are.
    source : str
        The table, as messages call it.
    reasons : mapping of str to ndarray of int
        Volumes that are censored, by the reason, such as "non-steady state".

    Examples
    --------
    >>> from lazyvox.signal.confounds import Confounds
    >>> reasons = {"non-steady state": np.array([0])}
    >>> found = Confounds(np.ones((3, 1)), ("csf",), np.array([1, 2]), "c.tsv", reasons)
    >>> found.censored, found.summary
    (array([0]), '1 of 3 volumes censored: 0 (non-steady state)')
    """

    values: FloatArray
    names: tuple[str, ...]
    sample_mask: IntArray | None
    source: str
    reasons: Mapping[str, IntArray] = field(default_factory=dict)
    #: Places of the columns in the tables of several runs, for messages.
    _places: tuple["_RunPlaces", ...] = ()

    @property
    def n_volumes(self) -> int:
        """Number of volumes of the run, censored ones included."""
        return len(self.values)

    @property
    def censored(self) -> IntArray:
        """Numbers of the volumes that are not kept, ascending."""
        every = np.arange(self.n_volumes)
        return every[:0] if self.sample_mask is None else np.setdiff1d(every, self.sample_mask)

    @property
    def summary(self) -> str:
        """Number of the censored volumes, which they are, and the reasons, in one line."""
        if not len(self.censored):
            return f"0 of {self.n_volumes} volumes censored"
        parts = [f"{_listed(volumes)} ({reason})" for reason, volumes in self.reasons.items()]
        shown = ", ".join(parts) or _listed(self.censored)
        return f"{len(self.censored)} of {self.n_volumes} volumes censored: {shown}"

    def __iter__(self) -> Iterator[Any]:
        """Yield the regressors as a pandas.DataFrame, and the sample mask."""
        require("pandas", "table", "Unpacking into a data frame and a sample mask")
        import pandas as pd

        yield pd.DataFrame(self.values, columns=list(self.names))
        yield self.sample_mask

    def check_length(self, n_volumes: int) -> None:
        """Raise an error unless the table has one row for each volume of a run.

        Parameters
        ----------
        n_volumes : int
            Number of volumes of the run.

        Raises
        ------
        ParameterError
            If the table has more or fewer rows.
        """
        if n_volumes != self.n_volumes:
            msg = (
                f"{self.source}: confounds must have one row for each volume. Got "
                f"{self.n_volumes} rows for {n_volumes} volumes. Pass the table of this run, and "
                f"the run without volumes cut off."
            )
            raise ParameterError(msg)

    @override
    def __repr__(self) -> str:
        """Describe the confounds in one line."""
        return (
            f"<Confounds of {self.n_volumes} volumes, {len(self.names)} columns, "
            f"{len(self.censored)} volumes censored>"
        )


@dataclass(frozen=True, slots=True)
class _Origin:
    """The table that a column comes from, for messages.

    Attributes
    ----------
    path : str or None
        Its file.
    first_line : int or None
        Line of its first row, in a text.
    is_chosen : bool
        Whether the columns were chosen from it by `load_confounds`.
    """

    path: str | None = None
    first_line: int | None = None
    is_chosen: bool = False

    def where(self, row: int) -> str:
        """Return the place of a row."""
        if self.path is None:
            return f"row {row} (counted from 0)"
        line = "" if self.first_line is None else f", line {self.first_line + row}"
        return f"row {row} (counted from 0) of {self.path}{line}"

    @property
    def advice(self) -> str:
        """A sentence about tables that hold more than should be removed."""
        if self.path is None or self.is_chosen:
            return ""
        if not self.path.removesuffix(".gz").endswith(FMRIPREP_ENDINGS):
            return ""
        return (
            " fMRIPrep's tables hold more than should be removed: choose by "
            "confounds=lazyvox.load_confounds(path, strategy)."
        )


@dataclass(frozen=True, slots=True)
class _RunPlaces:
    """The tables that a column of several runs comes from, for messages.

    Attributes
    ----------
    starts : tuple of int
        First volume of each run.
    origins : tuple
        Table of each run.
    """

    starts: tuple[int, ...]
    origins: tuple["_Origin | _RunPlaces", ...]

    def where(self, row: int) -> str:
        """Return the place of a row."""
        run = bisect_right(self.starts, row) - 1
        return f"{self.origins[run].where(row - self.starts[run])} (run {run + 1})"

    @property
    def advice(self) -> str:
        """A sentence about tables that hold more than should be removed."""
        return next((one.advice for one in self.origins if one.advice), "")


@dataclass(frozen=True, slots=True, eq=False)
class JoinedConfounds:
    """Everything that `confounds` holds, side by side.

    Attributes
    ----------
    values : ndarray of shape (n_volumes, n_confounds), float64
        The table; may hold NaN in volumes that are not kept.
    names : tuple of str
        Name of each column, as messages show it.
    origins : tuple
        The table that each column comes from.
    sample_mask : ndarray of int, or None
        The volumes that `Confounds` keep, if there are any that leave out some.
    """

    values: FloatArray
    names: tuple[str, ...]
    origins: tuple[_Origin | _RunPlaces, ...]
    sample_mask: IntArray | None

    def check(self, rows: IntArray, *, n_kept: int) -> None:
        """Refuse missing values in volumes that are used, and more columns than volumes.

        Parameters
        ----------
        rows : ndarray of int
            The volumes that are used.
        n_kept : int
            How many they are.

        Raises
        ------
        ParameterError
            If one of both is found.
        """
        if len(self.names) > n_kept:
            advice = next((one.advice for one in self.origins if one.advice), "")
            msg = (
                f"There must be fewer confounds than volumes. Got {len(self.names)} confounds for "
                f"{n_kept} volumes: every signal would be explained. Choose fewer.{advice}"
            )
            raise ParameterError(msg)
        bad = ~np.isfinite(self.values)[rows]
        if not bad.any():
            return
        column = int(np.argmax(bad.any(axis=0)))
        row = int(rows[np.argmax(bad[:, column])])
        origin = self.origins[column]
        msg = (
            f"confounds must be finite in every volume that is used. Got "
            f"{self.values[row, column]} in column {self.names[column]}, {origin.where(row)}, and "
            f"{int(bad.any(axis=0).sum())} such column(s). Fill the value (0 for the first row of "
            f"a derivative), leave the column out, or drop the volume by `sample_mask`."
            f"{origin.advice}"
        )
        raise ParameterError(msg)


def join_confounds(confounds: ConfoundTable | None, n_volumes: int) -> JoinedConfounds | None:
    """Return confounds as one table.

    Parameters
    ----------
    confounds : Confounds, ndarray, DataFrame, path, or a list or tuple of these, or None
        Confounds.
    n_volumes : int
        Rows that they must have.

    Returns
    -------
    JoinedConfounds or None
        All columns side by side.

    Raises
    ------
    ParameterError
        If shapes do not fit, values are not numbers, or two `Confounds` keep other volumes.
    ParameterTypeError
        If it is none of these things.
    """
    if confounds is None:
        return None
    parts: Sequence[Any] = confounds if isinstance(confounds, list | tuple) else [confounds]
    if not parts:
        return None
    tables: list[FloatArray] = []
    names: list[str] = []
    origins: list[_Origin | _RunPlaces] = []
    mask: IntArray | None = None
    for part in parts:
        values, own, origin = _table(part)
        _check_shape(values, n_volumes, origin)
        table = values[:, np.newaxis] if values.ndim == 1 else values
        columns = own or [str(len(names) + j) for j in range(table.shape[1])]
        tables.append(_as_float(table, columns))
        names += columns
        places = part._places if isinstance(part, Confounds) else ()
        origins += places or [origin] * len(columns)
        if isinstance(part, Confounds):
            mask = part.sample_mask if mask is None else _same_mask(mask, part.sample_mask)
    joined = tables[0] if len(tables) == 1 else np.hstack(tables)
    return JoinedConfounds(joined, tuple(names), tuple(origins), mask)


def stack_confounds(tables: Sequence[ConfoundTable], lengths: Sequence[int]) -> Confounds:
    """Return the confounds of runs as those of one series.

    Parameters
    ----------
    tables : sequence of Confounds, ndarray, DataFrame, path, or lists of these
        Confounds of each run.
    lengths : sequence of int
        Volumes of each run.

    Returns
    -------
    Confounds
        A column that a run has not is zero in it. Volumes that one of them censors are censored.

    Raises
    ------
    ParameterError
        If a table has not one row for each volume of its run, or does not hold numbers.
    """
    joined = [join_confounds(table, n) for table, n in zip(tables, lengths, strict=True)]
    own = [() if one is None else _numbered(one.names) for one in joined]
    columns = list(dict.fromkeys(column for some in own for column in some))
    values = np.zeros((sum(lengths), len(columns)))
    kept = np.ones(sum(lengths), bool)
    starts = tuple(sum(lengths[:run]) for run in range(len(lengths)))
    places = tuple(
        _RunPlaces(starts, tuple(_origin_of(name, one) for one in joined)) for name, _ in columns
    )
    start = 0
    for one, some, length in zip(joined, own, lengths, strict=True):
        if one is not None:
            values[start : start + length, [columns.index(column) for column in some]] = one.values
            if one.sample_mask is not None:
                kept[start : start + length] = np.isin(np.arange(length), one.sample_mask)
        start += length
    for run, some in enumerate(own):
        missing = [column[0] for column in columns if column not in some]
        if missing:
            log_info("run %s has no confound %s; zero there", run, ", ".join(missing))
    mask = None if kept.all() else np.flatnonzero(kept)
    names = tuple(name for name, _ in columns)
    return Confounds(values, names, mask, "confounds", _places=places)


def _numbered(names: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Return names with how many columns before have the same one: two of a name are two."""
    return tuple((name, names[:place].count(name)) for place, name in enumerate(names))


def _origin_of(name: str, table: JoinedConfounds | None) -> _Origin | _RunPlaces:
    """Return the table that a column of a run comes from."""
    if table is None or name not in table.names:
        return _Origin()
    return table.origins[table.names.index(name)]


def _same_mask(first: IntArray, other: IntArray | None) -> IntArray:
    """Return the mask that two `Confounds` have in common."""
    if other is not None and not np.array_equal(first, other):
        msg = (
            f"confounds must keep the same volumes. Got {len(first)} and {len(other)} volumes in "
            f"two tables. Load both columns with one strategy, or pass their `values` and one "
            f"sample_mask."
        )
        raise ParameterError(msg)
    return first


def _table(part: Any) -> tuple[Array, Sequence[str] | None, _Origin]:
    """Return values, names of columns, and the table that they come from."""
    if isinstance(part, Confounds):
        # A copy: what is cleaned later must not follow edits of the caller's array.
        return part.values.copy(), part.names, _Origin(part.source, is_chosen=True)
    if isinstance(part, str | bytes | os.PathLike):
        values, names, first_line = read_confounds(part)
        return values, names, _Origin(printable(os.fsdecode(part)), first_line)
    if is_frame(part):
        return FrameTable(part).read_all(), FrameTable(part).names, _Origin()
    if isinstance(part, np.ndarray):
        return part.copy(), None, _Origin()
    msg = (
        "confounds must be an array, a DataFrame, a path, what load_confounds returns, or a list "
        f"of these. Got {type(part).__name__}."
    )
    raise ParameterTypeError(msg)


def _listed(volumes: IntArray) -> str:
    more = f" and {len(volumes) - _MOST_LISTED} more" if len(volumes) > _MOST_LISTED else ""
    return ", ".join(map(str, volumes[:_MOST_LISTED])) + more


def _check_shape(values: Array, n_volumes: int, origin: _Origin) -> None:
    where = "" if origin.path is None else f" in {origin.path}"
    if values.ndim not in {1, 2}:
        msg = (
            f"confounds{where} must be of shape (n_volumes,) or (n_volumes, n_confounds). Got "
            f"shape {values.shape}."
        )
        raise ParameterError(msg)
    if len(values) == n_volumes:
        return
    advice = "Confounds and signals must come from the same run."
    if values.ndim == 2 and values.shape[1] == n_volumes:
        advice = "They look transposed: pass confounds.T."
    msg = (
        f"confounds{where} must have one row for each of the {n_volumes} volumes. Got "
        f"{len(values)} rows, shape {values.shape}. {advice}"
    )
    raise ParameterError(msg)


def _as_float(columns: Array, names: Sequence[str]) -> FloatArray:
    if columns.dtype.kind in "fiub":
        return columns.astype(np.float64, copy=False)
    if columns.dtype.kind == "c":
        msg = f"confounds must be real numbers. Got {columns.dtype}."
        raise ParameterTypeError(msg)
    result = np.empty(columns.shape)
    for (i, j), cell in np.ndenumerate(columns):
        try:
            result[i, j] = np.nan if cell is None else float(cell)
        except (TypeError, ValueError) as error:
            msg = (
                f"confounds must be numbers. Got {cell!r} in column {names[j]}, row {i} (counted "
                "from 0). Replace it, or leave the column out."
            )
            raise ParameterError(msg) from error
    return result
