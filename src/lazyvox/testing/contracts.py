"""Contracts of byte sources and array readers, as functions that check them, and of consumers."""

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from lazyvox._typing import Array
from lazyvox.array.reader import ArrayReader
from lazyvox.errors import TruncatedFileError
from lazyvox.lazyimage.series import as_series
from lazyvox.planning.indexing import Axis
from lazyvox.store.files.source import ByteReader, ByteSource

__all__ = ["check_array_reader", "check_byte_source", "feed"]

_N_THREADS = 8
_EVERY_OTHER = slice(None, None, 2)


def check_byte_source(make_source: Callable[[], ByteSource], payload: bytes) -> None:
    """Check that a byte source keeps its contract.

    Parameters
    ----------
    make_source : callable
        Returns a new source of `payload`.
    payload : bytes
        The decoded bytes, at least 64 of them.

    Raises
    ------
    AssertionError
        If the source does anything else than `lazyvox.store.ByteSource` says.

    Examples
    --------
    >>> from lazyvox.testing import MemorySource
    >>> payload = bytes(range(100))
    >>> check_byte_source(lambda: MemorySource(payload), payload)
    """
    source = make_source()
    _hold(isinstance(source, ByteSource), "a source must have all that ByteSource names")
    _hold(source.max_decoded_size >= len(payload), "max_decoded_size must be an upper bound")
    for check in (_check_ranges, _check_ends, _check_finish, _check_interleaved):
        check(source, payload)
    copy = pickle.loads(pickle.dumps(source))
    _hold(_everything(copy, payload) == payload, "a pickled source must read the same")
    _hold(_everything(source, payload) == payload, "pickling must leave the original intact")
    with ThreadPoolExecutor(_N_THREADS) as pool:
        results = list(pool.map(lambda _: _everything(source, payload), range(2 * _N_THREADS)))
    _hold(all(result == payload for result in results), "threads must not disturb each other")


def feed(consumer: Any, img: Any, block_volumes: int = 4, slab_slices: int | None = None) -> Any:
    """Hand the voxels of an image to a consumer, as a scan would, and return its result.

    Parameters
    ----------
    consumer : Consumer
        The consumer. No block stays as it is after its update: it must not keep one.
    img : image
        A series in memory.
    block_volumes : int, default=4
        Volumes of a block.
    slab_slices : int, optional
        Slices of a slab, for a consumer that takes slabs. By default it gets whole volumes.

    Returns
    -------
    object
        Result of `consumer.finalize`.

    Examples
    --------
    >>> import nibabel
    >>> from lazyvox.stream.voxelwise import Mean
    >>> img = nibabel.Nifti1Image(np.ones((2, 3, 4, 9), np.float32), np.eye(4))
    >>> feed(Mean(), img).shape
    (2, 3, 4)
    """
    values = np.asanyarray(img.dataobj)
    consumer.init(as_series(img).grid)
    for start in range(0, values.shape[3], block_volumes):
        block = np.array(values[..., start : start + block_volumes], order="F")
        if slab_slices is None:
            consumer.update(block, start)
        else:
            for k in range(0, values.shape[2], slab_slices):
                slab = np.asfortranarray(block[:, :, k : k + slab_slices])
                consumer.update_slab(slab, start, k)
        block[...] = 0
    return consumer.finalize()


def _hold(condition: object, rule: str) -> None:
    """Fail with the rule that does not hold."""
    if not condition:
        raise AssertionError(rule)


def _read(session: ByteReader, start: int, stop: int) -> bytes:
    buffer = bytearray(stop - start)
    session.readinto(start, memoryview(buffer))
    return bytes(buffer)


def _everything(source: ByteSource, payload: bytes) -> bytes:
    with source.open() as session:
        return _read(session, 0, len(payload))


def _check_ranges(source: ByteSource, payload: bytes) -> None:
    n = len(payload)
    ranges = [(0, 1), (1, 7), (7, n // 2), (n - 1, n), (3, n), (0, n), (n // 3, n // 3 + 5)]
    with source.open() as session:
        for start, stop in ranges:
            _hold(
                _read(session, start, stop) == payload[start:stop],
                f"readinto must give bytes {start} to {stop}",
            )
    for start, stop in reversed(ranges):
        with source.open() as session:
            _hold(
                session.read_upto(start, stop - start) == payload[start:stop],
                f"read_upto must give bytes {start} to {stop}",
            )


def _check_ends(source: ByteSource, payload: bytes) -> None:
    n = len(payload)
    with source.open() as session:
        _hold(session.read_upto(n - 3, 10) == payload[n - 3 :], "read_upto stops at the end")
        _hold(session.read_upto(n, 10) == b"", "read_upto at the end gives nothing")
        _hold(session.read_upto(n + 100, 10) == b"", "read_upto behind the end gives nothing")
        _hold(_read(session, 5, 5) == b"", "an empty buffer is filled with nothing")
    for start in (n - 3, n, n + 100):
        refused = False
        try:
            with source.open() as session:
                _read(session, start, start + 10)
        except TruncatedFileError:
            refused = True
        _hold(refused, "readinto behind the end must raise TruncatedFileError")
    _hold(_everything(source, payload) == payload, "a failed read must leave no state behind")


def _check_finish(source: ByteSource, payload: bytes) -> None:
    for stop in (0, 10, len(payload)):
        with source.open() as session:
            session.read_upto(0, stop)
            _hold(session.finish() == len(payload) - stop, "finish counts the bytes left")
    with source.open() as session:
        _read(session, 0, len(payload))
        _read(session, 0, 10)
        _hold(session.finish() == 0, "finish counts from the last byte ever read")


def _check_interleaved(source: ByteSource, payload: bytes) -> None:
    with source.open() as one, source.open() as other:
        for start in range(0, len(payload) - 8, max(len(payload) // 7, 1)):
            for session in (one, other):
                _hold(
                    _read(session, start, start + 8) == payload[start : start + 8],
                    "two sessions must not disturb each other",
                )


def check_array_reader(make_reader: Callable[[], ArrayReader], expected: Array) -> None:
    """Check that an array reader keeps its contract.

    Parameters
    ----------
    make_reader : callable
        Returns a new reader of an array that holds `expected`.
    expected : ndarray
        The stored values; no axis shorter than 4.

    Raises
    ------
    AssertionError
        If the reader does anything else than `lazyvox.array.ArrayReader` says.
    """
    reader = make_reader()
    _hold(reader.shape == expected.shape, f"shape must be {expected.shape}")
    _hold(reader.dtype == expected.dtype, f"dtype must be {expected.dtype}")
    copy = pickle.loads(pickle.dumps(reader))
    for axes in _sample_axes(expected.shape):
        _check_axes(reader, axes, expected)
        _check_axes(copy, axes, expected)
    with reader.open(_sample_axes(expected.shape)[0]) as session:
        for axes in _sample_axes(expected.shape):
            out = np.empty(_kept(axes), expected.dtype, order="F")
            session.read(axes, out)
            _hold(_same(out, _taken(expected, axes)), f"a session must read {axes} in any order")
    with ThreadPoolExecutor(_N_THREADS) as pool:
        list(
            pool.map(lambda axes: _check_axes(reader, axes, expected), _sample_axes(reader.shape))
        )


def _check_axes(reader: ArrayReader, axes: tuple[Axis, ...], expected: Array) -> None:
    wanted = _taken(expected, axes)
    outs: list[Array] = [np.empty(wanted.shape, wanted.dtype, order="F")]
    if wanted.ndim:
        outs.append(np.empty(wanted.shape, wanted.dtype, order="C"))
        outs.append(
            np.empty([2 * n for n in wanted.shape], wanted.dtype)[(_EVERY_OTHER,) * wanted.ndim]
        )
    for out in outs:
        with reader.open(axes) as session:
            session.read(axes, out)
        _hold(_same(out, wanted), f"read must fill any array with the values at {axes}")


def _sample_axes(shape: tuple[int, ...]) -> list[tuple[Axis, ...]]:
    """Return axes that together hold every kind of entry at the first and at the last axis."""
    every: tuple[Axis, ...] = tuple(range(n) for n in shape)
    samples = [every, tuple(n - 1 for n in shape), tuple(range(0, n, 2) for n in shape)]
    kinds: list[Axis] = [1, range(3, -1, -1), range(3, 0, -2), (2, 0, 3), (1, 1, 3, 1), (3,)]
    for kind in kinds:
        samples += [(kind, *every[1:]), (*every[:-1], kind), (kind,) * len(shape)]
        samples.append(
            (*every[:-1][:1], *[2] * (len(shape) - 2), kind) if len(shape) > 1 else every
        )
    return samples


def _kept(axes: tuple[Axis, ...]) -> tuple[int, ...]:
    return tuple(len(axis) for axis in axes if not isinstance(axis, int))


def _taken(expected: Array, axes: tuple[Axis, ...]) -> Array:
    positions = [[axis] if isinstance(axis, int) else list(axis) for axis in axes]
    return expected[np.ix_(*positions)].reshape(_kept(axes))


def _same(one: Array, other: Array) -> bool:
    return one.shape == other.shape and one.tobytes() == other.tobytes()
