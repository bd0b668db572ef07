"""`clean_img`: trends, frequencies and confounds out of the course of every voxel."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lazyvox._threads import Workers
from lazyvox.array.block_reading import Block, BlockReading, prepare_reading
from lazyvox.array.lazy_array import LazyArray
from lazyvox.array.prerequisites import fill_spools
from lazyvox.array.spool import SpooledReader, taking_spools_as_filled
from lazyvox.errors import (
    LazyvoxWarning,
    ParameterError,
    ParameterTypeError,
)
from lazyvox.image.checking import check_niimg_3d, check_niimg_4d
from lazyvox.image.masks import mask_on_grid
from lazyvox.image.new_image import new_img_like
from lazyvox.lazyimage.dataobj import lazy_dataobj, name_of
from lazyvox.lazyimage.describe import repetition_time, set_repetition_time
from lazyvox.lazyimage.reading_plan import plan_passes
from lazyvox.planning.blocks import DECODER, Costs
from lazyvox.planning.memory import MemoryTerm, sum_terms
from lazyvox.runtime.budget import resolve_budget
from lazyvox.runtime.cores import numeric_threads
from lazyvox.runtime.dry_run import stop_if_planning
from lazyvox.runtime.logs import log_info
from lazyvox.runtime.memory_errors import explained_shortage
from lazyvox.runtime.progress import ArrayProgress, progress_of_preparation
from lazyvox.signal.cleaning import prepare_cleaning
from lazyvox.signal.products import N_COLUMNS
from lazyvox.stream.gather import zero_non_finite

if TYPE_CHECKING:
    import numpy.typing as npt

    from lazyvox._typing import DType, IntArray, Shape
    from lazyvox.lazyimage.classes import LazyImage
    from lazyvox.lazyimage.load import ImageLike
    from lazyvox.planning.plan import Plan
    from lazyvox.signal.cleaner import Cleaner
    from lazyvox.store.files.spool import Spool

__all__ = ["clean_img"]

#: Columns are cleaned in blocks, all of which have this size together: rows of a block are then
#: read and written in pieces of several KiB, and blocks are small beside what a budget allows.
BLOCKS_BYTES = 8 << 20

#: More threads would make the pieces smaller than is good for reading.
MOST_THREADS = 8

_CLEAN = "clean__"


def clean_img(
    imgs: Any,
    runs: npt.ArrayLike | None = None,
    detrend: bool = True,
    standardize: Any = True,
    confounds: Any = None,
    low_pass: float | None = None,
    high_pass: float | None = None,
    t_r: float | None = None,
    ensure_finite: bool = False,
    mask_img: ImageLike | None = None,
    **kwargs: Any,
) -> LazyImage:
    """Return a run whose voxels are cleaned: trend, frequencies and confounds removed.

    Parameters
    ----------
    imgs : image, path, or list of them
        A 4D image, or 3D images on one grid.
    runs : array-like of shape (n_volumes,), optional
        The run of each volume; every run is cleaned on its own.
    detrend : bool, default=True
        Whether mean and linear trend are removed.
    standardize : {"zscore_sample", "psc", True, False} or None, default=True
        What is done last. True is "zscore_sample", False is None; both with a warning.
    confounds : ndarray, DataFrame, path, or list of these, optional
        Signals to remove, one row for each volume.
    low_pass, high_pass : float, optional
        Cutoffs in Hz.
    t_r : float, optional
        Seconds between volumes; needed with a cutoff.
    ensure_finite : bool, default=False
        Whether NaN and infinity are taken as 0; inside of a mask they always are.
    mask_img : image or path, optional
        The voxels to clean, on the grid of `imgs`; others become 0.
    **kwargs : object
        Further options of `lazyvox.signal.clean`, their names preceded by ``clean__``:
        ``clean__sample_mask``, ``clean__filter``, ``clean__censored``, ``clean__trend_degree``,
        ``clean__keep_mean``.

    Returns
    -------
    LazyImage
        A lazy image; with a sample mask it has fewer volumes. With `mask_img`, class and affine
        are the mask's and the header is new, else all of them are those of `imgs`. The repetition
        time is `t_r`, or that of `imgs`.

    Raises
    ------
    ParameterError
        If an option is outside of what is possible, or lengths do not go together.
    ParameterTypeError
        If something is of the wrong type.
    DimensionError
        If `imgs` is not 4D, or the mask not 3D.
    GridMismatchError
        If the mask is on another grid.
    MemoryBudgetError
        If the pass that reads `imgs` does not fit the memory budget.

    Notes
    -----
    Reads no voxel. When the first voxel of the result is read, one pass over `imgs` writes the
    voxels to a nameless temporary file (in the folder that TMPDIR names; in memory if they take
    at most a quarter of the memory budget), where they are cleaned in blocks. Both are gone with
    the last image of the result. A pickled image computes its own. Up to 8 threads clean, as
    many as there are usable cores or as OMP_NUM_THREADS allows. Memory: the buffers of the pass,
    or about 30 MiB. A plan says the size of the file as `scratch_bytes`.

    Examples
    --------
    >>> import lazyvox as lv
    >>> from lazyvox.image import clean_img
    >>> img = clean_img("run.nii.gz", standardize="psc", high_pass=0.01, t_r=2.0)
    >>> img.shape, img.in_memory
    ((12, 14, 10, 40), False)
    """
    img = check_niimg_4d(imgs)
    _check_t_r(img, low_pass, high_pass, t_r)
    source = lazy_dataobj(img)
    cleaner = prepare_cleaning(
        source.shape[3],
        runs=runs,
        detrend=detrend,
        standardize=standardize,
        confounds=confounds,
        low_pass=low_pass,
        high_pass=high_pass,
        t_r=t_r,
        ensure_finite=ensure_finite,
        **_clean_options(kwargs),
    )
    mask, places = None, None
    if mask_img is not None:
        mask = check_niimg_3d(mask_img)
        inside = mask_on_grid(mask, img, resample=False)
        places = np.flatnonzero(inside.reshape(-1, order="F"))
    budget = resolve_budget(None)
    n_threads = min(numeric_threads(), MOST_THREADS)
    job = CleaningJob.prepared(source, cleaner, places, budget, n_threads)
    array = LazyArray.over(SpooledReader(job, budget // 4))
    made = (
        new_img_like(img, array) if mask is None else new_img_like(mask, array, copy_header=False)
    )
    set_repetition_time(made.header, repetition_time(img.header) if t_r is None else t_r)
    return made


def _check_t_r(img: Any, low_pass: object, high_pass: object, t_r: object) -> None:
    if t_r is not None or (low_pass is None and high_pass is None):
        return
    found = repetition_time(img.header)
    hint = "Its header has none: pass `t_r`."
    if found is not None:
        hint = f"Its header says {found:g}: pass t_r={found:g} if that is right."
    msg = (
        f"`t_r`, the seconds between volumes, must be given with `low_pass` or `high_pass`. Got "
        f"None for {name_of(img)}."
    )
    raise ParameterError(msg, hint=hint)


def _clean_options(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the further options of cleaning; others have no effect, as in nilearn."""
    others = sorted(name for name in kwargs if not name.startswith(_CLEAN))
    if others:
        msg = f"further options must begin with {_CLEAN!r}. Got {others}, without effect."
        warnings.warn(msg, LazyvoxWarning, stacklevel=3)
    return {
        name.removeprefix(_CLEAN): value for name, value in kwargs.items() if name not in others
    }


@dataclass(frozen=True, slots=True, eq=False)
class CleaningJob:
    """The cleaning of one run: a pass that spools its voxels, then blocks of columns.

    Attributes
    ----------
    source : LazyArray
        The run.
    cleaner : Cleaner
        What is done to each column.
    places : ndarray of int or None
        The voxels to clean, in Fortran order.
    reading : BlockReading
        The pass that spools the voxels.
    plan : Plan
        Its plan.
    n_jobs : int
        Threads that clean.
    before : tuple of MemoryTerm
        Terms of the kept result below the run that takes most to compute, which is computed first.
    zeroes : bool
        Whether NaN and infinity count as 0 at `places`; else their voxels become NaN, without a
        warning.
    """

    source: LazyArray
    cleaner: Cleaner
    places: IntArray | None
    reading: BlockReading
    plan: Plan
    n_jobs: int
    before: tuple[MemoryTerm, ...] = ()
    zeroes: bool = True

    @classmethod
    def prepared(
        cls,
        source: LazyArray,
        cleaner: Cleaner,
        places: IntArray | None,
        budget: int,
        n_jobs: int,
    ) -> CleaningJob:
        """Return a job whose pass is prepared; raises now for want of memory, or of numbers."""
        native = source.dtype.newbyteorder("=")
        if native.kind not in "fiub":
            msg = f"{source.reader.path}: voxels must be real numbers to be cleaned. Got {native}."
            raise ParameterTypeError(msg)
        n_voxels = int(np.prod(source.shape[:3], dtype=np.int64))
        dtype = _spooled_dtype(source, cleaner, places)
        row = MemoryTerm("work", n_voxels * (native.itemsize + dtype.itemsize + 2), "spooled row")
        # Spools below are filled before the pass over the source begins.
        with taking_spools_as_filled():
            reading = prepare_reading(source, Costs(work=lambda _: (row,)), budget)
        layout = replace(reading.layout, memory=reading.memory)
        plan = plan_passes(source, 1, layout, budget, dtype=reading.dtype)
        before = (DECODER, *source.reader.preparing_memory)
        return cls(source, cleaner, places, reading, plan, n_jobs, before)

    @property
    def name(self) -> str:
        """Names of the steps of cleaning."""
        return ", ".join(self.cleaner.steps) or "clean"

    @property
    def sources(self) -> tuple[LazyArray, ...]:
        """The run."""
        return (self.source,)

    @property
    def shape(self) -> Shape:
        """Grid of the run, and the volumes that are kept."""
        return (*self.source.shape[:3], self.cleaner.n_rows_out)

    @property
    def dtype(self) -> DType:
        """Type of the result."""
        return _spooled_dtype(self.source, self.cleaner, self.places)

    @property
    def n_rows(self) -> int:
        """Volumes of the run."""
        return self.cleaner.n_volumes

    @property
    def n_columns(self) -> int:
        """Voxels that are cleaned."""
        n_voxels = int(np.prod(self.source.shape[:3], dtype=np.int64))
        return n_voxels if self.places is None else len(self.places)

    @property
    def memory(self) -> tuple[MemoryTerm, ...]:
        """Terms of the pass, or of the cleaning of blocks after it, whichever takes more."""
        block = self._block_columns * self.n_rows * self.dtype.itemsize
        scratch = self.cleaner.work_bytes(self._block_columns, self.n_jobs)
        cleaning = (
            DECODER,
            MemoryTerm("columns", self.n_jobs * block, self.name),
            MemoryTerm("scratch", scratch, self.name),
        )
        held = 0 if self.places is None else self.places.nbytes
        most = max(self.before, self.plan.memory, cleaning, key=sum_terms)
        return (MemoryTerm("mask", held), *most)

    def fill(self, spool: Spool) -> None:
        """Spool the run in one pass, and clean it there, block by block."""
        stop_if_planning(self.plan)
        log_info("spool and clean %s: %s; %s", self.plan.source, self.name, self.plan.summary)
        # Half of the work is to read, the other half to clean.
        report = ArrayProgress(
            progress_of_preparation(), self.source.shape, self.dtype.itemsize, n_passes=2
        )
        try:
            with explained_shortage(self.plan.peak_bytes, self.plan.budget):
                fill_spools(self.source)
                report.start(f"clean {Path(self.plan.source).name}")
                with self.reading.blocks() as blocks:
                    for block in blocks:
                        self._spool_block(spool, block)
                        report.advance(block.values.size)
            self._clean_all(spool, report)
        finally:
            report.close()

    def _clean_all(self, spool: Spool, report: ArrayProgress) -> None:
        """Clean all columns, block by block, on some threads."""
        step, n_bad = self._block_columns, 0
        starts = range(0, self.n_columns, step)
        with Workers(min(self.n_jobs, max(len(starts), 1)), "lazyvox-clean") as workers:
            jobs = [
                workers.submit(self._clean, spool, range(start, min(start + step, self.n_columns)))
                for start in starts
            ]
            for number, job in enumerate(jobs, 1):
                n_bad += job.result()
                done = self.source.size * number // len(jobs)
                report.advance(done - self.source.size * (number - 1) // len(jobs))
        if n_bad and self.zeroes:
            msg = (
                f"{self.source.reader.path}: voxels should be finite. {n_bad} of {self.n_columns} "
                f"hold NaN or infinity after cleaning, which spreads them over time."
            )
            hint = "With ensure_finite=True, and in a mask, such values count as 0."
            cli_hint = "With --mask such values count as 0."
            warnings.warn(LazyvoxWarning(msg, hint=hint, cli_hint=cli_hint), stacklevel=2)

    def _clean(self, spool: Spool, columns: range) -> int:
        """Clean columns where they are; return how many are not finite.

        Blocks have no column in common, so that threads need no lock.
        """
        block = np.empty((self.n_rows, len(columns)), self.dtype)
        spool.read_columns(columns, block)
        cleaned = block[: self.cleaner.n_rows_out]
        self.cleaner.apply(block, cleaned)
        spool.write_columns(columns, cleaned)
        # A sum is NaN where one value is, and takes no memory of the size of the block.
        with np.errstate(invalid="ignore", over="ignore"):
            sums = cleaned.sum(axis=0, dtype=np.float64)
        return len(columns) - int(np.count_nonzero(np.isfinite(sums)))

    @property
    def _block_columns(self) -> int:
        """Columns of a block: whole pieces of the cleaner, so that threads change no rounding."""
        n_columns = BLOCKS_BYTES // (self.n_jobs * self.n_rows * self.dtype.itemsize)
        return max(n_columns // N_COLUMNS, 1) * N_COLUMNS

    def _spool_block(self, spool: Spool, block: Block) -> None:
        """Write the voxels of every volume of a block."""
        for place, number in enumerate(block.volumes):
            values = block.values[..., place].reshape(-1, order="F")
            if self.places is not None:
                values = values[self.places]
                if self.zeroes:
                    zero_non_finite(values)
            with np.errstate(over="ignore"):
                row = values.astype(self.dtype, copy=False)
            spool.write_row(number, row)


def _spooled_dtype(source: LazyArray, cleaner: Cleaner, places: IntArray | None) -> DType:
    """Return the type of the result and of the spooled values."""
    stored = source.dtype.newbyteorder("=")
    if places is not None and stored.kind != "f":
        stored = np.dtype(np.float32)
    return cleaner.result_dtype(stored)
