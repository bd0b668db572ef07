"""Byte ranges that hold the values of an index, and the places of the values in them. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any, TypeAlias

from lazyvox.planning.indexing import Axis
from lazyvox.planning.spec import ArraySpec

__all__ = ["Run", "ascending", "extent", "plan_runs"]

Ascending: TypeAlias = range | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One contiguous range of bytes, and the block of values picked from it.

    Attributes
    ----------
    offset, nbytes : int
        The range in the decoded stream.
    picks : tuple of range or tuple of int
        For each leading axis that the range covers, the positions picked, counted from the
        first one. The range begins at the first value picked.
    strides : tuple of int
        Bytes between neighbours on each of those axes.
    target : tuple
        Index of the picked block in the result, which has no dropped axes.
    is_dense : bool
        Whether every byte of the range belongs to a picked value, in order.
    """

    offset: int
    nbytes: int
    picks: tuple[Ascending, ...]
    strides: tuple[int, ...]
    target: tuple[Any, ...]
    is_dense: bool


def ascending(axis: Axis) -> Ascending:
    """Return the positions of an axis in ascending order, each once.

    Examples
    --------
    >>> ascending(range(9, 0, -4)), ascending((5, 2, 5)), ascending(3)
    (range(1, 13, 4), (2, 5), range(3, 4))
    >>> ascending((4, 2, 3))
    range(2, 5)
    """
    if isinstance(axis, int):
        return range(axis, axis + 1)
    if isinstance(axis, tuple):
        positions = tuple(sorted(set(axis)))
        if positions and positions[-1] - positions[0] + 1 == len(positions):
            return range(positions[0], positions[-1] + 1)
        return positions
    return axis if axis.step > 0 else axis[::-1]


def extent(axes: tuple[Axis, ...], spec: ArraySpec) -> tuple[int, int]:
    """Return the offset of the first value at `axes`, and of the byte behind the last.

    Examples
    --------
    >>> import numpy as np
    >>> extent((range(5), 2, (7, 3)), ArraySpec((5, 4, 9), np.dtype("i2"), offset=352))
    (492, 662)
    """
    stride, first, last = spec.dtype.itemsize, 0, 0
    for axis, length in zip(axes, spec.shape, strict=True):
        positions = ascending(axis)
        if not positions:
            return spec.offset, spec.offset
        first += positions[0] * stride
        last += positions[-1] * stride
        stride *= length
    return spec.offset + first, spec.offset + last + spec.dtype.itemsize


def plan_runs(
    axes: tuple[Axis, ...],
    spec: ArraySpec,
    *,
    max_gap_bytes: int,
    max_run_bytes: int,
    cut_dense: bool = False,
) -> Iterator[Run]:
    """Yield the byte ranges that hold the values of `axes`, in ascending order of offset.

    Axis by axis, fastest first, neighbouring pieces are read as one range if at most
    `max_gap_bytes` lie between them; at the first axis with a wider gap the merging ends.
    A range that would be larger than `max_run_bytes` is cut between pieces, unless it is dense:
    then it needs no scratch memory, where the result has the order of the file.

    Parameters
    ----------
    axes : tuple of int, range or tuple of int
        Positions on each axis, ascending (see `ascending`); an int drops the axis in the result.
    spec : ArraySpec
        The stored array.
    max_gap_bytes : int
        Largest number of unwanted bytes to read between two wanted pieces.
    max_run_bytes : int
        Largest range that may need scratch memory.
    cut_dense : bool
        Whether dense ranges need scratch memory too.

    Yields
    ------
    Run
        One range.
    """
    layout = _Layout(axes, spec, cut_dense=cut_dense)
    if any(not pick for pick in layout.picks):
        return
    n_merged = _n_merged(layout, max_gap_bytes)
    while (
        n_merged > 1
        and not layout.is_dense(n_merged)
        and layout.span(n_merged - 1) > (max_run_bytes)
    ):
        n_merged -= 1
    groups = _groups(layout, n_merged, max_run_bytes)
    outer = [list(enumerate(pick)) for pick in layout.picks[n_merged:]]
    for combination in product(*reversed(outer)):
        places = combination[::-1]
        base = sum(
            position * layout.strides[n_merged + i] for i, (_, position) in enumerate(places)
        )
        for group in groups:
            yield _run(layout, n_merged, group, base, places)


class _Layout:
    """The picks of every axis with strides, and the spans that they cover in the stream."""

    def __init__(self, axes: tuple[Axis, ...], spec: ArraySpec, *, cut_dense: bool) -> None:
        self.axes = axes
        self.cut_dense = cut_dense
        self.spec = spec
        self.picks = tuple(
            range(axis, axis + 1) if isinstance(axis, int) else axis for axis in axes
        )
        strides = [spec.dtype.itemsize]
        for length in spec.shape:
            strides.append(strides[-1] * length)
        self.strides = tuple(strides[:-1])

    def span(self, n_merged: int) -> int:
        """Return the bytes from the first to the last picked value over the leading axes."""
        covered = sum(
            (self.picks[axis][-1] - self.picks[axis][0]) * self.strides[axis]
            for axis in range(n_merged)
        )
        return covered + self.spec.dtype.itemsize

    def is_dense(self, n_merged: int) -> bool:
        """Return whether the picked values over the leading axes can be read in place."""
        if self.cut_dense:
            return False
        values = 1
        for axis in range(n_merged):
            values *= len(self.picks[axis])
        in_order = all(isinstance(pick, range) or len(pick) == 1 for pick in self.picks[:n_merged])
        return in_order and values * self.spec.dtype.itemsize == self.span(n_merged)


def _n_merged(layout: _Layout, max_gap_bytes: int) -> int:
    for axis, pick in enumerate(layout.picks):
        if len(pick) > 1:
            step = pick.step if isinstance(pick, range) else max(b - a for a, b in pairwise(pick))
            if step * layout.strides[axis] - layout.span(axis) > max_gap_bytes:
                return axis
    return len(layout.picks)


def _groups(layout: _Layout, n_merged: int, max_run_bytes: int) -> list[tuple[int, int]]:
    """Return (start, stop) of the picks of the slowest merged axis that one range covers."""
    if not n_merged:
        return [(0, 1)]
    pick = layout.picks[n_merged - 1]
    if layout.is_dense(n_merged):
        return [(0, len(pick))]
    room = max(max_run_bytes - layout.span(n_merged - 1), 0) // layout.strides[n_merged - 1]
    groups = []
    start = 0
    for i, position in enumerate(pick):
        if position - pick[start] > room:
            groups.append((start, i))
            start = i
    return [*groups, (start, len(pick))]


def _run(
    layout: _Layout,
    n_merged: int,
    group: tuple[int, int],
    base: int,
    places: tuple[tuple[int, int], ...],
) -> Run:
    """Return the run of one group of the slowest merged axis, at one place of the outer axes."""
    picks = layout.picks[:n_merged]
    target: list[Any] = []
    if n_merged:
        picks = (*picks[:-1], picks[-1][group[0] : group[1]])
        target = [slice(None)] * (n_merged - 1) + [slice(*group)]
    target += [place for place, _ in places]
    first = sum(pick[0] * stride for pick, stride in zip(picks, layout.strides, strict=False))
    last = sum(pick[-1] * stride for pick, stride in zip(picks, layout.strides, strict=False))
    return Run(
        offset=layout.spec.offset + base + first,
        nbytes=last - first + layout.spec.dtype.itemsize,
        picks=tuple(_from_first(pick) for pick in picks),
        strides=layout.strides[:n_merged],
        target=tuple(
            where
            for where, axis in zip(target, layout.axes, strict=True)
            if not isinstance(axis, int)
        ),
        is_dense=layout.is_dense(n_merged),
    )


def _from_first(pick: Ascending) -> Ascending:
    if isinstance(pick, range):
        return range(0, pick[-1] - pick[0] + 1, pick.step)
    return tuple(position - pick[0] for position in pick)
