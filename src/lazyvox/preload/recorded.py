"""Expressions that are recorded, and evaluated with as few volumes at a time as possible."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from lazyvox.array.read_order import computing_order
from lazyvox.preload.arithmetic import change, combine
from lazyvox.preload.iteration import PreloadIterator, Preloads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lazyvox.preload.arithmetic import Operation
    from lazyvox.preload.held import Held

__all__ = ["Leaf", "Program", "Recipe", "evaluate", "program_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """An operation that is still to be done.

    Attributes
    ----------
    operation : Operation or callable
        An operation of two operands, or a ufunc of one.
    operands : tuple of objects
        Lazy readers, recorded or not, arrays and numbers.
    """

    operation: Operation | Any
    operands: tuple[Any, ...]


class Leaf(Preloads, Protocol):
    """Protocol of the operands of an expression: see `LazyReadData`."""

    def _borrow(self, places: int, *, is_last: bool = False) -> tuple[Held, bool]:
        """Return the data and whether their memory is free to use; count the places."""

    def _give_back(self, held: Held) -> None:
        """Say that the data are not used any more."""


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """The steps of an expression in the order in which they are done.

    Attributes
    ----------
    leaves : tuple of objects
        What is loaded or given, in the order of first use.
    steps : tuple of (operation, tuple of int)
        Each step gives a value; numbers name a leaf, or behind the leaves an earlier step.
    """

    leaves: tuple[Any, ...]
    steps: tuple[tuple[Operation | Any, tuple[int, ...]], ...]

    @property
    def n_uses(self) -> Counter[int]:
        """Number of times that each value is an operand."""
        return Counter(operand for _, operands in self.steps for operand in operands)

    def most_held(self, is_volume: Callable[[Any], bool]) -> int:
        """Return how many volumes are held at the same time when the program runs."""
        left, held, most, n_held = self.n_uses, set[int](), 0, 0
        for number, (_, operands) in enumerate(self.steps, start=len(self.leaves)):
            for operand in operands:
                if operand < len(self.leaves) and is_volume(self.leaves[operand]):
                    held.add(operand)
            most = max(most, len(held))
            left.subtract(operands)
            held -= {operand for operand in operands if not left[operand]}
            held.add(number)
            n_held = len(held)
            most = max(most, n_held)
        return most


def program_of(root: Any, recipe_of: Callable[[Any], Recipe | None]) -> Program:
    """Return an expression as steps, in the order that expressions of images have too.

    Shared parts are computed once.
    """
    nodes, recipes = _bottom_up(root, recipe_of)
    number = {id(node): place for place, node in enumerate(nodes)}
    operands = [
        () if recipe is None else tuple(number[id(one)] for one in recipe.operands)
        for recipe in recipes
    ]
    least = [
        int(recipe is not None or isinstance(node, type(root)))
        for node, recipe in zip(nodes, recipes, strict=True)
    ]
    inner = [one for one in computing_order(operands, least) if recipes[one] is not None]
    # A leaf is loaded at the step that uses it first.
    used = dict.fromkeys(one for step in inner for one in operands[step] if recipes[one] is None)
    place = {one: new for new, one in enumerate([*used, *inner])}
    steps = [
        (recipe.operation, tuple(place[one] for one in operands[step]))
        for step in inner
        if (recipe := recipes[step]) is not None
    ]
    return Program(tuple(nodes[one] for one in used), tuple(steps))


def _bottom_up(
    root: Any, recipe_of: Callable[[Any], Recipe | None]
) -> tuple[list[Any], list[Recipe | None]]:
    """Return every node once, behind its operands, and its recipe."""
    # Asked once: another thread may evaluate a part of the expression meanwhile.
    recipes: dict[int, Recipe | None] = {}
    done: dict[int, Any] = {}
    # No recursion: expressions may be thousands of steps deep.
    stack = [(root, False)]
    while stack:
        node, is_ready = stack.pop()
        key = id(node)
        if key in done:
            continue
        if key not in recipes:
            recipes[key] = recipe_of(node)
        recipe = recipes[key]
        if is_ready or recipe is None:
            done[key] = node
            continue
        stack.append((node, True))
        stack += [(one, False) for one in reversed(recipe.operands)]
    return list(done.values()), [recipes[key] for key in done]


class _Due:
    """A leaf whose time to load has come."""

    def __init__(self, leaf: Leaf) -> None:
        self._leaf = leaf

    def _expects(self) -> int:
        return self._leaf._expects()

    def _is_recorded(self, n_ahead: int) -> bool:
        del n_ahead
        return False

    def _await_use(self, tell: Callable[[], None]) -> None:
        self._leaf._await_use(tell)

    def _preload(self) -> None:
        self._leaf._preload()

    def _take_back(self) -> None:
        self._leaf._take_back()


def evaluate(program: Program, is_lazy: Callable[[Any], bool], n_ahead: int | None) -> Any:
    """Run a program: each leaf is loaded for its first use and released behind its last."""
    lazy = [_Due(leaf) for leaf in program.leaves if is_lazy(leaf)]
    with ExitStack() as stack:
        ahead: Iterator[_Due] = iter(lazy)
        if n_ahead is not None:
            ahead = stack.enter_context(PreloadIterator(lazy, n_ahead))
        run = _Run(program, is_lazy, ahead, stack)
        for step in range(len(program.steps)):
            run.do(step)
        return run.result()


class _Run:
    """A program that runs: the values that are still needed, and how often."""

    def __init__(
        self,
        program: Program,
        is_lazy: Callable[[Any], bool],
        ahead: Iterator[_Due],
        stack: ExitStack,
    ) -> None:
        self._program, self._is_lazy = program, is_lazy
        self._ahead = ahead
        self._left = program.n_uses
        self._values: dict[int, tuple[Any, bool]] = {}
        self._borrowed: dict[int, tuple[Any, Held]] = {}
        stack.callback(self._give_back_all)

    def do(self, step: int) -> None:
        """Do a step, and release the values that no later step needs."""
        operation, operands = self._program.steps[step]
        for operand in operands:
            if operand not in self._values:
                self._values[operand] = self._leaf(operand)
        self._left.subtract(operands)
        last = {operand for operand in operands if not self._left[operand]}
        taken = [
            self._values.pop(o) if o in last and operands.index(o) == place else self._values[o]
            for place, o in reversed(list(enumerate(operands)))
        ][::-1]
        first, second = taken[0][0], taken[-1][0]
        free = [is_free and o in last for o, (_, is_free) in zip(operands, taken, strict=True)]
        del taken
        if len(operands) == 1:
            result = change(operation, first)
        else:
            result = combine(operation, first, second, (free[0], free[1]))
        self._values[len(self._program.leaves) + step] = (result, True)
        for operand in last & self._borrowed.keys():
            leaf, held = self._borrowed.pop(operand)
            leaf._give_back(held)

    def result(self) -> Any:
        """Return the result of the last step."""
        return self._values[len(self._program.leaves) + len(self._program.steps) - 1][0]

    def _leaf(self, number: int) -> tuple[Any, bool]:
        leaf = self._program.leaves[number]
        if not self._is_lazy(leaf):
            return leaf, False
        next(self._ahead)
        held, is_free = leaf._borrow(self._left[number], is_last=True)
        if not is_free and held.n_users:
            self._borrowed[number] = leaf, held
        return held.value, is_free

    def _give_back_all(self) -> None:
        while self._borrowed:
            _, (leaf, held) = self._borrowed.popitem()
            leaf._give_back(held)
