"""Expressions as formulas that people read."""

from collections.abc import Sequence
from textwrap import shorten

from lazyvox.array.kernels import Call, Constant, Source, Step

__all__ = ["formula_of"]

_INFIX = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "floor_divide": "//",
    "remainder": "%",
    "power": "**",
    "greater": ">",
    "greater_equal": ">=",
    "less": "<",
    "less_equal": "<=",
    "equal": "==",
    "not_equal": "!=",
    "bitwise_and": "&",
    "bitwise_or": "|",
    "bitwise_xor": "^",
}

#: Longer formulas are cut: the sum of a thousand images is clear after a few.
_LONGEST = 160


def formula_of(steps: Sequence[Step], names: Sequence[str]) -> str:
    """Return an expression as a formula.

    Parameters
    ----------
    steps : sequence of Source, Constant or Call
        The expression.
    names : sequence of str
        The names of its sources.

    Returns
    -------
    str
        The formula, cut where it is long.

    Examples
    --------
    >>> call = Call(np.multiply, (0, 1), (), np.dtype("f4"))
    >>> formula_of((Constant(2), Source(0), call), ["run.nii"])
    '2 * run.nii'
    """
    texts: list[str] = []
    for number, step in enumerate(steps):
        if isinstance(step, Source):
            text = names[step.number]
        elif isinstance(step, Constant):
            text = str(step.value)
        else:
            is_last = number == len(steps) - 1
            text = _call(step, [texts[place] for place in step.arguments], is_last=is_last)
        texts.append(shorten(text, _LONGEST, placeholder=" ..."))
    return texts[-1]


def _call(call: Call, arguments: list[str], *, is_last: bool) -> str:
    name = call.function.__name__
    if name in _INFIX and len(arguments) == 2 and not call.options:
        text = f"{arguments[0]} {_INFIX[name]} {arguments[1]}"
        return text if is_last else f"({text})"
    options = [f"{key}={value}" for key, value in call.options]
    return f"{name}({', '.join([*arguments, *options])})"
