import numpy as np
import pytest

from lazyvox.errors import ParameterError
from lazyvox.geometry.resampling import fraction_inside, resample_nearest


def brute_force(values, affine, shape, target_affine, fill):
    """The value of the source voxel whose centre is nearest, in world coordinates."""
    resampled = np.full(shape, fill, values.dtype)
    inverse = np.linalg.inv(affine)
    for ijk in np.ndindex(*shape):
        source = (inverse @ target_affine @ [*ijk, 1])[:3]
        nearest = np.floor(source + 0.5).astype(int)
        if ((nearest >= 0) & (nearest < values.shape)).all():
            resampled[ijk] = values[tuple(nearest)]
    return resampled


@pytest.mark.parametrize("seed", range(4))
def test_every_voxel_gets_the_nearest_one_on_oblique_grids(seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 100, (5, 6, 4))
    affine, target = np.eye(4), np.eye(4)
    affine[:3] = rng.normal(size=(3, 4)) + 2 * np.eye(3, 4)
    target[:3] = affine[:3] + rng.normal(scale=0.2, size=(3, 4))
    found = resample_nearest(values, affine, (6, 5, 7), target, fill=-1)
    np.testing.assert_array_equal(found, brute_force(values, affine, (6, 5, 7), target, -1))


def test_same_grid_is_the_identity():
    values = np.random.default_rng(0).normal(size=(4, 5, 6))
    affine = np.array([[-3, 0.1, 0, 90], [0, 3, 0, -126], [0, 0, 3.3, -72], [0, 0, 0, 1]])
    np.testing.assert_array_equal(resample_nearest(values, affine, (4, 5, 6), affine), values)


def test_flipped_affine_flips_the_values():
    values = np.arange(24).reshape(2, 3, 4)
    flipped = np.diag([-1.0, 1, 1, 1])
    flipped[0, 3] = 1
    found = resample_nearest(values, np.eye(4), (2, 3, 4), flipped)
    np.testing.assert_array_equal(found, values[::-1])


def test_rounding_errors_do_not_decide_between_two_voxels():
    values = np.arange(100).reshape(100, 1, 1)
    target = np.diag([0.1 + 0.2, 1, 1, 1])
    target[0, 3] = 0.15
    exact = np.floor(np.round(0.15 + 0.3 * np.arange(300), 6) + 0.5)
    found = resample_nearest(values, np.eye(4), (300, 1, 1), target, fill=-1)
    np.testing.assert_array_equal(found.ravel(), np.where(exact < 100, exact, -1))


def test_far_outside_is_filled():
    far = np.eye(4)
    far[:3, 3] = 1e300
    found = resample_nearest(np.ones((2, 2, 2)), np.eye(4), (2, 2, 2), far, fill=7)
    assert (found == 7).all()


def test_singular_affine_is_refused():
    with pytest.raises(ParameterError, match="must be invertible"):
        resample_nearest(np.ones((2, 2, 2)), np.diag([0.0, 1, 1, 1]), (2, 2, 2), np.eye(4))


def test_fraction_counts_centres():
    shifted = np.eye(4)
    shifted[0, 3] = 1.4
    indices = np.stack(np.nonzero(np.ones((4, 1, 1))))
    assert fraction_inside(indices, shifted, (4, 1, 1), np.eye(4)) == 0.75
    assert fraction_inside(indices[:, :0], shifted, (4, 1, 1), np.eye(4)) == 1.0
