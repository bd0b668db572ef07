"""The sink of a Zarr store: takes the bytes of an image, and writes chunks."""

import contextlib
import math
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from lazyvox._threads import Workers
from lazyvox._typing import Array, Shape
from lazyvox.errors import OutputError, OutputExistsError, ParameterError
from lazyvox.formats.nifti_zarr import axis_names, ome_attributes, stored_axes, stored_header
from lazyvox.formats.output_spec import OutputSpec
from lazyvox.formats.zarr_chunks import ALL_CHUNKS
from lazyvox.formats.zarr_names import ZARR_MARKS
from lazyvox.planning.blocks import TARGET_BLOCK_BYTES, iter_steps
from lazyvox.planning.chunks import ChunkTiles, choose_tiles, chunk_shape
from lazyvox.runtime.optional import require
from lazyvox.store.files.paths import printable
from lazyvox.store.write.atomic_folder import AtomicFolder

__all__ = ["ZarrSink", "ZarrTarget", "metadata_of", "volumes_target", "zarr_memory"]

#: Levels of Blosc's zstd: lowest, highest, default.
_LEVELS = (0, 9, 1)

#: Copies of a chunk that its thread holds: in order, padded at the border, compressed, written.
_COPIES = 4

#: What an array and its group hold besides.
_FIXED_BYTES = 2 << 20


@dataclass(frozen=True, slots=True, eq=False)
class ZarrTarget:
    """A Zarr store that an image is written to.

    Attributes
    ----------
    tiles : ChunkTiles
        The chunks, and the order of the values.
    store : zarr.abc.store.Store or None
        The store; None for a folder.
    """

    tiles: ChunkTiles
    store: Any = None


def volumes_target(output: OutputSpec) -> ZarrTarget:
    """Return the target of values that come in the order of a file: volumes as chunks."""
    itemsize = output.dtype.itemsize
    chunks = chunk_shape(output.shape, itemsize, "time")
    tiles = choose_tiles(output.shape, chunks, TARGET_BLOCK_BYTES // itemsize, 1 << 62, 0)
    assert tiles is not None, "bug in lazyvox: no tile, whatever its size"
    return ZarrTarget(tiles)


def zarr_memory(target: ZarrTarget, itemsize: int, n_threads: int) -> int:
    """Return an upper bound of the bytes that the sink of a store holds."""
    chunk_bytes = math.prod(target.tiles.chunks) * itemsize
    return target.tiles.n_values * itemsize + _COPIES * n_threads * chunk_bytes + _FIXED_BYTES


class ZarrSink:
    """An image of a Zarr store in the making; used by one thread at a time.

    Takes the bytes of a single file: the header, then stored values, tile by tile. What says that
    the group is an image is written last.

    Parameters
    ----------
    output : OutputSpec
        What is written.
    target : ZarrTarget
        Chunks, tiles, and the store.
    compresslevel : int or None
        0 to 9, by default 1: of zstd in Blosc.
    n_threads : int
        Threads that compress chunks.
    overwrite : bool
        Whether an existing group may be replaced.

    Raises
    ------
    MissingDependencyError
        If zarr is not installed.
    ParameterError
        If the level is out of range.
    OutputError
        If nothing can be written there.
    OutputExistsError
        If something is there and must not be replaced.
    """

    def __init__(
        self,
        output: OutputSpec,
        target: ZarrTarget,
        *,
        compresslevel: int | None,
        n_threads: int,
        overwrite: bool,
    ) -> None:
        require("zarr", "interop", "Zarr stores")
        self._output = output
        self._path = output.files[0][0]
        self._chunks = target.tiles.chunks
        level = _check_level(compresslevel, self._path)
        self._folder: AtomicFolder | None = None
        self._workers = Workers(n_threads, "lazyvox-zarr")
        self._n_skipped = 0
        self._tiles = iter_steps(output.shape, target.tiles.tile) if output.n_values else iter(())
        self._buffer = np.empty(target.tiles.n_values * output.dtype.itemsize, np.uint8)
        self._is_open = True
        if target.store is None:
            self._folder = AtomicFolder(self._path, overwrite=overwrite, marks=ZARR_MARKS)
        try:
            store = target.store if self._folder is None else str(self._folder.path)
            self._group = _new_group(store, self._path, overwrite=overwrite)
            with self._explained():
                self._array = _new_array(self._group, output, self._chunks, level)
            self._next_tile()
        except BaseException:
            self.abort()
            raise

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes."""
        view = memoryview(data).cast("B")
        in_header = min(self._output.data_offset - self._n_skipped, view.nbytes)
        self._n_skipped += in_header
        view = view[in_header:]
        while view.nbytes:
            taken = min(view.nbytes, self._n_wanted - self._n_filled)
            self._buffer[self._n_filled : self._n_filled + taken] = view[:taken]
            self._n_filled += taken
            view = view[taken:]
            if self._n_filled == self._n_wanted:
                self._write_tile()
                self._next_tile()

    def prepare(self) -> None:
        """Write the header, and bring everything to the disk."""
        if not self._is_open:
            return
        self._workers.close()
        with self._explained():
            _finish_group(self._group, self._output)
        if self._folder is not None:
            self._folder.prepare()
        self._is_open = False

    def commit(self) -> None:
        """Put the complete store in the target's place."""
        self.prepare()
        if self._folder is not None:
            self._folder.commit()

    def abort(self) -> None:
        """Remove what was written; the target stays what it was. Harmless after `commit`."""
        was_open, self._is_open = self._is_open, False
        self._workers.close()
        if self._folder is not None:
            self._folder.abort()
        elif was_open and hasattr(self, "_array"):
            # Of a store that is no folder; the group is no image without its attributes.
            with contextlib.suppress(Exception):
                del self._group["0"]

    def _next_tile(self) -> None:
        self._tile = next(self._tiles, ())
        n_values = math.prod(one.stop - one.start for one in self._tile) if self._tile else 0
        self._n_wanted = n_values * self._output.dtype.itemsize
        self._n_filled = 0

    def _write_tile(self) -> None:
        shape = tuple(one.stop - one.start for one in self._tile)
        stored = self._buffer[: self._n_wanted].view(self._output.dtype)
        values = stored.reshape(shape, order="F")
        parts = list(iter_steps(shape, self._chunks))
        if len(parts) == 1:
            self._write_chunk(parts[0], values)
            return
        jobs = [self._workers.submit(self._write_chunk, part, values) for part in parts]
        for job in jobs:
            job.result()

    def _write_chunk(self, part: tuple[slice, ...], values: Array) -> None:
        order = stored_axes(len(part))
        starts = [one.start for one in self._tile]
        where = tuple(
            slice(starts[axis] + part[axis].start, starts[axis] + part[axis].stop)
            for axis in order
        )
        block = values[part].transpose(order)
        with self._explained():
            self._array[where] = np.ascontiguousarray(block, block.dtype.newbyteorder("="))

    @contextlib.contextmanager
    def _explained(self) -> Any:
        """Raise `OutputError` in place of an error of the operating system."""
        try:
            yield
        except OutputError:
            raise
        except OSError as error:
            if self._folder is not None:
                raise self._folder.error(error, "writing") from error
            msg = f"{printable(self._path)}: writing failed: {error}."
            raise OutputError(msg) from error


def _new_group(store: Any, path: str, *, overwrite: bool) -> Any:
    import zarr
    from zarr.errors import ContainsArrayError, ContainsGroupError

    try:
        return zarr.create_group(store, zarr_format=3, overwrite=overwrite)
    except (ContainsGroupError, ContainsArrayError) as error:
        msg = f"{printable(path)}: the store must not hold a group yet, and it does."
        raise OutputExistsError(msg, hint="Pass overwrite=True, or another store.") from error


def _new_array(group: Any, output: OutputSpec, chunks: Shape, level: int | None) -> Any:
    """Return the array of the voxels; its chunks are not compressed where no level is given."""
    from zarr.codecs import BloscCodec, Crc32cCodec

    order = stored_axes(len(output.shape))
    dtype = output.dtype.newbyteorder("=")
    blosc = BloscCodec(cname="zstd", clevel=level or 0, shuffle="shuffle")
    return group.create_array(
        "0",
        shape=tuple(output.shape[axis] for axis in order),
        chunks=tuple(chunks[axis] for axis in order),
        dtype=dtype,
        # Blosc would not notice a bit that changed on the way.
        compressors=None if level is None else (blosc, Crc32cCodec()),
        fill_value=0,
        dimension_names=axis_names(len(order)),
        # A chunk that is not there is then an error, as after a copy that stopped.
        config={"write_empty_chunks": True},
        attributes=ALL_CHUNKS,
    )


def _finish_group(group: Any, output: OutputSpec) -> None:
    """Write the header, and the attributes that make an image of the group."""
    header = stored_header(output.header)
    kept = group.create_array(
        "nifti",
        shape=(len(header),),
        chunks=(len(header),),
        dtype="u1",
        compressors=None,
        # xarray opens no group with an array whose axes have no names.
        dimension_names=("byte",),
    )
    kept[:] = np.frombuffer(header, np.uint8)
    name = PurePath(output.files[0][0]).name
    group.update_attributes(ome_attributes(header, len(output.shape), name))


def metadata_of(output: OutputSpec, chunks: Shape) -> dict[str, bytes]:
    """Return every key of a store but its voxels, whose chunks are not compressed.

    Parameters
    ----------
    output : OutputSpec
        The image.
    chunks : tuple of int
        Shape of a chunk.

    Returns
    -------
    dict of str to bytes
        Metadata of group and arrays, and the header.
    """
    import zarr
    from zarr.storage import MemoryStore

    content: dict[str, Any] = {}
    group = zarr.create_group(MemoryStore(content), zarr_format=3)
    _new_array(group, output, chunks, None)
    _finish_group(group, output)
    return {key: value.to_bytes() for key, value in content.items()}


def _check_level(compresslevel: int | None, path: str) -> int:
    lowest, highest, default = _LEVELS
    level = default if compresslevel is None else compresslevel
    if not lowest <= level <= highest:
        msg = (
            f"`compresslevel` must be from {lowest} to {highest} for a Zarr store. Got {level}, "
            f"for {printable(path)}."
        )
        raise ParameterError(msg)
    return level
