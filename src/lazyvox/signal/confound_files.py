"""Tables of confounds in files: delimited text, and `.npy`."""

import zipfile

import numpy as np

from lazyvox._typing import Array, PathLike
from lazyvox.errors import ParameterError
from lazyvox.store.files.paths import absolute_path, printable
from lazyvox.store.opening import open_binary
from lazyvox.tables.numeric import TextTable, has_titles, open_text

__all__ = ["FMRIPREP_ENDINGS", "read_confounds"]

#: Ends of the names of fMRIPrep's tables, now and formerly.
FMRIPREP_ENDINGS = (
    "desc-confounds_timeseries.tsv",
    "desc-confounds_regressors.tsv",
    "_confounds.tsv",
)


def read_confounds(path: PathLike) -> tuple[Array, tuple[str, ...] | None, int | None]:
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
    names : tuple of str or None
        Names of the columns, where the file has them.
    first_line : int or None
        Number of the line of the first row, in a text.

    Raises
    ------
    ParameterError
        If the file holds anything but numbers.
    ImageFileError
        If it cannot be read.
    """
    full = absolute_path(path)
    if full.lower().endswith(".npy"):
        return _read_array(full), None, None
    table = open_text(full, "a table of confounds", has_comments=True)
    if has_titles(table.text.titles):
        return table.read_all(), table.names, table.text.first_line()
    numbers = TextTable(table.text.without_titles())
    return numbers.read_all(), None, numbers.text.first_line()


def _read_array(path: str) -> Array:
    with open_binary(path) as file:
        try:
            loaded: object = np.load(file, allow_pickle=False)
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            msg = f"{printable(path)}: confounds must be a .npy array of numbers. Got {error}."
            raise ParameterError(msg) from error
    if not isinstance(loaded, np.ndarray):
        msg = f"{printable(path)}: confounds must be one array. Got an archive of arrays."
        raise ParameterError(msg)
    return loaded
