"""Square matrices with names, as text with the names on two sides, or as .npy."""

from collections.abc import Sequence
from pathlib import Path

from lazyvox._typing import Array
from lazyvox.extraction.table_writers import harmless_name, text_line
from lazyvox.extraction.tables import TableSpec, save_table
from lazyvox.store.write.sinks import open_sink

__all__ = ["MATRIX_ENDINGS", "write_matrix"]

_DELIMITERS = {".tsv": "\t", ".csv": ","}
MATRIX_ENDINGS = (*_DELIMITERS, ".npy")
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
    if ending not in _DELIMITERS:
        spec = TableSpec((len(names), len(names)), matrix.dtype, lambda: names)
        save_table(path, matrix, spec, overwrite=overwrite)
        return
    shown = [harmless_name(name) for name in names]
    with open_sink(path, compression="none", overwrite=overwrite) as sink:
        sink.write(_encoded(text_line([_CORNER, *shown], _DELIMITERS[ending])))
        for name, row in zip(shown, matrix, strict=True):
            # Numbers need no quotes: without csv this takes half the time.
            numbers = _DELIMITERS[ending].join(map(repr, row.tolist()))
            line = text_line([name, ""], _DELIMITERS[ending])
            sink.write(_encoded(f"{line[:-1]}{numbers}\n"))
        sink.commit()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
