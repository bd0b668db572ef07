"""`lazyvox extract`: time series of masks and of the regions of an atlas, in one pass."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from lazyvox.cli.job import Job, Written, perform
from lazyvox.cli.outcome import WrongUsageError
from lazyvox.cli.outputs import check_output, stem_of
from lazyvox.cli.sample_mask import read_sample_mask
from lazyvox.cli.settings import Settings, common_options, examples, output_option, runs_argument
from lazyvox.extraction.api import checked_sample_mask
from lazyvox.extraction.labels import Labels
from lazyvox.extraction.tables import split_target, write_npz
from lazyvox.extraction.voxels import Voxels
from lazyvox.lazyimage.series import as_series
from lazyvox.stream.consumer import Handle
from lazyvox.stream.scan import Scan

__all__ = ["extract"]

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any] | click.Command)

_ENDINGS = (".tsv", ".csv", ".npy", ".npz", ".parquet")
_STRATEGIES = (
    "mean",
    "sum",
    "median",
    "minimum",
    "maximum",
    "standard_deviation",
    "variance",
)
_OUTPUT_TEXT = (
    "What to write; ends in .tsv, .csv, .npy, .parquet, or .npz (an array for each region set, "
    "named after its file). Of several region sets each gets a file, its name inserted before "
    "the ending, except in .npz."
)
_TYPES = ("float32", "float64")


@dataclass(frozen=True, slots=True)
class _Regions:
    """Which region sets are asked for, and how they are read.

    Attributes
    ----------
    mask : tuple of str
        Masks.
    labels : str or None
        Atlas.
    lut : str or None
        Table with the names of its regions.
    strategy : str
        What becomes of the voxels of a region.
    resample : bool
        Whether images on another grid are resampled.
    """

    mask: tuple[str, ...]
    labels: str | None
    lut: str | None
    strategy: str
    resample: bool

    def __post_init__(self) -> None:
        """Refuse what makes no sense together."""
        if not self.paths:
            msg = "no regions: pass --mask MASK, once or more, or --labels ATLAS, or both"
            raise WrongUsageError(msg)
        if self.lut and not self.labels:
            msg = "--lut names the regions of --labels, which is missing"
            raise WrongUsageError(msg)

    @property
    def paths(self) -> list[str]:
        """The images of the region sets."""
        return [*self.mask, *([self.labels] if self.labels else [])]

    @property
    def inputs(self) -> list[str]:
        """All files that are read besides the runs."""
        return [*self.paths, *([self.lut] if self.lut else [])]

    def names(self) -> list[str]:
        """Return a name for each region set: its file's, with its folder's where that is needed."""
        stems = [stem_of(path) for path in self.paths]
        count = Counter(stems)
        return [
            f"{Path(path).absolute().parent.name}_{stem}" if count[stem] > 1 else stem
            for path, stem in zip(self.paths, stems, strict=True)
        ]


def _keep(ctx: click.Context, param: click.Parameter, value: object) -> None:
    ctx.ensure_object(dict)[param.name] = value


_REGION_OPTIONS = (
    click.option(
        "--mask",
        multiple=True,
        metavar="MASK",
        type=click.Path(readable=False, path_type=str),
        expose_value=False,
        callback=_keep,
        help="Mask image: a column for each of its voxels. May be given several times.",
    ),
    click.option(
        "--labels",
        metavar="ATLAS",
        type=click.Path(readable=False, path_type=str),
        expose_value=False,
        callback=_keep,
        help="Labels image: a column for each of its regions.",
    ),
    click.option(
        "--lut",
        metavar="TABLE",
        type=click.Path(readable=False, path_type=str),
        expose_value=False,
        callback=_keep,
        help="Names of the regions: a BIDS dseg.tsv, FSL's XML, or FreeSurfer's colour table.",
    ),
    click.option(
        "--strategy",
        type=click.Choice(_STRATEGIES),
        default="mean",
        show_default=True,
        metavar="NAME",
        expose_value=False,
        callback=_keep,
        help=f"What becomes of the voxels of a region: {', '.join(_STRATEGIES)}.",
    ),
    click.option(
        "--resample",
        is_flag=True,
        expose_value=False,
        callback=_keep,
        help="Bring masks and atlas to the grid of RUN, by nearest neighbour.",
    ),
)


def _region_options(command: _Decorated) -> _Decorated:
    for option in reversed(_REGION_OPTIONS):
        command = option(command)
    return command


@click.command(
    epilog=examples(
        "lazyvox extract run.nii.gz --mask left.nii.gz --mask right.nii.gz -o voxels.npz",
        "lazyvox extract run.nii.gz --labels atlas.nii.gz --lut atlas.tsv -o regions.tsv",
    )
)
@runs_argument
@_region_options
@output_option(_OUTPUT_TEXT)
@click.option(
    "--sample-mask",
    metavar="FILE",
    type=click.Path(readable=False, path_type=str),
    help="Volumes to keep: their numbers, counted from 0, one on each line; or a .npy array of "
    "them, or of booleans.",
)
@click.option(
    "--dtype",
    type=click.Choice(_TYPES),
    help="Type of the values; by default that of RUN for masks, and float64 for --labels.",
)
@common_options
@click.pass_context
def extract(
    ctx: click.Context,
    runs: tuple[str, ...],
    output: str | None,
    sample_mask: str | None,
    dtype: str | None,
) -> None:
    """Write the time series of masks, and of the regions of an atlas.

    Several runs on one grid are joined along time. However many masks there are, each run is
    read once.
    """
    settings = Settings.of(ctx)
    regions = _Regions(**ctx.ensure_object(dict))
    inputs = [*runs, *regions.inputs, *([sample_mask] if sample_mask else [])]
    files = _files(output, regions.names())
    target = check_output(output, _ENDINGS, inputs, settings, files=files)
    scan = Scan(list(runs), volumes=_volumes(sample_mask, runs))
    direct = files if len(files) == len(regions.paths) and not _is_npz(target) else None
    handles = _add_consumers(scan, regions, direct, dtype, overwrite=settings.overwrite)

    def work() -> list[Written]:
        scan.run(n_jobs=settings.n_jobs, progress=settings.progress)
        found = [handle.result() for handle in handles]
        if direct is None:
            values = [one.values for one in found]
            write_npz(
                target,
                list(zip(regions.names(), values, strict=True)),
                overwrite=settings.overwrite,
            )
        paths = direct or [target] * len(found)
        return [
            Written(path, one.shape, str(one.dtype), name)
            for path, one, name in zip(paths, found, regions.names(), strict=True)
        ]

    perform(Job("extract", inputs, lambda: scan.plan(n_jobs=settings.n_jobs), work), settings)


def _volumes(sample_mask: str | None, runs: Sequence[str]) -> list[int] | None:
    """Return the volumes to keep, all of them where no file says which."""
    if sample_mask is None:
        return None
    keep = read_sample_mask(sample_mask)
    return checked_sample_mask(keep, as_series(list(runs)).grid.n_volumes)


def _is_npz(path: str) -> bool:
    return path.lower().endswith(".npz")


def _files(output: str | None, names: Sequence[str]) -> list[str]:
    """Return the files that will be written, in the folder as it was given."""
    if output is None:
        return []
    if len(names) == 1 or _is_npz(output):
        return [output]
    # The folder stays as it was given: relative paths are easier to read.
    return [str(Path(output).with_name(Path(path).name)) for path in split_target(output, names)]


def _add_consumers(
    scan: Scan,
    regions: _Regions,
    files: Sequence[str] | None,
    dtype: str | None,
    *,
    overwrite: bool,
) -> list[Handle[Any]]:
    """Hang one consumer for each region set on a scan, each writing to its file if it has one."""
    outs: Sequence[str | None] = files or [None] * len(regions.paths)
    handles: list[Handle[Any]] = [
        scan.add(
            Voxels(path, dtype=dtype, out=out, overwrite=overwrite, resample=regions.resample)
        )
        for path, out in zip(regions.mask, outs, strict=False)
    ]
    if regions.labels:
        labels = Labels(
            regions.labels,
            strategy=regions.strategy,
            lut=regions.lut,
            dtype=dtype,
            out=outs[-1],
            overwrite=overwrite,
            resample=regions.resample,
        )
        handles.append(scan.add(labels))
    return handles
