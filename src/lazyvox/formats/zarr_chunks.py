"""Chunks of a Zarr array that its store does not hold: they are read as the fill value."""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from lazyvox._typing import Array, Shape

__all__ = ["ALL_CHUNKS", "StoredChunks"]

#: Attributes of an array all of whose chunks were written, those of the fill value too.
ALL_CHUNKS = {"lazyvox": {"write_empty_chunks": True}}


@dataclass(frozen=True, slots=True, eq=False)
class StoredChunks:
    """The chunks of a Zarr array, as objects of its store.

    Zarr leaves out chunks that hold the fill value alone, so that an absent chunk may be right, or
    the trace of a copy that stopped.

    Attributes
    ----------
    array : zarr.Array
        The array.
    """

    array: Any

    @property
    def fill_value(self) -> Any:
        """Value of absent chunks."""
        fill = self.array.fill_value
        return self.array.dtype.type(0) if fill is None else fill

    @property
    def are_all_written(self) -> bool:
        """True if the array says that it was written with all of its chunks."""
        return all(self.array.attrs.get(name) == one for name, one in ALL_CHUNKS.items())

    @property
    def _object_shape(self) -> Shape:
        """Shape of what one object of the store holds: a shard, or else a chunk."""
        return tuple(self.array.shards or self.array.chunks)

    @property
    def n_objects(self) -> int:
        """Number of objects, present or not."""
        return int(np.prod([len(one) for one in self._grid()], dtype=int))

    def is_absent(self, start: Shape, values: Array) -> bool:
        """Return whether the chunk with its first value at `start` is not in the store.

        Parameters
        ----------
        start : tuple of int
            Along the axes of the array.
        values : ndarray
            Values of the chunk: the store is asked only where all are the fill value.

        Returns
        -------
        bool
            True if there is no such object.
        """
        fill = np.asarray(self.fill_value, values.dtype)
        has_nan = values.dtype.kind in "fc"
        # Most chunks differ in their first value: then no other is compared.
        for some in (values[(slice(0, 1),) * values.ndim], values):
            if not np.array_equal(some, np.broadcast_to(fill, some.shape), equal_nan=has_nan):
                return False
        pairs = zip(start, self._object_shape, strict=True)
        return not self._is_there(tuple(first // length for first, length in pairs))

    def count_absent(self) -> int:
        """Return the number of objects that the store does not hold; asks it for each."""
        return sum(not self._is_there(number) for number in product(*self._grid()))

    def _grid(self) -> list[range]:
        pairs = zip(self.array.shape, self._object_shape, strict=True)
        return [range(-(-length // step)) for length, step in pairs]

    def _is_there(self, number: tuple[int, ...]) -> bool:
        from zarr.core.sync import sync

        key = self.array.metadata.encode_chunk_key(number)
        return bool(sync((self.array.store_path / key).exists()))
