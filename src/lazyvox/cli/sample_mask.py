"""`--sample-mask`: the volumes to keep, from a file."""

import zipfile
from pathlib import Path

import numpy as np

from lazyvox._typing import Array
from lazyvox.errors import ParameterError
from lazyvox.store.files.identity import printable, raise_read_error

__all__ = ["read_sample_mask"]

_FORMS = "numbers of volumes, counted from 0, one on each line, or a .npy array of them"


def read_sample_mask(path: str) -> Array:
    """Return what a file says about the volumes to keep, not yet checked against a run.

    Parameters
    ----------
    path : str
        A text with one number on each line, after at most one line of heading, or a .npy array
        of integers, or of one boolean for each volume.

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
    try:
        values = _read(path)
    except OSError as error:
        raise_read_error(error, path)
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        msg = f"{printable(path)}: --sample-mask must hold {_FORMS}. Got {error}."
        raise ParameterError(msg) from error
    return values


def _read(path: str) -> Array:
    if path.lower().endswith(".npy"):
        loaded: object = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        msg = "an archive of arrays"
        raise ValueError(msg)
    numbers: list[int] = []
    with Path(path).open(encoding="utf-8") as file:
        for place, line in enumerate(file, 1):
            text = line.strip()
            if text.lstrip("+-").isdecimal():
                numbers.append(int(text))
            elif text and place > 1:
                msg = f"{text[:40]!r} on line {place}"
                raise ValueError(msg)
    return np.array(numbers, dtype=np.int64)
