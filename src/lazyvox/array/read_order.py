"""In which order the files of an expression are read, so that little is held meanwhile. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lazyvox.array.kernels import Call, Constant, Source, Step, last_uses

__all__ = ["Wave", "computing_order", "ordered", "waves_of"]


@dataclass(frozen=True, slots=True)
class Wave:
    """A part of an expression whose sources are read in step, piece by piece.

    Attributes
    ----------
    steps : tuple of Step
        An expression by itself. Its sources are first those of the whole, then what earlier waves
        left behind.
    sources : tuple of int
        Sources of the whole expression.
    takes : tuple of int
        Steps of the whole expression whose values earlier waves left.
    leaves : tuple of (int, int)
        For each value that is needed later, and for the result: its number in `steps`, and its
        number in the whole expression.
    ends : tuple of int
        Those of `takes` that no later wave takes.
    order : tuple of int
        For each of `steps`, its number in the whole expression.
    """

    steps: tuple[Step, ...]
    sources: tuple[int, ...]
    takes: tuple[int, ...]
    leaves: tuple[tuple[int, int], ...]
    ends: tuple[int, ...]
    order: tuple[int, ...]


def computing_order(operands: Sequence[Sequence[int]], least: Sequence[int]) -> list[int]:
    """Return the order of steps in which few values are held at a time.

    Of the operands of a step, that which needs most values is computed first, as Sethi and Ullman
    showed for registers; without shared operands no order holds fewer.

    Parameters
    ----------
    operands : sequence of sequence of int
        Numbers of the steps whose values each step takes, all of them lower than its own. The
        last step is the result.
    least : sequence of int
        Values that each step holds by itself: 0 for a number, else 1.

    Returns
    -------
    list of int
        Numbers of the steps that the result needs, operands before what takes them.

    References
    ----------
    Sethi, R., Ullman, J. D. (1970). The generation of optimal code for arithmetic expressions.
    Journal of the ACM 17(4).
    """
    needs: list[int] = []
    turns: list[list[int]] = []
    for taken, own in zip(operands, least, strict=True):
        turn = sorted(dict.fromkeys(taken), key=lambda one: -needs[one])
        turns.append(turn)
        needs.append(max([own, *(needs[one] + place for place, one in enumerate(turn))]))
    order: dict[int, None] = {}
    # No recursion: the sum of a thousand images is a thousand calls deep.
    stack = [(len(operands) - 1, False)]
    while stack:
        number, is_ready = stack.pop()
        if number in order:
            continue
        if turns[number] and not is_ready:
            stack.append((number, True))
            stack += [(one, False) for one in reversed(turns[number])]
            continue
        order[number] = None
    return list(order)


def ordered(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return the steps in the order of `computing_order`.

    Values do not depend on it: each function gets its operands as before.

    Parameters
    ----------
    steps : tuple of Step
        An expression.

    Returns
    -------
    tuple of Step
        The same expression.
    """
    order = computing_order(
        [step.arguments if isinstance(step, Call) else () for step in steps],
        [0 if isinstance(step, Constant) else 1 for step in steps],
    )
    numbers = {number: place for place, number in enumerate(order)}
    return tuple(
        replace(step, arguments=tuple(numbers[one] for one in step.arguments))
        if isinstance(step, Call)
        else step
        for step in (steps[number] for number in order)
    )


def waves_of(
    steps: tuple[Step, ...],
    sizes: Sequence[int],
    *,
    most_sources: int,
    may_join: Callable[[Sequence[int], int], bool],
) -> tuple[Wave, ...]:
    """Cut an expression into waves, where least is left behind.

    Parameters
    ----------
    steps : tuple of Step
        From `ordered`.
    sizes : sequence of int
        Bytes of the value of each step.
    most_sources : int
        Sources that are read in step at the most.
    may_join : callable
        Whether a source may be read in step with others.

    Returns
    -------
    tuple of Wave
        At least one.
    """
    last = last_uses(steps)
    held = _held_bytes(steps, sizes, last)
    waves: list[Wave] = []
    start = 0
    while start < len(steps):
        stop = _cut(steps, start, held, most_sources, may_join)
        waves.append(_wave(steps, start, stop, last))
        start = stop
    return tuple(waves)


def _held_bytes(steps: tuple[Step, ...], sizes: Sequence[int], last: Sequence[int]) -> list[int]:
    """Return, for each place between steps, the bytes of the values that are needed behind it."""
    changes = [0] * (len(steps) + 2)
    for number, step in enumerate(steps):
        if not isinstance(step, Constant):
            changes[number + 1] += sizes[number]
            changes[min(last[number], len(steps)) + 1] -= sizes[number]
    held = [0]
    for change in changes[1:]:
        held.append(held[-1] + change)
    return held


def _cut(
    steps: tuple[Step, ...],
    start: int,
    held: Sequence[int],
    most_sources: int,
    may_join: Callable[[Sequence[int], int], bool],
) -> int:
    """Return where the wave that begins with step `start` ends."""
    seen: list[int] = []
    places: list[int] = []
    for number in range(start, len(steps)):
        step = steps[number]
        if not isinstance(step, Source):
            continue
        if seen:
            places.append(number)
            if len(seen) == most_sources or not may_join(seen, step.number):
                # The later, the fewer waves.
                return min(reversed(places), key=lambda place: held[place])
        seen.append(step.number)
    return len(steps)


def _wave(steps: tuple[Step, ...], start: int, stop: int, last: Sequence[int]) -> Wave:
    inside = range(start, stop)
    sources = tuple(step.number for step in (steps[i] for i in inside) if isinstance(step, Source))
    outside = dict.fromkeys(
        one
        for step in (steps[i] for i in inside)
        if isinstance(step, Call)
        for one in step.arguments
        if one < start
    )
    takes = tuple(one for one in outside if not isinstance(steps[one], Constant))
    numbers: dict[int, int] = {}
    local: list[Step] = []
    places = {one: len(sources) + place for place, one in enumerate(takes)}
    n_seen = 0
    for one in (*outside, *inside):
        step = steps[one]
        if one in places:
            step = Source(places[one])
        elif isinstance(step, Source):
            step = Source(n_seen)
            n_seen += 1
        elif isinstance(step, Call):
            step = replace(step, arguments=tuple(numbers[i] for i in step.arguments))
        numbers[one] = len(local)
        local.append(step)
    kept = [one for one in inside if last[one] >= stop and not isinstance(steps[one], Constant)]
    return Wave(
        steps=tuple(local),
        sources=sources,
        takes=takes,
        leaves=tuple((numbers[one], one) for one in kept),
        ends=tuple(one for one in takes if last[one] < stop),
        order=(*outside, *inside),
    )
