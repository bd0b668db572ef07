"""Names of regions, from the tables that come with atlases."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from lazyvox._typing import PathLike
from lazyvox.errors import LazyvoxWarning, RegionError
from lazyvox.tables.labels import read_label_table

__all__ = ["Lut", "names_of_labels", "read_lut"]

#: A path, a pandas.DataFrame, names by label, or names in the order of the labels.
Lut: TypeAlias = PathLike | Mapping[int, str] | Sequence[str] | Any


def names_of_labels(
    labels: Sequence[int], lut: Lut | None, *, background: int = 0
) -> dict[int, str]:
    """Return a name for every label, no two of them the same.

    Parameters
    ----------
    labels : sequence of int
        The labels of an image, ascending, without the background.
    lut : path, table, dict or list, optional
        See `read_lut`; a list is names in the order of the labels, with or without one for the
        background in front.
    background : int
        The label that is no region.

    Returns
    -------
    dict
        Names by label. A label that has none is called by its number, a name that several labels
        have gets their number behind it; a warning says so.

    Raises
    ------
    RegionError
        If the table cannot be read, or a list of names is not as long as the labels are many.

    Examples
    --------
    >>> names_of_labels([3, 8], ["Background", "Left", "Right"])
    {3: 'Left', 8: 'Right'}
    """
    if lut is None:
        return {label: str(label) for label in labels}
    if isinstance(lut, list | tuple | np.ndarray):
        known = _by_order(labels, list(lut), background)
    else:
        known = read_lut(lut)
    missing = [label for label in labels if label not in known]
    if missing:
        _warn(
            f"`lut` should name every label. It has no name for {_shown(missing)}; columns without "
            f"a name are called by their label"
        )
    names = {label: known.get(label, str(label)) for label in labels}
    counts: dict[str, int] = {}
    for name in names.values():
        counts[name] = counts.get(name, 0) + 1
    shared = [name for name, count in counts.items() if count > 1]
    if shared:
        _warn(f"`lut` should name every label differently. Labels were added to {_shown(shared)}")
    return {
        label: f"{name} {label}" if counts[name] > 1 else name for label, name in names.items()
    }


def read_lut(lut: Lut) -> dict[int, str]:
    """Return names by label from any of the tables that atlases come with.

    Parameters
    ----------
    lut : path, table or dict
        See `lazyvox.tables.labels.read_label_table`.

    Returns
    -------
    dict
        Names by label. Entries without a name are left out.

    Raises
    ------
    RegionError
        If the table is malformed, or gives one label two names; says where.
    ParameterTypeError
        If `lut` is nothing of the above.

    Examples
    --------
    >>> read_lut("atlas.tsv")[1]
    'LeftFront'
    """
    columns = read_label_table(lut)
    return dict(zip(columns["index"], columns["name"], strict=True))


def _by_order(labels: Sequence[int], names: list[Any], background: int) -> dict[int, str]:
    """Return a list of names by label, a name of the background in front left out."""
    has_background = len(names) == len(labels) + 1 and str(names[0]).lower() == "background"
    if has_background:
        names = names[1:]
    if len(names) != len(labels):
        msg = (
            f"`lut` must hold one name per label, in the order of the labels, with or without "
            f"'Background' in front. Got {len(names)} names for {len(labels)} labels besides "
            f"the background {background}. Pass a dict of names by label instead."
        )
        raise RegionError(msg)
    return read_lut(dict(zip(labels, names, strict=True)))


def _shown(items: Sequence[object]) -> str:
    more = f" and {len(items) - 10} more" if len(items) > 10 else ""
    return ", ".join(str(item) for item in items[:10]) + more


def _warn(msg: str) -> None:
    warnings.warn(f"{msg}.", LazyvoxWarning, stacklevel=3)
