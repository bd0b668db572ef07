"""Tables of region names, in every form that atlases come with."""

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lazyvox.errors import ParameterTypeError, RegionError
from lazyvox.store.files.paths import absolute_path, printable
from lazyvox.store.opening import open_binary
from lazyvox.tables.delimited import DelimitedText, open_delimited, to_number
from lazyvox.tables.fsl_atlas import read_fsl_atlas
from lazyvox.tables.numeric import is_frame

__all__ = ["read_label_table"]

_INDEX = "index"
#: Columns that hold names, the preferred one first.
_NAMES = ("name", "label", "region")
#: A name that is none. Other words, such as "None" and "NA", may be names of regions.
_NO_NAME = {"", "n/a"}
_LARGEST_FILE_BYTES = 16 << 20
_NOUN = "a table of regions"

#: Place for messages, and one value for each title.
_Row = tuple[str, Sequence[Any]]


def read_label_table(lut: Any) -> dict[str, list[Any]]:
    """Return the columns of a table of region names.

    Parameters
    ----------
    lut : path, table or mapping
        A BIDS ``dseg.tsv`` (columns "index" and "name" among others, or "label" or "region" in
        place of "name"; any separator), an FSL atlas ``.xml``, a FreeSurfer colour table
        (``17 Left-Hippocampus 220 216 20 0``), a pandas.DataFrame or mapping with such columns, or
        a mapping of names by label.

    Returns
    -------
    dict of list
        "index", integers; "name", text; and the other columns. Rows without an index or a name
        are left out, and a label has one row.

    Raises
    ------
    RegionError
        If the table is malformed, or gives one label two names; says where.
    ParameterTypeError
        If `lut` is nothing of the above.
    ImageFileError
        If a file cannot be read.
    """
    if is_frame(lut):
        titles = list(map(str, lut.columns))
        columns = [list(lut[title]) for title in lut.columns]
        return _checked(titles, _numbered(zip(*columns, strict=True)), "`lut`")
    if isinstance(lut, Mapping) and _are_columns(lut):
        return _checked(list(lut), _numbered(zip(*lut.values(), strict=True)), "`lut`")
    if isinstance(lut, Mapping):
        entries = [(f"entry {label!r}", (label, name)) for label, name in lut.items()]
        return _checked([_INDEX, _NAMES[0]], entries, "`lut`")
    if isinstance(lut, str | bytes | os.PathLike):
        return _from_file(absolute_path(lut))
    msg = f"`lut` must be a path, table, dict or list of names. Got {type(lut).__name__}."
    raise ParameterTypeError(msg)


def _are_columns(lut: Mapping[Any, Any]) -> bool:
    """Return whether a mapping holds columns by title, rather than names by label."""
    return bool(lut) and all(
        isinstance(title, str) and not isinstance(column, str) and hasattr(column, "__len__")
        for title, column in lut.items()
    )


def _numbered(rows: Iterable[Sequence[Any]]) -> list[_Row]:
    return [(f"row {number}", row) for number, row in enumerate(rows)]


def _from_file(path: str) -> dict[str, list[Any]]:
    with open_binary(path) as file:
        content = file.read(_LARGEST_FILE_BYTES + 1)
    source = printable(path)
    if len(content) > _LARGEST_FILE_BYTES:
        msg = f"{source}: {_NOUN} must be smaller than 16 MiB."
        raise RegionError(msg)
    titles = [_INDEX, _NAMES[0]]
    if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        found = read_fsl_atlas(content, source)
        return _checked(titles, [(where, (label, name)) for where, label, name in found], source)
    # A row that begins with 0 or 1 and is too long has a stray separator, not a row number.
    table = replace(open_delimited(path, _NOUN, RegionError), n_in_front=0)
    if None in _places(table.titles):
        return _checked(titles, _colour_rows(table), source)
    rows = [(f"line {line}", cells) for line, cells in table.rows(is_strict=False)]
    columns = _checked(table.titles, rows, source)
    return {
        title: column if title in titles else _typed(column) for title, column in columns.items()
    }


def _colour_rows(table: DelimitedText) -> list[_Row]:
    """Return label and name of the lines of a FreeSurfer colour table."""
    rows: list[_Row] = []
    for number, line in table.text_lines():
        cells = line.split("#", 1)[0].split()
        if not cells:
            continue
        if len(cells) < 6 or not all(cell.lstrip("-").isdigit() for cell in cells[-4:]):
            msg = (
                f"{table.source}, line {number}: {_NOUN} must have the columns 'index' and 'name', "
                f"'label' or 'region', or lines such as '17 Left-Hippocampus 220 216 20 0', or be "
                f"FSL's XML. Got {line.strip()[:80]!r}."
            )
            raise RegionError(msg)
        rows.append((f"line {number}", (cells[0], " ".join(cells[1:-4]))))
    if not rows:
        msg = f"{table.source}: {_NOUN} must have at least one row. Got none."
        raise RegionError(msg)
    return rows


def _places(titles: Sequence[str]) -> tuple[int | None, int | None]:
    """Return where labels and names stand; capitals do not matter."""
    small = [title.strip().lower() for title in titles]
    index = small.index(_INDEX) if _INDEX in small else None
    return index, next((small.index(title) for title in _NAMES if title in small), None)


def _checked(titles: Sequence[str], rows: Sequence[_Row], source: str) -> dict[str, list[Any]]:
    """Return columns, with a row for each label that has a name."""
    index, named = _places(titles)
    if index is None or named is None:
        msg = (
            f"{source}: {_NOUN} must have the columns 'index' and 'name'. Got {list(titles)}. "
            f"'label' or 'region' may take the place of 'name'."
        )
        raise RegionError(msg)
    names: dict[int, str] = {}
    kept: list[Sequence[Any]] = []
    for where, cells in rows:
        if len(cells) <= index or _is_missing(cells[index]):
            continue
        label = _label(cells[index], f"{source}, {where}")
        if len(cells) <= named:
            msg = f"{source}, {where}: a row must have an index and a name. Got {cells[index]!r}."
            raise RegionError(msg)
        name = "" if _is_missing(cells[named], _NO_NAME) else str(cells[named]).strip()
        if not name:
            continue
        if label not in names:
            kept.append(cells)
        if names.setdefault(label, name) != name:
            msg = (
                f"{source}, {where}: every label must have one name. Got {names[label]!r} and "
                f"{name!r} for {label}."
            )
            raise RegionError(msg)
    others: dict[str, list[Any]] = {
        title: [cells[place] if place < len(cells) else math.nan for cells in kept]
        for place, title in enumerate(titles)
        if title and place not in {index, named}
    }
    labels: list[Any] = list(names)
    return {_INDEX: labels, _NAMES[0]: list(names.values()), **others}


def _is_missing(value: Any, words: set[str] | None = None) -> bool:
    """Return whether a cell holds nothing: None, NaN, pandas.NA, or a word that says so."""
    if isinstance(value, str):
        text = value.strip().lower()
        number = to_number(text)
        return text in words if words is not None else number is not None and math.isnan(number)
    is_nan = isinstance(value, float) and math.isnan(value)
    return value is None or is_nan or type(value).__name__ in {"NAType", "NaTType"}


def _label(value: Any, where: str) -> int:
    """Return a label from a number or a text."""
    found: Any = value
    if isinstance(value, str):
        text = value.strip()
        found = int(text) if re.fullmatch(r"[+-]?\d+", text) else to_number(text)
    try:
        label = int(found)
    except (TypeError, ValueError, OverflowError):
        label = None
    if label is None or label != found:
        msg = f"{where}: a label must be an integer. Got {value!r}."
        raise RegionError(msg)
    return label


def _typed(column: list[Any]) -> list[Any]:
    """Return a column of text as integers, else as floats, else as it is."""
    for kind in (int, float):
        try:
            return [kind(cell) if cell != "" else math.nan for cell in column]
        except ValueError:
            continue
    return [cell or math.nan for cell in column]
