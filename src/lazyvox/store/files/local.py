"""Byte source of a plain file, read by `pread` into the caller's buffer."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn, Self

from lazyvox._typing import ExitInfo
from lazyvox.errors import ImageFileError, TruncatedFileError
from lazyvox.store.files.identity import SourceFile, raise_read_error
from lazyvox.store.files.paths import printable

__all__ = ["PlainSource"]

#: Linux hands out at most 2 GiB a call; smaller calls also let an interrupt through.
_MAX_PREAD_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class PlainSource(SourceFile):
    """An uncompressed file."""

    compression: str = "none"

    @property
    def stored_size(self) -> int:
        """Size of the file in bytes."""
        return self.identity.size

    @property
    def max_decoded_size(self) -> int:
        """Size of the file in bytes: nothing is compressed."""
        return self.identity.size

    def open(self) -> "PlainReader":
        """Start a reading session; checks that the file is still the one first seen."""
        return PlainReader(self)


class PlainReader:
    """One reading session on a plain file."""

    def __init__(self, source: PlainSource) -> None:
        self._source = source
        self._end = 0
        self._file = source.open_stored()

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(self, *exc: *ExitInfo) -> None:
        """Close the file; without an error, check first that it was not written to meanwhile."""
        try:
            if exc[0] is None:
                self._file.check()
        finally:
            self._file.close()

    def readinto(self, offset: int, buffer: memoryview, /) -> None:
        """Fill `buffer` with the bytes from `offset`."""
        filled = 0
        while filled < len(buffer):
            piece = buffer[filled : filled + _MAX_PREAD_BYTES]
            n_read = self._pread(piece, offset + filled)
            if not n_read:
                self._raise_short(offset + len(buffer))
            filled += n_read
        self._end = max(self._end, offset + filled)

    def read_upto(self, offset: int, nbytes: int, /) -> bytes:
        """Return up to `nbytes` bytes from `offset`."""
        nbytes = max(min(nbytes, self._source.identity.size - offset), 0)
        buffer = bytearray(nbytes)
        if buffer:
            self.readinto(offset, memoryview(buffer))
        return bytes(buffer)

    def expect(self, ranges: Iterable[tuple[int, int]], /) -> None:
        """Prepare for reads of these ranges, in this order."""
        self._file.expect(ranges)

    def finish(self) -> int:
        """Return the number of bytes behind the last byte read: nothing is there to verify."""
        return self._source.identity.size - self._end

    def _pread(self, buffer: memoryview, offset: int) -> int:
        try:
            return self._file.preadv(buffer, offset)
        except ImageFileError:
            # It was opened again, and is not the same any more.
            raise
        except OSError as error:
            raise_read_error(error, self._source.path, offset)

    def _raise_short(self, wanted: int) -> NoReturn:
        # One that is written anew is not incomplete.
        self._file.check()
        present = self._file.present_size()
        msg = (
            f"{printable(self._source.path)}: the file must hold at least {wanted} bytes, as its "
            f"header asks, and it ends after {present}. The file is incomplete: copy or download "
            f"it again."
        )
        raise TruncatedFileError(msg)
