"""Design matrices in files: tables, AFNI's .xmat.1D, FSL's design.mat."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lazyvox._typing import FloatArray, IntArray
from lazyvox.errors import ParameterError
from lazyvox.signal.confound_files import read_confounds
from lazyvox.store.files.paths import printable
from lazyvox.store.opening import open_binary
from lazyvox.tables.numeric import check_distinct

__all__ = ["DesignFile", "read_design"]

#: AFNI's name of a list of volumes: "0..23,25..119".
_VOLUMES = re.compile(r"(\d+)(?:\.\.(\d+))?(?:\((\d+)\))?")


@dataclass(frozen=True, slots=True, eq=False)
class DesignFile:
    """Design matrix of one run, as a file has it.

    Attributes
    ----------
    values : ndarray of shape (n_rows, n_columns), float64
        The numbers.
    names : tuple of str
        The columns.
    volumes : ndarray of int, or None
        Number of the volume of each row, where the file says that others are left out.
    """

    values: FloatArray
    names: tuple[str, ...]
    volumes: IntArray | None = field(default=None)


def read_design(path: str) -> DesignFile:
    """Return the design matrix in a file.

    Parameters
    ----------
    path : str
        A .tsv or .csv with names in the first line, AFNI's ``.xmat.1D``, or FSL's ``design.mat``.

    Returns
    -------
    DesignFile
        Numbers and names. Columns of ``.xmat.1D`` have their ColumnLabels, those of ``.mat`` are
        ``ev1``, ``ev2``, ..., and those of a table without names ``x0``, ``x1``, ...

    Raises
    ------
    ParameterError
        If the file is no such table.
    ImageFileError
        If it cannot be read.
    """
    name = Path(path).name.lower()
    if name.endswith(".1d"):
        return _read_xmat(path)
    if name.endswith(".mat"):
        return _read_mat(path)
    values, names, _ = read_confounds(path)
    if names is None:
        names = tuple(f"x{number}" for number in range(values.shape[1]))
    check_distinct(names, names, printable(path))
    return DesignFile(np.asarray(values, np.float64), tuple(names))


def _lines(path: str) -> list[str]:
    with open_binary(path) as file:
        return file.read().decode("utf-8", "replace").splitlines()


def _numbers(path: str, lines: list[str]) -> FloatArray:
    rows = [line.split() for line in lines if line.strip()]
    lengths = {len(row) for row in rows}
    try:
        values = np.array(rows, dtype=np.float64) if len(lengths) == 1 else np.empty((0, 0))
    except ValueError:
        values = np.empty((0, 0))
    if not values.size:
        msg = (
            f"`design`: {printable(path)} must hold rows of as many numbers each. Got "
            f"{len(rows)} rows of {sorted(lengths)} entries."
        )
        raise ParameterError(msg)
    return values


def _read_xmat(path: str) -> DesignFile:
    lines = _lines(path)
    head = {
        match[1]: match[2]
        for line in lines
        if (match := re.match(r'\s*#\s*(\w+)\s*=\s*"([^"]*)"', line))
    }
    values = _numbers(path, [line for line in lines if not line.lstrip().startswith("#")])
    if "ColumnLabels" in head:
        names = tuple(name.strip() for name in head["ColumnLabels"].split(";"))
    else:
        names = tuple(f"x{number}" for number in range(values.shape[1]))
    if len(names) != values.shape[1]:
        msg = (
            f"`design`: {printable(path)} must have one of its ColumnLabels per column. Got "
            f"{len(names)} for {values.shape[1]} columns."
        )
        raise ParameterError(msg)
    volumes = _volumes(head.get("GoodList", ""))
    is_whole = not len(volumes) or np.array_equal(volumes, np.arange(len(volumes)))
    if is_whole and int(head.get("NRowFull", len(values))) == len(values):
        return DesignFile(values, names)
    if len(volumes) != len(values):
        msg = (
            f"`design`: {printable(path)} must have a row for each volume of its GoodList. Got "
            f"{len(values)} rows for {len(volumes)} volumes."
        )
        raise ParameterError(msg)
    return DesignFile(values, names, volumes)


def _volumes(text: str) -> IntArray:
    """Return the numbers that AFNI writes as "0..23,25..119"."""
    found: list[int] = []
    for match in _VOLUMES.finditer(text):
        first, last = int(match[1]), int(match[2] or match[1])
        found += range(first, last + 1, int(match[3] or 1))
    return np.array(found, dtype=np.intp)


def _read_mat(path: str) -> DesignFile:
    lines = _lines(path)
    starts = [number for number, line in enumerate(lines) if line.strip() == "/Matrix"]
    if not starts:
        msg = (
            f"`design`: {printable(path)} must be FSL's design matrix. Got no line /Matrix. A table "
            f"with names in its first line must end in .tsv or .csv."
        )
        raise ParameterError(msg)
    values = _numbers(path, lines[starts[0] + 1 :])
    return DesignFile(values, tuple(f"ev{number + 1}" for number in range(values.shape[1])))
