"""`qc`: measures of the quality of every volume of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lazyvox._typing import Array, FloatArray, PathLike, override
from lazyvox.array.ranks import Ranks
from lazyvox.confounds.displacement import displacement_of_run
from lazyvox.errors import ParameterTypeError
from lazyvox.lazyimage.series import Grid, as_series
from lazyvox.runtime.logs import log_info
from lazyvox.stream.masks import read_mask
from lazyvox.stream.scan import Scan
from lazyvox.summary.spooled_voxels import Voxels, VoxelsConsumer
from lazyvox.summary.table import SummaryTable

if TYPE_CHECKING:
    from lazyvox.lazyimage.load import ImageLike
    from lazyvox.planning.plan import Plan
    from lazyvox.runtime.progress import ProgressLike
    from lazyvox.stream.consumer import Handle

__all__ = ["PreparedQuality", "prepare_qc", "qc"]

#: Values that are read from the spool in one go: rows in pieces of several KiB.
READ_VALUES = 1 << 20

#: Values of the courses of voxels that are looked at in one go.
BLOCK_VALUES = 1 << 17

#: Mean intensity that DVARS is scaled to, as by fMRIPrep.
_INTENSITY = 1000.0

#: Interquartile range of a normal distribution with standard deviation 1.
_QUARTILES = 1.349

#: Outliers expected in the course of a voxel of normally distributed values, as by 3dToutcount.
_OUTLIERS = 0.001


@dataclass(frozen=True, slots=True)
class _Measures:
    """Columns of the table, of shape (n_volumes,), and numbers of voxels."""

    columns: dict[str, FloatArray]
    n_voxels: int
    n_bad: int
    n_still: int
    median: float


class _QualityMeasures(VoxelsConsumer[_Measures]):
    """Measures of volumes that need the courses of voxels: these are spooled, then looked at."""

    @override
    def merge(self, other: Self) -> None:
        self._spooled.append(other._spooled)

    @override
    def finalize(self) -> _Measures:
        columns, n_rows = range(self._spooled.n_columns), self._spooled.n_rows
        totals, search = _Totals(n_rows), Ranks([50], self._grid.dtype)
        is_finite = np.empty(len(columns), bool)
        step = max(BLOCK_VALUES // max(n_rows, 1), 1)
        for part, block in self._spooled.blocks(columns, READ_VALUES):
            is_finite[part] = np.isfinite(block).all(axis=0)
            for start in range(0, block.shape[1], step):
                good = is_finite[part][start : start + step]
                courses = block[:, start : start + step].T[good]
                search.take(courses.ravel())
                totals.take(courses.astype(np.float64))
        search.advance()
        while not search.is_done:
            for part, block in self._spooled.blocks(columns, BLOCK_VALUES, whole_rows=True):
                search.take(block[:, is_finite[part]].ravel())
            search.advance()
        ((low, high, place),) = search.neighbours()
        median = low + (high - low) * place
        n_bad = self._spooled.n_columns - totals.n_voxels
        self.abort()
        return _Measures(
            totals.columns(median),
            totals.n_voxels,
            n_bad,
            totals.n_voxels - totals.n_varying,
            median,
        )

    @override
    def state_bytes(self, grid: Grid) -> int:
        held = self._voxels.memory_bytes(grid, grid.n_volumes)
        # What is read, and which of it is finite; a block of that holds the course of one voxel at
        # least: ranked, and as float64 some six times.
        read = max(READ_VALUES, grid.n_volumes) * (grid.dtype.itemsize + 1)
        block = max(BLOCK_VALUES, grid.n_volumes) * (4 * grid.dtype.itemsize + 8 * 8)
        n_columns = self._voxels.n_voxels(grid)
        return held + read + block + n_columns + Ranks.nbytes(1) + 16 * 8 * grid.n_volumes

    @override
    def describe(self) -> str:
        return "measures of quality"

    @override
    def _take(self, values: Array, first: int) -> None:
        self._spooled.take(values, first)


class _Totals:
    """Sums over voxels of what is made of their courses.

    Parameters
    ----------
    n_volumes : int
        Length of the courses.
    """

    def __init__(self, n_volumes: int) -> None:
        self._n_volumes = n_volumes
        self.n_voxels = 0
        self.n_varying = 0
        self._mean = np.zeros(n_volumes)
        self._squares = np.zeros(n_volumes)
        self._changes = np.zeros(max(n_volumes - 1, 0))
        self._expected = 0.0
        self._outliers = np.zeros(n_volumes, np.int64)
        self._far = -NormalDist().inv_cdf(_OUTLIERS / n_volumes) * math.sqrt(math.pi / 2)

    def take(self, courses: FloatArray) -> None:
        """Take finite courses, of shape (n_voxels, n_volumes); they are used up."""
        if not len(courses):
            return
        self._take_moments(courses)
        n = self._n_volumes
        places = [int(0.25 * (n - 1)), (n - 1) // 2, n // 2, int(0.75 * (n - 1))]
        ranked = np.partition(courses, sorted(set(places)), axis=1)
        first, low, high, third = (ranked[:, place] for place in places)
        spread, middle = (third - first) / _QUARTILES, (low + high) / 2
        del ranked
        self._take_changes(courses, spread)
        courses -= middle[:, None]
        np.abs(courses, out=courses)
        ranked = np.partition(courses, sorted({places[1], places[2]}), axis=1)
        deviation = (ranked[:, places[1]] + ranked[:, places[2]]) / 2
        is_far = courses > (self._far * deviation)[:, None]
        is_far &= (deviation > 0)[:, None]
        self._outliers += is_far.sum(axis=0)

    def columns(self, median: float) -> dict[str, FloatArray]:
        """Return the measures of every volume; `median` is that of all values."""
        nan = np.full(self._n_volumes, np.nan)
        if not self.n_voxels:
            names = ("global_signal", "spatial_sd", "dvars", "std_dvars", "outlier_fraction")
            return dict.fromkeys(names, nan)
        changes = nan.copy()
        if self.n_varying:
            changes[1:] = np.sqrt(self._changes / self.n_varying)
        expected = self._expected / self.n_varying if self.n_varying else 0.0
        return {
            "global_signal": self._mean,
            "spatial_sd": np.sqrt(self._squares / max(self.n_voxels - 1, 1)),
            "dvars": changes * (_INTENSITY / median) if median > 0 else nan,
            "std_dvars": changes / expected if expected > 0 else nan,
            "outlier_fraction": self._outliers / self.n_voxels,
        }

    def _take_moments(self, courses: FloatArray) -> None:
        """Join mean and squared deviations over voxels, as `lazyvox.array.moments` does."""
        n, mean = len(courses), courses.mean(axis=0)
        deviations = courses - mean
        np.multiply(deviations, deviations, out=deviations)
        shift, n_all = mean - self._mean, self.n_voxels + n
        self._squares += deviations.sum(axis=0) + shift**2 * (self.n_voxels * n / n_all)
        self._mean += shift * (n / n_all)
        self.n_voxels = n_all

    def _take_changes(self, courses: FloatArray, spread: FloatArray) -> None:
        """Take the changes of voxels that vary, and those that are expected of them."""
        varies = spread > 0
        left = courses[varies]
        self.n_varying += len(left)
        left -= left.mean(axis=1, keepdims=True)
        squares = np.einsum("ij,ij->i", left, left)
        products = np.einsum("ij,ij->i", left[:, 1:], left[:, :-1])
        self._expected += float((np.sqrt(2 * (1 - products / squares)) * spread[varies]).sum())
        change = np.diff(left, axis=1)
        np.multiply(change, change, out=change)
        self._changes += change.sum(axis=0)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedQuality:
    """Measures of quality of a run whose pass is not begun. Made by `prepare_qc`.

    Attributes
    ----------
    scan : Scan
        The pass.
    handle : Handle
        The place of its result.
    displacement : ndarray of shape (n_volumes,) or None
        Framewise displacement, where a motion table is given.
    """

    scan: Scan
    handle: Handle[Any]
    displacement: FloatArray | None

    def plan(self, memory: int | str | None = None, n_jobs: int = 1) -> Plan:
        """Return the plan of the pass.

        Parameters
        ----------
        memory : int or str, optional
            Budget, such as ``"256MB"``.
        n_jobs : int, default=1
            Threads.

        Returns
        -------
        Plan
            The plan.
        """
        return self.scan.plan(memory, n_jobs)

    def run(
        self, memory: int | str | None = None, n_jobs: int = 1, progress: ProgressLike = None
    ) -> SummaryTable:
        """Read the run, and return the table.

        Parameters
        ----------
        memory : int or str, optional
            Budget, such as ``"256MB"``.
        n_jobs : int, default=1
            Threads.
        progress : bool or callable, optional
            True shows a bar on stderr.

        Returns
        -------
        SummaryTable
            See `qc`.
        """
        self.scan.run(memory, n_jobs, progress)
        return self.table()

    def table(self) -> SummaryTable:
        """Return the table after the pass."""
        found: _Measures = self.handle.result()
        columns: dict[str, Any] = dict(found.columns)
        if self.displacement is not None:
            columns["framewise_displacement"] = self.displacement
        remarks = _remarks(found)
        for remark in remarks:
            log_info("%s", remark)
        return SummaryTable(columns, remarks)


def _remarks(found: _Measures) -> tuple[str, ...]:
    n_all = found.n_voxels + found.n_bad
    lines = []
    if found.n_bad:
        lines.append(
            f"{found.n_bad} of {n_all} voxels with values that are not finite were left out"
        )
    if found.n_still:
        lines.append(f"{found.n_still} of {n_all} voxels that hardly vary were left out of DVARS")
    if found.n_voxels and not found.median > 0:
        lines.append(
            f"dvars, in units of a median of {_INTENSITY:g}, has no value as the median of all "
            f"voxels is {found.median:g}: pass a mask"
        )
    return tuple(lines)


def prepare_qc(
    img: ImageLike,
    *,
    mask_img: ImageLike | None = None,
    motion: PathLike | Any = None,
    motion_format: str | None = None,
    radius: float = 50.0,
    scan: Scan | None = None,
) -> PreparedQuality:
    """Return the measures of quality of a run, not begun; reads headers, mask and motion table.

    Parameters
    ----------
    img, mask_img, motion, motion_format, radius
        As of `qc`.
    scan : Scan, optional
        A pass over the run that is not begun and takes the measures along; by default one of
        their own.

    Returns
    -------
    PreparedQuality
        With a plan, and the work.

    Raises
    ------
    ParameterError
        If the motion table does not fit the run.
    """
    given: Any = img
    if isinstance(given, list | tuple):
        msg = (
            f"`img` must be one run: volumes of different runs are not compared. Got a list of "
            f"{len(given)}."
        )
        raise ParameterTypeError(msg)
    series = as_series(img)
    voxels = Voxels()
    if mask_img is not None:
        mask = read_mask(mask_img, series.grid, name="mask_img")
        voxels = Voxels(np.flatnonzero(mask.reshape(-1, order="F")))
    displacement = displacement_of_run(motion, motion_format, radius, series.grid.n_volumes)
    taking = Scan(series) if scan is None else scan
    return PreparedQuality(taking, taking.add(_QualityMeasures(voxels)), displacement)


def qc(
    img: ImageLike,
    *,
    mask_img: ImageLike | None = None,
    motion: PathLike | Any = None,
    motion_format: str | None = None,
    radius: float = 50.0,
    memory: int | str | None = None,
    n_jobs: int = 1,
    progress: ProgressLike = None,
) -> SummaryTable:
    """Return measures of the quality of every volume of a run, one row for each.

    Parameters
    ----------
    img : image or path
        A 4D image, one run.
    mask_img : image or path, optional
        The voxels to measure, such as those of the brain; by default all of them.
    motion : path-like, DataFrame or ndarray of shape (n_volumes, 6), optional
        Motion parameters, for the framewise displacement, or a table with fMRIPrep's column
        framewise_displacement, which is taken where a parameter is missing.
    motion_format : {"fmriprep", "fsl", "afni", "spm"}, optional
        Format of `motion`, see `lazyvox.confounds.framewise_displacement`; by default the
        names of columns, or of the file, decide.
    radius : float, default=50.0
        Radius in mm of the sphere on which rotations are lengths.
    memory : int or str, optional
        Memory budget, such as ``"256MB"``.
    n_jobs : int, default=1
        Threads for the computation, as in scikit-learn; one more thread decodes.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    SummaryTable
        Columns ``global_signal``, ``spatial_sd``, ``dvars``, ``std_dvars``, ``outlier_fraction``, and
        ``framewise_displacement`` with `motion`. The first value of those that compare with the
        volume before is NaN. Its `remarks` say which voxels were left out.

    Raises
    ------
    ParameterError
        If the motion table does not fit the run, or its format is not known.
    ParameterTypeError
        If voxels are complex, or `img` is a list.
    RegionError
        If the mask is none.
    GridMismatchError
        If it is on another grid.
    MemoryBudgetError
        If the work does not fit the budget.

    Notes
    -----
    Names are fMRIPrep's where the quantity is the same; the guide's page *Definitions* has the
    formulas. One pass, which writes the voxels to a nameless temporary file, in the folder that
    TMPDIR names (in memory up to 8 MiB). Memory: about 20 MiB, the mask's voxels, and the block
    buffers.

    References
    ----------
    Power, J. D. et al. (2012). Spurious but systematic correlations in functional connectivity
    MRI networks arise from subject motion. NeuroImage 59(3). Nichols, T. E. (2013). Notes on
    creating a standardized version of DVARS.

    Examples
    --------
    >>> import lazyvox as lv
    >>> table = lv.qc("run.nii.gz", mask_img="mask.nii.gz")
    >>> table.n_rows, table["std_dvars"].shape
    (40, (40,))
    """
    prepared = prepare_qc(
        img, mask_img=mask_img, motion=motion, motion_format=motion_format, radius=radius
    )
    return prepared.run(memory, n_jobs, progress)
