"""The rule for one voxel grid: what nilearn accepts, and rounding where that has no tolerance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lazyvox as lv
from lazyvox.geometry.voxel_grid import VoxelGrid

SHAPE = (64, 64, 36)
AFFINE = np.diag([3.0, 3, 3, 1])


def changed(row: int, column: int, by: float) -> VoxelGrid:
    affine = AFFINE.copy()
    affine[row, column] += by
    return VoxelGrid(SHAPE, affine, "other")


RUN = VoxelGrid(SHAPE, AFFINE, "run")


@pytest.mark.parametrize(
    ("row", "column", "by"),
    [(0, 1, 1e-7), (0, 3, 1.5e-5), (2, 3, 9e-4), (1, 1, 3e-5), (0, 0, -4e-5)],
)
def test_rounding_leaves_a_grid_the_same(row, column, by):
    assert RUN.matches(changed(row, column, by))
    assert changed(row, column, by).matches(RUN)


@pytest.mark.parametrize(
    ("row", "column", "by"),
    [(0, 1, 5e-3), (0, 3, 5e-3), (2, 2, 1e-3), (0, 0, -6.0), (1, 3, np.nan)],
)
def test_what_can_be_seen_is_another_grid(row, column, by):
    assert not RUN.matches(changed(row, column, by))
    assert not changed(row, column, by).matches(RUN)
    with pytest.raises(lv.GridMismatchError, match=r"one voxel grid. other has .*; run has .*"):
        changed(row, column, by).require(RUN)


def test_tolerance_is_relative_to_the_voxel():
    tiny = np.diag([0.02, 0.02, 0.02, 1])
    moved = tiny.copy()
    moved[0, 3] = 9e-4
    assert not VoxelGrid(SHAPE, tiny).matches(VoxelGrid(SHAPE, moved))


def test_another_shape_is_another_grid_and_time_does_not_matter():
    assert not RUN.matches(VoxelGrid((64, 64, 35), AFFINE))
    assert RUN.matches(VoxelGrid((*SHAPE, 200), AFFINE))


def test_equal_affines_are_one_grid_whatever_they_hold():
    broken = np.full((4, 4), np.nan)
    assert VoxelGrid(SHAPE, broken).matches(VoxelGrid(SHAPE, broken.copy()))


numbers = st.floats(-300, 300).map(lambda value: round(value, 3))


@given(
    st.lists(numbers, min_size=12, max_size=12),
    st.lists(st.floats(-1, 1), min_size=12, max_size=12),
    st.tuples(*[st.integers(1, 300)] * 3),
)
def test_all_that_nilearn_accepts_is_accepted(entries, parts, shape):
    affine = np.vstack([np.reshape(entries, (3, 4)), [0, 0, 0, 1]])
    within = 0.999 * (1e-8 + 1e-5 * np.abs(affine[:3])) * np.reshape(parts, (3, 4))
    other = affine.copy()
    other[:3] += within
    assert np.allclose(other, affine)
    assert VoxelGrid(shape, affine).matches(VoxelGrid(shape, other))
    assert VoxelGrid(shape, other).matches(VoxelGrid(shape, affine))
