"""Constraints of the parameters of maskers, checked when a masker is fitted."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazyvox.errors import LazyvoxWarning, ParameterTypeError
from lazyvox.planning.arguments import check_choice

__all__ = [
    "MaskerFutureWarning",
    "MaskerRuntimeWarning",
    "MaskerWarning",
    "check_parameters",
]


class MaskerWarning(LazyvoxWarning):
    """A masker changes its input in a way that its user should know of."""


class MaskerRuntimeWarning(MaskerWarning, RuntimeWarning):
    """An input that a masker does not use."""


class MaskerFutureWarning(MaskerWarning, FutureWarning):
    """A value that nilearn is going to give up."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """Types that a parameter may have, as Python has them and as a message says them."""

    types: tuple[type, ...]
    text: str
    is_flag: bool = False

    def accepts(self, value: object) -> bool:
        """Return whether a value is of the kind; a boolean is no number."""
        if isinstance(value, bool) and not self.is_flag:
            return False
        return isinstance(value, self.types)


_NUMBER = _Kind((int, float, np.integer, np.floating, type(None)), "a number or None")
_COUNT = _Kind((int, np.integer), "an integer")
_LEVEL = _Kind((bool, int, np.integer), "an integer or a boolean", is_flag=True)
_FLAG = _Kind((bool,), "a boolean", is_flag=True)
_ARRAY = _Kind((np.ndarray, list, tuple, type(None)), "an array, list, tuple or None")

_KINDS: Mapping[str, _Kind] = {
    "detrend": _FLAG,
    "standardize_confounds": _FLAG,
    "keep_masked_labels": _FLAG,
    "keep_masked_maps": _FLAG,
    "low_pass": _NUMBER,
    "high_pass": _NUMBER,
    "t_r": _NUMBER,
    "smoothing_fwhm": _NUMBER,
    "memory_level": _COUNT,
    "n_jobs": _COUNT,
    "verbose": _LEVEL,
    "target_affine": _ARRAY,
    "target_shape": _ARRAY,
}

_STANDARDIZE = ("zscore_sample", "psc", True, False, None)


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Raise for parameters of a wrong type.

    Parameters
    ----------
    parameters : mapping
        Parameters of a masker by name; those that are not known here are not checked.

    Raises
    ------
    ParameterTypeError
        If the type of one is wrong, or `dtype` is bool.
    ParameterError
        If `standardize` is none of its values.
    """
    for name, kind in _KINDS.items():
        if name in parameters and not kind.accepts(parameters[name]):
            value = parameters[name]
            msg = f"`{name}` must be {kind.text}. Got {value!r} ({type(value).__name__})."
            raise ParameterTypeError(msg)
    if "standardize" in parameters:
        check_choice(parameters["standardize"], "standardize", _STANDARDIZE)
    memory = parameters.get("memory")
    if not (memory is None or isinstance(memory, str | os.PathLike) or hasattr(memory, "cache")):
        msg = (
            f"`memory` must be a folder, a joblib.Memory or None. Got {memory!r}. For the bytes "
            f"that may be used, set `memory_budget`."
        )
        raise ParameterTypeError(msg)
    dtype = parameters.get("dtype")
    # Only where it is that type itself: np.dtype of other things may be bool too.
    if dtype is bool or dtype is np.bool_ or dtype in ("bool", "?"):
        msg = "`dtype` must be a type of numbers. Got bool: signals are not true or false."
        raise ParameterTypeError(msg)
