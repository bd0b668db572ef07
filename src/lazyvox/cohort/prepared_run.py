"""A run whose passes are not begun: one pass for everything that is asked of it, if it can be."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lazyvox.cohort.atlases import Atlas
from lazyvox.cohort.model import PreparedModel, prepare_model
from lazyvox.cohort.options import CohortOptions
from lazyvox.cohort.runs import RunFiles
from lazyvox.confounds import load_confounds
from lazyvox.confounds.beside import find_table, is_xcp_d
from lazyvox.confounds.displacement import MOTION_COLUMNS
from lazyvox.connectome.api import ConnectivityWork
from lazyvox.connectome.signals_file import SignalsTable
from lazyvox.errors import (
    LazyvoxError,
    LazyvoxWarning,
    ParameterError,
)
from lazyvox.extraction.api import Preparation, build_scan
from lazyvox.extraction.labels import Labels
from lazyvox.extraction.maps import Maps
from lazyvox.extraction.rois import RegionOptions
from lazyvox.extraction.signals import Signals
from lazyvox.glm.results import GLMResult
from lazyvox.image.smooth_transform import SmoothTransform, checked_fwhm
from lazyvox.lazyimage.opened_image import opened_image
from lazyvox.lazyimage.series import Series, as_series
from lazyvox.planning.memory import sum_terms
from lazyvox.planning.plan import Plan
from lazyvox.runtime.budget import resolve_budget
from lazyvox.runtime.memory_errors import check_fits
from lazyvox.store.files.paths import printable
from lazyvox.stream.consumer import Consumer, Handle
from lazyvox.stream.prepared_pass import PassPart
from lazyvox.stream.scan import Scan
from lazyvox.stream.taken_volumes import TakenVolumes
from lazyvox.summary.quality import PreparedQuality, prepare_qc
from lazyvox.tables.numeric import open_text

__all__ = ["PreparedRun", "Step", "check_peak", "prepare_run"]


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
        held, peak = 0, max((one.peak_bytes for one in self.mask_plans(memory)), default=0)
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

    def mask_plans(self, memory: int | str | None = None) -> list[Plan]:
        """Return the plan of the pass that computes the mask of the model, where it has none."""
        return [] if self.model is None else self.model.mask_plans(resolve_budget(memory))

    def find_mask(self) -> None:
        """Compute the mask of the model where it has none, before the passes are planned."""
        if self.model is not None:
            self.model.find_mask()

    def read(self) -> None:
        """Run the passes within the budget."""
        for scan, plan in zip(self.scans, self.plans(), strict=True):
            scan.run(plan.budget)

    def most_parts(self, wanted: int, memory: int | str | None = None) -> int:
        """Return how many parts of the run can be read by themselves, of those that are wanted."""
        budgets = [plan.budget for plan in self.plans(memory)]
        passes = zip(self.scans, budgets, strict=True)
        return min(len(scan.prepare(budget).cuts(wanted)) for scan, budget in passes)

    def parts_bytes(self, memory: int | str | None = None) -> int:
        """Return the bytes that states of all parts take where they are put together, at most."""
        return sum(size for plan in self.plans(memory) for _, size in plan.consumer_bytes)

    def read_part(self, number: int, n_parts: int) -> tuple[PassPart, ...]:
        """Read one part of each pass within the budget."""
        return tuple(
            prepared.run_part(prepared.cuts(n_parts)[number])
            for prepared in (
                scan.prepare(plan.budget)
                for scan, plan in zip(self.scans, self.plans(), strict=True)
            )
        )

    def join(self, parts: Sequence[tuple[PassPart, ...]]) -> None:
        """Take the parts of all passes, in order, in place of reading."""
        for number, (scan, plan) in enumerate(zip(self.scans, self.plans(), strict=True)):
            scan.finish([part[number] for part in parts], plan.budget)


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
            "sub-01_task-rest_desc-brain_mask.nii.gz, or be in the column mask of a table of runs. "
            "There is none; XCP-D writes none. Pass a file."
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
    check_fits(peak, budget, "the results of the passes, and matrices or contrasts", "they need")


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
        work = ConnectivityWork((table,), ("correlation",), options.estimator, fisher_z=False)
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
        try:
            find_table(run.bold)
        except LazyvoxError as error:
            hint = "Or name it in a table of runs, in the column confounds."
            raise type(error)(error.message, hint=hint) from error
        msg = "`table` must name the confounds of the run, in the column confounds. It names none."
        raise ParameterError(msg)
    strategy = [*options.confound_strategy, *(["scrub"] if options.limits else [])]
    columns = ",".join(options.confound_columns) or None
    try:
        found = load_confounds(
            run.confounds, ",".join(strategy), columns, n_volumes=n_volumes, **options.limits
        )
    except LazyvoxError as error:
        # A study has strategies of regions too.
        raise error.renamed(strategy="confound_strategy", columns="confound_columns") from error
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
        mask_img=None if mask is None else opened_image(mask),
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
    if not set(table.names) >= set(MOTION_COLUMNS):
        return None
    if is_xcp_d(run.confounds) and table.n_rows() != n_volumes:
        msg = (
            f"{printable(run.bold)}: XCP-D has left volumes out. The displacement between those that "
            f"remain is not known: the table of quality has none."
        )
        warnings.warn(LazyvoxWarning(msg), stacklevel=2)
        return None
    return run.confounds
