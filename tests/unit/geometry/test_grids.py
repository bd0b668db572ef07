"""The grid that is resampled to."""

import numpy as np
import pytest

from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.geometry.grids import BoundingBoxError, resampling_grid, voxel_mapping

AFFINE = np.array([[3.0, 0, 0, -10], [0, 3, 0, -20], [0, 0, 4, 5], [0, 0, 0, 1]])
SHAPE = (10, 11, 12)


def test_nothing_asked_is_the_grid_of_the_image():
    grid = resampling_grid((*SHAPE, 5), AFFINE)
    assert (grid.shape, grid.is_same) == (SHAPE, True)


def test_the_same_grid_to_rounding_is_the_same():
    assert resampling_grid(SHAPE, AFFINE, AFFINE + 1e-9, list(SHAPE)).is_same
    assert not resampling_grid(SHAPE, AFFINE, AFFINE).is_same
    assert resampling_grid(SHAPE, AFFINE, AFFINE).shape == SHAPE


def test_axes_alone_give_the_bounding_box():
    grid = resampling_grid(SHAPE, AFFINE, [[-2, 0, 0], [0, 2, 0], [0, 0, 2]])
    np.testing.assert_allclose(grid.affine[:3, 3], [17, -20, 5])
    assert grid.shape == (15, 16, 23)


def test_an_affine_alone_reaches_to_the_end_of_the_image():
    target = np.diag([1.0, 1, 1, 1])
    assert resampling_grid(SHAPE, AFFINE, target).shape == (18, 11, 50)


def test_equal_affines_map_exactly():
    matrix, offset = voxel_mapping(AFFINE, AFFINE.copy())
    np.testing.assert_array_equal(matrix, np.eye(3))
    assert not offset.any()


FAULTS = {
    "two lengths": (AFFINE, (3, 4), ParameterError, r"three lengths of a grid.*Got \(3, 4\)"),
    "length 0": (AFFINE, (3, 4, 0), ParameterError, "1 or more"),
    "fractions": (AFFINE, (3.5, 4, 5), ParameterTypeError, "three integers"),
    "shape alone": (None, (3, 4, 5), ParameterError, "Got none"),
    "3 x 3 with shape": (np.eye(3), (3, 4, 5), ParameterError, r"one of shape \(3, 3\)"),
    "2 x 2": (np.eye(2), None, np.linalg.LinAlgError, r"Got shape \(2, 2\)"),
    "vector": ([1, 2, 3], None, np.linalg.LinAlgError, r"Got shape \(3,\)"),
    "singular": (np.diag([1, 0, 1, 1]), None, np.linalg.LinAlgError, "must be invertible"),
    "NaN": (np.diag([1, np.nan, 1, 1]), None, ParameterError, "must be invertible"),
    "text": ([["a"] * 4] * 4, None, ParameterTypeError, "matrix of numbers"),
}


@pytest.mark.parametrize(("affine", "shape", "error", "message"), FAULTS.values(), ids=FAULTS)
def test_what_is_no_grid(affine, shape, error, message):
    with pytest.raises(error, match=message):
        resampling_grid(SHAPE, AFFINE, affine, shape)


def test_a_grid_beyond_the_image_is_refused_with_both_affines():
    target = np.eye(4)
    target[0, 3] = 500
    with pytest.raises(BoundingBoxError, match=r"reach into the image.*ends at voxel \[-483"):
        resampling_grid(SHAPE, AFFINE, target, (5, 5, 5))


@pytest.mark.parametrize("turn", [0.0, 0.3])
def test_a_singular_image_cannot_be_mapped(turn):
    affine = np.diag([1.0, 0, 1, 1])
    affine[0, 2] = turn
    with pytest.raises(np.linalg.LinAlgError, match="the image's affine must be invertible"):
        voxel_mapping(affine, np.eye(4))
