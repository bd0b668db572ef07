"""Blocks fit the budget, cover the series once in the order of the file, and refusals can be met."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyvox.errors import MemoryBudgetError
from lazyvox.planning.blocks import (
    DECODER,
    N_BUFFERS,
    TARGET_BLOCK_BYTES,
    Costs,
    choose_layout,
    iter_tiles,
)
from lazyvox.planning.memory import MemoryTerm

MIB = 1 << 20
SHAPES = st.tuples(*[st.integers(1, 70)] * 3, st.integers(1, 500))


def costs(state=0, work=0, *, takes_slabs=True):
    return Costs(
        (MemoryTerm("state", state),),
        lambda volumes: (MemoryTerm("work", work * volumes),),
        takes_slabs=takes_slabs,
    )


def test_blocks_are_about_4_mib_where_there_is_room():
    layout = choose_layout((64, 64, 32, 400), 4, costs(), 1 << 40)
    assert layout.block_volumes == TARGET_BLOCK_BYTES // (64 * 64 * 32 * 4)
    assert layout.slab_slices == 32
    assert layout.peak_bytes == DECODER.nbytes + N_BUFFERS * layout.block_bytes


def test_a_large_volume_is_a_block_by_itself():
    layout = choose_layout((200, 200, 200, 9), 8, costs(), 1 << 40)
    assert (layout.block_volumes, layout.slab_slices) == (1, 200)
    assert layout.block_bytes == 200**3 * 8


def test_a_short_series_is_one_block():
    layout = choose_layout((4, 4, 4, 3), 4, costs(), 1 << 40)
    assert layout.block_volumes == 3


def test_large_volumes_are_cut_into_slabs():
    layout = choose_layout((256, 256, 256, 9), 8, costs(), 64 * MIB)
    assert layout.block_volumes == 1
    assert layout.slab_slices < 256
    assert layout.peak_bytes <= 64 * MIB


def test_consumers_that_need_whole_volumes_are_not_given_slabs():
    with pytest.raises(MemoryBudgetError, match="reading in whole volumes, as its consumers ask"):
        choose_layout((256, 256, 256, 9), 8, costs(takes_slabs=False), 64 * MIB)


@given(
    SHAPES,
    st.sampled_from([1, 2, 4, 8, 16]),
    st.integers(0, 100 * MIB),
    st.integers(0, MIB),
    st.integers(1, 300 * MIB),
    st.booleans(),
)
def test_a_layout_fits_or_the_number_named_does(shape, itemsize, state, work, budget, takes_slabs):
    needs = costs(state, work, takes_slabs=takes_slabs)
    try:
        layout = choose_layout(shape, itemsize, needs, budget)
    except MemoryBudgetError as error:
        named = int(re.search(r"Pass memory=(\d+) or more", str(error))[1])
        assert named > budget
        assert choose_layout(shape, itemsize, needs, named).peak_bytes == named
        with pytest.raises(MemoryBudgetError, match=f"memory={named} or more"):
            choose_layout(shape, itemsize, needs, named - 1)
        return
    assert layout.peak_bytes <= budget
    assert takes_slabs or layout.slab_slices == shape[2]
    assert layout.block_bytes == itemsize * shape[0] * shape[1] * layout.slab_slices * (
        layout.block_volumes
    )


@given(SHAPES, st.integers(DECODER.nbytes + MIB, 40 * MIB))
def test_tiles_cover_the_series_once_in_order(shape, budget):
    layout = choose_layout(shape, 4, costs(), budget)
    seen = [
        (volume, k)
        for slices, volumes in iter_tiles(layout, shape)
        for volume in volumes
        for k in slices
    ]
    assert seen == [(volume, k) for volume in range(shape[3]) for k in range(shape[2])]
    for slices, volumes in iter_tiles(layout, shape):
        assert 1 <= len(slices) <= layout.slab_slices
        assert 1 <= len(volumes) <= layout.block_volumes


def test_the_refusal_says_what_was_given_and_what_to_do():
    with pytest.raises(MemoryBudgetError, match=r"Got 1\.0 MiB; .* Pass memory=\d+ or more"):
        choose_layout((64, 64, 32, 400), 4, costs(state=MIB), MIB)
