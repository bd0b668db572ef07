"""Memory of volumes that are gone is used again, and never that of one that somebody has."""

import gc
import weakref
from itertools import pairwise

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lazyvox as lv
from lazyvox.preload.spare import Spare
from lazyvox.testing import write_nifti

SHAPE = (4, 5, 6)
FLOAT = np.dtype(np.float32)


def given_back(owner):
    spare = Spare()
    spare.give(owner)
    return spare.take(SHAPE, FLOAT)


def test_an_image_that_nobody_has():
    found = given_back([nib.Nifti1Image(np.ones(SHAPE, np.float32, order="F"), np.eye(4))])
    assert found is not None
    assert found.shape == SHAPE


HOLDERS = {
    "image": lambda img: img,
    "array": lambda img: img.dataobj,
    "view": lambda img: img.dataobj[1:],
    "transposed": lambda img: img.dataobj.T,
    "memoryview": lambda img: memoryview(img.dataobj),
    "floats": lambda img: img.get_fdata(dtype=np.float32),
    "list": lambda img: [img.dataobj],
    "iterator": lambda img: iter(img.dataobj),
    "interface": lambda img: img.dataobj.ctypes,
    "weak image": weakref.ref,
    "weak array": lambda img: weakref.ref(img.dataobj),
}


@pytest.mark.parametrize("name", HOLDERS)
def test_what_somebody_has_is_not_taken(name):
    owner = [nib.Nifti1Image(np.ones(SHAPE, np.float32, order="F"), np.eye(4))]
    held = HOLDERS[name](owner[0])
    assert given_back(owner) is None
    assert held is not None


@pytest.mark.parametrize(
    "values",
    [
        np.ones((2, *SHAPE), np.float32)[0],
        np.ones(SHAPE, np.float32),
        np.ones(SHAPE, np.float32, order="F").view(np.memmap),
        np.frombuffer(bytes(480), np.float32).reshape(SHAPE, order="F"),
    ],
    ids=["view", "order", "class", "not owned"],
)
def test_memory_of_other_kinds_is_not_taken(values):
    assert given_back([nib.Nifti1Image(values, np.eye(4))]) is None


@pytest.mark.parametrize(("shape", "dtype"), [((4, 5, 7), "f4"), (SHAPE, "i4"), (SHAPE, ">f4")])
def test_only_what_fits_is_used(shape, dtype):
    spare = Spare()
    spare.give([nib.Nifti1Image(np.ones(SHAPE, np.float32, order="F"), np.eye(4))])
    assert spare.take(shape, np.dtype(dtype)) is None
    assert spare.take(SHAPE, FLOAT) is None


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("volumes"), np.random.default_rng(0)
    values = [rng.integers(1, 900, SHAPE).astype("<i2") for _ in range(8)]
    return [str(write_nifti(folder / f"{n}.nii.gz", one)) for n, one in enumerate(values)], values


@pytest.fixture
def reused(monkeypatch):
    found, take = [], Spare.take

    def watched(self, shape, dtype):
        array = take(self, shape, dtype)
        found.append(array is not None)
        return array

    monkeypatch.setattr(Spare, "take", watched)
    return found


def lazy(names):
    return [lv.LazyReadData(name, 1, dtype=np.float32) for name in names]


def test_a_sum_that_preloads_uses_memory_again(files, reused):
    names, values = files
    total = sum(lv.PreloadIterator(lazy(names), 1))
    assert np.array_equal(total.data.dataobj, sum(one.astype("f4") for one in values))
    # A load begins while the volume before it is added: the sum before that is gone a moment too
    # late for this load, or not. What comes too late is there for the next.
    assert reused[:2] == [False, False]
    assert all(any(pair) for pair in pairwise(reused[2:]))


def test_a_sum_in_place_uses_memory_again(files, reused):
    names, values = files
    total = 0
    for volume in lv.PreloadIterator(lazy(names), 1):
        total += volume
    assert np.array_equal(total.data.dataobj, sum(one.astype("f4") for one in values))
    assert all(any(pair) for pair in pairwise(reused[3:]))


def test_the_memory_goes_with_the_loop(files):
    names, _ = files
    items = lv.PreloadIterator(lazy(names), 1)
    spare = weakref.ref(items._quota._spare)
    total = sum(items)
    gc.collect()
    assert spare() is None
    assert items._quota._spare.take(SHAPE, FLOAT) is None
    assert total.data.shape == SHAPE


@settings(max_examples=60, deadline=None)
@given(
    n_ahead=st.integers(1, 4),
    holders=st.lists(st.sampled_from(["", *sorted(HOLDERS)]), min_size=8, max_size=8),
    of_volume=st.lists(st.booleans(), min_size=8, max_size=8),
    in_place=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_no_array_of_the_user_is_written_to(files, n_ahead, holders, of_volume, in_place):
    names, values = files
    total, expected, kept = 0, 0, []
    steps = zip(values, holders, of_volume, in_place, strict=True)
    for volume, (array, name, is_of_volume, is_in_place) in zip(
        lv.PreloadIterator(lazy(names), n_ahead), steps, strict=True
    ):
        if name and is_of_volume:
            kept.append((HOLDERS[name](volume.data), volume.data, np.array(volume.data.dataobj)))
        if is_in_place and not kept:
            total += volume
        else:
            total = total + volume
        expected = expected + array.astype("f4")
        if name and not is_of_volume:
            kept.append((HOLDERS[name](total.data), total.data, np.array(expected)))
    assert np.array_equal(total.data.dataobj, expected)
    for _, img, before in kept:
        assert np.array_equal(img.dataobj, before)
