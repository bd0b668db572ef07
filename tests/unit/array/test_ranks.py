"""Values at ranks are those of a sorted array, for every type and however values are cut."""

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.array.ranks import Ranks

DTYPES = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "f4", "u8", "i8", "f8", "f2"]
PERCENTILES = (0, 2, 50, 63.2, 98, 100)


def found(values, percentiles, n_parts):
    search = Ranks(percentiles, values.dtype)
    looks = 0
    while not search.is_done:
        for part in np.array_split(values, n_parts):
            search.take(part)
        search.advance()
        looks += 1
    return search.neighbours(), looks


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_parts", [1, 7])
def test_neighbours_are_those_of_the_sorted_values(dtype, n_parts):
    rng = np.random.default_rng(0)
    values = rng.normal(0, 50, 1001).astype(dtype)
    if dtype[0] in "iu":
        limits = np.iinfo(dtype)
        values = rng.integers(limits.min, limits.max, 1001, dtype, endpoint=True)
        values[:2] = limits.min, limits.max
    neighbours, looks = found(values, PERCENTILES, n_parts)
    assert looks == max(np.dtype(dtype).itemsize // 2, 1)
    ordered = np.sort(values)
    for percentile, (low, high, place) in zip(PERCENTILES, neighbours, strict=True):
        exact = percentile / 100 * 1000
        assert low == float(ordered[int(exact)])
        assert high == float(ordered[min(int(exact) + 1, 1000)])
        assert place == exact - int(exact)


def test_nothing_and_one_value():
    assert np.isnan(found(np.empty(0, "f4"), [50], 1)[0][0][0])
    assert found(np.array([-0.5], "f8"), [0, 99], 1)[0] == [(-0.5, -0.5, 0.0)] * 2


def test_halves_merge():
    values = np.arange(100, dtype="f4")
    parts = [Ranks([25], values.dtype) for _ in range(2)]
    while not parts[0].is_done:
        for part, some in zip(parts, np.array_split(values, 2), strict=True):
            part.take(some)
        whole, other = parts
        counts = {start: one.copy() for start, one in other.counts.items()}
        other.merge(whole)
        for start, one in counts.items():
            whole.counts[start] += one
        for part in parts:
            part.advance()
    assert parts[0].neighbours() == parts[1].neighbours() == [(24.0, 25.0, 0.75)]


@pytest.mark.parametrize("percentile", [-1, 101, float("nan")])
def test_percentiles_are_from_0_to_100(percentile):
    with pytest.raises(lv.ParameterError, match="a percentile must be from 0 to 100"):
        Ranks([percentile], np.dtype("f4"))
