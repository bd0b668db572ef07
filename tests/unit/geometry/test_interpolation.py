"""Interpolation along parallel axes against scipy.ndimage.affine_transform."""

import warnings

import numpy as np
import pytest
from nibabel.eulerangles import euler2mat
from scipy.ndimage import affine_transform

from lazyvox.geometry.interpolation import aligned_map

ZOOMS = [1, -1, 2, 0.5, 2 / 3, 1.5, -0.7, 0.3, 1 / 3]
OFFSETS = [0, 1, -1, 0.5, 2, -0.25, 1 / 3, 3.7]


def expected_of(values, matrix, offset, shape, order, fill):
    # nilearn hands diagonal matrices over as vectors, for which scipy has another routine.
    is_diagonal = np.array_equal(np.diag(np.diag(matrix)), matrix)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*has changed in SciPy 0.18.*")
        return affine_transform(
            values,
            np.diag(matrix) if is_diagonal else matrix,
            offset=offset,
            output_shape=shape,
            cval=fill,
            order=order,
        )


def applied(found, values, fill):
    out = np.full(found.shape, np.nan, values.dtype, order="F")
    method = found.take_nearest if found.weights is None else found.interpolate
    method(values, out, fill)
    return out


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("seed", range(60))
def test_values_are_scipys(order, seed):
    rng = np.random.default_rng(seed)
    shape, target = (tuple(int(n) for n in rng.integers(1, 15, 3)) for _ in range(2))
    matrix = np.diag(rng.choice(ZOOMS, 3))[rng.permutation(3) if seed % 2 else [0, 1, 2]]
    # Where an axis is reversed, begin at its end half of the time, so that there is an overlap.
    begin = np.where((matrix < 0).any(axis=1), np.array(shape) - 1, 0) * (seed % 3 > 0)
    offset = rng.choice(OFFSETS, 3) + begin
    values = np.asfortranarray(rng.normal(size=shape))
    fill = (0.0, -7.0)[seed % 4 == 0]
    found = aligned_map(shape, matrix, offset, target, order)
    expected = expected_of(values, matrix, offset, target, order, fill)
    np.testing.assert_allclose(applied(found, values, fill), expected, atol=1e-10)


@pytest.mark.parametrize("order", [1, 3])
def test_float32_agrees_to_rounding(order):
    rng = np.random.default_rng(8)
    values = np.asfortranarray(rng.normal(size=(31, 37, 30)).astype("f4"))
    matrix, target = np.diag([2 / 3] * 3), (46, 55, 45)
    found = aligned_map(values.shape, matrix, np.zeros(3), target, order)
    expected = expected_of(values, matrix, np.zeros(3), target, order, 0)
    difference = np.abs(applied(found, values, 0) - expected).max()
    assert difference <= 2e-6 * np.abs(values).max()


def test_whole_voxels_are_taken_as_they_are():
    found = aligned_map((5, 6, 7), np.eye(3)[[1, 0, 2]], np.array([1.0, -1, 0]), (7, 6, 7), 3)
    assert found.weights is None
    values = np.asfortranarray(np.random.default_rng(0).normal(size=(5, 6, 7)).astype("f4"))
    expected = np.full((7, 6, 7), -1, "f4")
    expected[1:, :4] = values[1:, :6].transpose(1, 0, 2)
    np.testing.assert_array_equal(applied(found, values, -1), expected)


def test_other_axes_are_not_parallel():
    assert aligned_map((5, 6, 7), euler2mat(0.2), np.zeros(3), (5, 5, 5), 1) is None
    assert aligned_map((5, 6, 7), euler2mat(1e-7), np.full(3, 0.2), (5, 5, 5), 1) is None


def test_rounding_counts_as_parallel_where_it_cannot_flip_a_choice():
    clear, edge = np.full(3, 0.2), np.zeros(3)
    assert aligned_map((9, 9, 9), euler2mat(1e-13), clear, (5, 5, 5), 1) is not None
    assert aligned_map((9, 9, 9), euler2mat(1e-13), edge, (5, 5, 5), 1) is None
    assert aligned_map((9, 9, 9), euler2mat(1e-13), np.full(3, 0.5), (5, 5, 5), 0) is None
