"""A lazy array into a .npy file, block by block."""

import io

import numpy as np

from lazyvox.array.block_reading import block_values, iter_blocks
from lazyvox.array.lazy_array import LazyArray
from lazyvox.lazyimage.reading_plan import plan_passes, value_layout
from lazyvox.planning.blocks import DECODER, TARGET_BLOCK_BYTES
from lazyvox.planning.plan import Plan
from lazyvox.runtime.budget import resolve_budget
from lazyvox.store.write.atomic import AtomicFile

__all__ = ["plan_npy", "write_npy"]

#: Blocks of such small results need not be larger.
_BUFFER_BYTES = 2 * TARGET_BLOCK_BYTES


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
        with iter_blocks(array, block_values(array, _BUFFER_BYTES), ahead=None) as blocks:
            for block in blocks:
                file.write(block.values.reshape(-1, order="F").view(np.uint8).data)
        file.commit()
    finally:
        file.abort()


def plan_npy(array: LazyArray) -> Plan:
    """Return the plan of `write_npy`."""
    memory = (DECODER, *array.reader.session_memory)
    return plan_passes(
        array,
        1,
        value_layout(array, block_values(array, _BUFFER_BYTES), memory),
        resolve_budget(None),
        consumers=[("Write", 0)],
        files_bytes=array.nbytes,
    )
