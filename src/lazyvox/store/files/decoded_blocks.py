"""The decoded bytes of one part of a file, in memory that is used again."""

from collections.abc import Iterable
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lazyvox.runtime.once import one_per_process

__all__ = ["Block"]


class _Spare:
    """Pool of buffers of released blocks. Thread-safe: each step is atomic.

    Memory that is new costs more than copying: the system clears each page of it at the first
    touch.
    """

    #: Buffers that wait for the next block. No global, which may be gone before the last block is.
    most = 2

    def __init__(self) -> None:
        self.buffers: list[NDArray[np.uint8]] = []

    def take(self, nbytes: int) -> NDArray[np.uint8]:
        """Return a buffer that holds so many bytes, and hardly more."""
        try:
            buffer = self.buffers.pop()
        except IndexError:
            return np.empty(nbytes, np.uint8)
        return buffer if nbytes <= len(buffer) <= nbytes * 5 // 4 else np.empty(nbytes, np.uint8)

    def give(self, buffer: NDArray[np.uint8]) -> None:
        if len(self.buffers) < self.most:
            self.buffers.append(buffer)

    def begin_anew(self) -> None:
        self.buffers = []


_SPARE = one_per_process(_Spare())


class Block:
    """Decoded bytes, appended piece by piece.

    Parameters
    ----------
    start : int
        Decoded offset of the first of them.
    nbytes : int
        How many there are going to be.

    Attributes
    ----------
    stop : int
        Decoded offset behind the last that is there.
    ends_in_garbage : bool
        Whether bytes that are no compressed data follow: it is the end of the file.
    """

    def __init__(self, start: int, nbytes: int) -> None:
        self._buffer = _SPARE.take(nbytes) if nbytes else np.empty(0, np.uint8)
        self.start = self.stop = start
        self.ends_in_garbage = False

    @classmethod
    def of(cls, start: int, pieces: Iterable[bytes]) -> Self:
        """Return a block of pieces that are there already."""
        every = list(pieces)
        block = cls(start, sum(len(piece) for piece in every))
        for piece in every:
            block.append(piece)
        return block

    def __del__(self, spare: _Spare = _SPARE) -> None:
        """Leave the memory to the next block; globals may be gone when the interpreter ends."""
        if len(self._buffer):
            spare.give(self._buffer)

    @property
    def nbytes(self) -> int:
        """Bytes that are there."""
        return self.stop - self.start

    def append(self, piece: bytes) -> None:
        """Add the bytes that come next."""
        begin = self.stop - self.start
        # NumPy copies without the interpreter's lock, a memoryview does not.
        self._buffer[begin : begin + len(piece)] = np.frombuffer(piece, np.uint8)
        self.stop += len(piece)

    def copy_to(self, offset: int, buffer: memoryview) -> int:
        """Copy bytes from a decoded offset on, as many as there are; return how many."""
        begin = offset - self.start
        taken = min(self.stop - offset, len(buffer))
        np.frombuffer(buffer, np.uint8)[:taken] = self._buffer[begin : begin + taken]
        return taken
