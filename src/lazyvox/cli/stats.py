"""`lazyvox stats`: a table of statistics of images, masks and regions."""

from typing import Any

import click

from lazyvox.cli.job import perform
from lazyvox.cli.outcome import WrongUsageError, options_named
from lazyvox.cli.settings import (
    PATH,
    Command,
    Settings,
    common_options,
    examples,
    output_option,
)
from lazyvox.cli.table_output import OUTPUT_TEXT, TableOutput
from lazyvox.summary.statistics import StatsOptions, prepare_stats

__all__ = ["stats"]

_OPTIONS_OF = {
    "above": "--above",
    "below": "--below",
    "imgs": "IMG",
    "mask_img": "--mask",
    "percentiles": "--percentile",
}


def _parse_percentiles(ctx: click.Context, param: click.Parameter, value: str) -> list[float]:
    del ctx, param
    try:
        return [float(part) for part in value.split(",") if part.strip()]
    except ValueError:
        msg = f"--percentile must be numbers with commas between them, such as 2,98. Got {value!r}"
        raise WrongUsageError(msg) from None


@click.command(
    cls=Command,
    epilog=examples(
        "lazyvox stats zstat.nii.gz --mask mask.nii.gz --above 2.3",
        "lazyvox stats run.nii.gz --per-volume --nonzero -o volumes.tsv",
        "lazyvox stats t1.nii.gz t2.nii.gz --labels atlas.nii.gz --lut atlas.tsv \\",
        "      --percentile 5,50,95 -o regions.tsv",
    ),
)
@click.argument("imgs", metavar="IMG...", nargs=-1, required=True, type=PATH)
@click.option(
    "--mask", "mask_img", metavar="MASK", type=PATH, help="Voxels to take, on the grid of IMG."
)
@click.option(
    "--labels",
    "labels_img",
    metavar="ATLAS",
    type=PATH,
    help="Integers that tell regions apart, 0 for the background: a row for each region.",
)
@click.option("--lut", metavar="TABLE", type=PATH, help="Names of the labels.")
@click.option("--resample", is_flag=True, help="Bring mask and labels to the grid of IMG.")
@click.option(
    "--per-volume",
    is_flag=True,
    help="A row for each volume; else all volumes are taken together.",
)
@click.option(
    "--percentile",
    "percentiles",
    metavar="Q,Q...",
    default="2,98",
    callback=_parse_percentiles,
    show_default=True,
    help="Percentiles, from 0 to 100, interpolated linearly.",
)
@click.option("--above", type=float, metavar="X", help="Take only values larger than X.")
@click.option("--below", type=float, metavar="X", help="Take only values smaller than X.")
@click.option("--nonzero", is_flag=True, help="Take only values that are not 0.")
@click.option(
    "--ddof",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Sums of squares are divided by the number of values minus this.",
)
@output_option(OUTPUT_TEXT)
@common_options
@click.pass_context
def stats(
    ctx: click.Context, /, imgs: tuple[str, ...], output: str | None, **options: Any
) -> None:
    """Print a table of statistics of the voxels of every IMG.

    Columns: voxels (values that count), mm3, values that are not finite and left out, mean, sd,
    min, max, the robust range of FSL (2 % of the values lie below and above it, long tails left
    out), percentiles, and the centre of mass in mm. One pass; values are kept in a temporary file
    to be ranked, in the folder that TMPDIR names.
    """
    settings = Settings.of(ctx)
    named = (options[name] for name in ("mask_img", "labels_img", "lut"))
    inputs = [*imgs, *(one for one in named if one is not None)]
    target = TableOutput.checked(output, inputs, settings)
    with options_named(**_OPTIONS_OF):
        prepared = prepare_stats(list(imgs), StatsOptions(**options))
    perform(target.job("stats", inputs, prepared), settings)
