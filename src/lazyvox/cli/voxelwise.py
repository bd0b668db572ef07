"""`lazyvox tstat`, `mean`, `std` and `tsnr`: one value per voxel, written as images."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import click
import numpy as np

from lazyvox.cli.job import Job, Written, perform
from lazyvox.cli.mask import mask_of_option
from lazyvox.cli.outcome import WrongUsageError
from lazyvox.cli.outputs import (
    IMAGE_ENDINGS,
    IMAGE_OUTPUT_TEXT,
    check_distinct,
    check_output,
)
from lazyvox.cli.settings import (
    PATH,
    Command,
    Settings,
    common_options,
    examples,
    is_given,
    output_option,
    overwrite_option,
    runs_argument,
)
from lazyvox.cli.volumes import Option, taken_volumes, volumes_option
from lazyvox.errors import LazyvoxWarning, ParameterError
from lazyvox.lazyimage.map_file import save_map
from lazyvox.stream.scan import Scan
from lazyvox.stream.voxelwise import (
    AR1,
    TSNR,
    Max,
    Mean,
    Median,
    Min,
    Percentile,
    Std,
    Sum,
    Variance,
    Voxelwise,
)

__all__ = ["mean", "std", "tsnr", "tstat"]


#: Types of the values on disk. What is stored is computed in float64.
_TYPES = ("float32", "float64")

_type_option = click.option(
    "--dtype",
    type=click.Choice(_TYPES),
    default="float32",
    show_default=True,
    help="Type on disk; values are computed in float64.",
)

_ddof_option = click.option(
    "--ddof",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Sums of squares are divided by the number of volumes minus this: 1 for the value of FSL "
    "and AFNI.",
)


@dataclass(frozen=True, slots=True)
class _Map:
    """One statistic, and the file that it is written to."""

    option: str
    output: str | None
    consumer: Voxelwise


@click.command(cls=Command, epilog=examples("lazyvox mean run.nii.gz -o mean.nii.gz"))
@runs_argument
@output_option(IMAGE_OUTPUT_TEXT)
@_type_option
@common_options
@click.pass_context
def mean(ctx: click.Context, runs: tuple[str, ...], output: str | None, dtype: str) -> None:
    """Write the mean over time of every voxel of RUN.

    Several runs on one grid are joined along time. One pass.
    """
    maps = [_Map("--output", output, Mean())]
    _write("mean", maps, runs, dtype, Settings.of(ctx))


@click.command(cls=Command, epilog=examples("lazyvox std run.nii.gz -o std.nii.gz"))
@runs_argument
@output_option(IMAGE_OUTPUT_TEXT)
@_type_option
@_ddof_option
@common_options
@click.pass_context
def std(
    ctx: click.Context, runs: tuple[str, ...], output: str | None, dtype: str, ddof: int
) -> None:
    """Write the standard deviation over time of every voxel of RUN.

    Several runs on one grid are joined along time. One pass.
    """
    maps = [_Map("--output", output, Std(ddof))]
    _write("std", maps, runs, dtype, Settings.of(ctx))


@click.command(cls=Command, epilog=examples("lazyvox tsnr run.nii.gz -o tsnr.nii.gz"))
@runs_argument
@output_option(IMAGE_OUTPUT_TEXT)
@_type_option
@_ddof_option
@common_options
@click.pass_context
def tsnr(
    ctx: click.Context, runs: tuple[str, ...], output: str | None, dtype: str, ddof: int
) -> None:
    """Write the temporal signal-to-noise ratio of every voxel of RUN.

    Several runs on one grid are joined along time. It is 0 where nothing varies. One pass.
    """
    maps = [_Map("--output", output, TSNR(ddof))]
    _write("tsnr", maps, runs, dtype, Settings.of(ctx))


def _map_option(name: str, text: str) -> Option:
    return click.option(f"--{name}", f"{name}_", metavar="OUT", type=PATH, help=text)


@click.command(
    cls=Command,
    epilog=examples(
        "lazyvox tstat run.nii.gz --mean mean.nii.gz --tsnr tsnr.nii.gz",
        "lazyvox tstat run.nii.gz --median median.nii.gz --percentile 2=low.nii.gz \\",
        "      --percentile 98=high.nii.gz --mask mask.nii.gz",
        "lazyvox tstat run.nii.gz --volumes 4: --std sd.nii.gz --detrend 1 --ddof 1",
    ),
)
@runs_argument
@_map_option("mean", "Mean.")
@_map_option("std", "Standard deviation; see --ddof and --detrend.")
@_map_option("var", "Variance; likewise.")
@_map_option("tsnr", "Mean over standard deviation, 0 where nothing varies; likewise.")
@_map_option("min", "Smallest value.")
@_map_option("max", "Largest value.")
@_map_option("sum", "Sum.")
@_map_option("median", "Median, of an even number of volumes the mean of both in the middle.")
@click.option(
    "--percentile",
    "percentiles",
    metavar="Q=OUT",
    multiple=True,
    help="Percentile Q, from 0 to 100, interpolated linearly; may be given several times.",
)
@_map_option(
    "ar1",
    "Autocorrelation of lag one: sum(r[1:] * r[:-1]) / sum(r**2) of the residuals r of the mean, or "
    "of --detrend; 0 where nothing varies.",
)
@_ddof_option
@click.option(
    "--detrend",
    type=click.IntRange(min=0),
    metavar="N",
    help="Order of the polynomial that is removed from each voxel before its standard deviation, "
    "variance, tSNR (but for its mean) and autocorrelation: 1 for a line, as 3dTstat -stdev does.",
)
@click.option(
    "--mask",
    metavar="MASK",
    type=PATH,
    help="Voxels to keep, on the grid of RUN; others are 0.",
)
@volumes_option
@_type_option
@overwrite_option
@common_options
@click.pass_context
def tstat(
    ctx: click.Context,
    /,
    runs: tuple[str, ...],
    percentiles: tuple[str, ...],
    ddof: int,
    detrend: int | None,
    mask: str | None,
    volumes: str | None,
    dtype: str,
    **outputs: str | None,
) -> None:
    """Write statistics over time of every voxel of RUN: any number of images, in one pass.

    Several runs on one grid are joined along time. For the median and percentiles the pass writes
    all values to a nameless temporary file, in the folder that TMPDIR names; --explain shows its
    size.
    """
    kinds: dict[str, Voxelwise] = {
        "mean": Mean(),
        "std": Std(ddof, detrend=detrend),
        "var": Variance(ddof, detrend=detrend),
        "tsnr": TSNR(ddof, detrend=detrend),
        "min": Min(),
        "max": Max(),
        "sum": Sum(),
        "median": Median(),
        "ar1": AR1(detrend=detrend or 0),
    }
    maps = [
        _Map(f"--{name}", output, consumer)
        for name, consumer in kinds.items()
        if (output := outputs[f"{name}_"]) is not None
    ]
    maps += [_percentile_map(text) for text in percentiles]
    if not maps:
        msg = "name at least one image to write, such as --mean mean.nii.gz"
        raise WrongUsageError(msg)
    _check_concerns(ctx, maps)
    _write("tstat", maps, runs, dtype, Settings.of(ctx), mask, volumes)


def _percentile_map(text: str) -> _Map:
    """Return the map of ``90=p90.nii.gz``."""
    number, sign, output = text.partition("=")
    try:
        consumer = Percentile(float(number))
    except (ValueError, ParameterError):
        consumer = None
    if consumer is None or not sign or not output:
        msg = f"--percentile must be Q=OUT, such as 90=p90.nii.gz, Q from 0 to 100. Got {text!r}"
        raise WrongUsageError(msg)
    return _Map("--percentile", output, consumer)


def _check_concerns(ctx: click.Context, maps: Sequence[_Map]) -> None:
    """Refuse options that none of the maps depends on."""
    given = {one.option for one in maps}
    concerned = {
        "ddof": {"--std", "--var", "--tsnr"},
        "detrend": {"--std", "--var", "--tsnr", "--ar1"},
    }
    for name, options in concerned.items():
        if is_given(ctx, name) and not given & options:
            msg = f"--{name} concerns {', '.join(sorted(options))}. Give one of them, or leave it out"
            raise WrongUsageError(msg)


def _write(
    command: str,
    maps: Sequence[_Map],
    runs: Sequence[str],
    dtype: str,
    settings: Settings,
    mask: str | None = None,
    volumes: str | None = None,
) -> None:
    """Run consumers over a series in one pass and write the images that they result in."""
    inputs = [*runs, *([] if mask is None else [mask])]
    targets = _targets(maps, inputs, settings)
    taken = taken_volumes(runs, volumes)
    inside = mask_of_option(mask, taken.series.grid)
    scan = Scan(taken.series)
    handles = [scan.add(one.consumer.as_values()) for one in maps]

    def work() -> list[Written]:
        # NumPy's words do not say which voxels: those are counted below.
        with np.errstate(invalid="ignore", over="ignore"):
            scan.run(n_jobs=settings.n_jobs, progress=settings.progress)
        written, n_bad = [], 0
        for handle, target in zip(handles, targets, strict=True):
            values = np.asarray(handle.result())
            if inside is not None:
                values = np.where(inside, values, 0)
            n_bad = max(n_bad, values.size - int(np.count_nonzero(np.isfinite(values))))
            stored = np.dtype(dtype)
            save_map(values, scan.grid, target, dtype=stored, overwrite=settings.overwrite)
            written.append(Written(target, values.shape, dtype))
        if n_bad:
            msg = (
                f"{n_bad} of {values.size} voxels are NaN or infinite in what is written: RUN has "
                f"such values there, or too few volumes."
            )
            warnings.warn(msg, LazyvoxWarning, stacklevel=2)
        return written

    job = Job(
        command,
        inputs,
        lambda: scan.plan(n_jobs=settings.n_jobs),
        work,
        taken.facts if command == "tstat" else {},
        taken.remark,
    )
    perform(job, settings)


def _targets(maps: Sequence[_Map], inputs: Sequence[str], settings: Settings) -> list[str]:
    """Return the checked files, all of which are different."""
    check_distinct((one.option, one.output or "") for one in maps)
    return [
        check_output(one.output, IMAGE_ENDINGS, inputs, settings, option=one.option)
        for one in maps
    ]
