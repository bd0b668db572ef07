"""The CompCor columns of each mask, by the table's JSON file."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lazyvox._typing import PathLike
from lazyvox.errors import ImageNotFoundError, ParameterError
from lazyvox.store.files.paths import absolute_path, printable
from lazyvox.store.opening import open_binary

__all__ = ["COMPCOR_TYPES", "compcor_columns", "read_metadata"]

#: Prefixes of the columns of each type, and the masks that a_comp_cor columns may come from.
_TYPES: dict[str, tuple[str, tuple[str, ...]]] = {
    "anat_combined": ("a", ("combined",)),
    "anat_separated": ("awc", ("WM", "CSF")),
    "temporal": ("t", ()),
    "temporal_anat_combined": ("ta", ("combined",)),
    "temporal_anat_separated": ("tawc", ("WM", "CSF")),
}
COMPCOR_TYPES = tuple(_TYPES)
_COLUMN = re.compile(r"([atwc])_comp_cor_(\d+)")
_LARGEST_FILE_BYTES = 64 << 20


def read_metadata(
    metadata: Mapping[str, Any] | PathLike | None, table: Any
) -> Mapping[str, Any] | None:
    """Return the metadata of the columns of a table, None where there are none.

    Parameters
    ----------
    metadata : dict, path-like or None
        The facts themselves, their JSON file, or None for the JSON file beside the table.
    table : path-like or DataFrame
        The table; a data frame has no file beside it.

    Returns
    -------
    dict or None
        Facts by column.

    Raises
    ------
    ParameterError
        If the file is no JSON object.
    ImageFileError
        If a file that was named cannot be read.
    """
    if isinstance(metadata, Mapping):
        return metadata
    if metadata is not None:
        return _read_json(absolute_path(metadata))
    if not isinstance(table, str | bytes | os.PathLike):
        return None
    try:
        path = absolute_path(table).removesuffix(".gz")
        return _read_json(str(Path(path).with_suffix(".json")))
    except ImageNotFoundError:
        return None


def compcor_columns(
    kind: str, n_components: int | None, names: Sequence[str], metadata: Mapping[str, Any] | None
) -> list[str]:
    """Return the columns of the first components of each mask.

    Parameters
    ----------
    kind : str
        One of `COMPCOR_TYPES`.
    n_components : int or None
        How many of each mask; None for all. Where a mask has fewer, all of them.
    names : sequence of str
        Columns of the table.
    metadata : dict or None
        Facts by column: "Mask" tells which mask the components of anatomical CompCor come from.

    Returns
    -------
    list of str
        Columns, mask after mask. Empty where there are none.

    Raises
    ------
    ParameterError
        If anatomical components are asked for and `metadata` is None.
    """
    prefixes, masks = _TYPES[kind]
    if masks and metadata is None:
        msg = (
            f"CompCor of type {kind!r} must know from which mask a component comes, which is in "
            f"the JSON file beside fMRIPrep's table. There is none."
        )
        hint = "Copy it there,{} or name the columns, such as columns='a_comp_cor_0[0-4]'."
        raise ParameterError(
            msg,
            parameter="compcor",
            value=kind,
            hint=hint.format(" pass `metadata`,"),
            cli_hint=hint.format(""),
        )
    chosen: list[str] = []
    for prefix in prefixes:
        found = _numbered(prefix, names if metadata is None else list(metadata))
        groups = [found]
        if prefix == "a":
            groups = [[name for name in found if _mask_of(name, metadata) == m] for m in masks]
        for group in groups:
            chosen += group[:n_components]
    return chosen


def _numbered(prefix: str, names: Sequence[str]) -> list[str]:
    """Return the components with a prefix, by explained variance, which is by number."""
    matches = [match for match in map(_COLUMN.fullmatch, names) if match and match[1] == prefix]
    return [match[0] for match in sorted(matches, key=lambda match: int(match[2]))]


def _mask_of(name: str, metadata: Mapping[str, Any] | None) -> object:
    facts = (metadata or {}).get(name)
    return facts.get("Mask") if isinstance(facts, Mapping) else None


def _read_json(path: str) -> Mapping[str, Any]:
    with open_binary(path) as file:
        content = file.read(_LARGEST_FILE_BYTES)
    try:
        found = json.loads(content)
    except ValueError as error:
        msg = f"{printable(path)}: the file must hold JSON about the columns ({error})."
        raise ParameterError(msg) from error
    if not isinstance(found, dict):
        msg = f"{printable(path)}: the file must hold a JSON object. Got {type(found).__name__}."
        raise ParameterError(msg)
    return found
