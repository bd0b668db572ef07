"""`lazyvox extract`: time series of masks, atlas regions, maps and spheres, in one pass."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import click
import numpy as np

from lazyvox.array.memory_reader import in_memory_array
from lazyvox.cli.cleaning_options import CleaningChoice, PreparedCleaning, cleaning_options
from lazyvox.cli.confound_tables import ConfoundChoice
from lazyvox.cli.job import Job, Written, perform
from lazyvox.cli.region_options import Regions, region_options
from lazyvox.cli.sample_mask import read_sample_mask
from lazyvox.cli.settings import (
    PATH,
    Command,
    Settings,
    chosen,
    common_options,
    examples,
    output_option,
    runs_argument,
)
from lazyvox.cli.sidecars import Inputs, write_sidecars
from lazyvox.cli.signal_targets import Targets, choose_targets
from lazyvox.errors import MemoryBudgetError
from lazyvox.extraction.api import Preparation, build_scan
from lazyvox.extraction.rois import RegionOptions
from lazyvox.extraction.signals import Signals
from lazyvox.extraction.tables import write_npz
from lazyvox.lazyimage.classes import image_like
from lazyvox.lazyimage.save import save
from lazyvox.lazyimage.series import Grid, as_series
from lazyvox.planning.memory import MemoryTerm, format_bytes, sum_terms
from lazyvox.planning.plan import Plan
from lazyvox.planning.sample_mask import checked_sample_mask
from lazyvox.runtime.dry_run import plan as plan_of
from lazyvox.runtime.peak import peak_memory
from lazyvox.stream.scan import Scan

__all__ = ["extract"]

_OUTPUT_TEXT = (
    "What to write; ends in .tsv, .csv, .npy, .parquet, or .npz (an array for each region set, "
    "named after its file). Of several region sets each gets a file, its name inserted before "
    "the ending, except in .npz. In a folder files get BIDS names, and a JSON file beside each."
)
_TYPES = ("float32", "float64")


@dataclass(frozen=True, slots=True)
class _Extraction:
    """A scan that is ready to run, and the outputs of its results."""

    scan: Scan
    assemble: Callable[[], Sequence[Signals]]
    grid: Grid
    inputs: Inputs
    cleaning: PreparedCleaning
    targets: Targets
    settings: Settings

    def plan(self) -> Plan:
        """Return the plan of the pass, and of writing images after it."""
        found = self.scan.plan(n_jobs=self.settings.n_jobs)
        if not self.targets.images:
            return found
        shape = (*self.grid.shape, self.cleaning.n_rows)
        empty: Any = in_memory_array(np.broadcast_to(np.float64(0), shape), "the result")
        img = image_like(self.grid.template, empty, self.grid.affine, is_new_kind=True)
        plans = [plan_of(save, img, path, n_jobs=1) for path in self.targets.images]
        saved = max((plan.memory for plan in plans), key=sum_terms)
        held = (MemoryTerm("state and result", size, name) for name, size in found.consumer_bytes)
        after = (*held, *saved)
        peak = sum_terms(after)
        if peak > found.budget:
            msg = (
                f"the memory budget must hold the signals, and blocks of the image of them. Got "
                f"{format_bytes(found.budget)}; they need {format_bytes(peak)}. Pass memory="
                f"{peak} or more, or leave out --inverse."
            )
            raise MemoryBudgetError(msg)
        return replace(found, memory=max(found.memory, after, key=sum_terms))

    def work(self) -> list[Written]:
        """Run the scan, and write what it does not write itself."""
        plan = self.plan()
        with peak_memory() if self.targets.has_sidecars else nullcontext() as peak:
            self.scan.run(n_jobs=self.settings.n_jobs, progress=self.settings.progress)
            found = self.assemble()
            written = [*self._tables(found), *self._images(found)]
        if peak is not None:
            write_sidecars(
                self.targets.tables,
                self.inputs,
                self.cleaning,
                plan,
                t_r=self.grid.t_r,
                peak_bytes=peak.bytes,
                overwrite=self.settings.overwrite,
            )
        return written

    def _tables(self, found: Sequence[Signals]) -> list[Written]:
        """Write the tables that were not written during the pass."""
        names = self.inputs.regions.names()
        paths = self.targets.tables
        if self.targets.archive:
            arrays = list(zip(names, (one.values for one in found), strict=True))
            write_npz(self.targets.archive, arrays, overwrite=self.settings.overwrite)
            paths = (self.targets.archive,) * len(found)
        written = []
        for path, name, signals in zip(paths, names, found, strict=bool(paths)):
            if signals.path is None and not self.targets.archive:
                signals.save(path, overwrite=self.settings.overwrite)
            written.append(Written(path, signals.shape, str(signals.dtype), name))
        return written

    def _images(self, found: Sequence[Signals]) -> list[Written]:
        """Write the images that the signals stand for."""
        written = []
        names = self.inputs.regions.names()
        for path, name, signals in zip(self.targets.images, names, found, strict=False):
            img = signals.to_img()
            save(img, path, dtype=signals.dtype, overwrite=self.settings.overwrite, n_jobs=1)
            written.append(Written(path, tuple(img.shape), str(signals.dtype), name))
        return written


@click.command(
    cls=Command,
    epilog=examples(
        "lazyvox extract run.nii.gz --mask left.nii.gz --mask right.nii.gz -o voxels.npz",
        "lazyvox extract run.nii.gz --labels atlas.nii.gz --lut atlas.tsv -o regions.tsv",
        "lazyvox extract run.nii.gz --seeds seeds.tsv --radius 5 --smoothing-fwhm 6 --detrend \\",
        "      --high-pass 0.01 --standardize zscore_sample -o spheres.tsv",
        "lazyvox extract sub-01_task-rest_bold.nii.gz --labels atlas.nii.gz \\",
        "      --confounds sub-01_task-rest_desc-confounds_timeseries.tsv \\",
        "      --confound-strategy motion24,wm_csf --fd-threshold 0.5 -o derivatives/",
    ),
)
@runs_argument
@region_options
@cleaning_options
@output_option(_OUTPUT_TEXT)
@click.option(
    "--inverse",
    metavar="IMG",
    type=PATH,
    help="Image to write of the signals: each voxel has the signal of its region. With it, -o may "
    "be left out.",
)
@click.option(
    "--sample-mask",
    metavar="FILE",
    type=PATH,
    help="Volumes to keep: their numbers, counted from 0, one on each line; or a .npy array of "
    "them, or of booleans.",
)
@click.option(
    "--dtype",
    type=click.Choice(_TYPES),
    help="Type of the values; by default that of RUN for masks, else float64.",
)
@common_options
@click.pass_context
def extract(
    ctx: click.Context,
    runs: tuple[str, ...],
    output: str | None,
    inverse: str | None,
    sample_mask: str | None,
    dtype: str | None,
) -> None:
    """Write the time series of masks, and of the regions of an atlas, maps and spheres.

    Steps are those of nilearn, in its order: smoothing, extraction, trend, filter, confounds,
    standardizing.

    Several runs on one grid are joined along time; each is cleaned by itself. However many region
    sets there are, each run is read once.
    """
    settings = Settings.of(ctx)
    inputs = Inputs(
        runs,
        chosen(ctx, Regions),
        chosen(ctx, CleaningChoice),
        chosen(ctx, ConfoundChoice),
        sample_mask,
        dtype,
    )
    targets = choose_targets(output, inverse, runs, inputs.regions, inputs.paths, settings)
    work = _extraction(inputs, targets, settings)
    facts = {"censored_volumes": work.cleaning.censored.tolist()}
    job = Job("extract", inputs.paths, work.plan, work.work, facts, work.cleaning.remark)
    perform(job, settings)


def _extraction(inputs: Inputs, targets: Targets, settings: Settings) -> _Extraction:
    """Check everything that can be checked without reading a volume."""
    series = as_series(list(inputs.runs))
    keep = None
    if inputs.sample_mask is not None:
        keep = checked_sample_mask(
            read_sample_mask(inputs.sample_mask), series.grid.n_volumes
        ).tolist()
    cleaning = inputs.cleaning.prepare(inputs.confounds, series, keep)
    # What images are made of must be in memory.
    is_direct = bool(targets.tables) and not targets.images
    outs = targets.tables if is_direct else [None] * len(inputs.regions.paths)
    scan, assemble = build_scan(
        series,
        inputs.regions.consumers(outs, inputs.dtype, overwrite=settings.overwrite),
        options=RegionOptions(),
        preparation=Preparation(
            inputs.cleaning.smoothing_fwhm, cleaning.options, settings.memory, settings.n_jobs
        ),
        sample_mask=cleaning.sample_mask,
    )
    return _Extraction(scan, assemble, scan.grid, inputs, cleaning, targets, settings)
