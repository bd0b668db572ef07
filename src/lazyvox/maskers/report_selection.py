"""Selection of the maps or spheres of a report, and the text of its numbers and parameters."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from nibabel.spatialimages import SpatialImage

from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.lazyimage.dataobj import name_of

__all__ = ["displayed_numbers", "shown_number", "shown_parameters"]

#: Items that have a figure by default: as many as there are, up to this number.
DEFAULT_DISPLAYED = 10

#: Letters of a parameter that are shown.
MAX_LETTERS = 200


def displayed_numbers(displayed: Any, n_items: int, what: str) -> tuple[list[int], list[str]]:
    """Return the numbers of the items to show, and a remark about missing ones.

    Parameters
    ----------
    displayed : int, "all", or list or array of int
        How many of the first ones, or which.
    n_items : int
        How many there are.
    what : str
        What they are: "map" or "sphere".

    Returns
    -------
    numbers : list of int
        Their numbers, in the order that was given.
    remarks : list of str
        Sentences for the reader.

    Raises
    ------
    ParameterTypeError
        If `displayed` is something else.
    ParameterError
        If it is a negative number.
    """
    name = f"displayed_{what}s"
    has = f"The masker has {n_items} {what}{'s' * (n_items != 1)}"
    if isinstance(displayed, int | np.integer) and not isinstance(displayed, bool):
        if displayed < 0:
            msg = f"`{name}` must be 0 or more, or 'all'. Got {displayed}."
            raise ParameterError(msg)
        remark = f"{has}: all are shown. Got {name}={displayed}."
        is_much = displayed > n_items and displayed != DEFAULT_DISPLAYED
        return list(range(min(displayed, n_items))), [remark] if is_much else []
    if isinstance(displayed, str) and displayed == "all":
        return list(range(n_items)), []
    wanted = _integers(displayed, name)
    absent = [number for number in wanted if not 0 <= number < n_items]
    remarks = [f"{has}, numbered from 0: {absent} of {name} cannot be shown."] if absent else []
    return [number for number in wanted if 0 <= number < n_items], remarks


def _integers(displayed: Any, name: str) -> list[int]:
    """Return a list or array of integers as a list."""
    rule = f"`{name}` must be 'all', an integer, or a list or array of integers."
    if not isinstance(displayed, list | np.ndarray):
        shown = repr(displayed) if isinstance(displayed, str) else type(displayed).__name__
        msg = f"{rule} Got {shown}."
        raise ParameterTypeError(msg)
    values = displayed.ravel().tolist() if isinstance(displayed, np.ndarray) else displayed
    for place, value in enumerate(values):
        if not isinstance(value, int | np.integer) or isinstance(value, bool):
            msg = f"{rule} Got {value!r} at place {place}."
            raise ParameterTypeError(msg)
    return [int(value) for value in values]


def shown_number(value: float, digits: int = 4) -> str:
    """Return a number as text, without needless digits."""
    if (float(value).is_integer() or abs(value) >= 1000) and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:,.{digits}g}"


def shown_parameters(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters of a masker as text."""
    return {name: _shown(value) for name, value in parameters.items()}


def _shown(value: Any) -> str:
    if isinstance(value, SpatialImage):
        return f"{name_of(value)}, shape {tuple(value.shape)}"
    if isinstance(value, np.ndarray):
        text = str(value.tolist()) if value.size <= 16 else f"array of shape {value.shape}"
    elif isinstance(value, os.PathLike):
        text = os.fspath(value)
    elif hasattr(value, "columns") and hasattr(value, "shape"):
        text = f"{type(value).__name__} of shape {value.shape}"
    else:
        text = str(value)
    return text if len(text) <= MAX_LETTERS else f"{text[:MAX_LETTERS]}..."
