"""A lazy array into a .npy file, block by block."""

import io

import numpy as np

from lazyvox.array.lazy_array import LazyArray
from lazyvox.planning.plan import Plan
from lazyvox.planning.tiles import fortran_tiles
from lazyvox.runtime.budget import resolve_budget
from lazyvox.store.write.atomic import AtomicFile

__all__ = ["plan_npy", "write_npy"]

_BLOCK_BYTES = 4 << 20
#: The block, the bytes of it that are written, and what reading takes besides.
_PEAK_BYTES = 2 * _BLOCK_BYTES + (8 << 20)


def write_npy(array: LazyArray, path: str, *, overwrite: bool) -> None:
    """Write an array as `numpy.save` does, complete or not at all."""
    descr = np.lib.format.dtype_to_descr(array.dtype)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": descr, "fortran_order": True, "shape": array.shape}
    )
    file = AtomicFile(path, overwrite=overwrite)
    try:
        file.write(header.getbuffer())
        n_values = max(_BLOCK_BYTES // array.dtype.itemsize, 1)
        if array.size:
            with array.open() as session:
                for tile in fortran_tiles(array.shape, n_values):
                    values = array.view(tile).read_in(session)
                    file.write(memoryview(values.tobytes(order="F")))
        file.commit()
    finally:
        file.abort()


def plan_npy(array: LazyArray) -> Plan:
    """Return what `write_npy` does and needs."""
    wanted = array.size * array.ondisk_dtype.itemsize
    stored = array.reader.stored_bytes
    return Plan(
        source=array.reader.path,
        shape=array.shape,
        dtype=str(array.dtype),
        passes=1,
        bytes_read=min(wanted, stored) if array.reader.is_random_access else stored,
        bytes_decoded=wanted,
        block_volumes=1,
        slab_slices=1,
        n_buffers=1,
        buffer_bytes=min(_BLOCK_BYTES, array.nbytes),
        block_bytes=min(_BLOCK_BYTES, array.nbytes),
        consumer_bytes=(("Write", _BLOCK_BYTES),),
        peak_bytes=_PEAK_BYTES,
        scratch_bytes=array.nbytes,
        budget=resolve_budget(None),
    )
