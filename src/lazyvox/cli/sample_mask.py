"""`--sample-mask`: the volumes to keep, from a file."""

import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np

from lazyvox._typing import Array
from lazyvox.errors import ParameterError
from lazyvox.store.identity import printable, raise_read_error

__all__ = ["read_sample_mask"]

_FORMS = "numbers of volumes, counted from 0, one on each line, or a .npy array of them"


def read_sample_mask(path: str) -> list[int]:
    """Return the numbers of the volumes that a file names.

    Parameters
    ----------
    path : str
        A text with one number on each line, after at most one line of heading, or a .npy array
        of integers, or of one boolean for each volume.

    Returns
    -------
    list of int
        The numbers, ascending.

    Raises
    ------
    ParameterError
        If the file holds anything else.
    ImageFileError
        If it cannot be read.
    """
    try:
        values = _read(path)
    except OSError as error:
        raise_read_error(error, path)
    except (ValueError, zipfile.BadZipFile) as error:
        msg = f"{printable(path)}: --sample-mask must hold {_FORMS}. Got: {error}"
        raise ParameterError(msg) from error
    if values.dtype.kind == "b" and values.ndim == 1:
        return [int(number) for number in np.flatnonzero(values)]
    numbers = [int(number) for number in np.ravel(values)]
    is_ascending = all(low < high for low, high in pairwise(numbers))
    if not numbers or values.dtype.kind not in "iu" or numbers[0] < 0 or not is_ascending:
        msg = (
            f"{printable(path)}: --sample-mask must hold {_FORMS}, ascending. Got {values.dtype} "
            f"values of shape {values.shape}."
        )
        raise ParameterError(msg)
    return numbers


def _read(path: str) -> Array:
    if path.lower().endswith(".npy"):
        loaded: Array = np.load(path, allow_pickle=False)
        return loaded
    with Path(path).open(encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    lines = [line for line in lines if line]
    if lines and not lines[0].lstrip("+").isdigit():
        del lines[0]
    return np.array([int(line) for line in lines], dtype=np.int64)
