"""Arrays in memory that processes share."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from lazyvox._typing import Array, DType, Shape, override
from lazyvox.store.files.shared_files import SharedFile, map_shared

__all__ = ["SharedArray", "SharedRecord", "open_shared", "writable_values"]


@dataclass(frozen=True, slots=True)
class SharedRecord:
    """Place, type and shape of an array in a shared file.

    Attributes
    ----------
    path : str
        The file.
    nbytes : int
        Its size.
    dtype : numpy.dtype
        Type of the values, byte order included.
    shape : tuple of int
        Shape of the array.
    strides : tuple of int
        Bytes between neighbours on each axis.
    offset : int
        Bytes before the first value.
    """

    path: str
    nbytes: int
    dtype: DType
    shape: Shape
    strides: tuple[int, ...]
    offset: int = 0


class SharedArray(np.ndarray[Any, Any]):
    """An array, for reading only, whose memory other processes see too.

    Made by `open_shared`. It pickles by reference, as long as it lies in the shared memory, so
    that workers that get it copy nothing. What is computed from it is an ordinary array. The
    memory is given back when the last array in it is gone, in each process by itself; as a
    context manager it returns itself and ends nothing.
    """

    _record: SharedRecord | None = None

    @override
    def __array_finalize__(self, source: Array | None, /) -> None:
        """Remember, in views, which memory they may lie in."""
        self._record = getattr(source, "_record", None)

    @override
    def __array_wrap__(
        self, array: Any, context: Any = None, return_scalar: bool = False, /
    ) -> Any:
        """Return the result of a NumPy function as an ordinary array or scalar."""
        plain = np.asarray(array)
        return plain[()] if return_scalar else plain

    @override
    def __reduce__(self) -> Any:
        """Pickle where the values lie; the values themselves where they lie elsewhere."""
        record = self._own_record()
        if record is None:
            return np.asarray(self).__reduce__()
        return open_shared, (record,)

    def __enter__(self) -> Self:
        """Return the array itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """End nothing: an array that somebody still holds must stay valid."""

    @property
    def _lies_in(self) -> Array:
        """The array that owns the memory of this one, or of the array that this is a view of."""
        below: Any = self
        while isinstance(below.base, np.ndarray):
            below = below.base
        whole: Array = below
        return whole

    def _own_record(self) -> SharedRecord | None:
        whole = self._lies_in
        if self._record is None or getattr(whole, "_is_shared_memory", False) is not True:
            return None
        offset = _address(self) - _address(whole)
        record = self._record
        return SharedRecord(
            record.path, record.nbytes, self.dtype, self.shape, self.strides, offset
        )


class _Memory(np.ndarray[Any, Any]):
    """All bytes of a memory map; arrays in it can name the map."""

    _is_shared_memory = True


def open_shared(record: SharedRecord) -> SharedArray:
    """Return an array of shared memory; copies nothing.

    Parameters
    ----------
    record : SharedRecord
        Where its values are.

    Returns
    -------
    SharedArray
        Writing to it raises ValueError, as NumPy does for arrays that are for reading only.

    Raises
    ------
    ImageNotFoundError
        If the memory was given back.
    """
    memory = _Memory(record.nbytes, np.uint8, map_shared(record.path, record.nbytes))
    array = SharedArray(
        record.shape, record.dtype, memory, offset=record.offset, strides=record.strides
    )
    array._record = record
    return array


def writable_values(file: SharedFile, dtype: DType, shape: Shape, order: Any) -> Array:
    """Return an array that fills a new shared file from its beginning.

    Parameters
    ----------
    file : SharedFile
        The file.
    dtype : numpy.dtype
        Type of the values.
    shape : tuple of int
        Shape of the array.
    order : {"C", "F"}
        Which axis is the fastest.

    Returns
    -------
    ndarray
        The array; it holds a map of the file.
    """
    return np.ndarray(shape, dtype, file.map(), order=order)


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])
