"""Parts that can be decoded alone begin and end where volumes do."""

from itertools import accumulate, islice

import pytest

from lazyvox.planning.blocks import MOST_MEMBER_BYTES, member_lengths


@pytest.mark.parametrize("header_bytes", [0, 352, 5 << 20])
@pytest.mark.parametrize(
    "volume_bytes", [0, 1, 99, 700_000, 2 << 20, (2 << 20) + 1, 5_000_001, 64 << 20]
)
def test_every_volume_begins_a_part_or_lies_in_one(header_bytes, volume_bytes):
    lengths = list(islice(member_lengths(header_bytes, volume_bytes), 100))
    ends = [0, *accumulate(lengths)]
    assert 0 < min(lengths) <= max(lengths) <= MOST_MEMBER_BYTES
    assert header_bytes in ends
    for end in ends[ends.index(header_bytes) :]:
        within = (end - header_bytes) % max(volume_bytes, 1)
        if volume_bytes <= MOST_MEMBER_BYTES:
            assert within == 0
    if volume_bytes > MOST_MEMBER_BYTES:
        assert header_bytes + volume_bytes in ends
        assert max(lengths[-3:]) - min(lengths[-3:]) < 40


def test_small_volumes_fill_more_than_half_of_a_part():
    assert list(islice(member_lengths(352, 1000), 2)) == [352, 2_097_000]
    assert list(islice(member_lengths(352, (1 << 20) + 1), 2)) == [352, (1 << 20) + 1]
