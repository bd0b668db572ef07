"""Bare decompression: what no pass over a compressed file can be much faster than."""

import gzip
from collections.abc import Callable
from typing import Any, ClassVar

import rapidgzip
from isal import igzip

import lazyvox as lv
from suite.base import Files, SideBySide


def _drain(opener: Callable[..., Any], files: Files, **options: int) -> None:
    with opener(files.run, **options) as stream:
        while stream.read(4 << 20):
            pass


class Decoding(SideBySide):
    """A compressed run from its first byte to its last."""

    programs: ClassVar[dict[str, Callable[[Files], object]]] = {
        "lazyvox, index": lambda files: lv.index(files.run, spacing="1MiB"),
        "isal": lambda files: _drain(igzip.open, files),
        "gzip": lambda files: _drain(gzip.open, files),
        "rapidgzip": lambda files: _drain(rapidgzip.open, files, parallelization=2),
    }
