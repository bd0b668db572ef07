"""Reading through a memory map, only where it was asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from lazyvox._typing import Array, ExitInfo, override
from lazyvox.array.reader import FileReader
from lazyvox.planning.indexing import Axis, taken
from lazyvox.store.files.local import PlainSource

__all__ = ["MappedReader"]


@dataclass(frozen=True, slots=True)
class MappedReader(FileReader):
    """Reads an uncompressed file through a private memory map.

    Slices are views of the map: nothing is copied, the mapped pages count as memory of the
    process once they were touched, and a file that somebody shortens meanwhile ends the process
    with a bus error. Writing to a slice changes private pages, never the file.
    """

    source: PlainSource

    @override
    def open(
        self, axes: tuple[Axis, ...], memory: int | None = None, n_jobs: int = 1
    ) -> "MappedSession":
        """Start a reading session."""
        return MappedSession(self)

    @override
    def mapped(self, axes: tuple[Axis, ...]) -> Array:
        """Return the values at `axes` as a view of a fresh map; lists of positions are copied."""
        with Path(self.source.path).open("rb") as file:
            self.source.identity.check_at(self.source.path)
            mapped: Array = np.memmap(
                file, self.spec.dtype, "c", self.spec.offset, self.spec.shape, order="F"
            )
        return taken(mapped, axes)


class MappedSession:
    """One reading session on a mapped file."""

    def __init__(self, reader: MappedReader) -> None:
        self._reader = reader

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(self, *exc: *ExitInfo) -> None:
        """End the session; without an error, check first that the file was not written to."""
        if exc[0] is None:
            source = self._reader.source
            source.identity.check_at(source.path)

    def read(self, axes: tuple[Axis, ...], out: Array, /) -> None:
        """Copy the values at `axes` into `out`."""
        if out.size:
            out[...] = self._reader.mapped(axes)
