"""The work on one run: one pass for everything that is asked of it, and its files."""

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from socket import gethostname
from typing import Any, cast

import numpy as np

from lazyvox.cohort.model import PreparedModel, prepare_model
from lazyvox.cohort.options import Atlas, CohortOptions, OutputNames
from lazyvox.cohort.runs import RunFiles
from lazyvox.cohort.side_files import SideFacts, write_coverage, write_sidecars
from lazyvox.cohort.staging import staged
from lazyvox.confounds import load_confounds
from lazyvox.confounds.beside import find_table, is_xcp_d
from lazyvox.connectome import Connectivity, connectivity
from lazyvox.connectome.api import ConnectivityWork
from lazyvox.connectome.signals_file import SignalsTable
from lazyvox.errors import (
    LazyvoxError,
    LazyvoxWarning,
    MemoryBudgetError,
    OutputError,
    ParameterError,
)
from lazyvox.extraction.api import Preparation, build_scan
from lazyvox.extraction.labels import Labels
from lazyvox.extraction.maps import Maps
from lazyvox.extraction.rois import RegionOptions
from lazyvox.extraction.signals import Signals
from lazyvox.glm.results import GLMResult
from lazyvox.image.smoothing import SmoothTransform, checked_fwhm
from lazyvox.lazyimage.load import as_image
from lazyvox.lazyimage.series import Series, as_series
from lazyvox.planning.memory import format_bytes, sum_terms
from lazyvox.planning.plan import Plan
from lazyvox.runtime.budget import memory_budget, resolve_budget
from lazyvox.runtime.peak import peak_memory
from lazyvox.store.files.paths import printable
from lazyvox.stream.consumer import Consumer, Handle
from lazyvox.stream.scan import Scan
from lazyvox.stream.taken_volumes import TakenVolumes
from lazyvox.summary.quality import PreparedQuality, prepare_qc
from lazyvox.tables.numeric import open_text

__all__ = [
    "Done",
    "Failed",
    "PreparedRun",
    "RunTask",
    "Step",
    "check_peak",
    "prepare_run",
    "work_on",
]

_MOTION = frozenset(f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz")


@dataclass(frozen=True, slots=True)
class RunTask:
    """A run to work on.

    Attributes
    ----------
    run : RunFiles
        The run.
    options : CohortOptions
        What is asked for.
    out : str
        Folder of the dataset.
    """

    run: RunFiles
    options: CohortOptions
    out: str


@dataclass(frozen=True, slots=True)
class Done:
    """A run whose outputs are in place.

    Attributes
    ----------
    run : str
        Its entities.
    seconds : float
        Time that it took.
    peak_bytes : int
        Memory that was measured above what the process held before.
    warnings : tuple of str
        What was remarked on the way.
    """

    run: str
    seconds: float
    peak_bytes: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """A run that failed; none of its outputs of this attempt is there.

    Attributes
    ----------
    run : str
        Its entities.
    file : str
        Its image.
    step : str
        "open", "confounds", "model", "plan", "read", "matrix", "write" or "process".
    error : Exception
        What was raised.
    """

    run: str
    file: str
    step: str
    error: Exception

    @property
    def message(self) -> str:
        """The error in one line."""
        known = isinstance(self.error, LazyvoxError)
        text = str(self.error) if known else f"{type(self.error).__name__}: {self.error}"
        return " ".join(text.split())


@dataclass(slots=True)
class Step:
    """The step that a run is at."""

    name: str = "open"


@dataclass(frozen=True, slots=True, eq=False)
class PreparedRun:
    """A run whose passes are not begun.

    Attributes
    ----------
    series : Series
        The run.
    scans : tuple of Scan
        The passes, in order: one, or more where volumes are smoothed or left out for one purpose.
    signals : callable
        Returns the signals by atlas after the passes.
    quality : PreparedQuality or None
        Measures of quality, of one of the passes.
    model : PreparedModel or None
        First-level model, of one of the passes.
    fit : Handle or None
        The place of its result.
    confound_names : tuple of str
        Columns that are removed.
    kept : ndarray of bool
        Whether each volume is kept.
    """

    series: Series
    scans: tuple[Scan, ...]
    signals: Callable[[], Mapping[str, Signals]]
    quality: PreparedQuality | None
    model: PreparedModel | None
    fit: Handle[GLMResult] | None
    confound_names: tuple[str, ...]
    kept: Any

    def peak_bytes(self, options: CohortOptions, memory: int | str | None = None) -> int:
        """Return the predicted peak: of the passes, and of matrices and contrasts after them."""
        plans = self.plans(memory)
        held, peak = 0, 0
        for plan in plans:
            peak = max(peak, held + plan.peak_bytes)
            held += sum(size for _, size in plan.consumer_bytes)
        if self.model is not None:
            peak = max(peak, held + self.model.contrast_bytes(self.series.grid))
        return max(peak, _matrix_bytes(options, int(self.kept.sum())))

    def plans(self, memory: int | str | None = None) -> list[Plan]:
        """Return the plan of each pass; reads no voxel of the run."""
        budget, held = resolve_budget(memory), 0
        plans = []
        for scan in self.scans:
            plans.append(scan.plan(max(budget - held, 1)))
            # Results of one pass are held during the next.
            held += sum(size for _, size in plans[-1].consumer_bytes)
        return plans

    def read(self) -> None:
        """Run the passes within the budget."""
        for scan, plan in zip(self.scans, self.plans(), strict=True):
            scan.run(plan.budget)


def prepare_run(run: RunFiles, options: CohortOptions, step: Step | None = None) -> PreparedRun:
    """Return a run ready to be read: header, confounds and regions are.

    Parameters
    ----------
    run : RunFiles
        The run.
    options : CohortOptions
        What is asked for.
    step : Step, optional
        Where the step is noted.

    Returns
    -------
    PreparedRun
        With its plan, and the passes.

    Raises
    ------
    LazyvoxError
        If a file cannot be used, or is not there.
    """
    at = step or Step()
    series = as_series(run.bold)
    mask = options.mask_of(run)
    if options.mask == "auto" and mask is None:
        msg = (
            "a mask must lie beside the run, under fMRIPrep's name for it, such as "
            "sub-01_task-rest_desc-brain_mask.nii.gz. There is none."
        )
        raise ParameterError(msg, parameter="mask")
    at.name = "confounds"
    frame, names, kept = _confounds(run, options, series.grid.n_volumes)
    model = None
    if options.glm is not None:
        at.name = "model"
        model = prepare_model(
            options.glm,
            run,
            series,
            confounds=frame,
            kept=kept if options.censored != "keep" else np.ones_like(kept),
            mask=mask,
            t_r=options.t_r,
            resample=options.resample,
        )
    at.name = "plan"
    scans = _Scans(series, options.smoothing_fwhm)
    signals: Callable[[], Mapping[str, Signals]] = dict
    if options.atlases:
        signals = scans.add_regions(*_region_scan(series, run, options, frame, kept))
    quality = None
    if options.qc:
        motion = _motion(run, series.grid.n_volumes)
        quality = prepare_qc(run.bold, mask_img=mask, motion=motion, scan=scans.whole())
    fit = None if model is None else scans.add_model(model)
    return PreparedRun(series, tuple(scans.every), signals, quality, model, fit, names, kept)


def check_peak(peak: int, budget: int) -> None:
    """Refuse a run whose passes fit the budget, and what is made of their results does not."""
    if peak > budget:
        msg = (
            f"the memory budget must hold the results of the passes, and matrices or contrasts. Got "
            f"{format_bytes(budget)}; they need {format_bytes(peak)}. Pass memory={peak} or more."
        )
        raise MemoryBudgetError(msg)


class _Scans:
    """The passes over a run: as few as give everything its volumes as it needs them."""

    def __init__(self, series: Series, fwhm: Any) -> None:
        self._series = series
        self._fwhm = fwhm
        self.every: list[Scan] = []
        self._whole: Scan | None = None
        self._regions: Scan | None = None

    def add_regions(self, scan: Scan, signals: Callable[[], Any]) -> Callable[[], Any]:
        """Take the pass of the regions, and return what gives their signals."""
        self.every.append(scan)
        if self._fwhm is None:
            self._regions = scan
            if scan.grid.n_volumes == self._series.grid.n_volumes:
                self._whole = scan
        return signals

    def whole(self) -> Scan:
        """Return the pass over all volumes as they are."""
        if self._whole is None:
            self._whole = Scan(self._series)
            self.every.append(self._whole)
        return self._whole

    def add_model(self, model: PreparedModel) -> Handle[GLMResult]:
        """Hang a model on a pass that gives it the volumes that are kept."""
        consumer: Consumer[GLMResult] = model.consumer
        kept = model.kept.tolist()
        n_volumes = self._series.grid.n_volumes
        if self._fwhm is not None:
            # As `lazyvox glm` smooths: in float64, and only what is kept.
            series = _smoothed(self._series.astype(np.dtype(np.float64)), self._fwhm)
            scan = Scan(series if len(kept) == n_volumes else series.taking(kept))
            self.every.append(scan)
            return scan.add(consumer)
        regions = self._regions
        if regions is not None and regions is not self._whole:
            # Regions drop the same volumes.
            return regions.add(consumer)
        whole = self.whole()
        return whole.add(consumer if len(kept) == n_volumes else TakenVolumes(consumer, kept))


def _smoothed(series: Series, fwhm: Any) -> Series:
    grid = series.grid
    width = checked_fwhm(fwhm)
    return series.transformed(SmoothTransform.of(grid.affine, grid.shape, width, grid.name))


def _matrix_bytes(options: CohortOptions, n_rows: int) -> int:
    """Return the memory of all signals, all matrices, and of making one."""
    if not options.matrix:
        return 0
    held, making = 0, 0
    for atlas in options.atlases:
        shape = (n_rows, atlas.n_regions)
        table = SignalsTable("", ("",) * atlas.n_regions, shape, lambda: np.empty(0))
        work = ConnectivityWork((table,), ("correlation",), "ledoit-wolf", fisher_z=False)
        making = max(making, sum_terms(work.plan().memory))
        held += 8 * n_rows * atlas.n_regions
        held += 8 * len(options.matrix) * atlas.n_regions**2
    return held + making


def _confounds(run: RunFiles, options: CohortOptions, n_volumes: int) -> tuple[Any, Any, Any]:
    """Return the regressors or None, their names, and whether each volume is kept."""
    kept = np.ones(n_volumes, bool)
    if not options.takes_confounds:
        return None, (), kept
    if run.confounds is None:
        # Says what is wrong with what lies there, if the run was found and not listed.
        find_table(run.bold)
        msg = "`table` must name the confounds of the run, in the column confounds. It names none."
        raise ParameterError(msg)
    strategy = [*options.confound_strategy, *(["scrub"] if options.limits else [])]
    columns = ",".join(options.confound_columns) or None
    found = load_confounds(
        run.confounds, ",".join(strategy), columns, n_volumes=n_volumes, **options.limits
    )
    found.check_length(n_volumes)
    kept[found.censored] = False
    # Strategies may censor volumes only.
    frame = replace(found, sample_mask=None) if found.names else None
    return frame, found.names, kept


def _region_scan(
    series: Series, run: RunFiles, options: CohortOptions, frame: Any, kept: Any
) -> tuple[Scan, Callable[[], Any]]:
    mask = options.mask_of(run)
    regions = RegionOptions(
        ",".join(options.strategy),
        mask_img=None if mask is None else as_image(mask),
        resample=options.resample,
        min_coverage=options.min_coverage,
    )
    is_whole = kept.all() or options.censored == "keep"
    return build_scan(
        series,
        {one.name: _consumer(one, regions) for one in options.atlases},
        options=RegionOptions(),
        preparation=Preparation(
            options.smoothing_fwhm,
            options.cleaning(frame),
        ),
        sample_mask=None if is_whole else np.flatnonzero(kept).tolist(),
    )


def _consumer(atlas: Atlas, options: RegionOptions) -> Labels | Maps:
    if atlas.is_maps:
        return Maps(atlas.path, names=atlas.lut, mask_img=options.mask_img, **options.common)
    return Labels(atlas.path, lut=atlas.lut, **options.reduced)


def _motion(run: RunFiles, n_volumes: int) -> str | None:
    """Return the table with motion parameters, if there is one."""
    if run.confounds is None:
        return None
    table = open_text(run.confounds)
    if not set(table.names) >= _MOTION:
        return None
    if is_xcp_d(run.confounds) and table.n_rows() != n_volumes:
        msg = (
            f"{printable(run.bold)}: XCP-D has left volumes out. Their displacement from those "
            f"before is not known: the table of quality has none."
        )
        warnings.warn(LazyvoxWarning(msg), stacklevel=2)
        return None
    return run.confounds


def work_on(task: RunTask, share: int) -> Done | Failed:
    """Read a run and put its outputs in place, all or none, within a share of the budget.

    Parameters
    ----------
    task : RunTask
        The run.
    share : int
        Bytes of memory.

    Returns
    -------
    Done or Failed
        What became of it.
    """
    step, began = Step(), time.perf_counter()
    try:
        with (
            memory_budget(share),
            warnings.catch_warnings(record=True) as remarks,
            peak_memory() as peak,
        ):
            warnings.simplefilter("always")
            _make_outputs(task, step)
    except Exception as error:  # noqa: BLE001 - the other runs go on
        return Failed(task.run.label, task.run.bold, step.name, error)
    texts = tuple(dict.fromkeys(" ".join(str(one.message).split()) for one in remarks))
    return Done(task.run.label, time.perf_counter() - began, peak.increment, texts)


def _make_outputs(task: RunTask, step: Step) -> None:
    """Write all files into a folder of their own, then put them in place."""
    if not Path(task.out).is_dir():
        msg = (
            f"{printable(task.out)}: the folder of the outputs must be there for every worker. "
            f"There is none on {gethostname()}."
        )
        raise OutputError(msg, hint="Choose one on a disk that all of them share.")
    names = OutputNames.of(task.run, task.options)
    prepared = prepare_run(task.run, task.options, step)
    step.name = "read"
    check_peak(prepared.peak_bytes(task.options), resolve_budget(None))
    prepared.read()
    table = None if prepared.quality is None else prepared.quality.table()
    signals = prepared.signals()
    step.name = "matrix"
    matrices: dict[tuple[str, str], Connectivity] = {}
    for atlas, kind in names.matrices:
        held = sum(one.values.nbytes for one in signals.values())
        held += sum(one.values.nbytes for one in matrices.values())
        made: Any = connectivity(
            signals[atlas], cast("Any", kind), memory=max(resolve_budget(None) - held, 1)
        )
        matrices[atlas, kind] = made
    step.name = "write"
    with staged(Path(task.out), task.run.label, names.paths) as stage:
        for atlas, path in names.signals.items():
            signals[atlas].save(stage / path)
        for key, path in names.matrices.items():
            matrices[key].save(stage / path)
        for atlas, path in names.coverage.items():
            write_coverage(stage / path, signals[atlas])
        if table is not None and names.qc is not None:
            table.save(stage / names.qc)
        if prepared.model is not None and prepared.fit is not None and names.model is not None:
            prepared.model.write(prepared.fit.result(), names.model, stage / names.folder)
        write_sidecars(_facts(task, prepared), names, stage)


def _facts(task: RunTask, prepared: PreparedRun) -> SideFacts:
    return SideFacts(
        task.run,
        task.options,
        task.out,
        prepared.confound_names,
        prepared.kept,
        task.options.t_r or prepared.series.grid.t_r,
    )
