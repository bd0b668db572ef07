"""Collect access points and write them as a GZIDX file, with no more than one window in memory."""

import os
import tempfile
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lazyvox.errors import OutputError
from lazyvox.store.files.identity import SourceFile
from lazyvox.store.files.paths import printable
from lazyvox.store.files.source import StoredBytes
from lazyvox.store.gzip.access_points import WINDOW_BYTES, AccessPoint
from lazyvox.store.gzip.header import header_length
from lazyvox.store.index.gzidx import pack_table, table_digest

__all__ = ["GzidxSpool"]

_COPY_BYTES = 1 << 20


class GzidxSpool:
    """Points of one gzip file, their windows in a file without a name.

    Records precede windows in a GZIDX file, and how many there are is known at the end only.

    Parameters
    ----------
    folder : Path
        Where there is space for the windows.
    source : SourceFile
        The gzip file.
    spacing : int
        Decoded bytes between two points that are aimed at.
    """

    def __init__(self, folder: Path, source: SourceFile, spacing: int) -> None:
        self.spacing = spacing
        self._file = source
        self._rows = array("Q")
        self._window_checksums = array("L")
        self._header_lengths = array("L")
        self._folder = folder
        self._source: StoredBytes | None = None
        self._windows = -1
        try:
            # It has no name, and no crash can leave it behind.
            with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
                self._windows = os.dup(file.fileno())
        except OSError as error:
            raise _failed(folder, error) from error
        self._source = source.open_stored()

    def __del__(self) -> None:
        """Give the space back where an interrupt came before anyone could."""
        # The file closes itself: its list is behind a lock, which this thread may hold just now.
        self._source = None
        self.close()

    @property
    def n_points(self) -> int:
        """Number of points so far."""
        return len(self._header_lengths)

    @property
    def window_checksums(self) -> NDArray[np.uint32]:
        """CRC32 of each window as it is stored."""
        return np.asarray(self._window_checksums, np.uint32)

    @property
    def header_lengths(self) -> NDArray[np.uint32]:
        """Bytes of the gzip header at each point where a member begins, 0 for the others."""
        return np.asarray(self._header_lengths, np.uint32)

    def add(self, point: AccessPoint) -> None:
        """Append a point; its window goes to disk."""
        byte, bits = -(-point.bit_offset // 8), -point.bit_offset % 8
        length = 0
        if point.window is None:
            # The format knows deflate data only.
            length = header_length(self._open_source(), byte, self._file.path)
        last = self._rows[-3] if self._rows else -1
        assert last < point.decoded_offset, "bug in lazyvox: access points do not ascend"
        if point.window:
            window = point.window[-WINDOW_BYTES:].rjust(WINDOW_BYTES, b"\0")
            self._write(window)
            self._window_checksums.append(zlib.crc32(window))
        self._rows.extend((byte + length, point.decoded_offset, bits, bool(point.window)))
        self._header_lengths.append(length)

    def pack(self, decoded_size: int) -> tuple[bytes, str]:
        """Return header and records, and their digest."""
        rows = np.asarray(self._rows, np.uint64).reshape(-1, 4)
        size = self._file.identity.size
        # Where decoding ends: other readers extend an index without it when they reach its end.
        end = np.asarray([[size, decoded_size, 0, 0]], np.uint64)
        packed = pack_table(
            np.concatenate([rows, end]),
            compressed_size=size,
            decoded_size=decoded_size,
            spacing=self.spacing,
        )
        return packed, table_digest(packed)

    def window(self, number: int) -> bytes | None:
        """Return the window of one point; None where a gzip member begins."""
        if self._header_lengths[number]:
            return None
        has_window = self._rows[3::4]
        if not has_window[number]:
            return b""
        place = sum(has_window[:number])
        window = os.pread(self._windows, WINDOW_BYTES, place * WINDOW_BYTES)
        assert zlib.crc32(window) == self._window_checksums[place], (
            "bug in lazyvox: a window is not the one that was kept"
        )
        return window

    def windows(self) -> Iterator[memoryview]:
        """Yield the windows, in pieces."""
        offset = 0
        while piece := os.pread(self._windows, _COPY_BYTES, offset):
            offset += len(piece)
            yield memoryview(piece)

    def check_source(self) -> None:
        """Raise `FileChangedError` if the gzip file was written to meanwhile."""
        self._open_source().check()

    def close(self) -> None:
        """Give the space back. Harmless when repeated."""
        # Forgotten first: an interrupt between the two must not have one closed a second time.
        windows, source = self._windows, self._source
        self._windows, self._source = -1, None
        if windows >= 0:
            os.close(windows)
        if source is not None:
            source.close()

    def _open_source(self) -> StoredBytes:
        assert self._source is not None, "bug in lazyvox: points are added behind the end"
        return self._source

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._windows, left) :]
        except OSError as error:
            raise _failed(self._folder, error) from error


def _failed(folder: Path, error: OSError) -> OutputError:
    msg = (
        f"the folder {printable(str(folder))} must take an index, and it does not: "
        f"{error.strerror or error}. Free space there, or set LAZYVOX_CACHE_DIR to another folder."
    )
    return OutputError(msg)
