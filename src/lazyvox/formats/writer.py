"""Write an image block by block, in bounded memory, complete or not at all."""

import math
from collections.abc import Iterator
from typing import Self

import numpy as np

from lazyvox._typing import Array
from lazyvox.formats.encode import encode, naming
from lazyvox.formats.output_spec import OutputSpec
from lazyvox.formats.zarr_sink import ZarrSink, ZarrTarget, volumes_target, zarr_memory
from lazyvox.planning.blocks import member_lengths
from lazyvox.store.files.paths import printable
from lazyvox.store.write.sinks import ByteSink, open_sink, sink_memory

__all__ = ["ENCODING_BYTES", "ImageWriter", "packing_memory"]

# Bytes of float64 values that are encoded together: within a core's cache, and far above the cost
# of a call.
_PIECE_BYTES = 1 << 20
# Gathered values, float64 work, its mask, and the result; complex values are twice as wide.
_PIECES_HELD = 8

#: Memory in which a writer encodes values.
ENCODING_BYTES = _PIECES_HELD * _PIECE_BYTES


class ImageWriter:
    """Write the values of an image in Fortran order, as they come.

    The files appear under their names at `commit`, the one with the values first. As a context
    manager it aborts when the block raises, and when it ends without `commit`.

    Parameters
    ----------
    output : OutputSpec
        What to write, from `plan_output`.
    compresslevel : int, optional
        See `lazyvox.store.write.sinks.open_sink`.
    n_threads : int
        Threads that compress.
    overwrite : bool
        Whether existing files may be replaced.
    seekable : bool
        Whether compressed files are made of parts that can be decoded alone.
    rounds : bool
        Whether floats that are not whole are rounded to unscaled integers, or refused.
    zarr : ZarrTarget, optional
        Chunks of a Zarr store, and the order of its values; by default whole volumes, in the
        order of a file.

    Raises
    ------
    ParameterError
        If the compression knows no such parts.
    MissingDependencyError
        If the output is a Zarr store, and zarr is not installed.
    OutputError
        If the files cannot be created.
    OutputExistsError
        If one of them exists and `overwrite` is false.

    Notes
    -----
    Memory: at most `memory_bytes`, whatever the size of the image.

    Examples
    --------
    >>> from lazyvox.formats.output import plan_output
    >>> output = plan_output("ones.nii.gz", header=None, affine=np.eye(4), shape=(2, 2, 2, 3),
    ...                      dtype="i2")
    >>> with ImageWriter(output) as writer:
    ...     for _ in range(3):
    ...         writer.write(np.ones((2, 2, 2)))
    ...     writer.commit()
    """

    def __init__(
        self,
        output: OutputSpec,
        *,
        compresslevel: int | None = None,
        n_threads: int = 1,
        overwrite: bool = True,
        seekable: bool = False,
        rounds: bool = True,
        zarr: ZarrTarget | None = None,
    ) -> None:
        self._output = output
        self._rounds = rounds
        self._n_written = 0
        packing_bytes = packing_memory(
            output, compresslevel, n_threads, seekable=seekable, zarr=zarr
        )
        self._memory = packing_bytes * len(output.files)
        volume_bytes = math.prod(output.shape[:3]) * output.dtype.itemsize
        self._sinks: list[ByteSink | ZarrSink] = []
        try:
            for path, packing in output.files:
                if packing == "zarr":
                    target = zarr or volumes_target(output)
                    folder = ZarrSink(
                        output,
                        target,
                        compresslevel=compresslevel,
                        n_threads=n_threads,
                        overwrite=overwrite,
                    )
                    self._sinks.append(folder)
                    continue
                sink = open_sink(
                    path,
                    compression=packing,
                    compresslevel=compresslevel,
                    # A header is one chunk at most.
                    n_threads=1 if self._sinks else n_threads,
                    overwrite=overwrite,
                    lengths=member_lengths(output.data_offset, volume_bytes) if seekable else None,
                )
                self._sinks.append(sink)
            self._sinks[-1].write(output.header)
        except BaseException:
            self.abort()
            raise

    @property
    def memory_bytes(self) -> int:
        """Upper bound of the bytes that the writer holds besides the blocks given to it."""
        return self._memory + ENCODING_BYTES

    @property
    def n_written(self) -> int:
        """Number of values written so far."""
        return self._n_written

    def write(self, block: Array) -> None:
        """Write the next values.

        Parameters
        ----------
        block : ndarray
            Values in real units, of any shape and memory order; taken in Fortran order.

        Raises
        ------
        ScalingError
            If values do not fit the stored type.
        OutputError
            If the file cannot be written.
        """
        self._write(block, self._output.slope, self._output.inter)

    def write_stored(self, block: Array) -> None:
        """Write the next values as they are stored, not to be scaled again.

        A copy of a scaled image so keeps every stored bit, whatever scaling back would round.

        Parameters
        ----------
        block : ndarray
            Unscaled values, of any shape and memory order; taken in Fortran order.

        Raises
        ------
        ScalingError
            If values do not fit the stored type.
        OutputError
            If the file cannot be written.
        """
        self._write(block, 1.0, 0.0)

    def _write(self, block: Array, slope: float, inter: float) -> None:
        self._n_written += block.size
        if self._n_written > self._output.n_values:
            self._refuse_count()
        for piece in _pieces(block, _PIECE_BYTES // max(8, block.dtype.itemsize)):
            with naming(self._output.files[0][0]):
                stored = encode(piece, self._output.dtype, slope, inter, rounds=self._rounds)
            self._sinks[0].write(stored.view(np.uint8).data)

    def commit(self) -> None:
        """Put the complete files in their places.

        Raises
        ------
        AssertionError
            If fewer values were written than the image has.
        OutputError
            If a file cannot be written.
        OutputExistsError
            If a file exists by now and overwriting is not allowed.
        """
        if self._n_written != self._output.n_values:
            self._refuse_count()
        try:
            self._sinks[0].write(self._output.footer)
            # All bytes are on the disk before the first name is taken, so that what can still
            # come between the two files of a pair is a kill, not a full disk.
            for sink in self._sinks:
                sink.prepare()
            for sink in self._sinks:
                sink.commit()
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Remove the temporary files; existing files stay. Harmless after `commit`."""
        for sink in self._sinks:
            sink.abort()

    def _refuse_count(self) -> None:
        self.abort()
        path, _ = self._output.files[0]
        msg = (
            f"bug in lazyvox: {printable(path)} must get {self._output.n_values} values for shape "
            f"{self._output.shape}, and it got {self._n_written}."
        )
        raise AssertionError(msg)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.abort()


def packing_memory(
    output: OutputSpec,
    compresslevel: int | None = None,
    n_threads: int = 1,
    *,
    seekable: bool = False,
    zarr: ZarrTarget | None = None,
) -> int:
    """Return an upper bound of the bytes that what packs the values of an output holds.

    Parameters
    ----------
    output : OutputSpec
        The output.
    compresslevel, n_threads, seekable, zarr
        As of `ImageWriter`.

    Returns
    -------
    int
        Bytes.
    """
    compression = output.files[0][1]
    if compression == "zarr":
        return zarr_memory(zarr or volumes_target(output), output.dtype.itemsize, n_threads)
    return sink_memory(compression, compresslevel, n_threads, seekable=seekable)


def _pieces(block: Array, most: int) -> Iterator[Array]:
    """Yield the values of a block in Fortran order, in contiguous pieces of at most `most`."""
    if block.flags.f_contiguous:
        flat = block.reshape(-1, order="F")
        for start in range(0, flat.size, most):
            yield flat[start : start + most]
        return
    n_inner = block[..., 0].size if block.shape[-1] else 0
    if n_inner > most:
        for last in range(block.shape[-1]):
            yield from _pieces(block[..., last], most)
        return
    step = most // max(n_inner, 1)
    for start in range(0, block.shape[-1], step):
        # A copy where the values are apart, of this piece only.
        yield np.ascontiguousarray(block[..., start : start + step].reshape(-1, order="F"))
