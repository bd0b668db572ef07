"""Expressions of images are NumPy's, in value and type, however they are cut and read."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lazyvox as lv
from lazyvox.array import Conversion, FileReader, kernels, pointwise, schedule
from lazyvox.lazyimage.classes import lazy_image
from lazyvox.planning.spec import ArraySpec
from lazyvox.testing import CountingSource, MemorySource

GRID, N_VOLUMES = (3, 4, 5), 6

#: Shape, stored type, slope and intercept of each image.
IMAGES = {
    "run f4": ((*GRID, N_VOLUMES), "f4", 1.0, 0.0),
    "run u1": ((*GRID, N_VOLUMES), "u1", 1.0, 0.0),
    "run i2 scaled": ((*GRID, N_VOLUMES), ">i2", 0.5, 3.0),
    "volume f8": (GRID, "f8", 1.0, 0.0),
    "volume i2": (GRID, "i2", 1.0, 0.0),
    "volume u1 scaled": (GRID, "u1", 2.0, 0.0),
    "volume f4": (GRID, ">f4", 1.0, 0.0),
}
ARRAYS = {
    "grid": np.arange(60, dtype="i4").reshape(GRID),
    "row": np.linspace(1, 2, N_VOLUMES, dtype="f4"),
    "block": np.arange(360, dtype="f8").reshape(*GRID, N_VOLUMES),
    "plane": np.arange(20, dtype="u2").reshape(4, 5, 1),
}
SCALARS = [2, 3.5, True, 0, np.float32(0.5), np.int16(7), np.float64(2.5)]
UNARY = [np.negative, np.absolute, np.isfinite, np.square, np.sign, np.positive]
BINARY = [np.add, np.subtract, np.multiply, np.true_divide, np.maximum, np.less, np.floor_divide]


def stored_values(name):
    shape, dtype, _, _ = IMAGES[name]
    values = np.random.default_rng(len(name)).integers(0, 99, shape)
    return values.astype(dtype)


def plain_values(name):
    """Return the values that nibabel gives."""
    _, _, slope, inter = IMAGES[name]
    values = stored_values(name)
    return values * slope + inter if (slope, inter) != (1, 0) else values


def new_images(compression):
    sources, images = {}, {}
    for name, (shape, dtype, slope, inter) in IMAGES.items():
        content = stored_values(name).tobytes(order="F")
        source = CountingSource(MemorySource(content, path=name, compression=compression))
        reader = FileReader(source, ArraySpec(shape, np.dtype(dtype), 0))
        array = lv.LazyArray.over(reader, Conversion(slope, inter))
        header = nib.Nifti1Header()
        header.set_data_dtype(dtype)
        sources[name], images[name] = source, lazy_image(nib.Nifti1Image, array, np.eye(4), header)
    return sources, images


leaves = st.one_of(
    st.sampled_from(sorted(IMAGES)),
    st.sampled_from(sorted(IMAGES)),
    st.sampled_from(sorted(ARRAYS)),
    st.sampled_from(SCALARS),
)
volume_leaves = st.one_of(
    st.sampled_from([name for name in sorted(IMAGES) if name.startswith("volume")]),
    st.sampled_from(["grid", *SCALARS]),
)


def trees_of(leaf, most):
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.tuples(st.sampled_from(UNARY), inner),
            st.tuples(st.sampled_from(BINARY), inner, inner),
            st.tuples(st.sampled_from(BINARY), inner, inner),
            st.tuples(st.just(np.where), inner, inner, inner),
        ),
        max_leaves=most,
    )


def expand(value):
    """Return an array of the grid's shape so that NumPy applies it to every volume."""
    return value[..., None] if np.shape(value) == GRID else value


def outcome_of(tree, images):
    try:
        return computed(tree, images)
    except (TypeError, OverflowError, ValueError) as error:
        return error


def computed(tree, images):
    """Return the value of a tree: of images where they are given, else of NumPy's arrays."""
    if isinstance(tree, str):
        if tree in ARRAYS:
            return ARRAYS[tree]
        return plain_values(tree) if images is None else images[tree]
    if not isinstance(tree, tuple):
        return tree
    function, *operands = tree
    done = [computed(operand, images) for operand in operands]
    if images is None and any(np.ndim(one) == 4 for one in done):
        done = [expand(one) for one in done]
    return function(*done)


def names_in(tree):
    if isinstance(tree, tuple):
        return {name for operand in tree[1:] for name in names_in(operand)}
    return {tree} & IMAGES.keys() if isinstance(tree, str) else set()


windows = st.tuples(
    *(
        st.one_of(
            st.just(slice(None)),
            st.integers(0, length - 1),
            st.builds(slice, st.integers(0, length - 1), st.none(), st.sampled_from([1, 2, -1])),
        )
        for length in GRID
    )
)


def check(tree, piece, most, compression, window):
    expected = outcome_of(tree, None)
    sources, images = new_images(compression)
    found = outcome_of(tree, images)
    if not isinstance(found, lv.LazyImage):
        return
    assert not isinstance(expected, Exception)
    assert all(not source.reads for source in sources.values())
    assert (found.shape, found.dataobj.dtype) == (expected.shape, expected.dtype)
    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        patch.setattr(pointwise, "PIECE_VALUES", piece)
        patch.setattr(kernels, "PIECE_VALUES", piece)
        patch.setattr(schedule, "MOST_SOURCES", most)
        values = np.asarray(found.dataobj)
        np.testing.assert_array_equal(values, expected)
        assert values.dtype == expected.dtype
        for name in names_in(tree):
            # A volume that takes part by itself and in a volume that is computed is read for each.
            if len(IMAGES[name][0]) == len(expected.shape):
                sources[name].assert_each_byte_once()
        np.testing.assert_array_equal(found.dataobj[window], expected[window])
        with found.dataobj.open() as session:
            for part in (slice(0, 2), slice(2, 5)):
                slab = found.dataobj.view((slice(None), slice(None), part))
                np.testing.assert_array_equal(slab.read_in(session), expected[:, :, part])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@given(
    trees_of(leaves, 8),
    st.sampled_from([13, 1 << 16]),
    st.sampled_from(["none", "gzip"]),
    windows,
)
def test_trees_of_series_and_volumes(tree, piece, compression, window):
    check(tree, piece, 6, compression, window)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@given(
    trees_of(volume_leaves, 14),
    st.sampled_from([13, 40, 1 << 16]),
    st.integers(1, 3),
    st.sampled_from(["none", "gzip"]),
    windows,
)
def test_trees_of_volumes_in_waves(tree, piece, most, compression, window):
    check(tree, piece, most, compression, window)


@given(st.lists(st.sampled_from(SCALARS + sorted(IMAGES)), min_size=2, max_size=30))
def test_sums_are_numpys(parts):
    _, images = new_images("none")
    lazy = sum(images[one] if isinstance(one, str) else one for one in parts)
    if not isinstance(lazy, lv.LazyImage):
        return
    values = [plain_values(one) if isinstance(one, str) else one for one in parts]
    if len(lazy.shape) == 4:
        values = [expand(one) for one in values]
    expected = sum(values)
    assert lazy.dataobj.dtype == expected.dtype
    np.testing.assert_array_equal(np.asarray(lazy.dataobj), expected)
