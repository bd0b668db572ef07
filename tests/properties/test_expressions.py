"""Lazy expressions equal NumPy's, in value and data type, however they are cut into blocks."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lazyvox as lv
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


@pytest.fixture(scope="module", params=[".nii", ".nii.gz"])
def one_file(request, tmp_path_factory):
    """Return a run in a file, its values, and where to save."""
    values = values_of("run i2").astype("f4")
    path = tmp_path_factory.mktemp("runs") / f"run{request.param}"
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)
    return lv.load(path), values, path.with_name("out.nii")


#: Formulas of a run; `w` is an array of its grid.
PARTS = ["img[..., 1]", "img[..., 4]", "np.max(img, axis=-1)", "np.min(img, axis=-1)"]
OF_TWO = [
    "({} - {})",
    "np.maximum({}, {})",
    "(np.isclose({}, {}, rtol=0, atol=w) * 1.5)",
    "np.where({0} > 50, {1}, 7)",
    "(np.clip({}, 0, None) + np.fix({} / 3))",
    "((np.isin({}, [3, 5, 7]) | ({} == 9)) * 1.5)",
]
formulas = st.recursive(
    st.sampled_from(PARTS),
    lambda inner: st.builds(lambda form, *two: form.format(*two), st.sampled_from(OF_TWO), inner, inner),
    max_leaves=5,
)  # fmt: skip


@pytest.mark.filterwarnings("ignore:every image should be part of the formula")
@settings(max_examples=25, deadline=None)
@given(formula=formulas, cut=st.integers(0, GRID[0] - 2))
def test_formulas_of_one_file_by_every_door(one_file, formula, cut):
    img, values, out = one_file
    weights = np.arange(60.0).reshape(GRID) % 7
    expected = eval(formula, {"np": np}, {"img": values, "w": weights})
    names = {"img": img, "w": nib.Nifti1Image(weights, np.eye(4))}
    lazy = formula.replace("img[", "img.slicer[").replace("(w)", "w")
    found = eval(lazy, {"np": np}, names)
    plain = expected.astype("u1") if expected.dtype == bool else expected
    np.testing.assert_array_equal(np.asarray(found.dataobj), expected)
    np.testing.assert_array_equal(np.asarray(found.slicer[cut:].dataobj), expected[cut:])
    lv.save(found, out)
    np.testing.assert_array_equal(np.asarray(nib.load(out).dataobj), plain)
    whole = nib.Nifti1Image(np.ones(GRID, "u1"), np.eye(4))
    signals = lv.extract(found, whole)
    np.testing.assert_array_equal(signals.values[0], plain[np.ones(GRID, bool)])
    same = lv.image.math_img(formula, **names)
    np.testing.assert_array_equal(np.asarray(same.dataobj), plain)
