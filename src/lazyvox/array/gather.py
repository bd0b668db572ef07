"""Indexing with one integer array or boolean mask: NumPy's result from the least that is read."""

from typing import Any, Protocol, Self

import numpy as np

from lazyvox._typing import Array, Shape
from lazyvox.array.reader import ArraySession
from lazyvox.errors import ImageIndexError
from lazyvox.planning.blocks import TARGET_BLOCK_BYTES

__all__ = ["read_with_array"]


class Sliceable(Protocol):
    """The part of a lazy array that is needed here."""

    @property
    def shape(self) -> Shape: ...
    @property
    def ndim(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def view(self, key: Any, /) -> Self: ...
    def read(self) -> Array: ...
    def open(self) -> ArraySession: ...
    def read_in(self, session: ArraySession, /) -> Array: ...


def read_with_array(array: Sliceable, entries: list[Any], n_arrays: int) -> Any:
    """Return ``array[entries]`` where exactly one entry is an array, as NumPy gives it.

    The smallest box that holds all picked values is read, in blocks along the last axis where a
    mask would leave most of the box out, and NumPy picks from it.
    """
    if n_arrays > 1:
        msg = (
            "one index may hold at most one list, integer array or boolean mask. Got "
            f"{n_arrays}. Take two steps: part = array[first]; part[second]."
        )
        raise ImageIndexError(msg)
    box, picks = _split(entries, array.shape)
    if _streams(entries) and array.view(tuple(box)).nbytes:
        return _gather_in_blocks(array, box, picks)
    return array.view(tuple(box)).read()[tuple(picks)]


def _split(entries: list[Any], shape: tuple[int, ...]) -> tuple[list[Any], list[Any]]:
    """Return the basic index of a box, with no axis dropped, and the index to apply to it."""
    box: list[Any] = []
    picks: list[Any] = []
    axis = 0
    for entry in entries:
        if entry is None or entry is Ellipsis or isinstance(entry, bool | np.bool_):
            picks.append(entry)
        elif isinstance(entry, slice):
            box.append(entry)
            picks.append(slice(None))
            axis += 1
        elif isinstance(entry, np.ndarray):
            taken, applied = _split_array(entry, shape, axis)
            box += taken
            picks.append(applied)
            axis += len(taken)
        else:
            position = _position(entry, shape[axis], axis)
            box.append(slice(position, position + 1))
            picks.append(0)
            axis += 1
    return box, picks


def _split_array(index: Array, shape: tuple[int, ...], axis: int) -> tuple[list[Any], Any]:
    if index.dtype == bool:
        return _split_mask(index, shape, axis)
    if index.dtype.kind not in "iu":
        msg = f"arrays used as indices must be of integer or boolean type. Got {index.dtype}."
        raise ImageIndexError(msg)
    length = shape[axis]
    outside = (index < -length) | (index >= length)
    if outside.any():
        _position(int(index[outside].flat[0]), length, axis)
    # Widened first: adding the length could overflow the type of the index.
    index = index.astype(np.intp)
    wrapped = np.where(index < 0, index + length, index)
    positions, inverse = np.unique(wrapped, return_inverse=True)
    return [positions.tolist()], inverse.reshape(index.shape)


def _split_mask(mask: Array, shape: tuple[int, ...], axis: int) -> tuple[list[Any], Any]:
    covered = shape[axis : axis + mask.ndim]
    if mask.shape != covered:
        msg = (
            f"a boolean mask must have the lengths of the axes that it covers. Got a mask of "
            f"shape {mask.shape} for axes of lengths {covered}."
        )
        raise ImageIndexError(msg)
    box: list[Any] = []
    for along in range(mask.ndim):
        others = tuple(i for i in range(mask.ndim) if i != along)
        hits = np.flatnonzero(mask.any(axis=others))
        box.append(slice(int(hits[0]), int(hits[-1]) + 1) if hits.size else slice(0, 0))
    return box, mask[tuple(box)]


def _position(entry: Any, length: int, axis: int) -> int:
    try:
        position = entry.__index__()
    except AttributeError:
        msg = (
            "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and one integer "
            f"list or boolean mask are valid indices. Got {type(entry).__name__}."
        )
        raise ImageIndexError(msg) from None
    if not -length <= position < length:
        msg = f"index {position} is out of bounds for axis {axis} with size {length}."
        raise ImageIndexError(msg)
    return int(position) % length


def _streams(entries: list[Any]) -> bool:
    """Return whether a mask can be applied block by block along the last axis."""
    has_mask = any(
        isinstance(entry, np.ndarray) and entry.ndim > 1 and entry.dtype == bool
        for entry in entries
    )
    return has_mask and isinstance(entries[-1], slice)


def _gather_in_blocks(array: Sliceable, box: list[Any], picks: list[Any]) -> Array:
    """Return the picked values, reading the box in blocks along its last axis."""
    boxed = array.view(tuple(box))
    n_last = boxed.shape[-1]
    step = max(TARGET_BLOCK_BYTES // max(boxed.nbytes // n_last, 1), 1)
    out: Array | None = None
    starts = range(0, n_last, step)
    if (box[-1].step or 1) < 0:
        # In the order of the file: a compressed stream would begin anew for each block.
        starts = starts[::-1]
    with array.open() as session:
        for start in starts:
            block = boxed.view((..., slice(start, start + step))).read_in(session)
            part = block[tuple(picks)]
            if out is None:
                out = np.empty((*part.shape[:-1], n_last), part.dtype)
            out[..., start : start + step] = part
    assert out is not None
    return out
