"""Several files of one series decoded at a time: the next ones while the first is used.

One compressed file is decoded by one thread. Of a list of files each active one has a thread of
its own, which decodes its volumes in pieces of about 4 MiB and waits when its share of the memory
is full. Volumes are handed out in the order of the series, so results do not depend on the number
of threads.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import ceil
from queue import SimpleQueue
from typing import Any, Self

import numpy as np

from lazyvox._threads import Workers
from lazyvox._typing import Array, DType, ExitInfo
from lazyvox.array.reader import ArraySession, kept_shape
from lazyvox.planning.blocks import TARGET_BLOCK_BYTES
from lazyvox.planning.indexing import Axis, axis_of

__all__ = ["AheadLayout", "AheadSession", "ahead_layout"]

#: Size of a piece: large enough that handing it over costs nothing.
_PIECE_BYTES = TARGET_BLOCK_BYTES

#: What the decoder of one more file takes.
_DECODER_BYTES = 6 << 20


@dataclass(frozen=True, slots=True)
class AheadLayout:
    """Files that are decoded at a time, and the memory that each has for it.

    Attributes
    ----------
    groups : tuple of tuple of int
        Positions that are going to be read of each file.
    n_threads : int
        Files that are decoded at a time.
    piece_volumes, n_pieces : int
        Volumes of a piece, and pieces of each file.
    nbytes : int
        Memory for all of it.
    """

    groups: tuple[tuple[int, ...], ...]
    n_threads: int
    piece_volumes: int
    n_pieces: int
    nbytes: int


def ahead_layout(
    lengths: Sequence[int],
    axes: tuple[Axis, ...],
    dtype: DType,
    *,
    decoder_bytes: int,
    memory: int,
    n_jobs: int,
) -> AheadLayout | None:
    """Return the layout with the most threads that fits; None where one thread must do.

    Parameters
    ----------
    lengths : sequence of int
        Volumes of each file.
    axes : tuple
        All that is going to be read.
    dtype : numpy.dtype
        Type of the values.
    decoder_bytes : int
        Bytes that reading one file holds besides a decoder.
    memory : int
        Bytes that decoding ahead may take.
    n_jobs : int
        Files that may be decoded at a time.

    Returns
    -------
    AheadLayout or None
        The layout.
    """
    groups = _by_part(lengths, axes[3])
    longest = max((len(group) for group in groups), default=0)
    volume_bytes = dtype.itemsize * int(np.prod(kept_shape(axes[:3]), dtype=np.int64))
    if not volume_bytes:
        return None
    piece_volumes = min(max(_PIECE_BYTES // volume_bytes, 1), max(longest, 1))
    piece_bytes = piece_volumes * volume_bytes
    fixed = _DECODER_BYTES + decoder_bytes
    wanted = ceil(longest / piece_volumes)
    for n_threads in range(min(n_jobs, len(groups)), 1, -1):
        n_pieces = min((memory // n_threads - fixed) // piece_bytes, wanted)
        if n_pieces >= min(2, wanted):
            nbytes = n_threads * (n_pieces * piece_bytes + fixed)
            return AheadLayout(groups, n_threads, piece_volumes, n_pieces, nbytes)
    return None


def _by_part(lengths: Sequence[int], time: Axis) -> tuple[tuple[int, ...], ...]:
    """Return the positions that are going to be read of each part; none unless they ascend."""
    positions = () if isinstance(time, int) else tuple(time)
    if list(positions) != sorted(set(positions)):
        return ()
    parts = np.searchsorted(list(accumulate(lengths)), positions, side="right").tolist()
    groups: dict[int, list[int]] = {}
    for part, position in zip(parts, positions, strict=True):
        groups.setdefault(part, []).append(position)
    return tuple(tuple(group) for group in groups.values())


class _StoppedError(Exception):
    """Ends a thread whose volumes are no longer wanted; its file is not read to the end."""


@dataclass(slots=True, eq=False)
class _Part:
    """One file: its pieces on the way from the thread that decodes to the one that reads.

    `ready` gets (positions, values) for each piece, then (None, None), or (None, an error).
    """

    pieces: list[tuple[int, ...]]
    free: SimpleQueue[Array | None] = field(default_factory=SimpleQueue)
    ready: SimpleQueue[tuple[tuple[int, ...] | None, Any]] = field(default_factory=SimpleQueue)


class AheadSession:
    """One reading session on a series whose next files are decoded meanwhile.

    Parameters
    ----------
    open_series : callable
        Opens the series once for each thread.
    axes : tuple
        All that is going to be read, in order.
    dtype : numpy.dtype
        Type of the values.
    layout : AheadLayout
        Which files are decoded at a time.
    """

    def __init__(
        self,
        open_series: Callable[[], ArraySession],
        axes: tuple[Axis, ...],
        dtype: DType,
        layout: AheadLayout,
    ) -> None:
        self._open_series, self._space, self._dtype = open_series, axes[:3], dtype
        self._layout = layout
        step = layout.piece_volumes
        self._parts = deque(
            _Part([group[i : i + step] for i in range(0, len(group), step)])
            for group in layout.groups
        )
        self._begun = 0
        self._positions: tuple[int, ...] = ()
        self._values: Array | None = None
        self._used = 0
        self._is_closed = False
        self._workers = Workers(layout.n_threads, "lazyvox-files")

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(self, *exc: *ExitInfo) -> None:
        """End the threads; without an error, wait first for the verification of the last file."""
        try:
            if exc[0] is None and self._parts and self._begun:
                self._finish()
        finally:
            self._is_closed = True
            for part in self._parts:
                part.free.put(None)
            self._workers.close()

    def read(self, axes: tuple[Axis, ...], out: Array, /) -> None:
        """Fill `out` with the next volumes."""
        last = axes[3]
        positions = (last,) if isinstance(last, int) else tuple(last)
        target = out[..., None] if isinstance(last, int) else out
        assert axes[:3] == self._space, "bug in lazyvox: other voxels than were announced"
        place = 0
        while place < len(positions):
            if self._used == len(self._positions):
                self._next_piece()
            n_taken = min(len(positions) - place, len(self._positions) - self._used)
            taken = slice(self._used, self._used + n_taken)
            assert self._positions[taken] == positions[place : place + n_taken], (
                "bug in lazyvox: other volumes than were announced"
            )
            assert self._values is not None
            target[..., place : place + n_taken] = self._values[..., taken]
            self._used += n_taken
            place += n_taken

    def _next_piece(self) -> None:
        self._begin()
        if self._values is not None:
            self._parts[0].free.put(self._values)
            self._values = None
        positions, values = self._parts[0].ready.get()
        if positions is None:
            self._end_part(values)
            self._next_piece()
            return
        self._positions, self._values, self._used = positions, values, 0

    def _finish(self) -> None:
        """Wait for the end of the file that is read, if all of its volumes were."""
        if self._used == len(self._positions) and len(self._parts) == 1:
            positions, error = self._parts[0].ready.get()
            if positions is None:
                self._end_part(error)

    def _end_part(self, error: BaseException | None) -> None:
        if error is not None:
            raise error
        self._parts.popleft()
        self._begun -= 1

    def _begin(self) -> None:
        """Have as many files decoded as there are threads: the one that is read, and the next."""
        while self._begun < min(self._layout.n_threads, len(self._parts)):
            self._workers.submit(self._decode, self._parts[self._begun])
            self._begun += 1

    def _decode(self, part: _Part) -> None:
        """Decode the volumes of a file, as far ahead as its share of the memory allows."""
        try:
            with self._open_series() as session:
                for number, positions in enumerate(part.pieces):
                    piece = self._piece(part, number)
                    values = piece[..., : len(positions)]
                    session.read((*self._space, axis_of(positions)), values)
                    part.ready.put((positions, values))
        except BaseException as error:  # noqa: BLE001 - raised where the volumes are asked for
            part.ready.put((None, error))
        else:
            part.ready.put((None, None))

    def _piece(self, part: _Part, number: int) -> Array:
        """Return memory for a piece: a used buffer, or a new one."""
        if self._is_closed:
            raise _StoppedError
        if number < self._layout.n_pieces:
            shape = (*kept_shape(self._space), self._layout.piece_volumes)
            return np.empty(shape, self._dtype, order="F")
        used = part.free.get()
        if used is None:
            raise _StoppedError
        whole: Array = used if used.base is None else used.base
        return whole
