"""Arrays that are computed as a whole on first use, kept on disk or in memory, then read."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from textwrap import shorten
from typing import Any, Protocol, Self

import numpy as np

from lazyvox._typing import Array, DType, IntArray, Shape, override
from lazyvox.array.computed_reader import ComputedReader
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.memory_reader import MemorySession
from lazyvox.planning.blocks import DECODER
from lazyvox.planning.indexing import Axis, View
from lazyvox.planning.memory import MemoryTerm, sum_terms
from lazyvox.runtime.once import OncePerProcess
from lazyvox.store.files.spool import Spool

__all__ = ["SpoolJob", "SpooledReader", "counting_spools_once", "taking_spools_as_filled"]

#: Spools whose filling is counted already, while a plan counts bytes.
_counted: ContextVar[set[tuple[str, int]] | None] = ContextVar(
    "lazyvox_counted_spools", default=None
)

#: Whether spools are planned as if they were filled.
_are_filled: ContextVar[bool] = ContextVar("lazyvox_filled_spools", default=False)


@contextmanager
def counting_spools_once() -> Iterator[None]:
    """Context in which a spool that several arrays read is counted with the first of them."""
    token = _counted.set(set())
    try:
        yield
    finally:
        _counted.reset(token)


@contextmanager
def taking_spools_as_filled() -> Iterator[None]:
    """Context in which spools need the memory of reading them, and not that of filling them."""
    token = _are_filled.set(True)
    try:
        yield
    finally:
        _are_filled.reset(token)


class SpoolJob(Protocol):
    """A computation of volumes that needs all of them simultaneously. Frozen and picklable."""

    @property
    def name(self) -> str:
        """Name in plans and messages, such as "clean"."""

    @property
    def sources(self) -> tuple[LazyArray, ...]:
        """Arrays that are read."""

    @property
    def shape(self) -> Shape:
        """Shape of the result, four axes."""

    @property
    def dtype(self) -> DType:
        """Native type of the result and of the spooled values."""

    @property
    def n_rows(self) -> int:
        """Volumes that are spooled; the first of them are the result in the end."""

    @property
    def places(self) -> IntArray | None:
        """Positions, in Fortran order, of the voxels of a row; None for all. Others are 0."""

    @property
    def memory(self) -> tuple[MemoryTerm, ...]:
        """Terms of the memory that `fill` holds at the most."""

    def fill(self, spool: Spool) -> None:
        """Read the sources, and leave the result in the first rows of the spool."""


@dataclass(frozen=True, slots=True, eq=False)
class SpooledReader(ComputedReader):
    """Reads volumes out of a spool, which is filled when the first of them is read.

    The spool lives as long as a reader, or a session of it. A pickle describes the computation;
    in another process it is done again.

    Attributes
    ----------
    job : SpoolJob
        The computation.
    memory_bytes : int
        Results of at most this size are kept in memory instead of a file.
    """

    job: SpoolJob
    memory_bytes: int
    _state: OncePerProcess[Spool] = field(default_factory=OncePerProcess, repr=False)

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the description only."""
        return SpooledReader, (self.job, self.memory_bytes)

    def __deepcopy__(self, memo: Any) -> Self:
        """Return the reader itself, which never changes; a copy would compute again."""
        return self

    @property
    @override
    def sources(self) -> tuple[LazyArray, ...]:
        """Arrays that are read to fill the spool."""
        return self.job.sources

    @property
    @override
    def shape(self) -> Shape:
        """Shape of the result."""
        return self.job.shape

    @property
    @override
    def dtype(self) -> DType:
        """Type of the result."""
        return self.job.dtype

    @property
    def spool_bytes(self) -> int:
        """Size of the spool."""
        return self.job.n_rows * self._n_columns * self.dtype.itemsize

    @property
    @override
    def file_bytes(self) -> int:
        """Bytes on disk that the spool takes."""
        return 0 if self._fits_memory else self.spool_bytes

    @override
    def decoded_bytes(self, window: View) -> int:
        """Return the bytes of all sources: each volume depends on all volumes."""
        if self._is_counted("decoded"):
            return 0
        return sum(source.reader.decoded_bytes(source.window) for source in self.sources)

    @property
    @override
    def stored_bytes(self) -> int:
        """Bytes of all files on disk, as they were when opened."""
        if self._is_counted("stored"):
            return 0
        return sum(source.reader.stored_bytes for source in self.sources)

    def _is_counted(self, what: str) -> bool:
        """Return whether bytes that fill the spool are counted already; note that they are."""
        counted = _counted.get()
        if counted is None:
            return False
        key = (what, id(self))
        was_counted = key in counted
        counted.add(key)
        return was_counted

    @override
    def describe(self) -> str:
        """Return the name of the job, and its source."""
        shown = shorten(self.job.name, 40, placeholder="...")
        return f"({shown}) of {self.sources[0].reader.describe()}"

    @property
    @override
    def session_memory(self) -> tuple[MemoryTerm, ...]:
        """Terms of filling, and then reading, the spool."""
        volumes = 3 * math.prod(self.shape[:3]) * self.dtype.itemsize
        held = self.spool_bytes if self._fits_memory else 0
        reading = (MemoryTerm("volumes", volumes, self.step),)
        if _are_filled.get():
            return (MemoryTerm("spool", held, self.step), *reading)
        # The spool is filled before the pass that reads it begins: one decoder at a time.
        filling = tuple(one for one in self.job.memory if one != DECODER)
        return (
            MemoryTerm("spool", held, self.step),
            *max(filling, reading, key=sum_terms),
        )

    @property
    @override
    def filling_memory(self) -> tuple[MemoryTerm, ...]:
        """Terms of filling the spool, those of the spools below it included."""
        return self.session_memory

    @property
    @override
    def step(self) -> str:
        """Name of the job."""
        return self.job.name

    @property
    def _fits_memory(self) -> bool:
        return self.spool_bytes <= self.memory_bytes

    @property
    def _n_columns(self) -> int:
        places = self.job.places
        return math.prod(self.shape[:3]) if places is None else len(places)

    @override
    def fill(self) -> bool:
        """Fill the spool, if that was not done yet."""
        self.filled()
        return True

    def filled(self) -> Spool:
        """Return the filled spool; the first of all threads fills it, others wait.

        Returns
        -------
        Spool
            The result.

        Raises
        ------
        OutputError
            If there is no space for it. Nothing is left of it then, nor of any other failure.
        """
        return self._state.get(self._fill)

    def _fill(self) -> Spool:
        spool = Spool.of_size(self.job.n_rows, self._n_columns, self.dtype, self.memory_bytes)
        try:
            self.job.fill(spool)
        except BaseException:
            spool.close()
            raise
        return spool

    @override
    def open(
        self, axes: tuple[Axis, ...], memory: int | None = None, n_jobs: int = 1
    ) -> "SpooledSession":
        """Start a reading session; fills the spool if that was not done yet."""
        return SpooledSession(self, self.filled())


class SpooledSession:
    """One reading session on a filled spool."""

    def __init__(self, reader: SpooledReader, spool: Spool) -> None:
        self._shape = reader.shape[:3]
        self._places = reader.job.places
        self._spool = spool
        self._row: Array | None = None
        self._volume: Array | None = None

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Let go of the buffers."""
        self._row = self._volume = None

    def read(self, axes: tuple[Axis, ...], out: Array, /) -> None:
        """Fill `out` with the values at `axes`, volume by volume."""
        if not out.size:
            return
        *space, time = axes
        is_single = isinstance(time, int)
        positions = [time] if isinstance(time, int) else list(time)
        is_whole = all(
            axis == range(length) for axis, length in zip(space, self._shape, strict=True)
        )
        for place, position in enumerate(positions):
            target = out if is_single else out[..., place]
            is_direct = (
                is_whole and target.flags.f_contiguous and target.dtype == self._spool.dtype
            )
            if is_direct:
                self._read_volume(position, target)
                continue
            if self._volume is None:
                self._volume = np.empty(self._shape, self._spool.dtype, order="F")
            self._read_volume(position, self._volume)
            MemorySession(self._volume).read(tuple(space), target)

    def _read_volume(self, number: int, out: Array) -> None:
        if self._places is None:
            self._spool.read_row(number, out)
            return
        if self._row is None:
            self._row = np.empty(self._spool.n_columns, self._spool.dtype)
        self._spool.read_row(number, self._row)
        flat = out.reshape(-1, order="F")
        flat[...] = 0
        flat[self._places] = self._row
