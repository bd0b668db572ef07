"""One pass over a run, and all that a report says about it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lazyvox._typing import Array, FloatArray, IntArray, PathLike
from lazyvox.connectome.heat_map import picture_memory
from lazyvox.errors import ParameterError
from lazyvox.extraction.labels import Labels
from lazyvox.extraction.signals import Signals
from lazyvox.lazyimage.load import ImageLike
from lazyvox.lazyimage.series import Grid
from lazyvox.planning.plan import Plan
from lazyvox.quality.findings import Findings, FindingsConsumer
from lazyvox.runtime.optional import require
from lazyvox.runtime.progress import ProgressLike
from lazyvox.stream.consumer import Handle
from lazyvox.stream.gather import MaskedVoxels
from lazyvox.stream.masks import read_mask
from lazyvox.stream.voxelwise import TSNR, Mean, Std
from lazyvox.summary.quality import PreparedQuality, prepare_qc
from lazyvox.summary.table import SummaryTable

__all__ = [
    "MATRIX_DPI",
    "Carpet",
    "PreparedRun",
    "ReportOptions",
    "RunFindings",
    "prepare_run",
    "sampled_voxels",
]

#: Rows of the carpet plot: more than its picture has pixels for would not be seen.
MOST_ROWS = 1200

#: Values of the carpet that are kept at most; of a longer run fewer voxels are.
MOST_VALUES = 1 << 22

#: Pixels per inch of the matrix of correlations.
MATRIX_DPI = 96

#: What matplotlib takes for the pictures of a run, measured; for each voxel of the grid, of which
#: one map at a time is turned, made finite and ranked; for each value of the carpet and of the
#: signals of regions, which are copied to be scaled.
_FIGURE_BYTES, _VOXEL_BYTES, _COURSE_BYTES, _SIGNAL_BYTES = 96 << 20, 8 * 6, 4 * 6, 8 * 12


@dataclass(frozen=True, slots=True, eq=False)
class ReportOptions:
    """Options of a report; see `lazyvox.qc_report`."""

    mask_img: ImageLike | None = None
    motion_format: str | None = None
    radius: float = 50.0
    labels_img: ImageLike | None = None
    lut: Any = None
    resample: bool = False
    fd_threshold: float = 0.5
    std_dvars_threshold: float = 1.5

    def check(self) -> None:
        """Raise the error that thresholds, or a table without its atlas, would be."""
        for name in ("fd_threshold", "std_dvars_threshold"):
            value: Any = getattr(self, name)
            is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not is_number or not 0 < value < np.inf:
                msg = f"`{name}` must be a number above 0. Got {value!r}."
                raise ParameterError(msg, parameter=name, value=value)
        if self.labels_img is None:
            for name in ("lut", "resample"):
                if getattr(self, name):
                    msg = f"`{name}` needs `labels_img`, which is missing."
                    raise ParameterError(msg, parameter=name)


@dataclass(frozen=True, slots=True, eq=False)
class Carpet:
    """Courses of some voxels, and the regions that they are in.

    Attributes
    ----------
    courses : ndarray of shape (n_volumes, n_voxels), float32
        The values.
    labels : ndarray of shape (n_voxels,) or None
        Label of each voxel, 0 for none.
    """

    courses: FloatArray
    labels: IntArray | None


@dataclass(frozen=True, slots=True, eq=False)
class RunFindings:
    """All that a pass over a run has found.

    Attributes
    ----------
    grid : Grid
        Grid and number of volumes.
    mask : ndarray of shape (i, j, k), bool, or None
        The voxels that measures are of.
    table : SummaryTable
        See `lazyvox.qc`.
    findings : Findings
        Values that are not finite, and volumes of zeros.
    maps : dict of str to ndarray of shape (i, j, k)
        Mean, standard deviation and tSNR.
    carpet : Carpet
        Courses of voxels.
    signals : Signals or None
        Means of regions.
    plan : Plan
        What was predicted.
    options : ReportOptions
        The options.
    """

    grid: Grid
    mask: Array | None
    table: SummaryTable
    findings: Findings
    maps: dict[str, Array]
    carpet: Carpet
    signals: Signals | None
    plan: Plan
    options: ReportOptions

    @property
    def displacement(self) -> FloatArray | None:
        """Framewise displacement in mm, where motion is known."""
        name = "framewise_displacement"
        return self.table[name] if name in self.table.names else None

    @property
    def over_displacement(self) -> IntArray:
        """Numbers of the volumes with more displacement than the threshold."""
        moved = self.displacement
        if moved is None:
            return np.zeros(0, np.intp)
        # What is no number is not above.
        return np.flatnonzero(moved > self.options.fd_threshold)

    @property
    def over_dvars(self) -> IntArray:
        """Numbers of the volumes with larger standardized DVARS than the threshold."""
        return np.flatnonzero(self.table["std_dvars"] > self.options.std_dvars_threshold)

    @property
    def censored(self) -> IntArray:
        """Numbers of the volumes that either threshold would censor."""
        return np.union1d(self.over_displacement, self.over_dvars)

    def inside(self, values: Array) -> Array:
        """Return the finite values of a map inside of the mask."""
        taken = values.reshape(-1) if self.mask is None else values[self.mask]
        return taken[np.isfinite(taken)]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedRun:
    """A pass over a run that is not begun. Made by `prepare_run`."""

    grid: Grid
    mask: Array | None
    quality: PreparedQuality
    maps: dict[str, Handle[Any]]
    findings: Handle[Findings]
    courses: Handle[Array]
    labels: IntArray | None
    signals: Handle[Signals] | None
    options: ReportOptions

    def plan(self, memory: int | str | None = None, n_jobs: int = 1) -> Plan:
        """Return the plan of the pass."""
        return self.quality.plan(memory, n_jobs)

    def run(
        self, memory: int | str | None = None, n_jobs: int = 1, progress: ProgressLike = None
    ) -> RunFindings:
        """Read the run."""
        plan = self.plan(memory, n_jobs)
        # The page counts what is not finite; NumPy's words do not say where it is.
        with np.errstate(invalid="ignore", over="ignore"):
            table = self.quality.run(memory, n_jobs, progress)
        return RunFindings(
            self.grid,
            self.mask,
            table,
            self.findings.result(),
            {name: handle.result() for name, handle in self.maps.items()},
            Carpet(self.courses.result(), self.labels),
            None if self.signals is None else self.signals.result(),
            plan,
            self.options,
        )


def prepare_run(
    img: ImageLike, motion: PathLike | Any | None, options: ReportOptions
) -> PreparedRun:
    """Return the pass over a run; reads headers, mask, atlas and motion table.

    Parameters
    ----------
    img : image or path
        The run.
    motion : path-like, DataFrame or ndarray, optional
        Its motion.
    options : ReportOptions
        The options.

    Returns
    -------
    PreparedRun
        With a plan, and the work.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    ParameterError
        If an option is out of range, or motion does not fit the run.
    """
    require("matplotlib", "plot", "Reports")
    options.check()
    quality = prepare_qc(
        img,
        mask_img=options.mask_img,
        motion=motion,
        motion_format=None if motion is None else options.motion_format,
        radius=options.radius,
    )
    scan, grid = quality.scan, quality.scan.grid
    mask = None
    if options.mask_img is not None:
        mask = read_mask(options.mask_img, grid, name="mask_img")
    maps = {"mean": Mean(), "sd": Std(), "tSNR": TSNR()}
    handles = {name: scan.add(one.as_values()) for name, one in maps.items()}
    sample = sampled_voxels(np.ones(grid.shape, bool) if mask is None else mask, grid.n_volumes)
    courses = scan.add(MaskedVoxels(sample, np.dtype(np.float32), ensure_finite=False))
    n_values = grid.n_volumes * int(sample.sum())
    room = _FIGURE_BYTES + _VOXEL_BYTES * grid.n_voxels + _COURSE_BYTES * n_values
    labels, signals = None, None
    if options.labels_img is not None:
        regions = Labels(options.labels_img, lut=options.lut, resample=options.resample)
        atlas = np.asanyarray(regions.region_atlas(grid).dataobj)
        labels = atlas[sample]
        n_regions = len(np.unique(atlas))
        room += picture_memory(n_regions, MATRIX_DPI) + _SIGNAL_BYTES * n_regions * grid.n_volumes
        signals = scan.add(regions)
    findings = scan.add(FindingsConsumer(room))
    return PreparedRun(grid, mask, quality, handles, findings, courses, labels, signals, options)


def sampled_voxels(mask: Array, n_volumes: int, most_values: int = MOST_VALUES) -> Array:
    """Return the voxels of a mask that a carpet plot shows: always the same ones.

    Parameters
    ----------
    mask : ndarray of shape (i, j, k), bool
        The voxels to choose of, at equal distances in their order.
    n_volumes : int
        Length of their courses.
    most_values : int, optional
        Values of all courses at most; of a longer run fewer voxels are chosen.

    Returns
    -------
    ndarray of shape (i, j, k), bool
        At most 1200 voxels, at least one.
    """
    places = np.flatnonzero(mask)
    n_rows = max(min(MOST_ROWS, most_values // n_volumes, len(places)), 1)
    sample = np.zeros(mask.shape, bool)
    sample.reshape(-1)[places[np.linspace(0, len(places) - 1, n_rows).round().astype(int)]] = True
    return sample
