"""The table of confounds beside an image, by the names that BIDS gives both."""

import os
from pathlib import Path
from typing import Any

from lazyvox._typing import PathLike
from lazyvox.errors import ImageNotFoundError, ParameterError
from lazyvox.store.files.paths import absolute_path, printable

__all__ = ["find_table"]

_ENDINGS_OF_IMAGES = (".nii", ".nii.gz", ".nii.zst", ".nii.bz2", ".gii", ".img", ".mgh", ".mgz")
_ENDINGS_OF_TABLES = tuple(
    f"_desc-confounds_{suffix}.tsv{packed}"
    for suffix in ("timeseries", "regressors")
    for packed in ("", ".gz")
)


def find_table(path_or_table: PathLike | Any) -> PathLike | Any:
    """Return the table that belongs to an image; an argument that is no image is returned as is.

    Parameters
    ----------
    path_or_table : path-like, image, or table
        An image of fMRIPrep's, its path, or a table.

    Returns
    -------
    path-like, or table
        In the folder of the image, the table whose entities (``sub-01``, ``task-rest`` ...) are all
        among those of the image; of several, the one with most.

    Raises
    ------
    ImageNotFoundError
        If there is none.
    ParameterError
        If there are two.
    """
    given = path_or_table
    if hasattr(given, "get_filename") and hasattr(given, "affine"):
        given = given.get_filename()
    if not isinstance(given, str | bytes | os.PathLike):
        return path_or_table
    image = Path(absolute_path(given))
    if not image.name.lower().endswith(_ENDINGS_OF_IMAGES):
        return path_or_table
    entities = _entities(image.name)
    found = {
        table: _entities(table.name)
        for table in sorted(image.parent.glob("*_desc-confounds_*"))
        if table.name.endswith(_ENDINGS_OF_TABLES)
    }
    fitting = [table for table, own in found.items() if own and own <= entities]
    most = max((len(found[table]) for table in fitting), default=0)
    best = [table for table in fitting if len(found[table]) == most]
    shown = printable(str(image))
    if not best:
        msg = (
            f"{shown}: the table of confounds must lie beside the image, under fMRIPrep's name for "
            f"it, such as {'_'.join(sorted(entities)) or 'sub-01'}{_ENDINGS_OF_TABLES[0]}. There "
            f"is none."
        )
        raise ImageNotFoundError(msg, hint="Pass the path of the table.")
    if len(best) > 1:
        names = ", ".join(printable(table.name) for table in best)
        msg = f"{shown}: one table of confounds must belong to the image. Got {names}."
        raise ParameterError(msg, hint="Pass the path of the right one.")
    return str(best[0])


def _entities(name: str) -> set[str]:
    """Return the entities in a name that say which run it is of."""
    parts = name.split("_")[:-1]
    return {part for part in parts if "-" in part and not part.startswith("desc-")}
