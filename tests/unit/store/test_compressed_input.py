"""Compressed bytes in pieces, from wherever the input stands."""

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.store import open_source
from lazyvox.store.files.compressed_input import CompressedInput
from lazyvox.testing import (
    ObjectServer,
    assert_no_thread_is_left,
    compress,
    nifti_bytes,
)

SHAPE = (20, 20, 20, 30)


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(0).integers(0, 900, SHAPE).astype("<i2")


@pytest.mark.parametrize("form", ["gzip", "bzip2", "zstd"])
def test_a_decoder_keeps_nothing_of_the_buffer(values, form):
    packed = compress(nifti_bytes(values), form)
    with ObjectServer({"x": packed}) as server:
        mean = lv.mean_img(server.url("x")).get_fdata()
        np.testing.assert_allclose(mean, values.mean(axis=3), rtol=1e-6)
    assert_no_thread_is_left()


def test_pieces_follow_from_wherever_it_stands(values):
    packed = compress(nifti_bytes(values), "gzip")
    with ObjectServer({"x": packed}) as server:
        with CompressedInput(open_source(server.url("x"))) as feed:
            feed.expect(0, len(packed))
            got = feed.read(5) + bytes(feed.next_piece()) + feed.read(3) + bytes(feed.next_piece())
            assert got == packed[: feed.position]
            feed.position = 100
            assert feed.read(50) == packed[100:150]
            assert bytes(feed.next_piece())[:50] == packed[150:200]
            while piece := feed.next_piece():
                last = bytes(piece)
            assert packed.endswith(last)
            assert feed.position == len(packed)
        assert_no_thread_is_left()
