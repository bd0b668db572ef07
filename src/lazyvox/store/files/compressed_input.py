"""Compressed input, read from the first byte to the last, or a few bytes here and there."""

from typing import TYPE_CHECKING, Self, TypeVar

from lazyvox._typing import ExitInfo
from lazyvox.errors import ImageFileError
from lazyvox.store.files.identity import SourceFile, raise_read_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from lazyvox.store.files.source import StoredBytes

__all__ = ["CompressedInput", "Pieces"]

PieceT = TypeVar("PieceT", bytes, memoryview)

#: Compressed bytes fetched at a time. A decoder may keep one such piece while it waits in the
#: cursor pool, so it is small; larger pieces were not measurably faster. For the least, see the
#: pieces of `lazyvox.store.cursors`.
PIECE_BYTES = 60 * 1024

#: Parts that are shorter are fetched many at a time.
_SHORT_PART = 128 << 10
_LONG_PIECE = 1 << 20
_SHORT_PIECE = 2048


class CompressedInput:
    """The compressed bytes of one file, from the first to the last.

    Between reading sessions the descriptor is closed and only the position is kept: any number of
    files can be half read without holding a descriptor, and a forked child shares none.
    """

    def __init__(self, source: SourceFile, piece_bytes: int = PIECE_BYTES) -> None:
        self._file: StoredBytes | None = None
        self._source = source
        self._piece_bytes = piece_bytes
        self._buffer: memoryview | None = None
        self.position = 0

    def __enter__(self) -> Self:
        """Open the file."""
        self.open()
        return self

    def __exit__(self, *exc: *ExitInfo) -> None:
        """Close it; after work that succeeded, the file must still be the same one."""
        try:
            if exc[0] is None:
                self.check()
        finally:
            self.close()

    @property
    def path(self) -> str:
        """Path of the file."""
        return self._source.path

    @property
    def is_open(self) -> bool:
        """True until the input is closed."""
        return self._file is not None

    def open(self) -> None:
        """Open the file again and check that it is still the same one."""
        self._file = self._source.open_stored()

    def close(self) -> None:
        """Close the descriptor; the position stays."""
        file, self._file, self._buffer = self._file, None, None
        if file is not None:
            file.close()

    def expect(self, start: int, stop: int) -> None:
        """Prepare for reading from one offset to another, in order."""
        if self._file is not None:
            self._file.expect([(start, stop)])

    def check(self) -> None:
        """Raise `FileChangedError` if the open file was written to since it was first seen."""
        if self._file is not None:
            self._file.check()

    def read(self, nbytes: int | None = None) -> bytes:
        """Return the next bytes, by default one piece; empty only at the end of the file."""
        return self._advanced(
            lambda file: file.pread(
                self._piece_of(file) if nbytes is None else nbytes, self.position
            )
        )

    def next_piece(self) -> memoryview:
        """Return the next piece in a buffer that the next one takes the place of; empty at the end.

        Decoders copy what they keep: pieces of their own would go through memory twice more.
        """
        if self._buffer is None:
            self._buffer = memoryview(bytearray(self._piece_bytes))
        buffer = self._buffer

        def fill(file: "StoredBytes") -> memoryview:
            piece = buffer[: self._piece_of(file)]
            return piece[: file.preadv(piece, self.position)]

        return self._advanced(fill)

    def _advanced(self, read: "Callable[[StoredBytes], PieceT]") -> PieceT:
        """Return what is read at the position, and go on behind it."""
        if self._file is None:
            msg = "bug in lazyvox: a compressed file was read outside of a session"
            raise AssertionError(msg)
        try:
            piece = read(self._file)
        except ImageFileError:
            # It was opened again, and is not the same any more.
            raise
        except OSError as error:
            raise_read_error(error, self.path, self.position)
        self.position += len(piece)
        return piece

    def _piece_of(self, file: "StoredBytes") -> int:
        return file.at_hand(self.position) or self._piece_bytes


class Pieces:
    """Reads few bytes here and there; where they are near, they are fetched in one read.

    Parameters
    ----------
    feed : CompressedInput
        The file, open.

    Attributes
    ----------
    part_bytes : int
        About how far one read is from the next.
    """

    def __init__(self, feed: CompressedInput) -> None:
        self._feed = feed
        self._piece = b""
        self._start = 0
        self.part_bytes = _SHORT_PART

    def read(self, start: int, most: int) -> bytes:
        """Return up to `most` bytes from `start` on, fewer only at the end of the file."""
        at = start - self._start
        if at < 0 or at + most > len(self._piece):
            self._feed.position = self._start = start
            ahead = _LONG_PIECE if self.part_bytes < _SHORT_PART else _SHORT_PIECE
            self._piece, at = self._feed.read(max(ahead, most)), 0
        return self._piece[at : at + most]
