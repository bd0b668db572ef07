"""The table of confounds beside an image, by the names that fMRIPrep and XCP-D give both."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lazyvox._typing import PathLike
from lazyvox.errors import ImageNotFoundError, ParameterError
from lazyvox.store.files.paths import absolute_path, printable

__all__ = ["find_table", "is_xcp_d", "table_among"]

_ENDINGS_OF_IMAGES = (".nii", ".nii.gz", ".nii.zst", ".nii.bz2", ".gii", ".img", ".mgh", ".mgz")
_ENDINGS_OF_TABLES = tuple(
    f"_desc-confounds_{suffix}.tsv{packed}"
    for suffix in ("timeseries", "regressors")
    for packed in ("", ".gz")
)

#: XCP-D's table of motion parameters and framewise displacement.
_XCP_D = "_motion.tsv"


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
        among those of the image; of several, the one with most. Beside images of XCP-D, its table
        of motion.

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
    best = table_among(image.name, sorted(one.name for one in image.parent.glob("*.tsv*")))
    shown = printable(str(image))
    if not best:
        msg = (
            f"{shown}: the table of confounds must lie beside the image, under fMRIPrep's name for "
            f"it, such as {_usual_name(image.name)}. There "
            f"is none."
        )
        raise ImageNotFoundError(msg, hint="Pass the path of the table.")
    if len(best) > 1:
        names = ", ".join(map(printable, best))
        msg = f"{shown}: one table of confounds must belong to the image. Got {names}."
        raise ParameterError(msg, hint="Pass the path of the right one.")
    return str(image.parent / best[0])


def table_among(image: str, files: Sequence[str]) -> list[str]:
    """Return the table of confounds of an image; several if they fit equally well.

    Parameters
    ----------
    image : str
        Name of the image.
    files : sequence of str
        Names of the files beside it.

    Returns
    -------
    list of str
        fMRIPrep's tables, or where there is none XCP-D's table of motion, with most entities of
        those whose entities are all among those of the image.
    """
    own = set(_entities(image))
    for endings in (_ENDINGS_OF_TABLES, (_XCP_D,)):
        found = {one: _entities(one) for one in files if one.endswith(endings)}
        fitting = [one for one, entities in found.items() if entities and own.issuperset(entities)]
        most = max((len(found[one]) for one in fitting), default=0)
        if fitting:
            return [one for one in fitting if len(found[one]) == most]
    return []


def is_xcp_d(table: PathLike) -> bool:
    """Return whether a table is XCP-D's table of motion, by its name."""
    return os.fsdecode(table).endswith(_XCP_D)


def _usual_name(image: str) -> str:
    """Return the name of the table that fMRIPrep would write for an image."""
    left_out = ("desc-", "space-", "res-")
    parts = [one for one in image.split("_")[:-1] if "-" in one and not one.startswith(left_out)]
    return f"{'_'.join(parts) or 'sub-01'}{_ENDINGS_OF_TABLES[0]}"


def _entities(name: str) -> tuple[str, ...]:
    """Return the entities in a name that say which run it is of, sorted."""
    parts = name.split("_")[:-1]
    return tuple(sorted(part for part in parts if "-" in part and not part.startswith("desc-")))
