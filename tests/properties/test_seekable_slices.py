"""Random members, random slices: what a seekable file gives is what was written."""

import gzip
from itertools import chain, repeat

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyvox.store.frames.decoders import load_zstd
from lazyvox.store.frames.seek_table import read_seek_table
from lazyvox.store.frames.segments import FrameSegments
from lazyvox.store.gzip.member_table import read_member_table
from lazyvox.store.gzip.segments import SegmentSource
from lazyvox.store.indexed_source import IndexedReader, ahead_count
from lazyvox.store.opening import open_source
from lazyvox.store.write.sinks import open_sink

RAW = np.random.default_rng(8).normal(0, 3, 60_000).astype("<i2").tobytes()

lengths = st.lists(st.integers(1, 40_000), min_size=1, max_size=12)
bounds = st.lists(
    st.tuples(st.integers(0, len(RAW) - 1), st.integers(1, len(RAW))), min_size=1, max_size=6
)


@settings(max_examples=40, deadline=None)
@given(
    compression=st.sampled_from(["gzip", "zstd"]),
    lengths=lengths,
    size=st.integers(1, len(RAW)),
    spacing=st.sampled_from([1, 3000, 50_000]),
    bounds=bounds,
    n_threads=st.integers(1, 2),
    memory=st.sampled_from([0, 3 << 20, 64 << 20]),
)
def test_slices_of_random_members(
    tmp_path_factory, compression, lengths, size, spacing, bounds, n_threads, memory
):
    path = tmp_path_factory.mktemp("seekable") / "run"
    raw = RAW[:size]
    with open_sink(
        str(path),
        compression=compression,
        n_threads=n_threads,
        lengths=chain(lengths, repeat(lengths[-1])),
    ) as sink:
        sink.write(raw)
        sink.commit()
    unpack = gzip.decompress if compression == "gzip" else load_zstd().decompress
    assert unpack(path.read_bytes()) == raw
    source = open_source(path)
    read = read_member_table if compression == "gzip" else read_seek_table
    table = read(source, spacing)
    assert table.decoded_size == source.access_points().decoded_size == size
    kind = SegmentSource if compression == "gzip" else FrameSegments
    segments = kind(source, table)
    n_ahead = ahead_count(segments, memory)
    for start, length in bounds:
        begin = start % size
        stop = min(begin + length, size)
        for session in (
            source.open_part(begin, stop, memory),
            IndexedReader(source, segments, begin, stop, n_ahead=n_ahead),
        ):
            buffer = bytearray(stop - begin)
            with session:
                session.readinto(begin, memoryview(buffer))
            assert buffer == raw[begin:stop]
