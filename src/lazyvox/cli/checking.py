"""Read all of an image in bounded memory and say whether it is intact."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazyvox._typing import Array, DType, override
from lazyvox.array.block_reading import iter_blocks
from lazyvox.array.reader import AbsentChunks
from lazyvox.errors import LazyvoxWarning
from lazyvox.formats import ForeignFormatError, ImageFile, read_image_file
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.load import as_image
from lazyvox.lazyimage.reading_plan import plan_passes
from lazyvox.planning.blocks import DECODER, TARGET_BLOCK_BYTES, BlockLayout
from lazyvox.planning.memory import MemoryTerm, counted, format_bytes
from lazyvox.planning.plan import Plan
from lazyvox.planning.spec import ArraySpec
from lazyvox.runtime.budget import resolve_budget
from lazyvox.runtime.progress import ArrayProgress, Progress, ProgressLike, resolve_progress
from lazyvox.store.files.paths import absolute_path, printable

__all__ = ["Check", "check_image", "plan_check"]

_SMALLEST_PIECE_BYTES = 1 << 16
#: A piece, what is finite of it, and the piece that the decoder holds.
_PIECES_HELD = 4
#: Zeros are looked for from the end in steps of this.
_STEP_BYTES = 1 << 16
#: One volume may well be zero in large parts, a mask above all: more is worth a warning.
_SUSPICIOUS_SHARE = 1 / 3


@dataclass(frozen=True, slots=True)
class Check:
    """Result of reading all of an image.

    Attributes
    ----------
    compression : str
        What verified the stored bytes; 'none' has no checksum.
    non_finite : int
        Values that are NaN or infinite.
    zero_tail_bytes : int
        Bytes of zeros at the end of the voxels.
    surplus_bytes : int
        Bytes behind the voxels that no header tells of.
    absent : AbsentChunks or None
        Chunks that a Zarr store does not hold.
    problems : tuple of str
        Why the image is not good; empty where it is.
    """

    compression: str
    non_finite: int = 0
    zero_tail_bytes: int = 0
    surplus_bytes: int = 0
    absent: AbsentChunks | None = None
    problems: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the findings for JSON."""
        return {
            "ok": not self.problems,
            "non_finite": self.non_finite,
            "zero_tail_bytes": self.zero_tail_bytes,
            "surplus_bytes": self.surplus_bytes,
            "absent_chunks": 0 if self.absent is None else self.absent.n,
            "problems": list(self.problems),
        }

    @override
    def __str__(self) -> str:
        """Return the verdict in one line."""
        if self.problems:
            return f"failed: {'; '.join(self.problems)}"
        has_sum = self.compression in {"gzip", "bzip2", "zstd"}
        passed = f"passed: {'checksum, ' if has_sum else ''}size, finite values"
        if self.absent is None:
            return passed
        return (
            f"{passed}; {self.absent.n} of {counted(self.absent.of, 'chunk')} not in the store, read as its "
            f"fill value {self.absent.fill_value}: right where zarr left out empty chunks, and wrong after "
            f"a copy that stopped"
        )


def check_image(path: str, *, progress: ProgressLike) -> Check:
    """Read all of an image, in bounded memory.

    Parameters
    ----------
    path : str
        The file.
    progress : bool
        Whether a bar is shown on stderr.

    Returns
    -------
    Check
        The findings.

    Raises
    ------
    ImageFileError
        If it is damaged or ends early.
    """
    full = absolute_path(path)
    reporter = resolve_progress(progress)
    try:
        # Reading the header has said so already.
        with _without_warnings():
            file = read_image_file(full)
    except ForeignFormatError:
        return _check_foreign(full, reporter)
    try:
        return _check_file(file, reporter)
    finally:
        reporter.close()


def plan_check(path: str, *, is_checked: bool) -> Plan:
    """Return the plan of looking at an image: its header only, or all of it.

    Parameters
    ----------
    path : str
        The file.
    is_checked : bool
        Whether `check_image` follows.

    Returns
    -------
    Plan
        Without a check, a plan of no pass.

    Raises
    ------
    ImageFileError
        If its header is damaged.
    """
    array = lazy_dataobj(as_image(path))
    piece = _piece_bytes(array.dtype) if is_checked else 0
    memory = (
        DECODER,
        MemoryTerm("block buffers", _PIECES_HELD * piece),
    )
    n_slices = array.shape[2] if array.ndim > 2 else 1
    layout = BlockLayout(1, n_slices, piece, _PIECES_HELD * piece, memory, _PIECES_HELD)
    return plan_passes(array, int(is_checked), layout, resolve_budget(None))


def _check_file(file: ImageFile, reporter: Progress) -> Check:
    spec, source = file.array, file.source
    values = _Values(spec.dtype)
    piece = bytearray(_piece_bytes(spec.dtype))
    reporter.start(_mebibytes(spec.stored_bytes), "MiB", printable(source.path))
    with source.open() as reader:
        for start in range(0, spec.stored_bytes, len(piece)):
            view = memoryview(piece)[: min(len(piece), spec.stored_bytes - start)]
            reader.readinto(spec.offset + start, view)
            values.take(np.frombuffer(view, np.uint8))
            reporter.advance(_mebibytes(start + len(view)) - _mebibytes(start))
        surplus = reader.finish()
    if file.header_source is not source:
        with file.header_source.open() as reader:
            reader.read_upto(0, 1)
            reader.finish()
    # The end of an MGH file holds scan parameters.
    surplus = 0 if file.format.startswith("MGH") else surplus
    _warn_of_surplus(source.path, surplus)
    problems = [*values.problems(), *_tail_problems(spec, values.zero_tail, source.path)]
    return Check(
        source.compression,
        values.non_finite,
        values.zero_tail,
        surplus,
        problems=tuple(problems),
    )


def _check_foreign(path: str, reporter: Progress) -> Check:
    array = lazy_dataobj(as_image(path))
    absent = array.reader.absent_chunks
    if absent is not None and absent.are_lost:
        text = (
            f"{absent.n} of {counted(absent.of, 'chunk')} missing, though all were written, as after a copy "
            f"that stopped"
        )
        return Check("unknown", absent=absent, problems=(text,))
    values = _Values(array.dtype)
    n_values = max(_piece_bytes(array.dtype) // array.dtype.itemsize, 1)
    volumes = ArrayProgress(reporter, array.shape, array.dtype.itemsize)
    volumes.start(printable(path))
    with _without_warnings(), iter_blocks(array, n_values) as blocks:
        for block in blocks:
            values.take(block.values.reshape(-1, order="F").view(np.uint8))
            volumes.advance(block.values.size)
    volumes.close()
    problems = tuple(values.problems())
    return Check("unknown", values.non_finite, values.zero_tail, absent=absent, problems=problems)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Context without warnings of what the report says anyway."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LazyvoxWarning)
        yield


class _Values:
    """Running statistics of the values, updated block by block."""

    def __init__(self, dtype: DType) -> None:
        self._dtype = dtype
        self.non_finite = 0
        self.zero_tail = 0

    def take(self, piece: Array) -> None:
        """Take the next bytes: whole values."""
        if self._dtype.kind in "fc":
            finite = np.isfinite(piece.view(self._dtype))
            self.non_finite += finite.size - int(np.count_nonzero(finite))
        tail = _zeros_at_end(piece)
        self.zero_tail = self.zero_tail + tail if tail == len(piece) else tail

    def problems(self) -> list[str]:
        """Return the problems of the values."""
        if not self.non_finite:
            return []
        return [f"{self.non_finite} values are NaN or infinite"]


def _zeros_at_end(piece: Array) -> int:
    for stop in range(len(piece), 0, -_STEP_BYTES):
        step = piece[max(stop - _STEP_BYTES, 0) : stop]
        if step.any():
            last = int(np.flatnonzero(step)[-1])
            return len(piece) - stop + len(step) - last - 1
    return len(piece)


def _tail_problems(spec: ArraySpec, zero_tail: int, path: str) -> list[str]:
    """Return whether zeros at the end look like a copy that stopped; warn of what may be right."""
    n_volumes = math.prod(spec.shape[3:])
    if not zero_tail:
        return []
    share = zero_tail / spec.stored_bytes
    if n_volumes > 1 and zero_tail * n_volumes >= spec.stored_bytes:
        n_zero = zero_tail * n_volumes // spec.stored_bytes
        text = (
            f"the last {n_zero} of {n_volumes} volumes ({share:.0%} of the voxels) are all zero, "
            f"as after a copy that stopped"
        )
        return [text]
    if n_volumes == 1 and share > _SUSPICIOUS_SHARE:
        msg = (
            f"{printable(path)}: the last {share:.0%} of the voxels are all zero, as in "
            f"masks, and after a copy that stopped."
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=2)
    return []


def _warn_of_surplus(path: str, surplus: int) -> None:
    if surplus:
        msg = (
            f"{printable(path)}: {format_bytes(surplus)} ({surplus} bytes) follow the voxels; the "
            f"header says less than the file holds."
        )
        warnings.warn(msg, LazyvoxWarning, stacklevel=2)


def _piece_bytes(dtype: DType) -> int:
    """Return the size of a piece: whole values, within the memory budget."""
    fitting = resolve_budget(None) // _PIECES_HELD
    size = max(min(fitting, TARGET_BLOCK_BYTES), _SMALLEST_PIECE_BYTES)
    return size - size % dtype.itemsize


def _mebibytes(nbytes: int) -> int:
    return nbytes >> 20
