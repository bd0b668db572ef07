"""Contrasts: expressions of the names of columns, whatever characters these have."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from lazyvox._typing import FloatArray
from lazyvox.bids.names import bids_label
from lazyvox.errors import ParameterError

__all__ = ["contrast_label", "contrast_weights", "design_weights", "named_contrasts"]


def named_contrasts(texts: Sequence[str]) -> dict[str, str]:
    """Return the expression of each contrast, by its name; by itself where it has none.

    Parameters
    ----------
    texts : sequence of str
        Expressions, such as ``"face - house"``, or ``"faces=face - house"`` with a name.

    Returns
    -------
    dict
        Expressions by name.

    Raises
    ------
    ParameterError
        If two have one name, or names that are one label in letters and digits.

    Examples
    --------
    >>> named_contrasts(["faces=face - house", "face"])
    {'faces': 'face - house', 'face': 'face'}
    """
    found: dict[str, str] = {}
    for text in texts:
        name, _, expression = (part.strip() for part in text.rpartition("="))
        name = name or expression
        if name in found:
            msg = f"`contrasts` must be given once for each name. Got {name!r} twice."
            raise ParameterError(msg)
        if not re.search("[a-zA-Z0-9]", name):
            msg = (
                f"`contrasts`: a name must have letters (a to z) or digits, for names of files. Got "
                f"{name!r} for {expression!r}."
            )
            raise ParameterError(msg, hint="Name it as in NAME=EXPRESSION.")
        found[name] = expression
    # Some file systems do not tell capitals from small letters.
    labels = [contrast_label(name).lower() for name in found]
    twice = [name for name, label in zip(found, labels, strict=True) if labels.count(label) > 1]
    if twice:
        msg = (
            f"`contrasts`: names must differ in letters and digits, whatever their case. Got "
            f"{twice[0]!r} and {twice[1]!r}; name them as in NAME=EXPRESSION."
        )
        raise ParameterError(msg)
    return found


def contrast_label(name: str) -> str:
    """Return a contrast as a label of BIDS.

    Examples
    --------
    >>> contrast_label("face - house"), contrast_label("2*a#0")
    ('faceMinusHouse', '2TimesA0')
    """
    words = {"-": " minus ", "+": " plus ", "*": " times ", "/": " by "}
    return bids_label("".join(words.get(letter, letter) for letter in name).strip())


def contrast_weights(contrast: Any, names: Sequence[str]) -> FloatArray:
    """Return the weights of the columns of a design in a contrast.

    Parameters
    ----------
    contrast : str, or array-like of shape (n_columns,) or (n, n_columns)
        An expression of names of columns and numbers, such as ``"face - house"`` or
        ``"(a#0 + a#1) / 2"``; or the weights themselves.
    names : sequence of str
        The columns.

    Returns
    -------
    ndarray, float64
        The weights: of shape (n_columns,) for an expression.

    Raises
    ------
    ParameterError
        If a name is none of a column, the expression is none, there are more weights than
        columns, one is not finite, or all are 0.

    Examples
    --------
    >>> contrast_weights("2 * a#0 - b", ["a#0", "b", "constant"])
    array([ 2., -1.,  0.])
    """
    with np.errstate(invalid="ignore", over="ignore"):
        weights = _weights(contrast, names)
    if not np.isfinite(weights).all() or not weights.any():
        got = "none but 0" if np.isfinite(weights).all() else "NaN or infinity"
        msg = f"`contrast` must have finite weights, and one that is not 0. Got {got} of {contrast!r}."
        raise ParameterError(msg, parameter="contrast")
    return weights


def design_weights(
    expressions: Mapping[str, str], designs: Sequence[Any]
) -> dict[str, list[FloatArray]]:
    """Return the weights of contrasts in the designs of some runs.

    Parameters
    ----------
    expressions : mapping of str to str
        Expressions by name.
    designs : sequence of DataFrame
        A design for each run, without the volumes that are left out.

    Returns
    -------
    dict of str to list of ndarray
        An array for each run, by name of the contrast.

    Raises
    ------
    ParameterError
        As in `contrast_weights`; or if a contrast names a column that is zero in a run.
    """
    return {
        name: [_weights_in(text, design, run) for run, design in enumerate(designs, 1)]
        for name, text in expressions.items()
    }


def _weights_in(text: str, design: Any, run: int) -> FloatArray:
    names = [str(column) for column in design.columns]
    weights = contrast_weights(text, names)
    silent = (weights != 0) & ~np.asarray(design != 0).any(axis=0)
    if silent.any():
        column = names[int(silent.argmax())]
        msg = (
            f"`contrast` must be of columns that are not zero. Got {text!r}, where {column!r} is zero at "
            f"all volumes of run {run}: none of its events falls into them."
        )
        hint = "Leave that run or the contrast out, or look at the onsets and at `t_r`."
        raise ParameterError(msg, parameter="contrast", hint=hint)
    return weights


def _weights(contrast: Any, names: Sequence[str]) -> FloatArray:
    """Return the weights of an expression, or those that are given, whatever they are."""
    if not isinstance(contrast, str):
        return _given(contrast, len(names))
    if contrast.strip() in names:
        alone: FloatArray = np.eye(len(names))[list(names).index(contrast.strip())]
        return alone
    # Longest first: of "run" and "run_1" the longer one is meant where both fit.
    ordered = sorted(names, key=len, reverse=True)
    columns = "|".join(re.escape(name) for name in ordered)
    tokens = re.compile(
        rf"\s*(?:(?<![\w#.])(?P<name>{columns})(?![\w#.])|(?P<number>\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)"
        r"|(?P<sign>[-+*/()])|(?P<other>[^\s\-+*/()]+))"
    )
    text = contrast.replace("`", "")
    found = [(match.lastgroup, match[match.lastgroup or 0]) for match in tokens.finditer(text)]
    unknown = [part for kind, part in found if kind == "other"]
    if unknown:
        msg = (
            f"`contrast` must be an expression of columns of the design. Got {contrast!r}, where "
            f"{unknown[0]!r} is none of them. Columns: {', '.join(names)}."
        )
        raise ParameterError(msg)
    weights: FloatArray | float = _Expression(found, list(names), contrast).value()
    if not isinstance(weights, np.ndarray):
        _refuse(contrast, "it names no column")
    return weights


class _Expression:
    """Parser of sums, products with numbers, and brackets."""

    def __init__(self, parts: list[tuple[str | None, str]], names: list[str], text: str) -> None:
        self._parts, self._names, self._text, self._at = parts, names, text, 0

    def value(self) -> Any:
        """Return the weights; a number if no column is named."""
        found = self._sum()
        if self._at < len(self._parts):
            _refuse(self._text, f"{self._parts[self._at][1]!r} comes too early")
        return found

    def _next(self, signs: str) -> str:
        """Return the next part if it is one of some signs, and go on; else nothing."""
        if self._at < len(self._parts):
            kind, part = self._parts[self._at]
            if kind == "sign" and part in signs:
                self._at += 1
                return part
        return ""

    def _sum(self) -> Any:
        found = self._product()
        while sign := self._next("+-"):
            other = self._product()
            if isinstance(found, np.ndarray) != isinstance(other, np.ndarray):
                _refuse(self._text, "a number is added to columns")
            found = found + other if sign == "+" else found - other
        return found

    def _product(self) -> Any:
        found = self._factor()
        while sign := self._next("*/"):
            other = self._factor()
            if isinstance(other, np.ndarray) and (sign == "/" or isinstance(found, np.ndarray)):
                _refuse(self._text, "columns can be multiplied with and divided by numbers only")
            if sign == "/" and other == 0:
                _refuse(self._text, "it divides by zero")
            found = found * other if sign == "*" else found / other
        return found

    def _factor(self) -> Any:
        if sign := self._next("+-"):
            found = self._factor()
            return -found if sign == "-" else found
        if self._next("("):
            found = self._sum()
            if not self._next(")"):
                _refuse(self._text, "a bracket is not closed")
            return found
        if self._at == len(self._parts) or self._parts[self._at][0] == "sign":
            _refuse(self._text, "it ends, or goes on with a sign, where a column must be")
        kind, part = self._parts[self._at]
        self._at += 1
        if kind == "number":
            return float(part)
        return np.eye(len(self._names))[self._names.index(part)]


def _given(contrast: Any, n_columns: int) -> FloatArray:
    weights = np.asarray(contrast, dtype=np.float64)
    if weights.ndim not in {1, 2} or weights.shape[-1] > n_columns or not weights.size:
        msg = (
            f"`contrast` must have a weight for each of {n_columns} columns, in one row for a t "
            f"contrast and several for F. Got shape {weights.shape}."
        )
        raise ParameterError(msg)
    missing = n_columns - weights.shape[-1]
    return np.pad(weights, [(0, 0)] * (weights.ndim - 1) + [(0, missing)])


def _refuse(text: str, reason: str) -> NoReturn:
    msg = (
        f'`contrast` must be an expression of columns and numbers, such as "face - house". Got '
        f"{text!r}: {reason}."
    )
    raise ParameterError(msg)
