"""Formulas computed: a walk over the syntax tree, with a function for each kind of node."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.numpy_functions import WHOLE, cast, is_elementwise, lazy_call
from lazyvox.array.prerequisites import fill_reductions, pending_reductions
from lazyvox.image.formula import FormulaAttributeError, FormulaNameError, FormulaTypeError
from lazyvox.image.formula_functions import apply_elementwise, apply_whole, power, taken
from lazyvox.image.formula_reductions import REDUCTIONS, reduce_array

__all__ = ["Evaluation"]

_BINARY: dict[type[ast.operator], np.ufunc] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.true_divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.remainder,
    ast.BitAnd: np.bitwise_and,
    ast.BitOr: np.bitwise_or,
    ast.BitXor: np.bitwise_xor,
}

#: The operators themselves, for operands that are in memory: Python's numbers stay Python's.
_PLAIN: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}

_UNARY: dict[type[ast.unaryop], tuple[np.ufunc, Callable[[Any], Any]]] = {
    ast.UAdd: (np.positive, operator.pos),
    ast.USub: (np.negative, operator.neg),
    ast.Invert: (np.invert, operator.invert),
}

_COMPARED: dict[type[ast.cmpop], tuple[np.ufunc, Callable[[Any, Any], Any]]] = {
    ast.Lt: (np.less, operator.lt),
    ast.LtE: (np.less_equal, operator.le),
    ast.Gt: (np.greater, operator.gt),
    ast.GtE: (np.greater_equal, operator.ge),
    ast.Eq: (np.equal, operator.eq),
    ast.NotEq: (np.not_equal, operator.ne),
}

_METHODS = frozenset(
    [
        "astype",
        "mean",
        "std",
        "var",
        "sum",
        "min",
        "max",
        "any",
        "all",
        "prod",
        "clip",
        "round",
        "copy",
        "argmin",
        "argmax",
        "cumsum",
        "cumprod",
        "squeeze",
        "ravel",
        "flatten",
        "transpose",
        "conj",
        "conjugate",
    ]
)
_PROPERTIES = frozenset(["shape", "ndim", "size", "dtype", "real", "imag", "T"])
_CONSTANTS = frozenset(["pi", "e", "inf", "nan", "euler_gamma", "newaxis"])
_CASTS = frozenset(["astype", "array", "asarray"])
_BUILTINS: dict[str, Any] = {"abs": np.absolute, "int": int, "float": float, "bool": bool}


class Evaluation:
    """The value of a formula for some images.

    Reductions are computed when the whole formula is known: those of one and the same expression
    in one pass.

    Parameters
    ----------
    tree : ast.expr
        From `parse_formula`.
    names : mapping of str to LazyArray
        The voxels of each image.
    aligns_space : bool, default=False
        Whether volumes have one meaning beside series: of operands with 3 and 4 axes, those with
        3 get a time axis of length 1. NumPy aligns the last axes instead.
    """

    def __init__(
        self, tree: ast.expr, names: Mapping[str, LazyArray], *, aligns_space: bool = False
    ) -> None:
        self._tree = tree
        self._names = names
        self._aligns_space = aligns_space

    def pending_value(self) -> Any:
        """Return the result of the formula; reductions are computed when it is read."""
        return self._value(self._tree)

    def value(self) -> Any:
        """Return the result of the formula: lazy, in memory, or no array at all."""
        value = self.pending_value()
        if not isinstance(value, LazyArray):
            return value
        has_reductions = bool(pending_reductions((value,)))
        fill_reductions((value,))
        is_reduced = has_reductions and value.ndim < 4 and value.reader.is_in_memory
        return value.read() if is_reduced or value.ndim < 3 else value

    def _value(self, node: ast.AST) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Tuple | ast.List):
            values = [self._value(item) for item in node.elts]
            return tuple(values) if isinstance(node, ast.Tuple) else values
        if isinstance(node, ast.Slice):
            parts = (node.lower, node.upper, node.step)
            return slice(*(None if part is None else self._value(part) for part in parts))
        method = getattr(self, f"_{type(node).__name__.lower()}")
        return method(node)

    def _name(self, node: ast.Name) -> Any:
        if node.id in self._names:
            return self._names[node.id]
        if node.id in _BUILTINS:
            return _BUILTINS[node.id]
        msg = (
            f"it may hold names of images, numbers, operators, and functions of NumPy. Got "
            f"{node.id!r}; the images are named {', '.join(sorted(self._names))}."
        )
        raise FormulaNameError(msg)

    def _binop(self, node: ast.BinOp) -> Any:
        left, right = self._value(node.left), self._value(node.right)
        if isinstance(node.op, ast.Pow):
            return power(*self._operands(left, right))
        kind = type(node.op)
        try:
            return self._applied(_BINARY[kind], _PLAIN[kind], left, right)
        except TypeError as error:
            if kind is not ast.BitXor:
                raise
            msg = "a ^ b is exclusive or, of integers and booleans. Powers are a ** b."
            raise FormulaTypeError(msg) from error

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        if isinstance(node.op, ast.Not):
            _refuse_truth("not")
        return self._applied(*_UNARY[type(node.op)], self._value(node.operand))

    def _compare(self, node: ast.Compare) -> Any:
        if len(node.ops) > 1:
            _refuse_truth("a chain of comparisons")
        left, right = self._value(node.left), self._value(node.comparators[0])
        return self._applied(*_COMPARED[type(node.ops[0])], left, right)

    def _boolop(self, node: ast.BoolOp) -> Any:
        _refuse_truth("and" if isinstance(node.op, ast.And) else "or")

    def _subscript(self, node: ast.Subscript) -> Any:
        return taken(self._value(node.value), self._value(node.slice))

    def _attribute(self, node: ast.Attribute) -> Any:
        if _is_numpy(node.value):
            return _from_numpy(node.attr)
        value = self._value(node.value)
        if node.attr not in _PROPERTIES or callable(value):
            _refuse_attribute(node.attr)
        if node.attr in {"real", "imag"}:
            return apply_elementwise(getattr(np, node.attr), value)
        if node.attr == "T":
            return apply_whole(np.transpose, value)
        return getattr(value, node.attr)

    def _call(self, node: ast.Call) -> Any:
        options = {str(one.arg): self._value(one.value) for one in node.keywords}
        arguments = [self._value(argument) for argument in node.args]
        function = node.func
        if isinstance(function, ast.Attribute) and not _is_numpy(function.value):
            if function.attr not in _METHODS:
                _refuse_attribute(function.attr)
            value = self._value(function.value)
            return self._applied_to(function.attr, [value, *arguments], options)
        called = self._called(function)
        if called is np.absolute or isinstance(called, type):
            return _converted(called, arguments, options)
        if not callable(called):
            msg = f"{ast.unparse(function)} must be a function to be called with arguments."
            raise FormulaTypeError(msg)
        return self._applied_to(called.__name__, arguments, options, called)

    def _called(self, function: ast.expr) -> Any:
        """Return what is called: a function of NumPy may be named without ``np.``."""
        name = function.id if isinstance(function, ast.Name) else ""
        is_known = name in self._names or name in _BUILTINS
        if name and not is_known and hasattr(np, name):
            return _from_numpy(name)
        return self._value(function)

    def _operands(self, *values: Any) -> list[Any]:
        """Return values that can be computed with, and beside each other."""
        checked = [_operand(value) for value in values]
        axes = {np.ndim(one) for one in checked if isinstance(one, LazyArray | np.ndarray)}
        if not self._aligns_space or not axes >= {3, 4}:
            return checked
        return [taken(one, (..., None)) if np.ndim(one) == 3 else one for one in checked]

    def _applied(self, ufunc: np.ufunc, plain: Callable[..., Any], *operands: Any) -> Any:
        checked = self._operands(*operands)
        if any(isinstance(operand, LazyArray) for operand in checked):
            return apply_elementwise(ufunc, *checked)
        return plain(*checked)

    def _applied_to(
        self,
        name: str,
        arguments: list[Any],
        options: dict[str, Any],
        function: Callable[..., Any] | None = None,
    ) -> Any:
        """Return a function of NumPy, or a method of the same name, of its arguments."""
        if name == "astype":
            return _as_type(*arguments, **options)
        if name in {"copy", "array", "asarray"} and len(arguments) == 1:
            return _as_type(arguments[0], **options) if options else arguments[0]
        found = function or getattr(np, {"flatten": "ravel"}.get(name, name))
        if is_elementwise(found):
            _check_elementwise(name, options)
            call = lazy_call(found, arguments, options)
            if call is not None:
                found, operands, given = call
                return apply_elementwise(found, *self._operands(*operands), **given)
        if name in REDUCTIONS and arguments:
            value, *rest = arguments
            named = dict(zip(_positions(name), rest, strict=False)) | options
            return reduce_array(name, value, named)
        return apply_whole(found, *arguments, **options)


def _is_numpy(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in {"np", "numpy"}


def _from_numpy(name: str) -> Any:
    """Return the NumPy function or constant of a name, if a formula may use it."""
    found = getattr(np, name, None)
    is_dtype = isinstance(found, type) and issubclass(found, np.number | np.bool_)
    if is_elementwise(found) or is_dtype or name in _CONSTANTS | _CASTS | REDUCTIONS | WHOLE:
        return found
    return _refuse_attribute(f"np.{name}")


def _operand(value: Any) -> Any:
    """Return a value that can be computed with."""
    if isinstance(value, LazyArray | np.ndarray | np.generic | bool | int | float | complex):
        return value
    if isinstance(value, list):
        return np.asarray(value)
    msg = f"operands must be images, arrays or numbers. Got {type(value).__name__}."
    raise FormulaTypeError(msg)


def _converted(called: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
    """Return ``abs(x)``, ``np.float32(x)``, ``float(x)``."""
    if len(arguments) != 1 or options:
        msg = f"{called.__name__} takes one argument. Got {len(arguments) + len(options)}."
        raise FormulaTypeError(msg)
    value = _operand(arguments[0])
    if called is np.absolute:
        return apply_elementwise(np.absolute, value)
    if called in {int, float, bool}:
        if isinstance(value, LazyArray):
            if value.ndim:
                msg = f"{called.__name__}() takes one number. Got an image: use astype."
                raise FormulaTypeError(msg)
            value = value.read()[()]
        return called(value)
    return _as_type(value, called)


def _as_type(value: Any, dtype: Any) -> Any:
    wanted = np.dtype(dtype)
    if wanted.kind not in "biufc":
        msg = f"a data type must be one of numbers. Got {wanted}."
        raise FormulaTypeError(msg)
    return apply_elementwise(cast, _operand(value), dtype=wanted)


def _check_elementwise(name: str, options: dict[str, Any]) -> None:
    refused = set(options) & {"out", "where"}
    if refused:
        msg = f"{name} cannot be called with {sorted(refused)} in a formula. Use np.where."
        raise FormulaTypeError(msg)


def _positions(name: str) -> tuple[str, ...]:
    """Return the names of the arguments of a reduction after the array."""
    is_quantile = "percentile" in name or "quantile" in name
    return ("q", "axis") if is_quantile else ("axis",)


def _refuse_attribute(name: str) -> Any:
    msg = (
        f"a formula may use element-wise functions and reductions of NumPy, and of arrays "
        f"{', '.join(sorted(_METHODS))}. Got {name!r}."
    )
    raise FormulaAttributeError(msg)


def _refuse_truth(what: str) -> None:
    msg = (
        f"the truth value of an image is ambiguous, so that {what} has no meaning. Use & | ~ with "
        f"brackets: (img > 0) & (img < 9)."
    )
    raise ValueError(msg)
