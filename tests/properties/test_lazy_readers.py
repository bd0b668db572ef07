"""Random expressions of lazy readers equal NumPy's, and hold no more than planned."""

import gc
import itertools
import operator
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lazyvox as lv
from lazyvox.preload.lazy import _recipe_of
from lazyvox.preload.recorded import program_of

OPERATORS = (operator.add, operator.sub, operator.mul)
DTYPES = ("i2", "i4", "f4", "f8")

leaves = st.integers(0, 5)
trees = st.recursive(
    leaves | st.sampled_from([2, 3, 0.5]).map(lambda number: ("number", number)),
    lambda inner: (
        st.tuples(st.sampled_from(OPERATORS), inner, inner)
        | st.tuples(st.sampled_from([operator.neg, abs]), inner)
    ),
    max_leaves=14,
)


class Files:
    """Arrays by name, each load counted; and how many are alive at the same time."""

    def __init__(self, dtypes):
        rng = np.random.default_rng(3)
        self.arrays = [rng.integers(-9, 9, 6).astype(dtype) for dtype in dtypes]
        self.n_loads = [0] * len(dtypes)
        self.lock = threading.Lock()

    def read(self, name):
        with self.lock:
            self.n_loads[int(name)] += 1
        return self.arrays[int(name)].copy()


def evaluated(tree, values):
    if isinstance(tree, int):
        return values[tree]
    if tree[0] == "number":
        return tree[1]
    return tree[0](*(evaluated(part, values) for part in tree[1:]))


def leaves_of(tree):
    if isinstance(tree, int):
        return [tree]
    if tree[0] == "number":
        return []
    return [leaf for part in tree[1:] for leaf in leaves_of(part)]


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("nops", [0, 1, 2, "auto"])
@settings(max_examples=60, deadline=None)
@given(tree=trees, dtypes=st.tuples(*[st.sampled_from(DTYPES)] * 6))
def test_value_type_and_loads(nops, tree, dtypes):
    files = Files(dtypes)
    lazy = [lv.LazyReadData(str(number), nops, files.read) for number in range(6)]
    found, used = evaluated(tree, lazy), leaves_of(tree)
    if not used:
        return
    expected = evaluated(tree, files.arrays)
    assert np.array_equal(found.data, expected)
    assert found.data.dtype == np.asarray(expected).dtype
    for number in range(6):
        most = used.count(number) if nops in {1, 2} else min(used.count(number), 1)
        assert files.n_loads[number] <= most + (nops in {1, 2}) * (number == tree)
        assert not (nops == "auto" and number != tree and lazy[number].preloading())


def brute_force(tree):
    """Return the fewest volumes that any order of a tree without shared leaves holds."""
    if isinstance(tree, int):
        return 1
    if tree[0] == "number":
        return 0
    needs = [brute_force(part) for part in tree[1:]]
    if len(needs) == 1:
        return needs[0]
    left, right = needs
    if not left or not right:
        return max(left, right)
    return min(max(left, right + 1), max(right, left + 1))


@settings(max_examples=100, deadline=None)
@given(tree=trees)
def test_the_order_holds_as_few_as_possible(tree):
    names = iter(range(1000))

    def made(tree):
        if isinstance(tree, int):
            return lv.LazyReadData(str(next(names)), "auto", lambda name: np.ones(2))
        if tree[0] == "number":
            return tree[1]
        return tree[0](*(made(part) for part in tree[1:]))

    root = made(tree)
    if not isinstance(root, lv.LazyReadData) or _recipe_of(root) is None:
        return
    program = program_of(root, _recipe_of)
    most = program.most_held(lambda leaf: isinstance(leaf, lv.LazyReadData))
    assert most <= max(brute_force(tree), 1)


@settings(max_examples=40, deadline=None)
@given(
    n_items=st.integers(0, 12),
    n_ahead=st.integers(1, 5),
    used=st.sets(st.integers(0, 11)),
    stop=st.integers(0, 14),
)
def test_what_is_ahead_is_bounded_whatever_is_used(n_items, n_ahead, used, stop):
    items = [
        lv.LazyReadData(str(n), 1, lambda name: np.full(2, float(name))) for n in range(n_items)
    ]
    for number, item in enumerate(lv.PreloadIterator(items, n_ahead)):
        assert sum(one.preloading() for one in items) <= n_ahead
        if number == stop:
            break
        if number in used:
            assert (item + 0).data[0] == number
            assert not item.preloading()
    assert not [one for one in threading.enumerate() if one.name.startswith("lazyvox")]
    assert sum(one.preloading() for one in items) <= n_ahead


class Counted(np.ndarray):
    """An array that can be watched."""


@pytest.mark.parametrize("nops", [1, "auto"])
@pytest.mark.parametrize("shape", ["sum", "tree", "twice"])
def test_an_own_readers_volumes_are_let_go_of(nops, shape):
    alive, most = [], 0

    def read(name):
        nonlocal most
        volume = np.full(1000, float(name)).view(Counted)
        alive.append(weakref.ref(volume))
        most = max(most, sum(one() is not None for one in alive))
        return volume

    volumes = [lv.LazyReadData(str(number), nops, read) for number in range(30)]
    if shape == "sum":
        found, expected, limit = sum(volumes), sum(range(30)), 3
    elif shape == "tree":
        pairs = [one * other for one, other in itertools.pairwise(volumes[:16])][::2]
        found = sum(pairs[1:], start=pairs[0])
        expected, limit = sum(n * (n + 1) for n in range(0, 15, 2)), 4
    else:
        found = sum(one - one for one in volumes)
        expected, limit = 0, 3
    assert (np.asarray(found.data) == expected).all()
    assert most <= limit
    del found
    gc.collect()
    assert not any(one() is not None for one in alive)
