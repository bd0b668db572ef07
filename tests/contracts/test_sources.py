"""Every byte source, and every wrapper of the test kit, keeps the contract of sources."""

from itertools import pairwise

import numpy as np
import pytest

from lazyvox.store import open_source
from lazyvox.testing import (
    CountingSource,
    MemorySource,
    TripwireSource,
    check_byte_source,
    compress,
)

PAYLOADS = {
    "short": bytes(range(64)),
    "zeros": bytes(700_000),
    "noise": np.random.default_rng(0).bytes(300_001),
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
@pytest.mark.parametrize("compression", ["none", "gzip", "bzip2", "zstd"])
def test_files(tmp_path, compression, payload):
    path = tmp_path / "file"
    path.write_bytes(compress(payload, compression))
    assert open_source(path).compression == compression
    check_byte_source(lambda: open_source(path), payload)


@pytest.mark.parametrize("compression", ["gzip", "bzip2", "zstd"])
def test_files_of_several_members(tmp_path, compression):
    payload = PAYLOADS["noise"]
    cuts = [0, 1, 1, 65_536, 65_537, 200_000, len(payload), len(payload)]
    path = tmp_path / "file"
    members = [payload[a:b] for a, b in pairwise(cuts)]
    path.write_bytes(b"".join(compress(member, compression) for member in members))
    check_byte_source(lambda: open_source(path), payload)


def test_sources_of_the_kit():
    payload = PAYLOADS["short"]
    check_byte_source(lambda: MemorySource(payload), payload)
    check_byte_source(lambda: CountingSource(MemorySource(payload)), payload)


class WrongSource(MemorySource):
    """A source that forgets to refuse a read behind its end."""

    def open(self):
        session = super().open()
        session.readinto = lambda offset, buffer: None
        return session


def test_contract_finds_a_wrong_source():
    payload = PAYLOADS["short"]
    with pytest.raises(AssertionError, match="readinto must give bytes 1 to 7"):
        check_byte_source(lambda: WrongSource(payload[::-1]), payload)


def test_tripwire_may_be_opened_and_fails_when_read():
    source = TripwireSource(MemorySource(b"abc"))
    with source.open() as session, pytest.raises(AssertionError, match="nothing must be read"):
        session.read_upto(0, 1)


def test_counting_source_finds_a_byte_read_twice():
    source = CountingSource(MemorySource(bytes(100)))
    with source.open() as session:
        session.read_upto(0, 10)
        session.read_upto(20, 10)
        source.assert_each_byte_once()
        session.read_upto(9, 2)
    with pytest.raises(AssertionError, match="Bytes 9 to 10 of memory were read twice"):
        source.assert_each_byte_once()
    assert source.bytes_read == 22
