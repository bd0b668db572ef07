"""A lazy array as the chunks of a Zarr store. Imported once zarr is needed."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from lazyvox._typing import Shape, override
from lazyvox.array.lazy_array import LazyArray
from lazyvox.formats.nifti_zarr import stored_axes
from lazyvox.lazyimage.zarr_objects import ReadOnlyStore

__all__ = ["VoxelStore"]

_CHUNKS = "0/c/"


class VoxelStore(ReadOnlyStore):
    """A read-only store: metadata in memory, and chunks that are read out of a lazy array.

    Parameters
    ----------
    array : LazyArray
        The stored voxels.
    chunks : tuple of int
        Shape of a chunk, in the axes of the array.
    metadata : dict of str to bytes
        Every other key of the store.
    """

    def __init__(self, array: LazyArray, chunks: Shape, metadata: dict[str, bytes]) -> None:
        super().__init__()
        self._array = array
        self._chunks = chunks
        self._metadata = metadata
        self._order = stored_axes(array.ndim)
        pairs = zip(array.shape, chunks, strict=True)
        counts = [-(-length // chunk) for length, chunk in pairs]
        self._grid = tuple(counts[axis] for axis in self._order)

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the description of the array."""
        return VoxelStore, (self._array, self._chunks, self._metadata)

    @override
    def __eq__(self, other: object) -> bool:
        """Return whether another store reads the same array in the same chunks."""
        return (
            isinstance(other, VoxelStore)
            and self._array is other._array
            and self._chunks == other._chunks
        )

    __hash__ = None  # type: ignore[assignment] # as of zarr's own stores

    @override
    def __str__(self) -> str:
        """Return the file."""
        return f"voxels of {self._array.reader.path}"

    @property
    def supports_listing(self) -> bool:
        """True."""
        return True

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        """Return the bytes of a key, None where there is none."""
        content = self._metadata.get(key)
        if content is None:
            number = self._number(key)
            if number is None:
                return None
            content = await asyncio.to_thread(self._read, number)
        kind = prototype or default_buffer_prototype()
        held = MemoryStore({key: kind.buffer.from_bytes(content)})
        return await held.get(key, kind, byte_range)

    async def exists(self, key: str) -> bool:
        """Return whether the store has a key."""
        return key in self._metadata or self._number(key) is not None

    async def list(self) -> AsyncIterator[str]:
        """Yield every key."""
        for key in self._metadata:
            yield key
        for number in itertools.product(*map(range, self._grid)):
            yield _CHUNKS + "/".join(map(str, number))

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Yield the keys that begin so."""
        async for key in self.list():
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the next parts of the keys below a folder, each once."""
        folder = f"{prefix.rstrip('/')}/" if prefix else ""
        seen = set()
        async for key in self.list_prefix(folder):
            name = key.removeprefix(folder).split("/", 1)[0]
            if name not in seen:
                seen.add(name)
                yield name

    def _number(self, key: str) -> tuple[int, ...] | None:
        """Return the number of a chunk along the axes of the store, None of another key."""
        parts = key.removeprefix(_CHUNKS).split("/")
        if not key.startswith(_CHUNKS) or not all(part.isdigit() for part in parts):
            return None
        number = tuple(map(int, parts))
        is_there = len(number) == len(self._grid) and all(
            one < count for one, count in zip(number, self._grid, strict=True)
        )
        return number if is_there else None

    def _read(self, number: tuple[int, ...]) -> bytes:
        """Return the bytes of a chunk, with zeros where it reaches beyond the array."""
        starts = {
            axis: n * self._chunks[axis] for axis, n in zip(self._order, number, strict=True)
        }
        key = tuple(
            slice(starts[axis], starts[axis] + chunk) for axis, chunk in enumerate(self._chunks)
        )
        values = self._array.view(key).read()
        missing = [
            (0, chunk - length) for chunk, length in zip(self._chunks, values.shape, strict=True)
        ]
        if any(behind for _, behind in missing):
            values = np.pad(values, missing)
        # Little-endian, as the metadata says, and the slowest axis first.
        stored = values.transpose(self._order).astype(values.dtype.newbyteorder("<"), copy=False)
        return stored.tobytes()
