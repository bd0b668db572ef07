"""Checks of the options that functions on signals share.

Types and categories are those that nilearn raises; what must hold is said in each message.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Literal, TypeAlias

import numpy as np

from lazyvox.errors import LazyvoxWarning, ParameterError, ParameterTypeError
from lazyvox.planning.arguments import check_choice, check_flag, checked_integer

__all__ = [
    "BooleanStandardizeWarning",
    "FilterChoice",
    "FilterKind",
    "Padding",
    "Standardize",
    "check_filter",
    "check_flag",
    "check_number",
    "check_padding",
    "check_standardize",
]

Standardize: TypeAlias = Literal["zscore_sample", "psc"]
FilterKind: TypeAlias = Literal["butterworth", "cosine"]

#: Keywords of `clean` that go to the Butterworth filter begin with this.
_PREFIX = "butterworth__"
_PADDING_NAMES = ("order", "padtype", "padlen", "copy")


class BooleanStandardizeWarning(LazyvoxWarning, FutureWarning):
    """`standardize` was given as True or False, which nilearn is about to drop."""


@dataclass(frozen=True, slots=True)
class FilterChoice:
    """The temporal filter that the options ask for.

    Attributes
    ----------
    kind : {"butterworth", "cosine"} or None
        Kind of filter.
    low_pass, high_pass : float or None
        Cutoffs in Hz.
    t_r : float
        Seconds between volumes; 1 where nothing depends on it.
    """

    kind: FilterKind | None
    low_pass: float | None = None
    high_pass: float | None = None
    t_r: float = 1.0


@dataclass(frozen=True, slots=True)
class Padding:
    """The further options of the Butterworth filter.

    Attributes
    ----------
    order : int
        Order.
    padtype : {"odd", "even", "constant"} or None
        How signals are continued at both ends.
    padlen : int or None
        Volumes of padding; None leaves it to the order.
    copy : bool
        Whether results are float64 whatever the signals are.
    """

    order: int = 5
    padtype: str | None = "odd"
    padlen: int | None = None
    copy: bool = False


def check_number(value: object, name: str) -> float | None:
    """Return a number or None.

    Parameters
    ----------
    value : object
        What was given.
    name : str
        Name of the option.

    Returns
    -------
    float or None
        The value.

    Raises
    ------
    ParameterTypeError
        If it is neither.
    """
    if value is None:
        return None
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        msg = f"`{name}` must be a number or None. Got {value!r} of type {type(value).__name__}."
        raise ParameterTypeError(msg)
    return float(value)


def check_standardize(value: object, *, warns_on_bool: bool) -> Standardize | None:
    """Return how signals are standardised.

    Parameters
    ----------
    value : object
        Option as it was given; True means "zscore_sample", False means None.
    warns_on_bool : bool
        Whether True and False give the warning that nilearn gives.

    Returns
    -------
    {"zscore_sample", "psc"} or None
        What is to be done.

    Raises
    ------
    ParameterError
        If it is none of these.
    """
    if isinstance(value, bool | np.bool_):
        if warns_on_bool:
            msg = (
                f"standardize should be 'zscore_sample', 'psc' or None. Got {value}. nilearn 0.15 "
                "takes no boolean: pass 'zscore_sample' in place of True, None in place of False."
            )
            warnings.warn(msg, BooleanStandardizeWarning, stacklevel=4)
        return "zscore_sample" if value else None
    if value is None:
        return None
    if isinstance(value, str) and value == "zscore_sample":
        return "zscore_sample"
    if isinstance(value, str) and value == "psc":
        return "psc"
    msg = f"standardize must be 'zscore_sample', 'psc' or None. Got {value!r}."
    if isinstance(value, str) and value == "zscore":
        msg += " Pass 'zscore_sample'; nilearn has dropped the other form."
    raise ParameterError(msg)


def check_filter(kind: object, low_pass: object, high_pass: object, t_r: object) -> FilterChoice:
    """Return the filter that the options of `clean` ask for.

    Parameters
    ----------
    kind : object
        "butterworth", "cosine", or False or None for no filter.
    low_pass, high_pass : object
        Cutoffs in Hz, or None.
    t_r : object
        Seconds between volumes, or None.

    Returns
    -------
    FilterChoice
        The filter; of no kind where nothing is to be filtered.

    Raises
    ------
    ParameterError
        If the options contradict each other, or are outside of what is possible.
    ParameterTypeError
        If one of them is not a number.
    """
    low, high = check_number(low_pass, "low_pass"), check_number(high_pass, "high_pass")
    seconds = check_number(t_r, "t_r")
    if kind is None or kind is False:
        if low is not None or high is not None:
            msg = f"low_pass={low} and high_pass={high} have no effect with filter={kind}."
            warnings.warn(msg, LazyvoxWarning, stacklevel=4)
        return FilterChoice(None)
    if kind == "cosine":
        return _cosine_choice(low, high, seconds)
    if kind != "butterworth":
        msg = f"filter must be 'butterworth', 'cosine', False or None. Got {kind!r}."
        raise ParameterError(msg)
    if low is None and high is None:
        return FilterChoice(None)
    if seconds is None:
        msg = "`low_pass` and `high_pass` need `t_r`, the seconds between volumes. Got None."
        raise ParameterError(msg)
    check_seconds(seconds)
    return FilterChoice("butterworth", low, high, seconds)


def _cosine_choice(low: float | None, high: float | None, t_r: float | None) -> FilterChoice:
    if t_r is None or high is None:
        msg = f"filter='cosine' needs `t_r` and `high_pass`. Got t_r={t_r}, high_pass={high}."
        raise ParameterError(msg)
    check_seconds(t_r)
    if not 0 <= high < np.inf:
        msg = f"`high_pass` must be a frequency in Hz, at least 0. Got {high}."
        raise ParameterError(msg)
    if low is not None:
        msg = f"filter='cosine' only removes slow changes: low_pass={low} has no effect."
        warnings.warn(msg, LazyvoxWarning, stacklevel=5)
    return FilterChoice("cosine", None, high, t_r)


def check_seconds(t_r: float) -> None:
    """Refuse a repetition time that no series can have.

    Parameters
    ----------
    t_r : float
        Seconds between volumes.

    Raises
    ------
    ParameterError
        If it is not above 0 and finite.
    """
    if not 0 < t_r < np.inf:
        msg = f"`t_r`, the seconds between volumes, must be above 0 and finite. Got {t_r}."
        raise ParameterError(msg)


def check_padding(keywords: Mapping[str, object]) -> Padding:
    """Return the options that begin with ``butterworth__``.

    Parameters
    ----------
    keywords : mapping
        Keywords that `clean` does not name.

    Returns
    -------
    Padding
        The options, those not given at their defaults.

    Raises
    ------
    ParameterTypeError
        If a keyword is unknown, or a value is of the wrong type.
    ParameterError
        If a value is outside of what is possible.
    """
    known = [_PREFIX + name for name in _PADDING_NAMES]
    for name in keywords:
        if name not in known:
            msg = f"Unknown keyword {name!r}. Further keywords are {', '.join(known)}."
            raise ParameterTypeError(msg)
    given = {name.removeprefix(_PREFIX): value for name, value in keywords.items()}
    padtypes = ("odd", "even", "constant", None)
    padlen = given.get("padlen")
    return Padding(
        checked_integer(given.get("order", 5), f"{_PREFIX}order", 1),
        check_choice(given.get("padtype", "odd"), f"{_PREFIX}padtype", padtypes),
        None if padlen is None else checked_integer(padlen, f"{_PREFIX}padlen"),
        check_flag(given.get("copy", False), f"{_PREFIX}copy"),
    )
