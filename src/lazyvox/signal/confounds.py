"""Confounds: what is given for them, as one table of numbers, and the space that they span."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from lazyvox._typing import Array, FloatArray, IntArray
from lazyvox.errors import LazyvoxWarning, ParameterError, ParameterTypeError
from lazyvox.signal.confound_files import read_confounds
from lazyvox.signal.standardize import ROUNDING

__all__ = ["ConfoundTable", "Confounds", "as_confounds", "confound_basis"]

#: A pandas.DataFrame also; pandas need not be installed.
ConfoundTable: TypeAlias = Any


@dataclass(frozen=True, slots=True, eq=False)
class Confounds:
    """Confounds as one table.

    Attributes
    ----------
    values : ndarray of shape (n_volumes, n_confounds), float64
        The table; may hold NaN in volumes that are not kept.
    names : tuple of str
        Name of each column, as messages show it.
    """

    values: FloatArray
    names: tuple[str, ...]

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
            msg = (
                f"There must be fewer confounds than volumes. Got {len(self.names)} confounds for "
                f"{n_kept} volumes: every signal would be explained. Choose fewer."
            )
            raise ParameterError(msg)
        bad = ~np.isfinite(self.values[rows])
        if not bad.any():
            return
        column = int(np.argmax(bad.any(axis=0)))
        row = int(rows[np.argmax(bad[:, column])])
        msg = (
            f"confounds must be finite in every volume that is used. Got "
            f"{self.values[row, column]} in column {self.names[column]}, row {row} (counted from "
            f"0), and {int(bad.any(axis=0).sum())} such column(s). Fill the value (0 for the "
            "first row of a derivative), leave the column out, or drop the volume by sample_mask."
        )
        raise ParameterError(msg)


def as_confounds(confounds: ConfoundTable | None, n_volumes: int) -> Confounds | None:
    """Return confounds as one table.

    Parameters
    ----------
    confounds : ndarray, DataFrame, path, or a list or tuple of these, or None
        Confounds.
    n_volumes : int
        Rows that they must have.

    Returns
    -------
    Confounds or None
        All columns side by side.

    Raises
    ------
    ParameterError
        If shapes do not fit or values are not numbers.
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
    for part in parts:
        values, own, where = _table(part)
        _check_shape(values, n_volumes, where)
        table = values[:, np.newaxis] if values.ndim == 1 else values
        columns = own or [str(len(names) + j) for j in range(table.shape[1])]
        tables.append(_as_float(table, columns))
        names += columns
    return Confounds(np.hstack(tables), tuple(names))


def confound_basis(
    confounds: FloatArray, scale: FloatArray, *, standardize: bool, names: Sequence[str]
) -> FloatArray:
    """Return an orthonormal basis of the space that is removed.

    Parameters
    ----------
    confounds : ndarray of shape (n_volumes, n_confounds), float64
        Confounds, filtered as the signals are.
    scale : ndarray of shape (n_confounds,)
        Largest absolute value of each column before.
    standardize : bool
        Whether means are removed first.
    names : sequence of str
        Names of columns, cosines not among them.

    Returns
    -------
    ndarray of shape (n_volumes, rank), float64
        The basis.
    """
    centred = confounds - confounds.mean(axis=0) if standardize else confounds
    size = np.abs(centred).max(axis=0)
    is_empty = size <= ROUNDING * scale
    centred = np.where(is_empty, 0, centred) / np.where(is_empty, 1, size)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    least = singular.max(initial=0) * max(centred.shape) * np.finfo(np.float64).eps
    rank = int((singular > least).sum())
    if rank < centred.shape[1]:
        _warn_of_rank(rank, is_empty, centred.shape, names)
    return np.ascontiguousarray(left[:, :rank])


def _warn_of_rank(
    rank: int, is_empty: Array, shape: tuple[int, ...], names: Sequence[str]
) -> None:
    constant = [name for name, empty in zip(names, is_empty, strict=False) if empty]
    also = f" Without variation: {', '.join(constant[:5])}." if constant else ""
    msg = (
        f"The {shape[1]} confounds are not independent: as used, over {shape[0]} volumes, their "
        f"rank is {rank}.{also} The space that they span is removed once; check that no column is "
        "constant or given twice."
    )
    warnings.warn(msg, LazyvoxWarning, stacklevel=5)


def _table(part: Any) -> tuple[Array, list[str] | None, str]:
    """Return values, names of columns, and a name for messages."""
    if isinstance(part, str | os.PathLike):
        values, names = read_confounds(part)
        return values, names, f" in {os.fspath(part)}"
    if hasattr(part, "to_numpy") and hasattr(part, "columns"):
        return np.asarray(part.to_numpy()), [str(name) for name in part.columns], ""
    if isinstance(part, np.ndarray):
        return part, None, ""
    msg = (
        "confounds must be an array, a DataFrame, a path, or a list of these. Got "
        f"{type(part).__name__}."
    )
    raise ParameterTypeError(msg)


def _check_shape(values: Array, n_volumes: int, where: str) -> None:
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
        return columns.astype(np.float64)
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
