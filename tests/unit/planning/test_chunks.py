"""Chunks of stores, and the tiles in which they are made."""

import math

import numpy as np
import pytest

from lazyvox.errors import ParameterError
from lazyvox.planning.blocks import iter_steps
from lazyvox.planning.chunks import choose_tiles, chunk_shape

SHAPES = [(7,), (9, 8), (70, 65, 3), (6, 5, 4, 30), (1, 1, 1, 9), (6, 5, 4, 3, 2), (0, 4, 5, 2)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("chunks", ["time", "space"])
def test_chunks_are_within_the_image(shape, chunks):
    found = chunk_shape(shape, 4, chunks)
    assert len(found) == len(shape)
    assert all(1 <= one <= max(length, 1) for one, length in zip(found, shape, strict=True))


@pytest.mark.parametrize(
    ("shape", "itemsize", "chunks", "expected"),
    [
        ((512, 512, 200, 10), 4, "time", (512, 512, 16, 1)),
        ((4096, 4096, 3), 4, "time", (4096, 1024, 1)),
        ((104, 90, 72, 1200), 4, "space", (13, 15, 1, 1200)),
        ((100, 200, 60), 2, "space", (50, 50, 60)),
        ((10, 10, 10, 10**7), 4, "space", (1, 1, 1, 10**7)),
        ((10, 10, 10, 5), 4, (20, 3, -1, 1), (10, 3, 10, 1)),
        ((10, 10, 10, 5), 4, [np.int64(5), 5, 5, 5], (5, 5, 5, 5)),
    ],
)
def test_shapes_of_chunks(shape, itemsize, chunks, expected):
    assert chunk_shape(shape, itemsize, chunks) == expected


@pytest.mark.parametrize("chunks", ["volume", 5, None, (1.5, 1, 1, 1)])
def test_chunks_without_a_meaning_are_refused(chunks):
    with pytest.raises(ParameterError, match='`chunks` must be "time", "space" or a tuple'):
        chunk_shape((4, 4, 4, 4), 4, chunks)


@pytest.mark.parametrize("chunks", [(1, 1, 1), (0, 1, 1, 1), (1, 1, 1, -2)])
def test_tuples_of_chunks_have_a_length_for_each_axis(chunks):
    with pytest.raises(ParameterError, match="for each of 4 axes"):
        chunk_shape((4, 4, 4, 4), 4, chunks)


@pytest.mark.parametrize("shape", [one for one in SHAPES if 0 not in one], ids=str)
@pytest.mark.parametrize("edge", [1, 2, 3, 100])
@pytest.mark.parametrize("most", [1, 7, 60, 10**6])
def test_tiles_hold_whole_chunks_and_cover_the_image(shape, edge, most):
    chunks = tuple(min(edge, length) for length in shape)
    found = choose_tiles(shape, chunks, most, most, most // 2)
    if found is None:
        assert math.prod(chunks) > most // 2
        return
    assert found.n_values <= most
    seen = np.zeros(shape, int)
    order = np.arange(seen.size).reshape(shape, order="F")
    runs = []
    for tile in iter_steps(shape, found.tile):
        seen[tile] += 1
        runs.append(order[tile].reshape(-1, order="F"))
        for part, chunk, length in zip(tile, chunks, shape, strict=True):
            assert part.start % chunk == 0
            assert part.stop % chunk == 0 or part.stop == length
    assert (seen == 1).all()
    is_in_order = bool((np.concatenate(runs) == np.arange(seen.size)).all())
    assert is_in_order or not found.is_consecutive
