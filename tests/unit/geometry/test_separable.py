"""Products with band matrices, axis by axis."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from lazyvox.geometry.separable import BandMatrix, SeparableMap, gaussian_matrix


@pytest.mark.parametrize("length", [1, 2, 3, 16, 17, 61])
@pytest.mark.parametrize("sigma", [0.2, 0.85, 3.0, 11.0])
def test_the_matrix_of_a_gaussian_is_scipys_filter(length, sigma):
    # The widest Gaussian is reflected several times at both ends of a short line.
    expected = gaussian_filter1d(np.eye(length), sigma, axis=0)
    found = np.full((length, length, 1), np.nan, order="F")
    gaussian_matrix(length, sigma).apply(0, np.eye(length)[..., None].copy("F"), found)
    np.testing.assert_allclose(found[..., 0], expected, atol=1e-15)


def test_the_matrix_of_a_surface_is_a_band():
    matrix = gaussian_matrix(163_842, 2.0)
    assert sum(band.weights.nbytes for band in matrix.bands) < 1 << 26


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8"])
def test_a_band_matrix_multiplies_the_lines_of_an_axis(axis, dtype):
    rng = np.random.default_rng(5)
    shape, out_shape = [7, 19, 34], [7, 19, 34]
    out_shape[axis] = 40
    dense = np.triu(np.tril(rng.normal(size=(40, shape[axis])), 3), -3)
    values = np.asfortranarray(rng.normal(size=shape).astype(dtype))
    out = np.full(out_shape, np.nan, dtype, order="F")
    BandMatrix.of(dense).apply(axis, values, out)
    expected = np.moveaxis(np.tensordot(dense, values, (1, axis)), 0, axis)
    np.testing.assert_allclose(out, expected, atol=1e-5 if dtype != "f8" else 1e-13)


def test_rows_of_zeros_give_zero():
    out = np.full((40, 2, 2), np.nan, order="F")
    BandMatrix.of(np.zeros((40, 3))).apply(0, np.ones((3, 2, 2), order="F"), out)
    assert not out.any()


@pytest.mark.parametrize("lengths", [(5, 6, 7), (9, 6, 3), (5, 12, 14), (2, 3, 4)])
@pytest.mark.parametrize("left_out", [(), (0,), (1, 2), (0, 1, 2)])
def test_a_separable_map_is_one_product_for_each_axis(lengths, left_out):
    rng = np.random.default_rng(6)
    shape = (5, 6, 7)
    dense = [
        np.eye(one) if axis in left_out else rng.normal(size=(other, one))
        for axis, (one, other) in enumerate(zip(shape, lengths, strict=True))
    ]
    matrices = tuple(None if axis in left_out else BandMatrix.of(dense[axis]) for axis in range(3))
    separable = SeparableMap(shape, matrices)
    values = np.asfortranarray(rng.normal(size=shape))
    kept = values.copy()
    out = np.full(separable.out_shape, np.nan, order="F")
    separable.apply(values, out)
    np.testing.assert_allclose(out, np.einsum("ai,bj,ck,ijk->abc", *dense, values), atol=1e-12)
    np.testing.assert_array_equal(values, kept)
    assert separable.is_identity == (len(left_out) == 3)


def test_work_bytes_counts_what_lies_between_products():
    three = tuple(BandMatrix.of(np.eye(10)) for _ in range(3))
    # The first of three products of one shape goes to the result, only the second needs memory.
    assert SeparableMap((10, 10, 10), three).work_bytes(np.dtype("f4")) >= 4000
    assert SeparableMap((10, 10, 10), (three[0], None, None)).work_bytes(np.dtype("f4")) == 0
