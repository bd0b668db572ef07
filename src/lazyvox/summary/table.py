"""`SummaryTable`: columns of numbers and texts, on paper, in files and as a data frame."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from json import dumps
from typing import Any

import numpy as np

from lazyvox._typing import Array, PathLike, override
from lazyvox.errors import ParameterError
from lazyvox.extraction.first_rows import html_of_rows, text_of_rows
from lazyvox.extraction.table_writers import TEXT_FORMS
from lazyvox.extraction.tables import cell_line, write_lines
from lazyvox.runtime.optional import require
from lazyvox.store.files.paths import absolute_path, printable

__all__ = ["TABLE_ENDINGS", "SummaryTable"]

_SHOWN_ROWS = 6
_PRINTED_DIGITS = 10

#: Endings of files that `SummaryTable.save` writes.
TABLE_ENDINGS = (".tsv", ".csv", ".json")


@dataclass(frozen=True, slots=True, eq=False)
class SummaryTable:
    """A table with named columns of one length.

    Attributes
    ----------
    columns : mapping of str to sequence
        Texts, integers, or floats with NaN where there is no value.
    remarks : tuple of str
        What the numbers leave out, a line each.

    Examples
    --------
    >>> import lazyvox as lv
    >>> table = lv.stats("run.nii.gz", mask_img="mask.nii.gz")
    >>> table.n_rows, table.names[:3], table["voxels"].tolist()
    (1, ('image', 'voxels', 'mm3'), [20800])
    """

    columns: Mapping[str, Sequence[Any]]
    remarks: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.columns)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return max(map(len, self.columns.values()), default=0)

    def __getitem__(self, name: str) -> Array:
        """Return one column as an array.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        ndarray of shape (n_rows,)
            The column.

        Raises
        ------
        ParameterError
            If there is no such column.
        """
        if name not in self.columns:
            msg = f"the table must have the column. Got {name!r}; it has {', '.join(self.names)}."
            raise ParameterError(msg)
        return np.asarray(self.columns[name])

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield each row as a dictionary that JSON can hold: None in place of NaN."""
        for cells in zip(*self.columns.values(), strict=True):
            yield {
                name: None if isinstance(cell, float) and not math.isfinite(cell) else cell
                for name, cell in zip(self.columns, map(_plain, cells), strict=True)
            }

    def to_dataframe(self) -> Any:
        """Return the table as a data frame.

        Returns
        -------
        pandas.DataFrame
            The same columns.

        Raises
        ------
        MissingDependencyError
            If pandas is not installed.
        """
        require("pandas", "table", "Tables")
        import pandas as pd

        return pd.DataFrame({name: list(column) for name, column in self.columns.items()})

    def save(self, path: PathLike, *, overwrite: bool = False) -> None:
        """Write the table to a file, complete or not at all.

        Parameters
        ----------
        path : path-like
            Ends in .tsv, with n/a where there is no value; .csv; or .json, a list of rows with null.
        overwrite : bool, default=False
            Whether an existing file may be replaced.

        Raises
        ------
        ParameterError
            If the name ends in anything else.
        OutputError
            If the file exists, or cannot be written.
        """
        ending = next(
            (one for one in TABLE_ENDINGS if absolute_path(path).lower().endswith(one)), ""
        )
        if not ending:
            msg = f"`path` must end in {', '.join(TABLE_ENDINGS)}. Got {printable(str(path))}."
            raise ParameterError(msg)
        write_lines(path, self._lines(ending), overwrite=overwrite)

    def _lines(self, ending: str, digits: int | None = None) -> Iterator[str]:
        """Yield the lines of a file, floats with all their digits, or at most some."""
        if ending == ".json":
            yield dumps(list(self.rows()), indent=1, allow_nan=False) + "\n"
            return
        form = TEXT_FORMS[ending]
        yield cell_line(self.names, form)
        for cells in zip(*self.columns.values(), strict=True):
            plain = map(_plain, cells)
            yield cell_line(
                plain if digits is None else (_cut(one, digits) for one in plain), form
            )

    @override
    def __str__(self) -> str:
        """Return the table as tab-separated text, n/a where there is no value.

        Floats have at most ten digits: further ones are mostly of rounding. Files have them all.
        """
        return "".join(self._lines(".tsv", _PRINTED_DIGITS)).rstrip("\n")

    @override
    def __repr__(self) -> str:
        """Show the size of the table and its first rows."""
        return text_of_rows(self._title, *self._first_rows())

    def _repr_html_(self) -> str:
        """Return the same for notebooks."""
        return html_of_rows(self._title, *self._first_rows())

    @property
    def _title(self) -> str:
        return f"<SummaryTable of {self.n_rows} rows, {len(self.names)} columns>"

    def _first_rows(self) -> tuple[list[str], list[list[str]]]:
        """Return the names of the columns and the first rows as text."""
        first = islice(zip(*self.columns.values(), strict=True), _SHOWN_ROWS)
        rows = [[_shown(_plain(cell)) for cell in cells] for cells in first]
        more = [["...", *[""] * (len(self.names) - 1)]] if self.n_rows > len(rows) else []
        return list(self.names), rows + more


def _cut(cell: Any, digits: int) -> Any:
    return float(f"{cell:.{digits}g}") if isinstance(cell, float) else cell


def _shown(cell: Any) -> str:
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)


def _plain(cell: Any) -> Any:
    """Return a cell as a number or text of Python's."""
    return cell.item() if isinstance(cell, np.generic) else cell
