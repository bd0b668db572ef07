"""Hypothesis strategies for shapes, types and indices. Needs hypothesis."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from lazyvox._typing import DType, Shape

__all__ = ["array_indices", "basic_indices", "dtypes", "indices", "masks", "shapes"]

_KINDS = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "c8", "c16")


def shapes(
    *, min_dims: int = 1, max_dims: int = 7, max_values: int = 3000
) -> st.SearchStrategy[Shape]:
    """Return a strategy for shapes, axes of length 0 and 1 among them.

    Parameters
    ----------
    min_dims, max_dims : int
        Fewest and most axes.
    max_values : int
        Most values of an array.

    Returns
    -------
    SearchStrategy
        Tuples of int.
    """
    lengths = st.lists(st.integers(0, 9), min_size=min_dims, max_size=max_dims)
    return lengths.map(tuple).filter(lambda shape: int(np.prod(shape)) <= max_values)


def dtypes() -> st.SearchStrategy[DType]:
    """Return a strategy for the numeric types of image files, in both byte orders.

    Returns
    -------
    SearchStrategy
        NumPy types.
    """
    return st.builds(lambda order, kind: np.dtype(order + kind), st.sampled_from("<>"), _kinds())


def _kinds() -> st.SearchStrategy[str]:
    return st.sampled_from(_KINDS)


def _slices(length: int) -> st.SearchStrategy[slice]:
    bound = st.none() | st.integers(-length - 3, length + 3)
    return st.builds(slice, bound, bound, st.none() | st.sampled_from([1, 2, 3, -1, -2, -5, 99]))


def _integers(length: int) -> st.SearchStrategy[Any]:
    """Return integers of several types; now and then one out of range."""
    inside = st.integers(-length, length - 1) if length else st.just(0)
    near = st.integers(-length - 2, length + 1)
    number = st.one_of(inside, inside, inside, near)
    return number | number.map(np.int64) | number.map(np.int8)


def basic_indices(shape: Shape) -> st.SearchStrategy[Any]:
    """Return a strategy for basic indices: integers, slices, Ellipsis and new axes.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array to index.

    Returns
    -------
    SearchStrategy
        Indices; some are out of range, and some have more entries than the array has axes.
    """
    return _keys(shape, max_arrays=0)


def array_indices(shape: Shape) -> st.SearchStrategy[Any]:
    """Return a strategy for indices with one list, integer array or boolean mask among them.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array to index.

    Returns
    -------
    SearchStrategy
        Indices; some are out of range.
    """
    return _keys(shape, min_arrays=1)


def indices(shape: Shape) -> st.SearchStrategy[Any]:
    """Return a strategy for every index that a lazy array takes.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array to index.

    Returns
    -------
    SearchStrategy
        What `basic_indices` and `array_indices` give.
    """
    return _keys(shape, min_arrays=0)


def masks(shape: Shape) -> st.SearchStrategy[Any]:
    """Return a strategy for boolean arrays of a shape.

    Parameters
    ----------
    shape : tuple of int
        Shape of the mask.

    Returns
    -------
    SearchStrategy
        Boolean arrays: empty, full, and of any density between.
    """

    def build(seed: int, density: float) -> Any:
        return np.random.default_rng(seed).random(shape) < density

    return st.builds(build, st.integers(0, 999), st.sampled_from([0.0, 0.1, 0.5, 1.0]))


def _arrays(shape: Shape, axis: int) -> st.SearchStrategy[tuple[Any, int]]:
    """Return array entries for the axes from `axis` on, each with the number of axes it takes."""
    length = shape[axis]
    lists = st.lists(_integers(length), max_size=6)
    kinds = st.sampled_from(["i1", "i2", "i8", "u1"])
    typed = st.builds(lambda numbers, kind: np.array(numbers, np.intp).astype(kind), lists, kinds)
    grids = typed.map(lambda array: np.stack([array, array[::-1]]))
    ones = st.one_of(
        lists,
        lists.map(lambda numbers: np.array(numbers, np.intp)),
        grids,
        masks((length,)).map(np.ndarray.tolist),
    )
    wide = st.integers(1, len(shape) - axis).flatmap(
        lambda n: masks(shape[axis : axis + n]).map(lambda mask: (mask, n))
    )
    return ones.map(lambda entry: (entry, 1)) | wide


@st.composite
def _keys(draw: st.DrawFn, shape: Shape, *, min_arrays: int = 0, max_arrays: int = 1) -> Any:
    n_entries = draw(st.integers(0, len(shape)))
    n_arrays = draw(st.integers(min_arrays, max_arrays)) if n_entries else 0
    wanted = draw(st.integers(0, n_entries - 1)) if n_arrays else None
    entries: list[Any] = []
    axis = 0
    while axis < n_entries:
        if wanted is not None and axis >= wanted:
            entry, taken = draw(_arrays(shape, axis))
            wanted = None
        else:
            entry, taken = draw(_integers(shape[axis]) | _slices(shape[axis])), 1
        entries.append(entry)
        axis += taken
    for extra in draw(st.lists(st.sampled_from([None, Ellipsis, slice(None)]), max_size=2)):
        entries.insert(draw(st.integers(0, len(entries))), extra)
    is_bare = len(entries) == 1 and draw(st.booleans())
    return entries[0] if is_bare else tuple(entries)
