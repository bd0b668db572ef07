"""Seeds of spheres: coordinates in mm, from arrays, lists and tables."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lazyvox._typing import Array, PathLike
from lazyvox.errors import ParameterError, RegionError
from lazyvox.store.files.paths import absolute_path, printable
from lazyvox.tables.delimited import open_delimited, to_number

__all__ = ["SeedTable", "SeedsLike", "looks_like_seeds", "read_seeds"]

SeedsLike: TypeAlias = npt.ArrayLike | PathLike | Any

_AXES = ("x", "y", "z")
#: Columns that hold names, that which counts first.
_NAMES = ("name", "label", "region")
_ENDINGS = (".tsv", ".csv")


@dataclass(frozen=True, slots=True, eq=False)
class SeedTable:
    """Seeds, as they were given or as a table lists them.

    Attributes
    ----------
    xyz : ndarray of shape (n_seeds, 3), float64
        Coordinates in mm.
    names : tuple of str, or None
        A name for each.
    radii : tuple of float or None, or None
        A radius in mm for each; None for those that are one voxel.
    parameter : str, default="seeds"
        The parameter that they were given by, for messages.
    """

    xyz: Array
    names: tuple[str, ...] | None = None
    radii: tuple[float | None, ...] | None = None
    parameter: str = "seeds"


def looks_like_seeds(roi: object) -> bool:
    """Return whether a description of regions is coordinates rather than images.

    Parameters
    ----------
    roi : object
        Anything.

    Returns
    -------
    bool
        True for arrays, data frames, paths of .tsv and .csv, triples, and lists of triples.

    Examples
    --------
    >>> looks_like_seeds([(0, 0, 0), (9, 3, 1)]), looks_like_seeds(["a.nii", "b.nii", "c.nii"])
    (True, False)
    """
    if isinstance(roi, str | bytes | os.PathLike):
        return Path(os.fsdecode(roi)).suffix.lower() in _ENDINGS
    if isinstance(roi, np.ndarray) or _is_frame(roi):
        return True
    return isinstance(roi, list | tuple) and bool(roi) and all(_is_seed_part(one) for one in roi)


def read_seeds(seeds: Any) -> SeedTable:
    """Return the seeds that an array, a list or a table holds.

    Parameters
    ----------
    seeds : array-like of shape (n, 3) or (3,), pandas.DataFrame, path, or SeedTable
        Coordinates in mm. Tables, ``.tsv`` and ``.csv`` files among them, have the columns x, y
        and z, and may have "radius", and "name", or else "label" or "region".

    Returns
    -------
    SeedTable
        The seeds; at least one.

    Raises
    ------
    RegionError
        If there is no seed, or one is no triple of finite numbers.

    Examples
    --------
    >>> read_seeds([(0, -52, 18)]).xyz
    array([[  0., -52.,  18.]])
    """
    if isinstance(seeds, SeedTable):
        return seeds
    if isinstance(seeds, str | bytes | os.PathLike):
        return _from_file(absolute_path(seeds))
    if _is_frame(seeds):
        cells = [[str(cell) for cell in row] for row in seeds.itertuples(index=False)]
        rows = [("`seeds`", row) for row in cells]
        return _from_rows([str(name) for name in seeds.columns], rows, "`seeds`")
    if not isinstance(seeds, Iterable):
        msg = f"`seeds` must be a list of (x, y, z) in mm. Got {type(seeds).__name__}."
        raise RegionError(msg)
    listed: Any = list(seeds)
    if len(listed) == 3 and all(np.ndim(one) == 0 for one in listed):
        listed = [listed]
    return SeedTable(_checked([_triple(i, seed) for i, seed in enumerate(listed)]))


def _is_frame(roi: Any) -> bool:
    return hasattr(roi, "itertuples") and hasattr(roi, "columns")


def _is_seed_part(item: object) -> bool:
    if isinstance(item, list | tuple | np.ndarray):
        return len(item) == 3 and all(isinstance(one, int | float | np.number) for one in item)
    return isinstance(item, int | float | np.number)


def _triple(number: int, seed: Any) -> list[float]:
    try:
        values = [float(one) for one in seed]
    except (TypeError, ValueError) as error:
        msg = f"`seeds` must be triples of coordinates in mm. Got {seed!r} as seed {number}."
        raise RegionError(msg) from error
    if len(values) != 3:
        msg = f"`seeds` must be triples of coordinates in mm. Seed {number} has {len(values)}."
        raise RegionError(msg)
    return values


def _checked(triples: Sequence[Sequence[float]]) -> Array:
    xyz = np.array(triples, dtype=np.float64).reshape(-1, 3)
    if not len(xyz):
        msg = "`seeds` must hold at least one seed. Got none."
        raise RegionError(msg)
    bad = np.flatnonzero(~np.isfinite(xyz).all(axis=1))
    if len(bad):
        msg = (
            f"`seeds` must be finite coordinates in mm. Got {xyz[bad[0]].tolist()} as seed "
            f"{bad[0]}. Remove it, or give its coordinates."
        )
        raise RegionError(msg)
    return xyz


def _from_file(path: str) -> SeedTable:
    ending = Path(path).suffix.lower()
    if ending not in _ENDINGS:
        msg = f"{printable(path)}: a table of seeds must be .tsv or .csv. Got {ending!r}."
        raise ParameterError(msg)
    table = open_delimited(path, "a table of seeds", RegionError)
    rows = [
        (f"{table.source}, line {line}", cells[table.n_in_front :])
        for line, cells in table.rows(is_strict=False)
        if any(cells)
    ]
    return _from_rows(table.titles, rows, table.source)


def _from_rows(
    titles: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]], source: str
) -> SeedTable:
    """Return the seeds of rows, each with its place for messages."""
    columns = {title.strip().lower(): place for place, title in enumerate(titles)}
    if not set(_AXES) <= columns.keys():
        msg = f"{source}: a table of seeds must have the columns x, y and z. Got {list(titles)}."
        raise RegionError(msg)

    def numbers(title: str) -> list[float]:
        column = columns[title]
        return [
            _number(_cell(cells, column), f"{where}, seed {seed}")
            for seed, (where, cells) in enumerate(rows)
        ]

    xyz = np.array([numbers(axis) for axis in _AXES]).T
    named = [title for title in _NAMES if title in columns]
    names = tuple(_cell(cells, columns[named[0]]).strip() for _, cells in rows) if named else None
    return SeedTable(
        _checked(xyz.tolist()), names, tuple(numbers("radius")) if "radius" in columns else None
    )


def _cell(cells: Sequence[str], column: int) -> str:
    return cells[column] if column < len(cells) else ""


def _number(cell: str, where: str) -> float:
    number = to_number(cell)
    if number is None or np.isnan(number):
        msg = f"{where}: coordinates and radii must be numbers in mm. Got {cell!r}."
        raise RegionError(msg)
    return number
