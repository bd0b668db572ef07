"""Tables of confounds in files: `.csv`, `.tsv`, `.txt` and `.npy`."""

import gzip
import os
import zipfile
from pathlib import Path

import numpy as np

from lazyvox._typing import Array
from lazyvox.errors import ParameterError
from lazyvox.store.files.identity import printable, raise_read_error

__all__ = ["read_confounds"]

#: What tables write where there is no value.
_MISSING = frozenset({"", "n/a", "na", "nan", "null", "none"})


def read_confounds(path: str | os.PathLike[str]) -> tuple[Array, list[str] | None]:
    """Return the table in a file.

    Parameters
    ----------
    path : path-like
        A text with values separated by tabs, commas, semicolons or blanks, after at most one line
        of names, also gzipped; or a .npy array.

    Returns
    -------
    values : ndarray
        The table; missing values are NaN.
    names : list of str or None
        Names of the columns, where the file has them.

    Raises
    ------
    ParameterError
        If the file holds anything but numbers.
    ImageFileError
        If it cannot be read.
    """
    name = os.fspath(path)
    try:
        if name.lower().endswith(".npy"):
            return _read_array(name), None
        return _parse(_read_lines(name), name)
    except OSError as error:
        raise_read_error(error, name)


def _read_array(path: str) -> Array:
    try:
        loaded: object = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        msg = f"{printable(path)}: confounds must be a .npy array of numbers. Got {error}."
        raise ParameterError(msg) from error
    assert isinstance(loaded, np.ndarray), "bug in lazyvox: .npy holds one array"
    return loaded


def _read_lines(path: str) -> list[str]:
    """Return the lines that hold something."""
    raw = Path(path).read_bytes()
    try:
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    except (UnicodeDecodeError, EOFError) as error:
        msg = f"{printable(path)}: confounds must be a text table. Got {error}."
        raise ParameterError(msg) from error
    lines = [line.rstrip("\r\n") for line in text.splitlines()]
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _parse(lines: list[str], path: str) -> tuple[Array, list[str] | None]:
    if not lines:
        msg = f"{printable(path)}: confounds must be a table. Got an empty file."
        raise ParameterError(msg)
    delimiter = next((mark for mark in "\t,;" if mark in lines[0]), None)
    rows = [[cell.strip().strip("\"'") for cell in line.split(delimiter)] for line in lines]
    # Above the column of row numbers, tables have an empty name; others may be numbers.
    has_names = not rows[0][0] or any(not _is_value(cell) for cell in rows[0])
    names = rows.pop(0) if has_names else None
    n_columns = len(names) if names is not None else len(rows[0])
    values = np.empty((len(rows), n_columns))
    for i, row in enumerate(rows):
        if len(row) != n_columns:
            msg = (
                f"{printable(path)}: every row must have {n_columns} values. Got {len(row)} in "
                f"row {i}, counted from 0 without names."
            )
            raise ParameterError(msg)
        for j, cell in enumerate(row):
            if not _is_value(cell):
                column = repr(names[j]) if names else str(j)
                msg = (
                    f"{printable(path)}: confounds must be numbers. Got {cell[:40]!r} in column "
                    f"{column}, row {i} (counted from 0)."
                )
                raise ParameterError(msg)
            values[i, j] = np.nan if cell.lower() in _MISSING else float(cell)
    return values, names


def _is_value(cell: str) -> bool:
    if cell.lower() in _MISSING:
        return True
    try:
        float(cell)
    except ValueError:
        return False
    return True
