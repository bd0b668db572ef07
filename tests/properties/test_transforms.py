"""Volumes that are smoothed and resampled when read equal those of scipy, however they are cut."""

import warnings

import hypothesis.strategies as st
import numpy as np
from hypothesis import given
from scipy.ndimage import affine_transform, gaussian_filter1d

from lazyvox.array.memory_reader import in_memory_array
from lazyvox.array.transformed import staged
from lazyvox.image.resampling import ResampleTransform
from lazyvox.image.smooth_transform import SmoothTransform

SIGMA_OF_FWHM = 1 / np.sqrt(8 * np.log(2))
LENGTHS = st.tuples(*[st.integers(1, 9)] * 3)


def volumes(shape, seed):
    return np.random.default_rng(seed).normal(size=shape)


@given(st.data(), st.tuples(*[st.integers(1, 7)] * 4), st.floats(0.3, 20))
def test_any_slice_of_a_smoothed_series(data, shape, fwhm):
    values = volumes(shape, 1)
    array = staged(SmoothTransform.of(np.eye(4), shape, fwhm), in_memory_array(values, "values"))
    expected = values
    for axis in range(3):
        expected = gaussian_filter1d(expected, fwhm * SIGMA_OF_FWHM, axis=axis)
    key = tuple(data.draw(st.slices(length)) for length in shape)
    np.testing.assert_allclose(array[key], expected[key], atol=1e-12)


@given(
    shape=LENGTHS,
    target=LENGTHS,
    zooms=st.tuples(*[st.sampled_from([0.5, 1.0, 1.25, 2.0, -1.0])] * 3),
    axes=st.permutations([0, 1, 2]),
    offset=st.tuples(*[st.floats(-3, 8, width=16)] * 3),
    interpolation=st.sampled_from(["nearest", "linear", "continuous"]),
)
def test_any_grid_with_parallel_axes(shape, target, zooms, axes, offset, interpolation):
    values = volumes((*shape, 2), 2)
    affine = np.eye(4)
    affine[:3, :3] = np.diag(zooms)[list(axes)]
    affine[:3, 3] = offset
    transform = ResampleTransform.of(shape, np.eye(4), target, affine, interpolation)
    got = np.asarray(staged(transform, in_memory_array(values, "values")))
    matrix = affine[:3, :3]
    is_diagonal = np.array_equal(np.diag(np.diag(matrix)), matrix)
    for number in range(2):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*has changed in SciPy 0.18.*")
            expected = affine_transform(
                values[..., number],
                np.diag(matrix) if is_diagonal else matrix,
                affine[:3, 3],
                output_shape=target,
                order=transform.order,
            )
        np.testing.assert_allclose(got[..., number], expected, atol=1e-10)
