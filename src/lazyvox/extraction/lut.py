"""Names of regions, from the tables that come with atlases."""

import csv
import io
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from xml.parsers import expat

import numpy as np

from lazyvox._typing import PathLike
from lazyvox.errors import LazyvoxWarning, ParameterTypeError, RegionError
from lazyvox.store.files.identity import open_regular, printable
from lazyvox.store.files.paths import absolute_path

__all__ = ["Lut", "names_of_labels", "read_lut"]

#: A path, a pandas.DataFrame, names by label, or names in the order of the labels.
Lut: TypeAlias = PathLike | Mapping[int, str] | Sequence[str] | Any

_LARGEST_FILE_BYTES = 16 << 20
_EMPTY = {"", "n/a"}


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
        A BIDS ``dseg.tsv`` (columns "index" and "name" among others; commas do as well), an FSL
        atlas ``.xml``, a FreeSurfer colour table (``17 Left-Hippocampus 220 216 20 0``), a
        pandas.DataFrame with the columns "index" and "name", or a dict.

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

    Notes
    -----
    FSL numbers the regions of a probabilistic atlas from 0, and its images of most likely regions
    hold that index plus one: so does the result. In an atlas of type "Label" the index is the
    value in the image. A "value" attribute overrides both. XML that declares a document type is
    refused, since its entities can expand without bound.

    Examples
    --------
    >>> read_lut("atlas.tsv")[1]
    'LeftFront'
    """
    if isinstance(lut, Mapping):
        return _collect(((f"entry {key!r}", key, name) for key, name in lut.items()), "`lut`")
    if hasattr(lut, "columns") and hasattr(lut, "itertuples"):
        return _from_frame(lut)
    if isinstance(lut, str | bytes | os.PathLike):
        return _from_file(absolute_path(lut))
    msg = f"`lut` must be a path, table, dict or list of names. Got {type(lut).__name__}."
    raise ParameterTypeError(msg)


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
    pairs = zip(labels, names, strict=True)
    return _collect(((f"name {i}", *pair) for i, pair in enumerate(pairs)), "`lut`")


def _from_frame(frame: Any) -> dict[int, str]:
    columns = list(frame.columns)
    if "index" not in columns or "name" not in columns:
        msg = f"`lut` must have the columns 'index' and 'name'. Got {columns}."
        raise RegionError(msg)
    pairs = zip(frame["index"].tolist(), frame["name"].tolist(), strict=True)
    return _collect(((f"row {i}", *pair) for i, pair in enumerate(pairs)), "`lut`")


def _from_file(path: str) -> dict[int, str]:
    with os.fdopen(open_regular(path), "rb") as file:
        content = file.read(_LARGEST_FILE_BYTES + 1)
    shown = printable(path)
    if len(content) > _LARGEST_FILE_BYTES:
        msg = f"{shown}: a table of regions must be smaller than 16 MiB."
        raise RegionError(msg)
    if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return _from_xml(content, shown)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        msg = f"{shown}, line {line}: a table of regions must be text in UTF-8. Got other bytes."
        raise RegionError(msg) from error
    first = next((line for line in text.splitlines() if line.strip()), "")
    for delimiter in ("\t", ","):
        if {"index", "name"} <= {cell.strip().strip('"') for cell in first.split(delimiter)}:
            return _from_delimited(text, delimiter, shown)
    return _from_colour_table(text, shown)


def _from_delimited(text: str, delimiter: str, shown: str) -> dict[int, str]:
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
    entries: list[tuple[str, Any, Any]] = []
    try:
        for row in reader:
            where = f"line {reader.line_num}"
            if row["name"] is None:
                msg = (
                    f"{shown}, {where}: a row must have an index and a name. Got {row['index']!r}."
                )
                raise RegionError(msg)
            entries.append((where, row["index"], row["name"]))
    except csv.Error as error:
        msg = f"{shown}, line {reader.line_num}: the table is malformed ({error})."
        raise RegionError(msg) from error
    return _collect(entries, shown)


def _from_colour_table(text: str, shown: str) -> dict[int, str]:
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        cells = line.split("#", 1)[0].split()
        if not cells:
            continue
        where = f"line {number}"
        if len(cells) < 6 or not all(cell.lstrip("-").isdigit() for cell in cells[-4:]):
            msg = (
                f"{shown}, {where}: a table of regions must have the columns 'index' and 'name', "
                f"or lines such as '17 Left-Hippocampus 220 216 20 0', or be FSL's XML. Got "
                f"{line[:80]!r}."
            )
            raise RegionError(msg)
        entries.append((where, cells[0], " ".join(cells[1:-4])))
    if not entries:
        msg = f"{shown}: a table of regions must have at least one row. Got none."
        raise RegionError(msg)
    return _collect(entries, shown)


class _FslAtlas:
    """Collects the labels of an FSL atlas while its XML is parsed."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._entries: list[tuple[str, dict[str, str], str]] = []
        self._text: list[str] = []
        self._attributes: dict[str, str] = {}
        self._type = ""
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text.append
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype

    def names(self) -> dict[int, str]:
        shift = 0 if self._type == "label" else 1
        entries: list[tuple[str, Any, Any]] = []
        for where, attributes, name in self._entries:
            if "value" in attributes:
                entries.append((where, attributes["value"], name))
                continue
            index = _label(attributes.get("index"), self._shown, where)
            entries.append((where, index + shift, name))
        if not entries:
            msg = f"{self._shown}: an FSL atlas must have <label> elements. Got none."
            raise RegionError(msg)
        return _collect(entries, self._shown)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        del tag
        self._text.clear()
        self._attributes = attributes

    def _end(self, tag: str) -> None:
        text = "".join(self._text).strip()
        self._text.clear()
        if tag == "label":
            where = f"line {self.parser.CurrentLineNumber}"
            self._entries.append((where, self._attributes, text))
        elif tag == "type":
            self._type = text.lower()

    def _refuse_doctype(self, *declaration: object) -> None:
        del declaration
        msg = (
            f"{self._shown}, line {self.parser.CurrentLineNumber}: an atlas in XML must not "
            f"declare a document type: its entities could expand without bound. Remove it."
        )
        raise RegionError(msg)


def _from_xml(content: bytes, shown: str) -> dict[int, str]:
    atlas = _FslAtlas(shown)
    try:
        atlas.parser.ParseFile(io.BytesIO(content))
    except expat.ExpatError as error:
        msg = f"{shown}, line {error.lineno}: the XML is malformed ({error})."
        raise RegionError(msg) from error
    return atlas.names()


def _collect(entries: Any, shown: str) -> dict[int, str]:
    """Return names by label; refuse a label with two names."""
    names: dict[int, str] = {}
    for where, key, value in entries:
        label = _label(key, shown, where)
        # A table reader gives NaN for an empty cell.
        is_missing = value is None or (isinstance(value, float) and math.isnan(value))
        name = "" if is_missing else str(value).strip()
        if name in _EMPTY:
            continue
        if names.setdefault(label, name) != name:
            msg = (
                f"{shown}, {where}: every label must have one name. Got {names[label]!r} and "
                f"{name!r} for {label}."
            )
            raise RegionError(msg)
    return names


def _label(value: Any, shown: str, where: str) -> int:
    """Return a label from a number or a text."""
    try:
        label = int(value)
    except (TypeError, ValueError, OverflowError):
        label = None
    if label is None or (not isinstance(value, str) and label != value):
        msg = f"{shown}, {where}: a label must be an integer. Got {value!r}."
        raise RegionError(msg)
    return label


def _shown(items: Sequence[object]) -> str:
    more = f" and {len(items) - 10} more" if len(items) > 10 else ""
    return ", ".join(str(item) for item in items[:10]) + more


def _warn(msg: str) -> None:
    warnings.warn(f"{msg}.", LazyvoxWarning, stacklevel=3)
