"""Lazy expressions equal NumPy's, in value and data type, however they are cut into blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyvox.array import kernels as steps
from lazyvox.array.expression import cast, elementwise
from lazyvox.array.memory_reader import in_memory_array

GRID = (3, 4, 5)
N_VOLUMES = 6

OPERANDS = {
    "run f4": (*GRID, N_VOLUMES, "f4"),
    "run u1": (*GRID, N_VOLUMES, "u1"),
    "run i2": (*GRID, N_VOLUMES, "i2"),
    "run bool": (*GRID, N_VOLUMES, "?"),
    "run c8": (*GRID, N_VOLUMES, "c8"),
    "volume": (*GRID, 1, "f8"),
    "row": (1, 1, 1, N_VOLUMES, "f4"),
    "plane": (3, 1, 5, 1, "i4"),
    "short row": (N_VOLUMES, "f8"),
}
SCALARS = [2, 3.5, True, -0.0, 0, 1, 1.0, np.float32(0.5), np.int16(7), np.float64(2.5), 1j]
UNARY = [np.negative, np.absolute, np.isfinite, np.square, np.sign, np.logical_not, np.real]
BINARY = [np.add, np.subtract, np.multiply, np.true_divide, np.maximum, np.less, np.equal]


def values_of(name):
    *shape, dtype = OPERANDS[name]
    values = np.random.default_rng(len(name)).integers(0, 99, shape)
    return values.astype(dtype)


leaves = st.one_of(st.sampled_from(sorted(OPERANDS)), st.sampled_from(SCALARS))
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(UNARY), inner),
        st.tuples(st.sampled_from(BINARY), inner, inner),
        st.tuples(st.just(np.where), inner, inner, inner),
        st.tuples(st.just("f4"), inner),
    ),
    max_leaves=8,
)


def computed(tree, lazily):
    """Return the value of a tree: lazy arrays, or NumPy's."""
    if isinstance(tree, str):
        values = values_of(tree)
        return in_memory_array(values, tree) if lazily and values.ndim == 4 else values
    if not isinstance(tree, tuple):
        return tree
    function, *operands = tree
    done = [computed(operand, lazily) for operand in operands]
    is_lazy = any(hasattr(one, "reader") for one in done)
    if isinstance(function, str):
        dtype = np.dtype(function)
        if is_lazy:
            return elementwise(cast, *done, dtype=dtype)
        return np.asarray(done[0]).astype(dtype)[()]
    return elementwise(function, *done) if is_lazy else function(*done)


def outcome_of(tree, lazily):
    """Return the value of a tree, or the type of its error."""
    try:
        return computed(tree, lazily)
    except (TypeError, OverflowError) as error:
        return type(error)


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::numpy.exceptions.ComplexWarning")
@given(trees, st.sampled_from([1, 40, 1 << 16]), st.integers(1, N_VOLUMES))
def test_trees_are_numpys(tree, piece, n_group):
    expected, found = (outcome_of(tree, lazily) for lazily in (False, True))
    if isinstance(expected, type):
        assert isinstance(found, type)
        assert issubclass(found, expected)
    if not hasattr(found, "reader"):
        return
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "PIECE_VALUES", piece)
        with found.open() as session:
            for start in range(0, found.shape[3], n_group):
                part = found.view((..., slice(start, start + n_group)))
                expected_part = expected[..., start : start + n_group]
                np.testing.assert_array_equal(part.read_in(session), expected_part)
