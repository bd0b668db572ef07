"""Few bytes here and there of a file, in order."""

from lazyvox.store.files.sequential_input import CompressedInput

__all__ = ["Pieces"]

#: Parts that are shorter are fetched many at a time.
_SHORT_PART = 128 << 10
_LONG_PIECE = 1 << 20
_SHORT_PIECE = 2048


class Pieces:
    """Reads few bytes here and there; where they are near, they are fetched at once.

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
