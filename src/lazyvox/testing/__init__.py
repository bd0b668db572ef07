"""The test kit: byte sources that watch or fail, contracts for new sources and readers, images.

`lazyvox.testing.strategies` needs hypothesis and is imported by its own name.
"""

from lazyvox.testing.contracts import check_array_reader, check_byte_source, feed
from lazyvox.testing.images import (
    compress,
    image_of,
    image_over,
    nifti_bytes,
    random_values,
    run_like,
    write_lazy_array,
    write_nifti,
)
from lazyvox.testing.interrupts import interrupted_when
from lazyvox.testing.object_server import ObjectServer, Reply, Request
from lazyvox.testing.pages import HtmlPage
from lazyvox.testing.points import MemoryPoints, find_points, gzip_member, write_index
from lazyvox.testing.resources import (
    assert_bounded,
    assert_no_thread_is_left,
    n_descriptors,
    own_threads,
    peak_of,
    scan_peaks,
)
from lazyvox.testing.sources import CountingSource, FlakySource, MemorySource, TripwireSource

__all__ = [
    "CountingSource",
    "FlakySource",
    "HtmlPage",
    "MemoryPoints",
    "MemorySource",
    "ObjectServer",
    "Reply",
    "Request",
    "TripwireSource",
    "assert_bounded",
    "assert_no_thread_is_left",
    "check_array_reader",
    "check_byte_source",
    "compress",
    "feed",
    "find_points",
    "gzip_member",
    "image_of",
    "image_over",
    "interrupted_when",
    "n_descriptors",
    "nifti_bytes",
    "own_threads",
    "peak_of",
    "random_values",
    "run_like",
    "scan_peaks",
    "write_index",
    "write_lazy_array",
    "write_nifti",
]
