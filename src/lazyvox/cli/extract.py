"""`lazyvox extract`: time series of masks, atlas regions, maps and spheres, in one pass."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import click
import numpy as np

from lazyvox._letters import printable_text
from lazyvox._typing import override
from lazyvox.array.memory_reader import in_memory_array
from lazyvox.cli.cleaning_options import CleaningChoice, PreparedCleaning, cleaning_options
from lazyvox.cli.confound_tables import ConfoundChoice
from lazyvox.cli.job import Job, Written, perform
from lazyvox.cli.outcome import WrongUsageError
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
from lazyvox.cli.signal_targets import (
    OutputChoice,
    Targets,
    choose_targets,
    output_form_options,
)
from lazyvox.errors import MemoryBudgetError
from lazyvox.extraction.api import Preparation, build_scan
from lazyvox.extraction.rois import RegionOptions
from lazyvox.extraction.signals import Signals
from lazyvox.extraction.table_writers import TEXT_FORMS
from lazyvox.extraction.tables import cell_line, number_lines, write_gathered, write_lines
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
    "named after its file), or in .txt or .1D (numbers only, one line for each volume; - prints "
    "the same). Of several region sets each gets a file, its name inserted before the ending, "
    "except in .npz, and in .txt and .1D, where all columns stand side by side. In a folder files "
    "get BIDS names, and a JSON file beside each."
)
_TYPES = ("float32", "float64")

#: A value of a line as a Python float and as text, its name, and its place in voxels and mm.
_CELL_BYTES = 400


@dataclass(frozen=True, slots=True)
class _WrittenTable(Written):
    """A table in a file, and what was found of its regions."""

    findings: Mapping[str, Any] = field(default_factory=dict)

    @override
    def to_dict(self) -> dict[str, Any]:
        return {**Written.to_dict(self), **self.findings}


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
        """Return the plan of the pass, and of writing what is written after it."""
        found = self.scan.plan(n_jobs=self.settings.n_jobs)
        writing = max((*self._saving(), self._printing(found)), key=sum_terms)
        if not writing:
            return found
        held = (MemoryTerm("state and result", size, name) for name, size in found.consumer_bytes)
        after = (*held, *writing)
        peak = sum_terms(after)
        if peak > found.budget:
            what = "blocks of the image of them" if self.targets.images else "lines of them"
            without = ", or leave out --inverse" if self.targets.images else ""
            msg = (
                f"the memory budget must hold the signals, and {what}. Got "
                f"{format_bytes(found.budget)}; they need {format_bytes(peak)}. Pass memory="
                f"{peak} or more{without}."
            )
            raise MemoryBudgetError(msg)
        return replace(found, memory=max(found.memory, after, key=sum_terms))

    def _saving(self) -> list[tuple[MemoryTerm, ...]]:
        """Return the memory of saving each image."""
        if not self.targets.images:
            return []
        from lazyvox.lazyimage.save import save

        shape = (*self.grid.shape, self.cleaning.n_rows)
        empty: Any = in_memory_array(np.broadcast_to(np.float64(0), shape), "the result")
        img = self.grid.image_of(empty)
        return [plan_of(save, img, path, n_jobs=1).memory for path in self.targets.images]

    def _printing(self, found: Plan) -> tuple[MemoryTerm, ...]:
        """Return the memory of one line of numbers, and of the names and places of columns."""
        if not self.targets.are_numbers and not self.targets.coordinates:
            return ()
        n_rows = max(self.cleaning.n_rows, 1)
        # Columns are at most as many as results of 4 bytes a row.
        n_columns = sum(size for _, size in found.consumer_bytes) // (4 * n_rows)
        longest = n_rows if self.targets.is_transposed else n_columns
        return (MemoryTerm("work", _CELL_BYTES * max(longest, n_columns), "lines of text"),)

    def work(self) -> list[Written]:
        """Run the scan, and write what it does not write itself."""
        plan = self.plan()
        with peak_memory() if self.targets.has_sidecars else nullcontext() as peak:
            self.scan.run(n_jobs=self.settings.n_jobs, progress=self.settings.progress)
            found = self.assemble()
            written = [
                *self._tables(found),
                *self._images(found),
                *self._coverages(found),
                *self._coordinates(found),
            ]
        if peak is not None:
            write_sidecars(
                self.targets.tables,
                self.inputs,
                self.cleaning,
                plan,
                t_r=self.grid.t_r,
                peak_bytes=peak.bytes,
                findings=[
                    {_titled(key): value for key, value in facts.items()}
                    for facts in self._facts(found)
                ],
                overwrite=self.settings.overwrite,
            )
        return written

    def _tables(self, found: Sequence[Signals]) -> list[Written]:
        """Write the tables that were not written during the pass, or print them."""
        names, path = self.inputs.regions.names(), self.targets.gathered
        if self.targets.are_numbers:
            titles = [one.column_names for one in found] if self.targets.has_header else None
            lines = number_lines(
                [one.values for one in found], titles, is_transposed=self.targets.is_transposed
            )
            if self.targets.is_stdout:
                for line in lines:
                    click.echo(line, nl=False)
                return []
            write_lines(path, lines, overwrite=self.settings.overwrite)
        elif path:
            arrays = list(zip(names, (one.values for one in found), strict=True))
            write_gathered(path, arrays, overwrite=self.settings.overwrite)
        written: list[Written] = []
        paths = (path,) * len(found) if path else self.targets.tables
        for path, name, signals in zip(paths, names, found, strict=bool(paths)):
            if signals.path is None and not self.targets.gathered:
                signals.save(path, overwrite=self.settings.overwrite)
            findings = self._findings(signals)
            written.append(_WrittenTable(path, signals.shape, str(signals.dtype), name, findings))
        return written

    def _findings(self, signals: Signals) -> dict[str, Any]:
        """Return the coverage of regions, and which have no values, where that was asked for."""
        least = self.inputs.regions.min_coverage
        if signals.regions is None or (least is None and not self.targets.coverage):
            return {}
        fractions = signals.regions.coverage.fraction.tolist()
        coverage = dict(zip(signals.regions.names, fractions, strict=True))
        if least is None:
            return {"coverage": coverage}
        low = [name for name, fraction in coverage.items() if fraction < least]
        return {"coverage": coverage, "low_coverage": low}

    def _facts(self, found: Sequence[Signals]) -> list[dict[str, Any]]:
        """Return what was found of each region set, and the name of the list of its voxels."""
        lists = self.targets.coordinates or ("",) * len(found)
        return [
            {**self._findings(one), **({"coordinates": Path(path).name} if path else {})}
            for one, path in zip(found, lists, strict=True)
        ]

    def _coverages(self, found: Sequence[Signals]) -> list[Written]:
        """Write the coverage of each region set that has one."""
        titles = ("region", "label", "n_voxels", "n_covered", "coverage")
        written = []
        for path, signals, name in self._wanted(self.targets.coverage, found):
            assert signals.regions is not None, "bug in lazyvox: no regions"
            rows = signals.regions.coverage_rows()
            written.append(self._written_rows(path, titles, rows, len(rows), name))
        return written

    def _coordinates(self, found: Sequence[Signals]) -> list[Written]:
        """Write the voxels of each mask."""
        written = []
        for path, signals, name in self._wanted(self.targets.coordinates, found):
            ijk, xyz = signals.ijk, signals.xyz
            assert ijk is not None, "bug in lazyvox: no voxels"
            assert xyz is not None, "bug in lazyvox: no voxels"
            rows = ((*i.tolist(), *x.tolist()) for i, x in zip(ijk, xyz, strict=True))
            written.append(self._written_rows(path, tuple("ijkxyz"), rows, len(ijk), name))
        return written

    def _wanted(
        self, paths: Sequence[str], found: Sequence[Signals]
    ) -> list[tuple[str, Signals, str]]:
        """Return path, signals and name of the region sets that a table is wanted of."""
        if not paths:
            return []
        every = zip(paths, found, self.inputs.regions.names(), strict=True)
        return [one for one in every if one[0]]

    def _written_rows(
        self,
        path: str,
        titles: Sequence[str],
        rows: Iterable[Sequence[object]],
        n_rows: int,
        name: str,
    ) -> Written:
        form = TEXT_FORMS[Path(path).suffix.lower()]
        lines = (cell_line(cells, form) for cells in chain([titles], rows))
        write_lines(path, lines, overwrite=self.settings.overwrite)
        return Written(path, (n_rows, len(titles)), "text", name)

    def _images(self, found: Sequence[Signals]) -> list[Written]:
        """Write the images that the signals stand for."""
        if not self.targets.images:
            return []
        from lazyvox.lazyimage.save import save

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
        "lazyvox extract run.nii.gz --mask left.nii.gz --strategy mean -o -",
        "lazyvox extract run.nii.gz --labels atlas.nii.gz --strategy mean,std,min,max,median \\",
        "      --coverage coverage.tsv --min-coverage 0.5 -o statistics.tsv",
        "lazyvox extract run.nii.gz --seed 0,-12,3,6 --voxel 5,6,5 -o seeds.1D",
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
@output_form_options
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
    # Other commands take a degree with --detrend.
    numbers = [run for run in runs if run.isdecimal() and not Path(run).exists()]
    if inputs.cleaning.detrend and numbers:
        msg = f"--detrend removes mean and linear trend here, and takes no degree. Leave out {numbers[0]}"
        raise WrongUsageError(msg)
    choice = chosen(ctx, OutputChoice)
    targets = choose_targets(output, inverse, choice, runs, inputs.regions, inputs.paths, settings)
    work = _extraction(inputs, targets, settings)
    facts = {"censored_volumes": work.cleaning.censored.tolist()}
    remark = work.cleaning.remark
    if targets.is_stdout and not settings.explain:
        # Nothing but numbers may go to standard output.
        if remark and not settings.quiet:
            click.echo(f"lazyvox: {printable_text(remark)}", err=True)
        settings = replace(settings, quiet=True)
    perform(Job("extract", inputs.paths, work.plan, work.work, facts, remark), settings)


def _titled(key: str) -> str:
    """Return a key in the style of BIDS.

    Examples
    --------
    >>> _titled("low_coverage")
    'LowCoverage'
    """
    return "".join(word.capitalize() for word in key.split("_"))


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
    outs = targets.tables if is_direct else [None] * len(inputs.regions.sets)
    scan, assemble = build_scan(
        series,
        inputs.regions.consumers(outs, inputs.dtype, series.grid, overwrite=settings.overwrite),
        options=RegionOptions(),
        preparation=Preparation(
            inputs.cleaning.smoothing_fwhm, cleaning.options, settings.memory, settings.n_jobs
        ),
        sample_mask=cleaning.sample_mask,
    )
    return _Extraction(scan, assemble, scan.grid, inputs, cleaning, targets, settings)
