"""The work on one run: one pass for everything that is asked of it, and its files."""

import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, cast

import numpy as np

from lazyvox.bids.names import source_uri
from lazyvox.bids.sidecars import Provenance, write_sidecar
from lazyvox.cohort.options import Atlas, CohortOptions, OutputNames
from lazyvox.cohort.runs import RunFiles
from lazyvox.confounds import load_confounds
from lazyvox.confounds.beside import find_table
from lazyvox.connectome import Connectivity, connectivity
from lazyvox.connectome.api import ConnectivityWork
from lazyvox.connectome.signals_file import SignalsTable
from lazyvox.errors import LazyvoxError, ParameterError
from lazyvox.extraction.api import Preparation, build_scan
from lazyvox.extraction.labels import Labels
from lazyvox.extraction.maps import Maps
from lazyvox.extraction.rois import RegionOptions
from lazyvox.extraction.signals import Signals
from lazyvox.extraction.table_writers import TEXT_FORMS
from lazyvox.extraction.tables import cell_line, write_lines
from lazyvox.lazyimage.load import as_image
from lazyvox.lazyimage.series import Series, as_series
from lazyvox.planning.memory import sum_terms
from lazyvox.planning.plan import Plan
from lazyvox.runtime.budget import memory_budget, resolve_budget
from lazyvox.runtime.peak import peak_memory
from lazyvox.stream.scan import Scan
from lazyvox.summary.quality import PreparedQuality, prepare_qc
from lazyvox.tables.delimited import open_delimited

__all__ = [
    "UNFINISHED",
    "Done",
    "Failed",
    "PreparedRun",
    "RunTask",
    "Step",
    "prepare_run",
    "work_on",
]

UNFINISHED = ".unfinished"

_MOTION = frozenset(f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz")
_COVERAGE_TITLES = ("region", "label", "n_voxels", "n_covered", "coverage")


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
        "open", "confounds", "plan", "read", "matrix", "write" or "process".
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
    scan : Scan or None
        Pass of the regions; None without atlases.
    signals : callable
        Returns the signals by atlas after the pass.
    quality : PreparedQuality or None
        Measures of quality, of the same pass or another.
    confound_names : tuple of str
        Columns that are removed.
    kept : ndarray of bool
        Whether each volume is kept.
    """

    series: Series
    scan: Scan | None
    signals: Callable[[], Mapping[str, Signals]]
    quality: PreparedQuality | None
    confound_names: tuple[str, ...]
    kept: Any

    @property
    def scans(self) -> list[Scan]:
        """The passes: one, or two."""
        own = [] if self.quality is None else [self.quality.scan]
        every = [*([] if self.scan is None else [self.scan]), *own]
        return list(dict.fromkeys(every))

    def peak_bytes(self, options: CohortOptions, memory: int | str | None = None) -> int:
        """Return the predicted peak: of the passes, and of the matrices after them."""
        passes = max(plan.peak_bytes for plan in self.plans(memory))
        return max(passes, _matrix_bytes(options, int(self.kept.sum())))

    def plans(self, memory: int | str | None = None) -> list[Plan]:
        """Return the plan of each pass; reads no voxel of the run."""
        return [scan.plan(memory) for scan in self.scans]


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
    at.name = "plan"
    scan: Scan | None = None
    signals: Callable[[], Mapping[str, Signals]] = dict
    if options.atlases:
        scan, signals = _region_scan(series, run, options, frame, kept)
    quality = None
    if options.qc:
        # Measures are those of all volumes as they are: what is smoothed or left out is no base.
        is_shared = (
            scan is not None
            and options.smoothing_fwhm is None
            and scan.grid.n_volumes == series.grid.n_volumes
        )
        quality = prepare_qc(
            run.bold, mask_img=mask, motion=_motion(run), scan=scan if is_shared else None
        )
    return PreparedRun(series, scan, signals, quality, names, kept)


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
    found = load_confounds(run.confounds, ",".join(strategy), columns, **options.limits)
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


def _motion(run: RunFiles) -> str | None:
    """Return the table with motion parameters, if there is one."""
    if run.confounds is None:
        return None
    titles = open_delimited(run.confounds, "a table of confounds").titles
    return run.confounds if set(titles) >= _MOTION else None


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
    names = OutputNames.of(task.run, task.options)
    prepared = prepare_run(task.run, task.options, step)
    step.name = "read"
    quality = prepared.quality
    for scan in prepared.scans:
        if quality is None or scan is not quality.scan:
            scan.run()
    table = None if quality is None else quality.run()
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
    with _staged(task, names.paths) as stage:
        for atlas, path in names.signals.items():
            signals[atlas].save(stage / path)
        for key, path in names.matrices.items():
            matrices[key].save(stage / path)
        for atlas, path in names.coverage.items():
            _write_coverage(stage / path, signals[atlas])
        if table is not None and names.qc is not None:
            table.save(stage / names.qc)
        _write_sidecars(task, names, prepared, stage)


@contextmanager
def _staged(task: RunTask, paths: list[str]) -> Iterator[Path]:
    """Yield a folder; the files that were written there take their places at the end."""
    out = Path(task.out)
    stage = out / UNFINISHED / task.run.label
    # Whatever a process left that was killed.
    shutil.rmtree(stage, ignore_errors=True)
    try:
        for path in paths:
            (stage / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).parent.mkdir(parents=True, exist_ok=True)
        yield stage
        moved: list[str] = []
        try:
            for path in paths:
                os.replace(stage / path, out / path)  # noqa: PTH105
                moved.append(path)
        except BaseException:
            for path in moved:
                (out / path).unlink(missing_ok=True)
            raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _write_coverage(path: Path, signals: Signals) -> None:
    assert signals.regions is not None, "bug in lazyvox: no regions"
    rows = signals.regions.coverage_rows()
    form = TEXT_FORMS[".tsv"]
    lines = (cell_line(cells, form) for cells in chain([_COVERAGE_TITLES], rows))
    write_lines(path, lines, overwrite=False)


def _write_sidecars(task: RunTask, names: OutputNames, prepared: PreparedRun, stage: Path) -> None:
    run, options = task.run, task.options
    atlases = {one.name: one for one in options.atlases}
    parameters = {
        name: value
        for name, value in options.to_dict().items()
        if name not in {"atlases", "matrix", "qc", "mask"}
    }
    tables = [
        *((atlas, path, None) for atlas, path in names.signals.items()),
        *((atlas, path, kind) for (atlas, kind), path in names.matrices.items()),
    ]
    for atlas, path, kind in tables:
        image = atlases[atlas]
        mask = options.mask_of(run)
        used = [run.bold, image.path, image.lut, mask]
        sources = [*used, run.confounds if options.takes_confounds else None]
        where = str(Path(task.out) / path)
        uris = {one: source_uri(one, where, own_root=None, root=None) for one in sources if one}
        record = Provenance(
            sources=list(uris.values()),
            regions_sha256={uris[image.path]: image.sha256[0]},
            parameters={**parameters, "confounds": list(prepared.confound_names)},
            n_volumes=len(prepared.kept),
            censored=np.flatnonzero(~prepared.kept).tolist(),
            t_r=options.t_r or prepared.series.grid.t_r,
            plan=None,
            peak_bytes=None,
        )
        if kind is not None:
            record = replace(record, description=f"{kind.capitalize()} of regions.")
        write_sidecar(str(stage / path), record.to_dict(), overwrite=False)
