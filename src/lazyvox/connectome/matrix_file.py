"""Square matrices with names, as text with the names on two sides, or as .npy."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lazyvox._typing import Array, FloatArray
from lazyvox.errors import ParameterError
from lazyvox.extraction.table_writers import TEXT_FORMS, TextForm, harmless_name, text_line
from lazyvox.extraction.tables import TableSpec, save_table, write_lines
from lazyvox.tables.delimited import open_delimited, to_number

__all__ = ["MATRIX_ENDINGS", "read_matrix", "write_matrix"]

MATRIX_ENDINGS = (".tsv", ".csv", ".npy")
_CORNER = "region"


def write_matrix(path: str, matrix: Array, names: Sequence[str], *, overwrite: bool) -> None:
    """Write a matrix, complete or not at all.

    Parameters
    ----------
    path : str
        Ends in one of `MATRIX_ENDINGS`.
    matrix : ndarray of shape (n, n)
        The values, written so that they read back as the very same numbers.
    names : sequence of str
        Heading, and first column, of a text.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    ending = Path(path).suffix.lower()
    if ending == ".npy":
        spec = TableSpec((len(names), len(names)), matrix.dtype, lambda: names)
        save_table(path, matrix, spec, overwrite=overwrite)
    else:
        write_lines(path, _lines(matrix, names, TEXT_FORMS[ending]), overwrite=overwrite)


def read_matrix(path: str) -> tuple[FloatArray, tuple[str, ...]]:
    """Return a matrix in a text, as `write_matrix` writes it, and the names of its columns.

    Parameters
    ----------
    path : str
        A .tsv or .csv with names on two sides.

    Returns
    -------
    matrix : ndarray of shape (n, n), float64
        The values; NaN for n/a.
    names : tuple of str
        Names of its columns.

    Raises
    ------
    ParameterError
        If it is no square matrix.
    ImageFileError
        If it cannot be read.
    """
    text = open_delimited(path, "a matrix of regions")
    names = tuple(text.titles[1 - text.n_in_front :])
    values, n_rows = np.empty((len(names), len(names))), 0
    for _, cells in text.rows():
        numbers = [to_number(cell) for cell in cells[1:]]
        if None in numbers:
            msg = f"{text.source}: a matrix of regions must hold numbers. It holds other text."
            raise ParameterError(msg)
        if n_rows < len(values):
            values[n_rows] = numbers
        n_rows += 1
    if n_rows != len(names):
        msg = (
            f"{text.source}: a matrix of regions must have as many rows as columns. Got {n_rows} "
            f"and {len(names)}."
        )
        raise ParameterError(msg)
    return values, names


def _lines(matrix: Array, names: Sequence[str], form: TextForm) -> Iterator[str]:
    shown = [harmless_name(name) for name in names]
    yield text_line([_CORNER, *shown], form.delimiter)
    for name, row in zip(shown, matrix, strict=True):
        # Numbers need no quotes: without csv this takes half the time.
        yield text_line([name, ""], form.delimiter)[:-1] + form.line(row)
