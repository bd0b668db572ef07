"""The algebra of indices."""

import numpy as np
import pytest

from lazyvox.errors import ImageIndexError
from lazyvox.planning.indexing import View, as_key, expand_key


def test_a_slice_of_a_slice_is_one_range():
    view = View.full((100,)).take(slice(10, 90, 2)).take(slice(None, None, -3)).take(slice(1, 4))
    assert view.axes == (range(82, 64, -6),)


def test_integers_drop_axes_and_none_adds_them():
    view = View.full((5, 6, 7)).take((2, None, ..., 3))
    assert view.axes == (2, range(6), 3)
    assert view.shape == (1, 6)
    assert view.take(0).shape == (6,)


def test_a_list_on_a_new_axis_keeps_the_axis():
    view = View.full((5, 6)).take(None)
    assert view.take([0]).shape == (1, 5, 6)
    assert view.take([0, 0, -1]).shape == (3, 5, 6)
    assert view.take([]).shape == (0, 5, 6)


def test_only_the_untouched_view_is_full():
    full = View.full((5, 6))
    assert full.take(slice(None)).is_full
    assert not full.take(slice(1, None)).is_full
    assert not full.take(None).is_full


@pytest.mark.parametrize("key", [True, np.True_, 0.5, "x", [0.5], [[0, 1]], np.ones((5, 6), bool)])
def test_what_a_view_cannot_take_is_refused(key):
    with pytest.raises(ImageIndexError, match=r"integers|too many"):
        View.full((5, 6)).take(key)


def test_a_mask_of_another_length_is_refused():
    with pytest.raises(ImageIndexError, match="a mask of length 4 for axis 1 with size 6"):
        View.full((5, 6)).take((0, [True, False, True, True]))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ((0, 0, 0), "the array is 2-dimensional, but 3 were given"),
        ((..., ...), "single ellipsis"),
        (5, "index 5 is out of bounds for axis 0 with size 5"),
        ((0, -7), "index -7 is out of bounds for axis 1 with size 6"),
        (10**30, "out of bounds for axis 0"),
    ],
    ids=["many", "ellipses", "high", "low", "huge"],
)
def test_refusals_name_the_axis(key, message):
    with pytest.raises(ImageIndexError, match=message):
        View.full((5, 6)).take(key)


def test_expanded_keys_have_an_entry_for_each_axis():
    assert expand_key((..., 1), 3) == [slice(None), slice(None), 1]
    assert expand_key((), 2) == [slice(None)] * 2
    assert expand_key((0, ..., 1), 2) == [0, ..., 1]
    mask = np.ones((2, 3), bool)
    assert expand_key(mask.tolist(), 3)[0].shape == (2, 3)
    assert len(expand_key(mask, 3)) == 2
    assert expand_key(np.array(3), 1) == [3]


def test_an_empty_range_makes_an_empty_index():
    for axis in (range(-1, -1, -1), range(3, 3), range(0, 5, -1)):
        assert np.arange(5)[as_key((axis,))].size == 0
