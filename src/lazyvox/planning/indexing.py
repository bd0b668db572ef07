"""The algebra of indices: a slice of a slice is one index, and nothing is read to know its shape."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from lazyvox._typing import Array, Shape
from lazyvox.errors import ImageIndexError

__all__ = ["Axis", "View", "as_key", "axis_of", "expand_key", "is_array_index", "taken"]

#: What a view takes of one axis of its source: one position (the axis is dropped), an
#: arithmetic progression of positions, or a list of positions.
Axis: TypeAlias = int | range | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class View:
    """Part of a source array that a lazy array holds, and its shape.

    Attributes
    ----------
    source_shape : tuple of int
        Shape of the array that is indexed.
    axes : tuple of int, range or tuple of int
        What is taken of each source axis.
    dims : tuple of int or range
        The axes of the result in order: the number of a source axis, or, for a new axis, a range
        whose length is the length of the new axis: 0 or 1, or more where a list repeats it.

    Examples
    --------
    >>> view = View.full((5, 6, 7)).take((slice(4, 0, -2), 3))
    >>> view.shape
    (2, 7)
    >>> view.take((-1, slice(None, 2))).axes
    (2, 3, range(0, 2))
    """

    source_shape: Shape
    axes: tuple[Axis, ...]
    dims: tuple[int | range, ...]

    @classmethod
    def full(cls, shape: Shape) -> "View":
        """Return the view of everything."""
        return cls(shape, tuple(range(length) for length in shape), tuple(range(len(shape))))

    @property
    def shape(self) -> Shape:
        """Shape of the result."""
        return tuple(self._length(dim) for dim in self.dims)

    @property
    def is_full(self) -> bool:
        """True if the view is its source, unchanged."""
        return self == View.full(self.source_shape)

    def take(self, key: Any) -> "View":
        """Return the view that indexing this one with `key` gives.

        `key` is a basic NumPy index, or has one list of integers, or boolean mask of one axis, in
        place of a slice.
        """
        axes = list(self.axes)
        dims: list[int | range] = []
        position = 0
        for entry in expand_key(key, len(self.dims)):
            if entry is None:
                dims.append(range(1))
            if entry is None or entry is Ellipsis:
                continue
            dim = self.dims[position]
            held = dim if isinstance(dim, range) else self.axes[dim]
            picked = _pick(held, entry, position)
            position += 1
            if isinstance(dim, int):
                axes[dim] = picked
                if not isinstance(picked, int):
                    dims.append(dim)
            elif not isinstance(picked, int):
                dims.append(range(len(picked)))
        return View(self.source_shape, tuple(axes), tuple(dims))

    def _length(self, dim: int | range) -> int:
        held = dim if isinstance(dim, range) else self.axes[dim]
        assert not isinstance(held, int), "bug in lazyvox: a dropped axis is among the dims"
        return len(held)


def as_key(axes: tuple[Axis, ...]) -> tuple[int | slice | list[int], ...]:
    """Return the index that takes `axes` of an array.

    Examples
    --------
    >>> as_key((3, range(4, -1, -2), (0, 5)))
    (3, slice(4, None, -2), [0, 5])
    """
    key: list[int | slice | list[int]] = []
    for axis in axes:
        if isinstance(axis, range):
            stop = axis.stop if axis.stop >= 0 else None
            key.append(slice(axis.start, stop, axis.step) if axis else slice(0, 0))
        else:
            key.append(list(axis) if isinstance(axis, tuple) else axis)
    return tuple(key)


def axis_of(positions: Sequence[int]) -> Axis:
    """Return positions as a range where they are consecutive: it costs nothing to compose.

    Examples
    --------
    >>> axis_of([4, 5, 6]), axis_of([4, 6, 5])
    (range(4, 7), (4, 6, 5))
    """
    if isinstance(positions, range) or not positions:
        return positions if isinstance(positions, range) else ()
    found = range(positions[0], positions[0] + len(positions))
    return found if list(positions) == list(found) else tuple(positions)


def taken(values: Array, axes: Sequence[Axis]) -> Array:
    """Return the values at `axes` of an array in memory; int axes are dropped.

    They are a view where no axis is a list. Lists are taken one by one: in one index NumPy would
    pair them, with each other and with integers. Axes that follow the given ones stay.

    Examples
    --------
    >>> taken(np.arange(24).reshape(2, 3, 4), (1, (2, 0), range(0, 4, 2))).tolist()
    [[20, 22], [12, 14]]
    """
    plain = as_key(
        tuple(
            range(length) if isinstance(axis, tuple) else axis
            for axis, length in zip(axes, values.shape, strict=False)
        )
    )
    values = values[plain]
    kept = [axis for axis in axes if not isinstance(axis, int)]
    for place, axis in enumerate(kept):
        if isinstance(axis, tuple):
            values = values.take(np.array(axis, np.intp), axis=place)
    return values


def is_array_index(entry: object) -> bool:
    """Return whether an entry of an expanded index is an array: NumPy counts booleans too."""
    return isinstance(entry, np.ndarray | bool | np.bool_)


def expand_key(key: Any, ndim: int) -> list[Any]:
    """Return the entries of an index, one for each axis and None for new ones, Ellipsis expanded.

    Lists and whatever else converts to an array come back as arrays. Boolean arrays index as many
    axes as they have. An Ellipsis that covers no axis is kept: NumPy takes it as a separation
    between an array and the integers beside it. Raises `ImageIndexError` for two Ellipses or too
    many indices.
    """
    entries = [_as_entry(entry) for entry in (key if isinstance(key, tuple) else (key,))]
    n_ellipses = sum(entry is Ellipsis for entry in entries)
    if n_ellipses > 1:
        msg = "an index can only have a single ellipsis ('...'). Got more than one."
        raise ImageIndexError(msg)
    n_used = sum(_n_axes(entry) for entry in entries)
    if n_used > ndim:
        msg = f"too many indices: the array is {ndim}-dimensional, but {n_used} were given."
        raise ImageIndexError(msg)
    rest: list[Any] = [slice(None)] * (ndim - n_used)
    if not n_ellipses:
        return entries + rest
    where = next(i for i, entry in enumerate(entries) if entry is Ellipsis)
    return entries[:where] + (rest or [Ellipsis]) + entries[where + 1 :]


def _as_entry(entry: Any) -> Any:
    """Return an index entry with lists as arrays and integer arrays of no axis as integers."""
    is_sequence = isinstance(entry, list | tuple | range)
    if not is_sequence and (isinstance(entry, np.generic) or not hasattr(entry, "__array__")):
        return entry
    array = np.asarray(entry)
    if is_sequence and not array.size:
        return array.astype(np.intp)
    return int(array) if array.ndim == 0 and array.dtype.kind in "iu" else array


def _n_axes(entry: Any) -> int:
    if entry is None or entry is Ellipsis:
        return 0
    if isinstance(entry, np.ndarray) and entry.dtype == bool:
        return entry.ndim
    return 0 if isinstance(entry, bool | np.bool_) else 1


def _pick(held: Axis, entry: Any, axis: int) -> Axis:
    """Return the positions that one index entry selects from an axis."""
    assert not isinstance(held, int), "bug in lazyvox: a dropped axis was indexed"
    if isinstance(entry, slice):
        return held[entry]
    if isinstance(entry, np.ndarray):
        return tuple(held[i] for i in _positions(entry, len(held), axis))
    number = _integer(entry)
    if number is None:
        msg = (
            "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and one integer "
            f"list or boolean mask are valid indices. Got {type(entry).__name__}."
        )
        raise ImageIndexError(msg)
    return held[_checked(number, len(held), axis)]


def _integer(entry: Any) -> int | None:
    """Return an index entry as an integer; None where NumPy would not take it for one."""
    if isinstance(entry, bool):
        return None
    try:
        return operator.index(entry)
    except TypeError:
        return None


def _positions(index: Array, length: int, axis: int) -> list[int]:
    """Return the positions that a list of integers or a boolean mask of one axis picks."""
    if index.ndim != 1 or index.dtype.kind not in "iub":
        msg = (
            "a view takes integers, slices, and lists of integers or boolean masks of one axis. "
            f"Got an array of type {index.dtype} and shape {index.shape}."
        )
        raise ImageIndexError(msg)
    if index.dtype.kind != "b":
        return [_checked(int(number), length, axis) for number in index]
    if len(index) != length:
        msg = (
            "a boolean mask must be as long as the axis that it covers. Got a mask of length "
            f"{len(index)} for axis {axis} with size {length}."
        )
        raise ImageIndexError(msg)
    return [int(position) for position in np.flatnonzero(index)]


def _checked(number: int, length: int, axis: int) -> int:
    if not -length <= number < length:
        msg = f"index {number} is out of bounds for axis {axis} with size {length}."
        raise ImageIndexError(msg)
    return number
