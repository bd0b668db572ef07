"""From the names of strategies to the columns of a table."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from lazyvox.confounds.compcor import COMPCOR_TYPES, compcor_columns
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.planning.arguments import check_choice

__all__ = [
    "MODELS",
    "Component",
    "Models",
    "check_models",
    "columns_of",
    "parse_strategy",
    "split_names",
]

_SUFFIXES = {
    "basic": ("",),
    "power2": ("", "_power2"),
    "derivatives": ("", "_derivative1"),
    "full": ("", "_derivative1", "_power2", "_derivative1_power2"),
}
MODELS = tuple(_SUFFIXES)
_BASES = {
    "motion": ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"),
    "wm_csf": ("csf", "white_matter"),
    "global_signal": ("global_signal",),
}
#: A number behind a name says how many columns it gives.
_SHORT = {
    "motion6": ("motion", "basic"),
    "motion12": ("motion", "derivatives"),
    "motion24": ("motion", "full"),
    "wm_csf8": ("wm_csf", "full"),
    "global_signal4": ("global_signal", "full"),
}
_PLAIN = ("high_pass", "scrub", "non_steady_state")
_COMPCOR = re.compile(r"([at])compcor([1-9]\d*)?")
_REFUSED = {
    "ica_aroma": "Its full form needs the image that fMRIPrep wrote with AROMA: read that one. "
    "For its basic form pass columns='aroma_motion_*'.",
    "tedana": "Its components are in files of tedana's: pass that table, and its columns.",
}
_NAMES = ("motion", "wm_csf", "global_signal", "compcor", "acompcor", "tcompcor", *_PLAIN, *_SHORT)


@dataclass(frozen=True, slots=True)
class Models:
    """Settings of components that are named without a number.

    Attributes
    ----------
    motion, wm_csf, global_signal : str
        Which expansion of the signals.
    compcor : str
        Which CompCor components.
    n_compcor : int or None
        How many of each mask; None for all.
    """

    motion: str
    wm_csf: str
    global_signal: str
    compcor: str
    n_compcor: int | None


@dataclass(frozen=True, slots=True)
class Component:
    """One component of a strategy.

    Attributes
    ----------
    kind : str
        "motion", "wm_csf", "global_signal", "compcor", "high_pass", "scrub",
        "non_steady_state", or "columns".
    model : str
        Expansion, type of CompCor, or pattern of column names.
    n_components : int or None
        Of CompCor, how many of each mask.
    """

    kind: str
    model: str = ""
    n_components: int | None = None


def split_names(names: str | Sequence[str], parameter: str) -> list[str]:
    """Return names given as a list, or in one text with commas.

    Examples
    --------
    >>> split_names("motion24, scrub", "strategy")
    ['motion24', 'scrub']
    """
    items: object = names.split(",") if isinstance(names, str) else names
    if not isinstance(items, list | tuple) or not all(isinstance(one, str) for one in items):
        msg = f"`{parameter}` must be a text with commas, or a list of str. Got {names!r}."
        raise ParameterTypeError(msg)
    stripped = [one.strip() for one in items]
    return [one for one in stripped if one]


def parse_strategy(
    names: Sequence[str], models: Models, columns: Sequence[str]
) -> tuple[Component, ...]:
    """Return the components that names of strategies stand for.

    Parameters
    ----------
    names : sequence of str
        Strategies; what is none must be a column of the table, or a shell pattern of columns.
    models : Models
        What a name without a number means.
    columns : sequence of str
        Columns of the table.

    Returns
    -------
    tuple of Component
        In the order of the names.

    Raises
    ------
    ParameterError
        If a name is neither strategy, column nor pattern; if one is not supported; or if CompCor
        is asked for without "high_pass".
    """
    parsed = tuple(_component(name, models, columns) for name in names)
    kinds = {component.kind for component in parsed}
    if "compcor" in kinds and "high_pass" not in kinds:
        msg = (
            f"`strategy` must have 'high_pass' with CompCor: fMRIPrep computes the components "
            f"after removing these slow waves. Got {list(names)}. Add 'high_pass'."
        )
        raise ParameterError(msg)
    return parsed


def columns_of(
    component: Component, columns: Sequence[str], metadata: Mapping[str, Any] | None
) -> list[str]:
    """Return the columns of a component, whether the table has them or not."""
    if component.kind in _BASES:
        suffixes = _SUFFIXES[component.model]
        return [base + suffix for base in _BASES[component.kind] for suffix in suffixes]
    if component.kind == "compcor":
        return compcor_columns(component.model, component.n_components, columns, metadata)
    if component.kind == "high_pass":
        return [name for name in columns if "cosine" in name]
    if component.kind == "columns":
        # A name may hold a bracket: as it is, it comes before the pattern that it also is.
        if component.model in columns:
            return [component.model]
        matching = [name for name in columns if fnmatchcase(name, component.model)]
        return matching or [component.model]
    return []


def _component(name: str, models: Models, columns: Sequence[str]) -> Component:
    if name in _REFUSED:
        msg = f"`strategy` must not have {name!r}, which is not supported. {_REFUSED[name]}"
        raise ParameterError(msg)
    if name in _SHORT:
        return Component(*_SHORT[name])
    if name in _BASES:
        return Component(name, getattr(models, name))
    if name == "compcor":
        return Component(name, models.compcor, models.n_compcor)
    if name in _PLAIN:
        return Component(name)
    match = _COMPCOR.fullmatch(name)
    if match:
        anatomical = "anat_separated" if "separated" in models.compcor else "anat_combined"
        n_components = int(match[2]) if match[2] else models.n_compcor
        return Component("compcor", anatomical if match[1] == "a" else "temporal", n_components)
    if name in columns or any(mark in name for mark in "*?["):
        return Component("columns", name)
    near = get_close_matches(name, [*_NAMES, *columns], n=3)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Strategies are {', '.join(_NAMES)}."
    msg = (
        f"`strategy` must name strategies, columns, or shell patterns of columns. Got {name!r}, "
        f"which is none. {hint}"
    )
    raise ParameterError(msg)


def check_models(models: Models) -> None:
    """Raise `ParameterError` for a parameter that is none of its choices."""
    for parameter in ("motion", "wm_csf", "global_signal", "compcor"):
        allowed = COMPCOR_TYPES if parameter == "compcor" else MODELS
        check_choice(getattr(models, parameter), parameter, allowed)
