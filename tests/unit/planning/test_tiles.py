"""Tiles of arrays of any number of axes follow each other in the file."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyvox.planning.blocks import fortran_tiles, tile_shape

SHAPES = (
    st.lists(st.integers(1, 7), min_size=1, max_size=7)
    .map(tuple)
    .filter(lambda shape: np.prod(shape) <= 4000)
)


@given(SHAPES, st.integers(1, 5000))
def test_tiles_are_the_array_in_the_order_of_the_file(shape, most):
    values = np.arange(np.prod(shape)).reshape(shape, order="F")
    pieces = [values[tile] for tile in fortran_tiles(shape, most)]
    joined = np.concatenate([piece.reshape(-1, order="F") for piece in pieces])
    np.testing.assert_array_equal(joined, np.arange(values.size))
    assert all(1 <= piece.size <= most for piece in pieces)


@given(SHAPES, st.integers(1, 5000))
def test_tiles_are_not_needlessly_small(shape, most):
    taken = tile_shape(shape, most)
    cut = next(
        (i for i, (part, whole) in enumerate(zip(taken, shape, strict=True)) if part < whole), None
    )
    if cut is not None:
        bigger = int(np.prod(taken)) // taken[cut] * (taken[cut] + 1)
        assert bigger > most


@pytest.mark.parametrize(
    ("shape", "most", "expected"),
    [
        ((5,), 3, (3,)),
        ((5, 4), 4, (4, 1)),
        ((5, 4), 5, (5, 1)),
        ((5, 4), 11, (5, 2)),
        ((5, 4, 3), 10**9, (5, 4, 3)),
        ((1, 1, 1), 1, (1, 1, 1)),
        ((5, 4), 0, (1, 1)),
    ],
)
def test_the_shape_of_a_tile(shape, most, expected):
    assert tile_shape(shape, most) == expected
