"""Temporary space for values computed once and read many times: a nameless file, or memory."""

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import NoReturn, Protocol, Self

import numpy as np

from lazyvox._typing import Array, DType
from lazyvox.errors import OutputError
from lazyvox.planning.memory import format_bytes

__all__ = ["SMALL_SPOOL_BYTES", "ByteStore", "FileStore", "MemoryStore", "Spool", "spool_folder"]

#: Values up to this size are kept in memory by a pass, others in a file. The choice depends on
#: nothing else, so that what was planned holds whenever the pass runs.
SMALL_SPOOL_BYTES = 8 << 20


class ByteStore(Protocol):
    """So many bytes that can be written and read anywhere, by any thread."""

    def write(self, offset: int, values: memoryview, /) -> None:
        """Write bytes at an offset."""

    def readinto(self, offset: int, buffer: memoryview, /) -> None:
        """Fill a buffer with the bytes from an offset on; they were written before."""

    def close(self) -> None:
        """Give the space back."""


class MemoryStore:
    """Bytes in memory.

    Parameters
    ----------
    nbytes : int
        How many.
    """

    def __init__(self, nbytes: int) -> None:
        self._bytes = np.empty(nbytes, np.uint8).data

    def write(self, offset: int, values: memoryview, /) -> None:
        """Write bytes at an offset."""
        self._bytes[offset : offset + values.nbytes] = values

    def readinto(self, offset: int, buffer: memoryview, /) -> None:
        """Fill a buffer with the bytes from an offset on."""
        buffer[:] = self._bytes[offset : offset + buffer.nbytes]

    def close(self) -> None:
        """Give the memory back."""
        self._bytes = memoryview(b"")


class FileStore:
    """Bytes in a temporary file that has no name, so that no crash can leave it behind.

    Parameters
    ----------
    nbytes : int
        How many.
    """

    def __init__(self, nbytes: int) -> None:
        self._folder = spool_folder()
        self._nbytes = nbytes
        try:
            free = shutil.disk_usage(self._folder).free
            if free < nbytes:
                _refuse(self._folder, nbytes, f"{format_bytes(free)} are free")
            with tempfile.TemporaryFile(dir=self._folder, buffering=0) as file:
                self._descriptor = os.dup(file.fileno())
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            _refuse(self._folder, nbytes, str(error.strerror or error), error)
        self._closer = weakref.finalize(self, os.close, self._descriptor)

    def write(self, offset: int, values: memoryview, /) -> None:
        """Write bytes at an offset."""
        rest = values
        while rest.nbytes:
            try:
                n_written = os.pwrite(self._descriptor, rest, offset)
            except OSError as error:
                _refuse(self._folder, self._nbytes, str(error.strerror or error), error)
            rest, offset = rest[n_written:], offset + n_written

    def readinto(self, offset: int, buffer: memoryview, /) -> None:
        """Fill a buffer with the bytes from an offset on."""
        rest = buffer
        while rest.nbytes:
            n_read = os.preadv(self._descriptor, [rest], offset)
            assert n_read, "bug in lazyvox: a temporary file is read where nothing was written"
            rest, offset = rest[n_read:], offset + n_read

    def close(self) -> None:
        """Close the file, which removes it."""
        self._closer()


class Spool:
    """Rows of voxels, one for each volume, of which columns can be read and written too.

    Parameters
    ----------
    n_columns : int
        Voxels of a row.
    dtype : numpy.dtype
        Their type.
    store : ByteStore
        Where they are kept.
    """

    def __init__(self, n_columns: int, dtype: DType, store: ByteStore) -> None:
        self.n_columns = n_columns
        self.dtype = dtype
        self._store = store

    @classmethod
    def of_size(cls, n_rows: int, n_columns: int, dtype: DType, memory_bytes: int) -> Self:
        """Return a new spool, in memory up to so many bytes, else in a nameless file."""
        nbytes = n_rows * n_columns * dtype.itemsize
        make = MemoryStore if nbytes <= memory_bytes else FileStore
        return cls(n_columns, dtype, make(max(nbytes, 1)))

    def write_row(self, number: int, values: Array) -> None:
        """Write one row, contiguous and of the type of the spool."""
        self._store.write(self._offset(number), values.view(np.uint8).data)

    def read_row(self, number: int, out: Array) -> None:
        """Fill `out`, contiguous and of the type of the spool, with one row."""
        self._store.readinto(self._offset(number), out.reshape(-1, order="A").view(np.uint8).data)

    def read_columns(self, columns: range, out: Array, first: int = 0) -> None:
        """Fill `out`, of shape (n, len(columns)) in C order, with columns of n rows."""
        for number, row in enumerate(out, first):
            self._store.readinto(self._offset(number, columns.start), row.view(np.uint8).data)

    def write_columns(self, columns: range, values: Array, first: int = 0) -> None:
        """Write columns of the rows from `first` on; the rows of `values` are contiguous."""
        for number, row in enumerate(values, first):
            self._store.write(self._offset(number, columns.start), row.view(np.uint8).data)

    def close(self) -> None:
        """Give the space back."""
        self._store.close()

    def _offset(self, row: int, column: int = 0) -> int:
        return (row * self.n_columns + column) * self.dtype.itemsize


def spool_folder() -> Path:
    """Return the folder of temporary files: TMPDIR where it is set, else the system's.

    Returns
    -------
    Path
        It may not exist.

    Raises
    ------
    OutputError
        If the system has none that can be written to.
    """
    named = os.environ.get("TMPDIR")
    if named:
        return Path(named)
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        msg = f"temporary files need a folder. {error}. Set TMPDIR to a folder with space."
        raise OutputError(msg) from error


def _refuse(folder: Path, nbytes: int, why: str, error: OSError | None = None) -> NoReturn:
    msg = (
        f"the folder of temporary files, {str(folder)!a}, must take {format_bytes(nbytes)}. "
        f"It does not: {why}."
    )
    hint = "Set the environment variable TMPDIR to a folder with more space, or allow more memory"
    raise OutputError(
        msg, hint=f"{hint} with lazyvox.memory_budget.", cli_hint=f"{hint} with --memory."
    ) from error
