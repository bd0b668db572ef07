"""Syntax of formulas of images, and the errors of those that break it."""

import ast
import re
from typing import Any, NoReturn

from lazyvox.errors import ParameterError, ParameterTypeError

__all__ = [
    "FormulaAttributeError",
    "FormulaError",
    "FormulaNameError",
    "FormulaSyntaxError",
    "FormulaTypeError",
    "parse_formula",
]

#: Longer and deeper formulas are no formulas that somebody wrote.
MAX_LENGTH = 10_000
MAX_DEPTH = 200


class FormulaError(ParameterError):
    """A formula that cannot be computed."""


class FormulaSyntaxError(FormulaError, SyntaxError):
    """A formula that is no Python expression, or more than a formula may be."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        # Python prints this in place of `args`.
        self.msg = message


class FormulaNameError(FormulaError, NameError):
    """A formula with a name that is neither an image nor known."""


class FormulaAttributeError(FormulaError, AttributeError):
    """A formula with a function or property that is not among those allowed."""


class FormulaTypeError(ParameterTypeError):
    """A formula whose values do not have the types that its operations take."""


_ALLOWED: tuple[type[ast.AST], ...] = (
    ast.Expression,
    ast.BinOp,
    ast.UnaryOp,
    ast.BoolOp,
    ast.Compare,
    ast.Call,
    ast.keyword,
    ast.Attribute,
    ast.Name,
    ast.Constant,
    ast.Subscript,
    ast.Slice,
    ast.Tuple,
    ast.List,
    ast.operator,
    ast.unaryop,
    ast.boolop,
    ast.cmpop,
    ast.expr_context,
)

_REFUSED = (ast.MatMult, ast.LShift, ast.RShift, ast.Is, ast.IsNot, ast.In, ast.NotIn)

_NUMBERS = (bool, int, float, complex, type(None), type(Ellipsis))
_DTYPE_NAME = re.compile(r"[<>=|]?[a-z]+[0-9]{0,3}")


def parse_formula(formula: Any) -> ast.expr:
    """Return the syntax tree of a formula; runs nothing.

    Parameters
    ----------
    formula : str
        A Python expression of images, numbers, operators, and functions of NumPy.

    Returns
    -------
    ast.expr
        The tree; every node of it is of a kind that the evaluation knows.

    Raises
    ------
    FormulaSyntaxError
        If it is no expression, or holds what a formula may not hold.
    FormulaAttributeError
        If it names an attribute that begins with an underscore.
    ParameterTypeError
        If it is no text.

    Notes
    -----
    Memory: a few hundred bytes for each character. Names and functions are looked up, in lists of
    those allowed, when the formula is computed.

    Examples
    --------
    >>> type(parse_formula("img1 + 2")).__name__
    'BinOp'
    """
    if not isinstance(formula, str):
        msg = f"`formula` must be a text. Got {type(formula).__name__}."
        raise ParameterTypeError(msg)
    if len(formula) > MAX_LENGTH:
        msg = f"`formula` must be at most {MAX_LENGTH} characters long. Got {len(formula)}."
        raise FormulaSyntaxError(msg)
    try:
        tree = ast.parse(formula.strip(), mode="eval")
    except SyntaxError as error:
        msg = (
            f"`formula` must be an expression, such as (a - b) * 2. Got {formula!r}: {error.msg}."
        )
        raise FormulaSyntaxError(msg) from error
    except (ValueError, RecursionError, MemoryError) as error:
        msg = (
            f"`formula` must be an expression, such as (a - b) * 2. It could not be read: {error}."
        )
        raise FormulaSyntaxError(msg) from error
    _check_nodes(tree, formula)
    return tree.body


def _check_nodes(tree: ast.Expression, formula: str) -> None:
    """Refuse nodes of other kinds, and trees that are too deep to walk."""
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
        for node in level:
            _check_node(node, formula)
    msg = f"`formula` must be nested less than {MAX_DEPTH} levels deep. Use fewer operations."
    raise FormulaSyntaxError(msg)


def _check_node(node: ast.AST, formula: str) -> None:
    if not isinstance(node, _ALLOWED) or isinstance(node, _REFUSED):
        _refuse(type(node).__name__, formula)
    if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
        msg = (
            f"`formula` may use functions of NumPy and a few properties of arrays. Got "
            f"{node.attr!r} in {formula!r}."
        )
        raise FormulaAttributeError(msg)
    if isinstance(node, ast.Constant):
        _check_constant(node.value, formula)
    if isinstance(node, ast.keyword) and node.arg is None:
        _refuse("**", formula)


def _check_constant(value: Any, formula: str) -> None:
    is_dtype = isinstance(value, str) and _DTYPE_NAME.fullmatch(value)
    if isinstance(value, _NUMBERS) or is_dtype:
        return
    msg = (
        f"`formula` may hold numbers, and texts that name data types. Got "
        f"{type(value).__name__} {str(value)[:40]!r} in {formula!r}."
    )
    raise FormulaSyntaxError(msg)


def _refuse(what: str, formula: str) -> NoReturn:
    msg = (
        f"`formula` may hold images, numbers, the operators + - * / // % ** & | ^ ~ and "
        f"comparisons, indices, and functions of NumPy. Got {what} in {formula!r}."
    )
    raise FormulaSyntaxError(msg)
