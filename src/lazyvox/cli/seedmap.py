"""`lazyvox seedmap`: correlation maps of seeds, one image for each seed, in one pass."""

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import numpy as np

from lazyvox._typing import override
from lazyvox.bids.names import map_name, sidecar_path
from lazyvox.bids.sidecars import write_sidecar
from lazyvox.cli.cleaning_options import CleaningChoice, PreparedCleaning, map_cleaning_options
from lazyvox.cli.confound_tables import ConfoundChoice
from lazyvox.cli.image_output import FLOATS
from lazyvox.cli.job import Job, Written, perform
from lazyvox.cli.outcome import WrongUsageError, options_named
from lazyvox.cli.outputs import (
    IMAGE_ENDINGS,
    check_files,
    check_output,
    files_in_folder,
    list_endings,
    split_image_target,
)
from lazyvox.cli.region_options import Regions, seed_options
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
from lazyvox.cli.sidecars import provenance_of
from lazyvox.cli.signal_targets import common_bids_name
from lazyvox.errors import ParameterError, RegionError
from lazyvox.extraction.reduction import Strategies
from lazyvox.extraction.rois import RoiConsumer
from lazyvox.lazyimage.save import save
from lazyvox.lazyimage.series import Series, as_series
from lazyvox.planning.plan import Plan
from lazyvox.planning.sample_mask import checked_sample_mask
from lazyvox.runtime.peak import peak_memory
from lazyvox.seedmaps.api import PreparedSeedMaps, SeedMapOptions, prepare_seed_maps
from lazyvox.seedmaps.cleaning import SeedCleaning
from lazyvox.seedmaps.measures import MEASURES

__all__ = ["seedmap"]

_OUTPUT_TEXT = (
    f"Image to write; ends in {list_endings(IMAGE_ENDINGS)}. Of several seeds each gets a file, its "
    "name inserted before the ending. In a folder files get BIDS names, and a JSON file beside each."
)
_DESCRIPTION = "Map of the relation between every voxel and the signal of a seed."

#: Labels of the entity "stat" of BIDS names.
_STATS = {"correlation": "correlation", "fisher-z": "fisherz", "regression": "effect", "t": "t"}


@dataclass(frozen=True, slots=True)
class _WrittenMap(Written):
    """One map in a file, and the voxels of it that hold no value."""

    n_still: int = 0
    n_not_finite: int = 0

    @override
    def to_dict(self) -> dict[str, Any]:
        return {
            **Written.to_dict(self),
            "voxels_without_variation": self.n_still,
            "voxels_not_finite": self.n_not_finite,
        }

    @override
    def __str__(self) -> str:
        """Return the facts in one line."""
        void = {
            "0 at {} voxels without variation": self.n_still,
            "NaN at {} voxels that are not finite": self.n_not_finite,
        }
        said = [text.format(n) for text, n in void.items() if n]
        return "; ".join([Written.__str__(self), *said])


@dataclass(frozen=True)
class _SeedMapping:
    """Runs, seeds and options, and where the maps go."""

    runs: tuple[str, ...]
    seeds: Regions
    mask_img: str | None
    measure: str
    choice: CleaningChoice
    confounds: ConfoundChoice
    sample_mask: str | None
    output: str | None
    dtype: str
    settings: Settings

    @property
    def inputs(self) -> list[str]:
        """All files that are read."""
        further = [one for one in (self.mask_img, self.sample_mask) if one is not None]
        return [*self.runs, *self.seeds.inputs, *self.confounds.confounds, *further]

    @cached_property
    def series(self) -> Series:
        """The runs, joined along time."""
        return as_series(list(self.runs))

    @cached_property
    def cleaning(self) -> PreparedCleaning:
        """Confounds, and volumes to keep."""
        if self.choice.t_r is not None and not self.choice.is_filtered:
            msg = "--t-r concerns --high-pass and --low-pass, and neither is given"
            raise WrongUsageError(msg)
        keep = None
        if self.sample_mask is not None:
            numbers = read_sample_mask(self.sample_mask)
            keep = checked_sample_mask(numbers, self.series.grid.n_volumes).tolist()
        return self.choice.prepare(self.confounds, self.series, keep)

    @cached_property
    def prepared(self) -> PreparedSeedMaps:
        """The scan; nothing of the runs was read."""
        choice = self.choice
        found = self.cleaning
        options = SeedMapOptions(
            mask_img=self.mask_img,
            smoothing_fwhm=choice.smoothing_fwhm,
            measure=self.measure,
            resample=self.seeds.resample,
        )
        cleaning = SeedCleaning(
            found.options.confounds,
            found.sample_mask,
            choice.trend_degree if choice.detrend else None,
            choice.high_pass,
            choice.low_pass,
            choice.filter or "fourier",
            choice.t_r,
            found.options.runs,
            choice.censored,
        )
        with options_named(seeds=self._seeds_option, drift_order="--detrend"):
            consumers = self._consumers()
            prepared = prepare_seed_maps(self.series, consumers, options, cleaning)
            prepared.consumer.check(prepared.scan.grid)
        return prepared

    @property
    def _seeds_option(self) -> str:
        """The option that errors about seeds name."""
        kinds = [one.kind for one in self.seeds.sets]
        return f"--{next((one for one in ('seed', 'seeds') if one in kinds), kinds[0])}"

    def _consumers(self) -> list[RoiConsumer]:
        outs = [None] * len(self.seeds.sets)
        try:
            return self.seeds.consumers(outs, None, self.series.grid, overwrite=False)
        except RegionError as error:
            # Maps have no option here.
            hint = "" if "--maps" in error.cli_hint else error.cli_hint
            raise RegionError(error.message, hint=hint) from error

    def check(self) -> None:
        """Check everything that can be checked without reading a volume."""
        if self.output is None:
            check_output(None, IMAGE_ENDINGS, self.inputs, self.settings)
        assert self.settings.explain or self.targets, "bug in lazyvox: no file to write"

    @cached_property
    def targets(self) -> tuple[str, ...]:
        """The file of each map, checked; empty where only the plan was asked for."""
        names, output = self.prepared.consumer.names, self.output
        if output is not None and _is_folder(output):
            return self._in_folder(output, names)
        files: tuple[str, ...] = () if output is None else (output,)
        if output is not None and len(names) > 1:
            files = tuple(split_image_target(output, names))
        found = check_output(output, IMAGE_ENDINGS, self.inputs, self.settings, files=files)
        return files if found else ()

    def _in_folder(self, folder: str, names: Sequence[str]) -> tuple[str, ...]:
        run, stat = common_bids_name(folder, self.runs, "--output"), _STATS[self.measure]
        try:
            found = [map_name(run, name, stat=stat) for name in names]
        except ParameterError as error:
            raise WrongUsageError(str(error).rstrip(".")) from error
        files = files_in_folder(folder, found, each="seed", way_out="Name a file instead")
        if not self.settings.explain:
            check_files([*files, *map(sidecar_path, files)], self.inputs, self.settings)
        return files

    def plan(self) -> Plan:
        """Return the plan of the pass."""
        return self.prepared.scan.plan(n_jobs=self.settings.n_jobs)

    def work(self) -> Sequence[Written]:
        """Run the scan, and write the maps."""
        has_sidecars = self.output is not None and _is_folder(self.output)
        scan, settings = self.prepared.scan, self.settings
        with peak_memory() if has_sidecars else nullcontext() as peak:
            plan = self.plan() if has_sidecars else None
            with options_named(seeds=self._seeds_option):
                scan.run(n_jobs=settings.n_jobs, progress=settings.progress)
            maps = self.prepared.handle.result()
            written: list[_WrittenMap] = []
            for number, (path, name) in enumerate(zip(self.targets, maps.names, strict=True)):
                img = maps.image(slice(number, number + 1))
                save(img, path, dtype=np.dtype(self.dtype), overwrite=settings.overwrite, n_jobs=1)
                facts = (path, tuple(img.shape), self.dtype, name)
                written.append(_WrittenMap(*facts, maps.n_still, maps.n_not_finite))
        if peak is not None and plan is not None:
            for one in written:
                self._write_sidecar(one, plan, peak.bytes)
        return written

    def _write_sidecar(self, written: _WrittenMap, plan: Plan, peak_bytes: int) -> None:
        choice = self.choice
        parameters = {
            "name": written.name,
            "measure": self.measure,
            "dtype": self.dtype,
            **{
                key: value
                for one in self.seeds.sets
                for key, value in self.seeds.to_dict(one).items()
            },
            **choice.to_dict(),
            "filter": choice.filter or ("fourier" if choice.is_filtered else None),
            **self.confounds.to_dict(),
        }
        images = [*self.seeds.mask, *self.seeds.labels]
        regions = [*images, *([self.mask_img] if self.mask_img else [])]
        provenance = provenance_of(
            written.path,
            self.inputs,
            regions,
            parameters,
            self.cleaning,
            plan,
            t_r=None,
            peak_bytes=peak_bytes,
        )
        record = replace(provenance, description=_DESCRIPTION).to_dict()
        record["VoxelsWithoutVariation"] = written.n_still
        record["VoxelsNotFinite"] = written.n_not_finite
        write_sidecar(written.path, record, overwrite=self.settings.overwrite)


def _chosen_seeds(ctx: click.Context) -> Regions:
    """Return the regions whose means are the signals of seeds."""
    given = ctx.ensure_object(dict)
    if not any(given[one] for one in ("seed", "voxel", "seeds", "mask", "labels")):
        msg = (
            "no seed: pass --seed X,Y,Z or X,Y,Z,R in mm, --voxel I,J,K, --seeds TABLE, --mask MASK "
            "or --labels ATLAS, or several of them"
        )
        raise WrongUsageError(msg)
    n_luts, n_labels = len(given["lut"]), len(given["labels"])
    if n_luts not in {0, n_labels}:
        msg = f"--lut must be given once for each --labels. Got {n_luts} for {n_labels}"
        raise WrongUsageError(msg)
    regions = chosen(ctx, Regions)
    has_spheres = bool(regions.seeds or regions.seed)
    return replace(regions, strategy=Strategies(("mean",)), allow_overlap=has_spheres)


def _is_folder(output: str) -> bool:
    return Path(output).is_dir() or output.endswith(os.sep)


@click.command(
    cls=Command,
    epilog=examples(
        "lazyvox seedmap run.nii.gz --seed 0,-52,18,8 --high-pass 0.01 --low-pass 0.1 -o pcc.nii.gz",
        "lazyvox seedmap run.nii.gz --seeds seeds.tsv --radius 6 --mask-img brain.nii.gz \\",
        "      --detrend 2 --fwhm 6 --measure fisher-z -o maps.nii.gz",
        "lazyvox seedmap sub-01_task-rest_bold.nii.gz --labels atlas.nii.gz --lut atlas.tsv \\",
        "      --confounds sub-01_task-rest_desc-confounds_timeseries.tsv \\",
        "      --confound-strategy motion24,wm_csf --fd-threshold 0.5 -o derivatives/",
    ),
)
@runs_argument
@seed_options
@click.option(
    "--mask-img",
    metavar="MASK",
    type=PATH,
    help="The voxels of the maps; others become 0. All by default. Takes less time, and memory.",
)
@click.option(
    "--measure",
    type=click.Choice(MEASURES),
    default="correlation",
    show_default=True,
    help="Correlation; its Fisher z; the weight of the seed in the regression of each voxel on it; "
    "or t of both.",
)
@map_cleaning_options
@click.option(
    "--sample-mask",
    metavar="FILE",
    type=PATH,
    help="Volumes to keep: their numbers, counted from 0, one on each line; or a .npy array of "
    "them, or of booleans.",
)
@output_option(_OUTPUT_TEXT)
@click.option(
    "--dtype",
    type=click.Choice(FLOATS),
    default="float32",
    show_default=True,
    help="Type on disk; values are computed in float64.",
)
@common_options
@click.pass_context
def seedmap(
    ctx: click.Context,
    runs: tuple[str, ...],
    mask_img: str | None,
    measure: str,
    sample_mask: str | None,
    output: str | None,
    dtype: str,
) -> None:
    """Write correlation maps of seeds, in one pass over RUN for all of them.

    The signal of a seed is the mean of its voxels. Mean, trend, frequencies and confounds are
    removed from voxels and seeds by one regression, as 3dTproject does; the maps are those of
    cleaning first and correlating afterwards. --smoothing-fwhm smooths the voxels of the maps, and
    not the seeds, as in nilearn's example of seed-to-voxel correlation.

    Several runs on one grid are joined along time; each is cleaned by itself.
    """
    settings = Settings.of(ctx)
    work = _SeedMapping(
        runs,
        _chosen_seeds(ctx),
        mask_img,
        measure,
        chosen(ctx, CleaningChoice),
        chosen(ctx, ConfoundChoice),
        sample_mask,
        output,
        dtype,
        settings,
    )
    with settings.budget():
        work.check()
    facts = {"censored_volumes": work.cleaning.censored.tolist()}
    job = Job("seedmap", work.inputs, work.plan, work.work, facts, work.cleaning.remark)
    perform(job, settings)
