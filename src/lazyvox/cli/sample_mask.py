"""`--sample-mask`: the volumes to keep, from a file."""

import zipfile

import numpy as np

from lazyvox._typing import Array
from lazyvox.errors import ParameterError
from lazyvox.store.files.paths import absolute_path, printable
from lazyvox.store.opening import open_binary
from lazyvox.tables.delimited import open_delimited, to_number

__all__ = ["read_sample_mask"]

_FORMS = "numbers of volumes, counted from 0, one on each line, or a .npy array of them"


def read_sample_mask(path: str) -> Array:
    """Return the volumes to keep that a file lists, not yet checked against a run.

    Parameters
    ----------
    path : str
        A text with one number on each line, after at most one heading, which is a word; or a .npy
        array of integers, or of one boolean for each volume.

    Returns
    -------
    ndarray
        The numbers or booleans.

    Raises
    ------
    ParameterError
        If the file holds anything else.
    ImageFileError
        If it cannot be read.
    """
    full = absolute_path(path)
    if full.lower().endswith(".npy"):
        return _read_array(full)
    table = open_delimited(full, "a list of volumes")
    if not _is_heading(table.titles):
        table = table.without_titles()
    numbers: list[int] = []
    for line, cells in table.rows():
        filled = [cell for cell in cells[table.n_in_front :] if cell]
        number = to_number(filled[0]) if len(filled) == 1 else None
        if number is None or not number.is_integer():
            raise _wrong(full, f"{table.separator.join(filled)[:40]!r} on line {line}")
        numbers.append(int(number))
    return np.array(numbers, dtype=np.int64)


def _is_heading(cells: tuple[str, ...]) -> bool:
    """Return whether a first line is a word, or a word beside the column of row numbers.

    A single letter, or a digit in it, is more likely a number with a slip of the finger.
    """
    words = [cell for cell in cells if cell]
    return len(words) == 1 and len(words[0]) > 1 and not any(map(str.isdigit, words[0]))


def _read_array(path: str) -> Array:
    with open_binary(path) as file:
        try:
            loaded: object = np.load(file, allow_pickle=False)
        except (ValueError, zipfile.BadZipFile, EOFError) as error:
            raise _wrong(path, str(error)) from error
    if not isinstance(loaded, np.ndarray):
        raise _wrong(path, "an archive of arrays")
    return loaded


def _wrong(path: str, got: str) -> ParameterError:
    msg = f"{printable(path)}: --sample-mask must hold {_FORMS}. Got {got}."
    return ParameterError(msg)
