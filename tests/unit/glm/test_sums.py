import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyvox.glm.sums import VoxelSums, stack_lagged

SUMMED = ("products", "total", "lags", "first", "last", "row_sums")


def made(values, rows, n_lags, cuts=(), n_waiting=64):
    sums = VoxelSums(
        values.shape[1], rows.shape[1], n_lags, dtype=values.dtype, n_waiting=n_waiting
    )
    for start, stop in zip((0, *cuts), (*cuts, len(values)), strict=True):
        sums.add(values[start:stop], rows[start:stop])
    sums.finish()
    return sums


def plain(values, rows, n_lags, reference):
    """Return the sums by their definition."""
    y = values.astype(float) - reference
    n = len(y)
    lags = [
        (y[: n - k] * y[k:]).sum(axis=0) if k < n else 0 * reference for k in range(n_lags + 1)
    ]
    return {
        "products": y.T @ rows,
        "total": y.sum(axis=0),
        "lags": np.array(lags),
        "first": y[:n_lags],
        "last": y[n - min(n, n_lags) :],
        "row_sums": rows.sum(axis=0),
    }


def assert_sums(sums, expected, tolerance=1e-11):
    for name in SUMMED:
        size = max(np.abs(expected[name]).max(initial=0), 1)
        difference = np.abs(getattr(sums, name) - expected[name]).max(initial=0)
        assert difference <= tolerance * size, name


@given(
    n_volumes=st.integers(1, 30),
    n_lags=st.integers(0, 4),
    n_waiting=st.integers(1, 9),
    cuts=st.sets(st.integers(1, 29), max_size=5),
    split=st.integers(0, 30),
    dtype=st.sampled_from(["<f4", ">f4", "f8", "i2", "u1"]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=80, deadline=None)
def test_any_blocks_and_any_split_give_the_sums_of_their_definition(
    n_volumes, n_lags, n_waiting, cuts, split, dtype, seed
):
    rng = np.random.default_rng(seed)
    values = rng.uniform(0, 200, (n_volumes, 7)).astype(dtype)
    rows = rng.standard_normal((n_volumes, 3))
    inner = sorted(cut for cut in cuts if cut < n_volumes)
    whole = made(values, rows, n_lags, inner, n_waiting)
    assert_sums(whole, plain(values, rows, n_lags, whole.reference))
    at_once = made(values, rows, n_lags, (), n_waiting)
    assert all(np.array_equal(getattr(whole, name), getattr(at_once, name)) for name in SUMMED)

    split = min(split, n_volumes)
    merged = made(values[:split], rows[:split], n_lags, (), n_waiting)
    merged.merge(made(values[split:], rows[split:], n_lags, (), n_waiting))
    assert merged.count == n_volumes
    assert_sums(merged, plain(values, rows, n_lags, merged.reference))


@given(splits=st.lists(st.integers(0, 12), min_size=2, max_size=5), n_lags=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_ranges_shorter_than_the_lags_merge(splits, n_lags):
    rng = np.random.default_rng(5)
    values, rows = rng.standard_normal((12, 2)), rng.standard_normal((12, 2))
    edges = [0, *sorted(splits), 12]
    parts = [made(values[a:b], rows[a:b], n_lags) for a, b in itertools.pairwise(edges)]
    for part in parts[1:]:
        parts[0].merge(part)
    assert_sums(parts[0], plain(values, rows, n_lags, parts[0].reference))


def test_a_shift_and_a_scale_are_those_of_the_values():
    rng = np.random.default_rng(2)
    values, rows = rng.standard_normal((20, 600)), rng.standard_normal((20, 3))
    by, factor = rng.standard_normal(600), rng.uniform(0.5, 2, 600)
    sums = made(values, rows, 2)
    sums.shift(by)
    np.testing.assert_allclose(sums.reference, values.mean(axis=0) - by, atol=1e-12)
    assert_sums(sums, plain(values, rows, 2, sums.reference))
    reference = sums.reference * factor
    sums.scale(factor)
    assert_sums(sums, plain(values * factor, rows, 2, reference))
    some = sums.part(slice(100, 550))
    assert_sums(some, plain(values[:, 100:550] * factor[100:550], rows, 2, reference[100:550]))


@pytest.mark.parametrize(("dtype", "slope"), [("f4", 1.0), ("i2", 0.013)])
def test_a_mean_much_larger_than_the_spread_costs_no_digits(dtype, slope):
    rng = np.random.default_rng(1)
    values = (1e5 + rng.standard_normal((300, 50))).astype("f4")
    if dtype == "i2":
        values = rng.integers(30_000, 30_200, (300, 50)).astype("i2") * slope
    rows = rng.standard_normal((300, 4))
    sums = made(values, rows, 1)
    exact = values.astype(np.longdouble)
    exact -= exact.mean(axis=0)
    sums.shift(sums.total / -sums.count)
    np.testing.assert_allclose(sums.lags[0], (exact**2).sum(axis=0), rtol=1e-11)
    np.testing.assert_allclose(sums.lags[1], (exact[1:] * exact[:-1]).sum(axis=0), atol=1e-8)


def test_lagged_rows_give_the_products_with_neighbours_on_both_sides():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((9, 2)), rng.standard_normal(9)
    stacked = stack_lagged(x, 2)
    np.testing.assert_array_equal(stacked[:, :2], x)
    for lag in (1, 2):
        expected = x[:-lag].T @ y[lag:] + x[lag:].T @ y[:-lag]
        np.testing.assert_allclose(stacked[:, 2 * lag : 2 * lag + 2].T @ y, expected)


def test_the_sums_hold_no_more_than_they_say():
    sums = VoxelSums(1000, 30, 2, dtype=np.dtype("f4"), n_waiting=16)
    sums.add(np.ones((5, 1000), "f4"), np.ones((5, 30)))
    held = sum(one.nbytes for one in vars(sums).values() if isinstance(one, np.ndarray))
    assert held <= VoxelSums.nbytes(1000, 30, 2, dtype=np.dtype("f4"), n_waiting=16)
