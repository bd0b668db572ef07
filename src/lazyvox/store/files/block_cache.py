"""Decoded blocks of compressed files, kept for the next read of the same region."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeAlias

from lazyvox.runtime.budget import recent_budget
from lazyvox.runtime.once import one_per_process
from lazyvox.store.files.decoded_blocks import Block
from lazyvox.store.files.identity import FileKey, SourceFile

__all__ = ["BlockCache", "CacheUse", "shared_blocks"]

#: A few blocks: enough for neighbouring volumes, and little beside what Python and NumPy take.
_MOST_BYTES = 8 << 20
#: At most this part of the memory budget.
_BUDGET_PART = 8

# Text and numbers only: what hashes in Python can be interrupted while the table changes.
_Key: TypeAlias = tuple[FileKey, int]


@dataclass(frozen=True, slots=True)
class CacheUse:
    """Cache statistics of one file.

    Attributes
    ----------
    hits, misses : int
        Blocks that were there, and that were not.
    n_blocks, nbytes : int
        What it keeps now.
    """

    hits: int = 0
    misses: int = 0
    n_blocks: int = 0
    nbytes: int = 0

    @property
    def is_used(self) -> bool:
        """True if blocks of the file were requested."""
        return bool(self.hits or self.misses)


class BlockCache:
    """Blocks by file and offset, the least recently used dropped first. Safe for threads, forks.

    Parameters
    ----------
    most_bytes : int
        Bytes that it keeps at most; less under a small memory budget.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self.begin_anew()

    def begin_anew(self) -> None:
        """Drop everything, the lock too: in a forked child another thread may have held it."""
        self._lock = threading.Lock()
        self._blocks: OrderedDict[_Key, Block] = OrderedDict()
        self._counts: dict[str, tuple[int, int]] = {}
        self._nbytes = 0

    def get(self, source: SourceFile, start: int) -> Block | None:
        """Return a block, None where it is not there."""
        key = (source.key, start)
        with self._lock:
            block = self._blocks.get(key)
            hits, misses = self._counts.get(source.path, (0, 0))
            if block is None:
                self._counts[source.path] = (hits, misses + 1)
            else:
                self._blocks.move_to_end(key)
                self._counts[source.path] = (hits + 1, misses)
            return block

    def has(self, source: SourceFile, start: int) -> bool:
        """Return whether a block is there; it counts as no use of it."""
        return (source.key, start) in self._blocks

    def put(self, source: SourceFile, start: int, block: Block) -> None:
        """Keep a block, and drop others for it; one that is too large is not kept."""
        limit = min(self._most_bytes, recent_budget() // _BUDGET_PART)
        if block.nbytes > limit:
            return
        key = (source.key, start)
        with self._lock:
            before = self._blocks.pop(key, None)
            self._blocks[key] = block
            self._nbytes += block.nbytes - (0 if before is None else before.nbytes)
            while self._nbytes > limit:
                self._nbytes -= self._blocks.popitem(last=False)[1].nbytes

    def forget(self, path: str) -> None:
        """Drop the blocks of a file, and its statistics."""
        with self._lock:
            for key in [key for key in self._blocks if key[0][0] == path]:
                self._nbytes -= self._blocks.pop(key).nbytes
            self._counts.pop(path, None)

    def use_of(self, path: str | None = None) -> CacheUse:
        """Return the statistics of a file, or of all files."""
        with self._lock:
            counts = [each for name, each in self._counts.items() if path in {None, name}]
            sizes = [
                each.nbytes for key, each in self._blocks.items() if path in {None, key[0][0]}
            ]
            hits, misses = (sum(each[place] for each in counts) for place in (0, 1))
            return CacheUse(hits, misses, len(sizes), sum(sizes))


_BLOCKS = one_per_process(BlockCache())


def shared_blocks() -> BlockCache:
    """Return the cache of this process."""
    return _BLOCKS
