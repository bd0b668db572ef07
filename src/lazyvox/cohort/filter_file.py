"""`--bids-filter-file`: fMRIPrep's JSON file that chooses files by their entities."""

import json
import warnings
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from lazyvox._typing import PathLike
from lazyvox.bids.names import BidsName
from lazyvox.errors import ImageFileError, LazyvoxWarning, ParameterError
from lazyvox.store.files.paths import absolute_path, printable
from lazyvox.store.opening import open_binary

__all__ = ["EntityTest", "read_filter"]

_QUERY, _ANY = "bold", "*"

#: PyBIDS's names of entities in the names of BOLD series, and BIDS's keys for them.
_KEYS = MappingProxyType(
    {
        "subject": "sub",
        "session": "ses",
        "sample": "sample",
        "task": "task",
        "acquisition": "acq",
        "ceagent": "ce",
        "reconstruction": "rec",
        "direction": "dir",
        "run": "run",
        "echo": "echo",
        "part": "part",
        "space": "space",
        "res": "res",
        "den": "den",
        "label": "label",
        "desc": "desc",
        "chunk": "chunk",
    }
)

#: What PyBIDS has as entities, and is the same for all runs.
_FIXED = MappingProxyType({"datatype": "func", "suffix": "bold"})
_EXTENSION = "extension"


@dataclass(frozen=True, slots=True)
class EntityTest:
    """Values that one entity of the runs that are wanted may have.

    Attributes
    ----------
    entity : str
        PyBIDS's name of it.
    values : tuple of str
        Its values.
    may_be_absent : bool
        Whether runs without the entity are wanted.
    may_be_any : bool
        Whether runs with any value are wanted.
    """

    entity: str
    values: tuple[str, ...]
    may_be_absent: bool
    may_be_any: bool

    def holds(self, name: BidsName) -> bool:
        """Return whether a run is wanted."""
        if self.entity == _EXTENSION:
            found: str | None = name.extension
        else:
            found = _FIXED.get(self.entity) or name.get(_KEYS[self.entity])
        if found is None:
            return self.may_be_absent
        return self.may_be_any or self._plain(found) in map(self._plain, self.values)

    def _plain(self, value: str) -> str:
        """Return a value as it is compared: the number of a run may have zeros in front."""
        return str(int(value)) if self.entity == "run" and value.isdecimal() else value


def read_filter(path: PathLike) -> tuple[EntityTest, ...]:
    """Return the tests that a filter file has for BOLD series.

    Parameters
    ----------
    path : path-like
        JSON, as fMRIPrep has it: ``{"bold": {"session": "01", "run": null}}``. A value, or each of
        a list, is a label or a number; null for none, and ``"*"`` for any.

    Returns
    -------
    tuple of EntityTest
        One for each entity; a run must pass all of them.

    Raises
    ------
    ParameterError
        If it holds no query for ``"bold"``, or in it what is no entity of the names of BOLD series.
    ImageNotFoundError
        If it is not there.

    Warns
    -----
    LazyvoxWarning
        If it holds queries for other images, such as ``"t1w"``: they choose nothing here.
    """
    full = absolute_path(path)
    shown = printable(full)
    try:
        with open_binary(full) as file:
            given: Any = json.load(file)
    except ImageFileError:
        raise
    except (OSError, ValueError) as error:
        msg = f"{shown}: a filter file must be JSON. {error}."
        raise _error(msg) from error
    if not isinstance(given, dict) or not all(isinstance(one, dict) for one in given.values()):
        msg = (
            f'{shown}: a filter file must be {{"bold": {{ENTITY: VALUE, ...}}}}, with entities of '
            f"PyBIDS."
        )
        raise _error(msg)
    others = [repr(query) for query in given if query != _QUERY]
    if _QUERY not in given:
        msg = (
            f"{shown}: a filter file must have the query {_QUERY!r}. Got "
            f"{', '.join(others) or 'none'}."
        )
        raise _error(msg)
    if others:
        msg = f"{shown}: only BOLD series are chosen. Left aside: {', '.join(others)}."
        warnings.warn(LazyvoxWarning(msg), stacklevel=2)
    return tuple(_test(entity, one, shown) for entity, one in given[_QUERY].items())


def _test(entity: str, value: Any, shown: str) -> EntityTest:
    known = (*_KEYS, *_FIXED, _EXTENSION)
    if entity not in known:
        msg = (
            f"{shown}: entities must be those of the names of BOLD series: {', '.join(known)}. Got "
            f"{entity!r}."
        )
        raise _error(msg)
    values = value if isinstance(value, list) else [value]
    bad = [one for one in values if not isinstance(one, str | int | None) or one is True]
    if bad or not values or False in values:
        msg = (
            f'{shown}: {entity!r} must be a label, a number, null (for none), "*" (for any), or a '
            f"list of these. Got {json.dumps(value)}."
        )
        raise _error(msg)
    labels = tuple(str(one) for one in values if one is not None and one != _ANY)
    return EntityTest(entity, labels, None in values, _ANY in values)


def _error(msg: str) -> ParameterError:
    return ParameterError(msg, parameter="bids_filter_file")
