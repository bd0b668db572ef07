"""Names of labelled regions: the table that a labels masker fits."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.maskers.parameters import MaskerWarning
from lazyvox.runtime.optional import require
from lazyvox.tables.labels import read_label_table

__all__ = ["LookUpTable", "fit_table"]

BACKGROUND = "Background"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LookUpTable:
    """A table of regions, one row each.

    Attributes
    ----------
    columns : dict of list
        The columns by name; "index" and "name" are among them.
    """

    columns: Mapping[str, list[Any]]

    @property
    def index(self) -> list[Any]:
        """The label of each row."""
        return list(self.columns["index"])

    @property
    def names(self) -> list[str]:
        """The name of each row."""
        return list(self.columns["name"])

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.columns["index"])

    def rows(self, numbers: Sequence[int]) -> "LookUpTable":
        """Return the table of some rows, in the order given."""
        return LookUpTable(
            {name: [column[i] for i in numbers] for name, column in self.columns.items()}
        )

    def of_labels(self, labels: Sequence[Any]) -> "LookUpTable":
        """Return the rows of labels, in the order given; those without a row are unknown."""
        first = {label: i for i, label in reversed(list(enumerate(self.index)))}
        known = self.rows([first[label] for label in labels if label in first])
        missing = [label for label in labels if label not in first]
        table = known.with_rows([{"index": label, "name": UNKNOWN} for label in missing])
        place = {label: i for i, label in enumerate(table.index)}
        return table.rows([place[label] for label in labels])

    def with_rows(
        self, rows: Sequence[Mapping[str, Any]], *, first: bool = False
    ) -> "LookUpTable":
        """Return the table with more rows, NaN where they have no value."""
        columns: dict[str, list[Any]] = {}
        for name, column in self.columns.items():
            added = [row.get(name, float("nan")) for row in rows]
            columns[name] = [*added, *column] if first else [*column, *added]
        return LookUpTable(columns)

    def to_dataframe(self) -> Any:
        """Return the table as a pandas.DataFrame."""
        require("pandas", "table", "Tables")
        import pandas as pd

        return pd.DataFrame(dict(self.columns))


def fit_table(
    present: Sequence[Any], *, background: Any, labels: Any = None, lut: Any = None
) -> LookUpTable:
    """Return the table of the labels that are in an image.

    Parameters
    ----------
    present : sequence
        Distinct finite values of the image, ascending.
    background : number
        The label that is no region.
    labels : list of str, optional
        Names in the order of the values.
    lut : pandas.DataFrame or path, optional
        See `read_table`.

    Returns
    -------
    LookUpTable
        One row per value, ascending; the row of the background, if it is in the image, is called
        "Background", a value without a name "unknown".

    Raises
    ------
    ParameterError
        If both are given.
    RegionError
        If the table cannot be used.
    ParameterTypeError
        If `labels` is no list of text.
    """
    if labels:
        _check_labels(labels, lut)
    if lut is not None:
        table = read_table(lut)
    else:
        table = _named_table(present, background, None if not labels else list(labels))
    table = _with_background(table, background)
    found = set(present)
    kept = table.rows([i for i, label in enumerate(table.index) if label in found])
    missing = sorted(found - set(kept.index))
    kept = kept.with_rows([{"index": label, "name": UNKNOWN} for label in missing])
    return kept.rows(sorted(range(len(kept)), key=kept.index.__getitem__))


def read_table(lut: Any) -> LookUpTable:
    """Return the table that a `lut` parameter means.

    Parameters
    ----------
    lut : pandas.DataFrame, path-like, mapping or LookUpTable
        The table; see `lazyvox.tables.labels.read_label_table`.

    Returns
    -------
    LookUpTable
        The table.

    Raises
    ------
    RegionError
        If it is no table of regions.
    ParameterTypeError
        If it is a list of names, or another thing.
    """
    if isinstance(lut, LookUpTable):
        return lut
    if isinstance(lut, list | tuple):
        msg = (
            f"`lut` must be a pandas.DataFrame or the path of a table. Got {type(lut).__name__}. "
            f"A list of names is `labels`."
        )
        raise ParameterTypeError(msg)
    return LookUpTable(read_label_table(lut))


def _check_labels(labels: Any, lut: Any) -> None:
    if lut is not None:
        msg = "names come from `labels` or from `lut`. Got both: leave one of them out."
        raise ParameterError(msg)
    if not isinstance(labels, list):
        msg = f"`labels` must be a list of names. Got {type(labels).__name__}."
        raise ParameterTypeError(msg)
    wrong = [i for i, label in enumerate(labels) if not isinstance(label, str)]
    if wrong:
        msg = (
            f"`labels` must be a list of names. Got {type(labels[wrong[0]]).__name__} at place "
            f"{wrong[0]}."
        )
        raise ParameterTypeError(msg)


def _named_table(present: Sequence[Any], background: Any, labels: list[str] | None) -> LookUpTable:
    """Return the table of names in the order of the values, or of the values as names."""
    values = list(present)
    if len(values) == 1 and values[0] != background:
        msg = f"the labels image holds a single value, {values[0]}: one region covers all of it."
        warnings.warn(msg, MaskerWarning, stacklevel=2)
    if labels is None:
        names = [BACKGROUND if value == background else str(value) for value in values]
        return LookUpTable({"index": values, "name": names})
    names = [BACKGROUND if name == "background" else name for name in labels]
    if background in values and BACKGROUND not in names:
        names.insert(values.index(background), BACKGROUND)
    if len(names) != len(values):
        few = len(names) < len(values)
        done = f"the last regions are called {UNKNOWN!r}" if few else "the last names are dropped"
        msg = (
            f"`labels` must hold one name per value of the labels image. Got {len(names)} for "
            f"{len(values)} values, background included: {done}."
        )
        warnings.warn(msg, MaskerWarning, stacklevel=2)
    names = [*names, *[UNKNOWN] * (len(values) - len(names))][: len(values)]
    return LookUpTable({"index": values, "name": names})


def _with_background(table: LookUpTable, background: Any) -> LookUpTable:
    """Return the table with the background in its first row, under that name."""
    here = [i for i, label in enumerate(table.index) if label == background]
    if not here:
        row = {"index": background, "name": BACKGROUND, "color": "FFFFFF"}
        return table.with_rows([row], first=True)
    others = [i for i in range(len(table)) if i not in here]
    moved = table.rows([*here, *others])
    names = [BACKGROUND, *moved.names[1:]]
    return LookUpTable({**moved.columns, "name": names})
