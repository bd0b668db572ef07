"""Square matrices with names, as text with the names on two sides, or as .npy."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from lazyvox._typing import Array
from lazyvox.extraction.table_writers import TEXT_FORMS, TextForm, harmless_name, text_line
from lazyvox.extraction.tables import TableSpec, save_table, write_lines

__all__ = ["MATRIX_ENDINGS", "write_matrix"]

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


def _lines(matrix: Array, names: Sequence[str], form: TextForm) -> Iterator[str]:
    shown = [harmless_name(name) for name in names]
    yield text_line([_CORNER, *shown], form.delimiter)
    for name, row in zip(shown, matrix, strict=True):
        # Numbers need no quotes: without csv this takes half the time.
        yield text_line([name, ""], form.delimiter)[:-1] + form.line(row)
