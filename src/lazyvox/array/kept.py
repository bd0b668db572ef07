"""An array kept in a temporary file, of which any part is read at once."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from lazyvox.array.block_reading import iter_blocks
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.reader import FileReader
from lazyvox.planning.spec import ArraySpec
from lazyvox.store.files.byte_stores import StoreSource
from lazyvox.store.files.spool import FileStore

__all__ = ["kept_on_disk"]


@contextmanager
def kept_on_disk(
    array: LazyArray, n_values: int, advance: Callable[[int], None]
) -> Iterator[LazyArray]:
    """Copy an array into a temporary file without a name, in one pass; gives it as a lazy array.

    Parameters
    ----------
    array : LazyArray
        What is read.
    n_values : int
        Most values of a block.
    advance : callable
        Called with the number of values of each block.

    Yields
    ------
    LazyArray
        The same values, of the same type.

    Raises
    ------
    OutputError
        If the folder of temporary files has no room.
    """
    nbytes = math.prod(array.shape) * array.dtype.itemsize
    store = FileStore(max(nbytes, 1))
    try:
        offset = 0
        with iter_blocks(array, n_values) as blocks:
            for block in blocks:
                values = block.values.reshape(-1, order="F").view(np.uint8)
                store.write(offset, values.data)
                offset += values.nbytes
                advance(block.values.size)
        source = StoreSource(array.reader.path, store, nbytes, nbytes)
        yield LazyArray.over(FileReader(source, ArraySpec(array.shape, array.dtype)))
    finally:
        store.close()
