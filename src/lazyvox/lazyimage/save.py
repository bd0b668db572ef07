"""`lazyvox.save`: images larger than memory, written block by block, complete or not at all."""

import math
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt
from nibabel.freesurfer.mghformat import MGHHeader
from nibabel.spatialimages import SpatialImage

from lazyvox._typing import Array, PathLike
from lazyvox.array.block_reading import block_values, buffered_itemsize, iter_blocks
from lazyvox.array.conversion import Conversion
from lazyvox.array.kept import kept_on_disk
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.prerequisites import fill_spools
from lazyvox.array.value_range import ValueRange
from lazyvox.errors import ParameterTypeError
from lazyvox.formats.encode import naming
from lazyvox.formats.mgh import with_footer
from lazyvox.formats.output import plan_output
from lazyvox.formats.output_spec import OutputSpec
from lazyvox.formats.writer import ENCODING_BYTES, ImageWriter, packing_memory
from lazyvox.formats.zarr_sink import ZarrTarget
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.encoding import Encoding, Scale, choose_encoding
from lazyvox.lazyimage.operators import check_time_axis
from lazyvox.lazyimage.reading_plan import plan_passes, value_layout
from lazyvox.lazyimage.zarr_tiles import must_be_kept, short_of_memory, zarr_target
from lazyvox.planning.blocks import DECODER, N_BUFFERS, TARGET_BLOCK_BYTES
from lazyvox.planning.memory import MemoryTerm, sum_terms
from lazyvox.planning.plan import Plan
from lazyvox.runtime.budget import resolve_budget
from lazyvox.runtime.cores import resolve_n_jobs
from lazyvox.runtime.dry_run import stop_if_planning
from lazyvox.runtime.logs import log_info
from lazyvox.runtime.memory_errors import explained_shortage
from lazyvox.runtime.progress import ArrayProgress, ProgressLike, preparing, resolve_progress
from lazyvox.store.files.paths import absolute_path

__all__ = ["PreparedSave", "prepare_save", "save"]

#: Compressing threads beyond this number wait for the one that decodes.
_MAX_THREADS = 8

#: Blocks that a refusal asks for: smaller ones take their time.
_SMALLEST_BLOCK_BYTES = 1 << 16

#: How a save gets a budget.
_SETTING = "`with lazyvox.memory_budget({})`"


def save(  # noqa: PLR0913 - one keyword for each thing that a file can be
    img: SpatialImage,
    path: PathLike,
    *,
    dtype: npt.DTypeLike | None = None,
    compresslevel: int | None = None,
    scale: Scale = None,
    seekable: bool = False,
    overwrite: bool = True,
    memory: int | str | None = None,
    n_jobs: int | None = None,
    progress: ProgressLike = None,
) -> None:
    """Write an image block by block; the file gets its final name only once it is complete.

    Parameters
    ----------
    img : nibabel image
        Any nibabel image, lazy or not, of 1 to 7 dimensions.
    path : path-like
        Target: ``.nii``, ``.nii.gz``, ``.nii.bz2``, ``.nii.zst``, ``.hdr`` or ``.img`` (a pair),
        ``.mgh``, ``.mgz``; or ``.zarr``, a folder, as `lazyvox.interop.to_zarr` writes it with its
        defaults. It may be the file that the image is read from.
    dtype : dtype-like, optional
        Type on disk. By default that of the header (`img.set_data_dtype` sets it); in MGH, which
        has few types, the next one that holds the values. Also nibabel's "compat" and "smallest".
    compresslevel : int, optional
        0 to 9 for gzip, by default 1; 1 to 22 for zstd; 0 to 9 for Zarr, by default 1.
    scale : "auto", (float, float) or False, optional
        How values become integers: "auto" finds slope and intercept in a first pass, a pair sets
        them, False rounds. Without it an unchanged image keeps its stored integers, slope and
        intercept to the bit; an integer `dtype` takes floats that are whole numbers to within
        0.001, and others are refused, as are values out of its range. Where no `dtype` is given
        but the header asks for integers and the values are floats, slope and intercept are found
        as nibabel does. A slope and intercept that were set in the header are stored, and the
        values under them as they are.
    seekable : bool, default=False
        Whether a ``.gz`` or ``.zst`` file is written so that any volume of it is read immediately,
        without an index: as many members or frames, of up to 2 MiB decoded, which every reader of
        these formats takes. Runs grow by less than 0.1 %.
    overwrite : bool, default=True
        Whether an existing file may be replaced.
    memory : int or str, optional
        Memory budget, such as ``"256MB"``. By default a quarter of the available memory, at most
        2 GiB, or what `lazyvox.memory_budget` set.
    n_jobs : int, optional
        Threads that compress, as in scikit-learn. By default one for each core, or fewer where
        the budget has no room for them. The file does not depend on it.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Raises
    ------
    ParameterError
        If the ending is unknown, or the format cannot hold the image or be seekable.
    ScalingError
        If values do not fit the type, or are not whole where they must be.
    OutputError
        If the file cannot be written; what was there before is intact.
    OutputExistsError
        If it exists and `overwrite` is false.
    ImageFileError
        If the image cannot be read to its end.
    MemoryBudgetError
        If the buffers do not fit the memory budget, or the system does not give the memory.

    Notes
    -----
    Memory: a few blocks of up to 4 MiB and the compressor, whatever the size of the image.

    Examples
    --------
    >>> import lazyvox as lv
    >>> img = lv.load("run.nii.gz")
    >>> lv.save(img.slicer[..., :10], "first.nii", dtype="int16", scale="auto")
    >>> lv.load("first.nii").shape
    (12, 14, 10, 10)
    """
    prepare_save(
        img,
        path,
        dtype=dtype,
        compresslevel=compresslevel,
        scale=scale,
        seekable=seekable,
        overwrite=overwrite,
        memory=memory,
        n_jobs=n_jobs,
    ).run(progress)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedSave:
    """A save that is prepared, not begun. Made by `prepare_save`.

    Attributes
    ----------
    img : nibabel image
        What is written.
    values : LazyArray
        Its voxels, or its stored values where these are copied.
    encoding : Encoding
        How voxels become stored values.
    path : str
        The target, absolute.
    plan : Plan
        Blocks and memory.
    n_threads : int
        Threads that compress.
    compresslevel : int or None
        See `save`.
    seekable : bool
        See `save`.
    overwrite : bool
        See `save`.
    zarr : ZarrTarget or None
        Chunks of a Zarr store, and the order of its values.
    """

    img: SpatialImage
    values: LazyArray
    encoding: Encoding
    path: str
    plan: Plan
    n_threads: int
    compresslevel: int | None
    seekable: bool
    overwrite: bool
    zarr: ZarrTarget | None = None

    def run(self, progress: ProgressLike = None) -> None:
        """Write the file; see `save`."""
        stop_if_planning(self.plan)
        array, encoding = lazy_dataobj(self.img), self.encoding
        n_values = self.plan.block_bytes // self.values.dtype.itemsize
        receiver = resolve_progress(progress)
        keeps = self.zarr is not None and must_be_kept(self.values, self.zarr)
        reporter = ArrayProgress(
            receiver,
            array.shape,
            self.values.dtype.itemsize,
            1 + encoding.needs_extent + keeps,
        )
        log_info("write %s: %s", self.path, self.plan.summary)
        try:
            with explained_shortage(self.plan.peak_bytes, self.plan.budget, setting=_SETTING):
                with preparing(receiver):
                    fill_spools(array)
                reporter.start(Path(self.path).name)
                if encoding.needs_extent:
                    encoding = _scaled_to_extent(array, encoding, n_values, reporter)
                header = _complete_header(self.img, array)
                output = _plan_output(header, self.img.affine, array, encoding, self.path)
                with ExitStack() as stack:
                    writer = stack.enter_context(
                        ImageWriter(
                            output,
                            compresslevel=self.compresslevel,
                            n_threads=self.n_threads,
                            overwrite=self.overwrite,
                            seekable=self.seekable,
                            rounds=encoding.rounds,
                            zarr=self.zarr,
                        )
                    )
                    write = (
                        writer.write_stored
                        if encoding.is_copy or encoding.is_raw
                        else writer.write
                    )
                    values, tile = self.values, None
                    if self.zarr is not None and not self.zarr.tiles.is_consecutive:
                        tile = self.zarr.tiles.tile
                    if keeps:
                        kept = kept_on_disk(values, n_values, reporter.advance)
                        values = stack.enter_context(kept)
                    with iter_blocks(values, n_values, tile=tile) as blocks:
                        for block in blocks:
                            write(block.values)
                            reporter.advance(block.values.size)
                    # Leaving the blocks has verified what was read.
                    writer.commit()
        finally:
            reporter.close()


def prepare_save(  # noqa: PLR0913 - as of `save`
    img: SpatialImage,
    path: PathLike,
    *,
    dtype: npt.DTypeLike | None = None,
    compresslevel: int | None = None,
    scale: Scale = None,
    seekable: bool = False,
    overwrite: bool = True,
    memory: int | str | None = None,
    n_jobs: int | None = None,
    chunks: Any = "time",
    store: Any = None,
) -> PreparedSave:
    """Return a save whose encoding, threads and blocks are chosen; reads no voxel.

    The arguments, and the errors, are those of `save`. `chunks` are those of a Zarr store, as in
    `lazyvox.interop.to_zarr`, and `store` is the one that a name that ends in ``.zarr`` is for.
    """
    _check_image(img)
    check_time_axis(img)
    full_path, array = absolute_path(path), lazy_dataobj(img)
    encoding = choose_encoding(img, array, full_path, dtype=dtype, scale=scale)
    output = _plan_output(img.header, img.affine, array, encoding, full_path)
    values = replace(array, conversion=Conversion()) if encoding.is_copy else array
    budget = resolve_budget(memory)
    most = min(resolve_n_jobs(-1 if n_jobs is None else n_jobs), _MAX_THREADS)
    is_zarr, zarr = output.files[0][1] == "zarr", None
    for n_threads in range(most, 0, -1) if n_jobs is None else (most,):
        if is_zarr:
            zarr = zarr_target(values, output, chunks, store, budget, n_threads)
        packing = packing_memory(output, compresslevel, n_threads, seekable=seekable, zarr=zarr)
        held = (
            DECODER,
            *values.reader.session_memory,
            MemoryTerm("encoding", ENCODING_BYTES),
            MemoryTerm("compression", packing, f"{n_threads} thread{'s' * (n_threads > 1)}"),
        )
        if sum_terms(held) + N_BUFFERS * _SMALLEST_BLOCK_BYTES <= budget:
            break
    plan = _plan(values, encoding, output, held, budget, n_threads, zarr)
    return PreparedSave(
        img, values, encoding, full_path, plan, n_threads, compresslevel, seekable, overwrite, zarr
    )


def _check_image(img: object) -> None:
    if not isinstance(img, SpatialImage):
        msg = f"`img` must be an image on a voxel grid. Got {type(img).__name__}."
        raise ParameterTypeError(msg)


def _complete_header(img: SpatialImage, array: LazyArray) -> Any:
    """Return the header, with the footer of a large compressed MGH file."""
    header, source = img.header, array.reader.byte_source
    if not isinstance(header, MGHHeader) or source is None:
        return header
    n_bytes = math.prod(array.reader.shape) * array.reader.dtype.itemsize
    return with_footer(header, source, array.reader.offset + n_bytes)


def _plan_output(
    header: Any, affine: Array, array: LazyArray, encoding: Encoding, path: str
) -> OutputSpec:
    return plan_output(
        path,
        header=header,
        affine=affine,
        shape=array.shape,
        dtype=encoding.dtype,
        slope=encoding.slope,
        inter=encoding.inter,
    )


def _plan(
    array: LazyArray,
    encoding: Encoding,
    output: OutputSpec,
    held: tuple[MemoryTerm, ...],
    budget: int,
    n_threads: int,
    zarr: ZarrTarget | None,
) -> Plan:
    """Return the plan of a save: blocks as large as is useful, or as the budget allows."""
    room = min(N_BUFFERS * TARGET_BLOCK_BYTES, budget - sum_terms(held))
    is_tiled = zarr is not None and not zarr.tiles.is_consecutive
    n_values = zarr.tiles.n_values if zarr is not None and is_tiled else None
    if n_values is None and room >= buffered_itemsize(array):
        n_values = block_values(array, room)
    if n_values is None:
        least = sum_terms(held) + N_BUFFERS * _SMALLEST_BLOCK_BYTES
        raise short_of_memory(budget, least, n_threads)
    kept = array.nbytes if zarr is not None and must_be_kept(array, zarr) else 0
    return plan_passes(
        array,
        1 + encoding.needs_extent,
        value_layout(array, n_values, held),
        budget,
        consumers=[("Write", sum_terms(held[-2:]))],
        files_bytes=output.decoded_bytes + kept,
    )


def _scaled_to_extent(
    array: LazyArray, encoding: Encoding, n_values: int, reporter: ArrayProgress
) -> Encoding:
    seen = ValueRange("not finite")
    with iter_blocks(array, n_values) as blocks:
        for block in blocks:
            seen.take(block.values)
            reporter.advance(block.values.size)
    with naming(array.reader.path):
        return encoding.for_extent(*seen.limits)
