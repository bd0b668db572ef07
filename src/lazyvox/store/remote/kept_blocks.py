"""Blocks of objects in a folder: what was fetched once is read from there."""

from __future__ import annotations

import contextlib
import os
import zlib
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from lazyvox.errors import OutputError
from lazyvox.runtime.logs import log_info
from lazyvox.store.files.temporary import sweep, temporary_beside

if TYPE_CHECKING:
    from lazyvox.store.remote.transport import ObjectBody, ObjectState, Transport

__all__ = ["KEPT_BLOCK_BYTES", "KeptBlocks"]

#: Size of a block; of the last one of an object, less.
KEPT_BLOCK_BYTES = 1 << 20
_CHECKSUM_BYTES = 4


class KeptBlocks:
    """Fetches an object by whole blocks, and keeps each in a file with its checksum.

    A block appears when it is complete. One that is damaged, or not to be read, is fetched again.

    Parameters
    ----------
    shown : str
        URL of the object, without credentials.
    transport : Transport
        What fetches it.
    folder : str
        Where blocks are kept; the objects have folders of their own in it.

    Raises
    ------
    OutputError
        If the folder cannot be made.
    """

    def __init__(self, shown: str, transport: Transport, folder: str) -> None:
        self._shown, self._transport, self._folder = shown, transport, Path(folder)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = (
                f"the storage option `cache_dir` must be a folder that can be made: {folder!a}. "
                f"{error.strerror or error}."
            )
            raise OutputError(msg, parameter="cache_dir") from error

    def fetch(self, start: int, stop: int | None, seen: ObjectState | None) -> ObjectBody:
        """Return bytes of the object, those that are kept without a request."""
        if seen is None or not (seen.etag or seen.mtime_ns):
            # Nothing would tell the blocks of another content.
            return self._transport.fetch(start, stop, seen)
        place = self._folder / self._name_of(seen)
        with contextlib.suppress(OSError):
            place.mkdir(exist_ok=True)
        end = seen.size if stop is None else min(stop, seen.size)
        return _BlockBody(self._transport, place, seen, start, end)

    def _name_of(self, state: ObjectState) -> str:
        text = f"{self._shown}\n{state.size}\n{state.mtime_ns}\n{state.etag}"
        return blake2b(text.encode(), digest_size=16).hexdigest()


class _BlockBody:
    """Bytes from one offset to another, block by block."""

    def __init__(
        self, transport: Transport, place: Path, state: ObjectState, start: int, stop: int
    ) -> None:
        self.state = state
        self._transport, self._place = transport, place
        self._at, self._stop = start, stop
        self._number, self._block = -1, b""
        self._body: ObjectBody | None = None
        self._body_at = self._body_stop = -1

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer, or a part of it; 0 behind the last byte that was asked for."""
        if self._at >= self._stop:
            return 0
        number, offset = divmod(self._at, KEPT_BLOCK_BYTES)
        if number != self._number:
            self._block = self._read(number) or self._fetch(number)
            self._number = number
        nbytes = min(len(buffer), self._stop - self._at, len(self._block) - offset)
        buffer[:nbytes] = memoryview(self._block)[offset : offset + nbytes]
        self._at += nbytes
        return nbytes

    def close(self) -> None:
        """End the request that is under way."""
        body, self._body = self._body, None
        if body is not None:
            body.close()

    def _read(self, number: int) -> bytes:
        """Return a block that is kept; empty where it is not, or damaged."""
        try:
            content = (self._place / str(number)).read_bytes()
        except OSError:
            return b""
        block = content[:-_CHECKSUM_BYTES]
        is_whole = len(block) == self._size_of(number)
        checksum = int.from_bytes(content[-_CHECKSUM_BYTES:], "little")
        return block if is_whole and zlib.crc32(block) == checksum else b""

    def _fetch(self, number: int) -> bytes:
        """Fetch a block, as a part of one request for all that are wanted from here on."""
        start = number * KEPT_BLOCK_BYTES
        # A block behind its end is kept, and damaged.
        if self._body is None or self._body_at != start or start >= self._body_stop:
            self.close()
            last = -(-self._stop // KEPT_BLOCK_BYTES)
            end = min(self._end_of_missing(number, last) * KEPT_BLOCK_BYTES, self.state.size)
            self._body = self._transport.fetch(start, end, self.state)
            self._body_stop = end
        block = memoryview(bytearray(self._size_of(number)))
        filled = 0
        while filled < len(block):
            filled += self._body.readinto(block[filled:])
        self._body_at = start + filled
        content = bytes(block)
        self._keep(number, content)
        return content

    def _end_of_missing(self, number: int, last: int) -> int:
        """Return the number of the next block that is kept, `last` where there is none."""
        for one in range(number + 1, last):
            if (self._place / str(one)).exists():
                return one
        return last

    def _size_of(self, number: int) -> int:
        return min(KEPT_BLOCK_BYTES, self.state.size - number * KEPT_BLOCK_BYTES)

    def _keep(self, number: int, block: bytes) -> None:
        """Keep a block; where that fails, reading goes on without."""
        target = self._place / str(number)
        temporary = temporary_beside(target)
        try:
            temporary.write_bytes(block + zlib.crc32(block).to_bytes(_CHECKSUM_BYTES, "little"))
            os.replace(temporary, target)  # noqa: PTH105 - the target may exist
        except OSError as error:
            log_info("a fetched block is not kept in %s: %s", str(self._place), error.strerror)
            sweep(target)
            with contextlib.suppress(OSError):
                temporary.unlink()
