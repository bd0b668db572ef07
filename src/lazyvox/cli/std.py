"""`lazyvox std`: the standard deviation over time."""

import click

from lazyvox.cli.settings import Settings, common_options, examples, output_option, runs_argument
from lazyvox.cli.voxelwise import OUTPUT_TEXT, TYPES, write_voxelwise
from lazyvox.stream.moments import Std

__all__ = ["std"]


@click.command(
    epilog=examples(
        "lazyvox std run.nii.gz -o std.nii.gz",
    )
)
@runs_argument
@output_option(OUTPUT_TEXT)
@click.option(
    "--dtype",
    type=click.Choice(TYPES),
    default="float32",
    show_default=True,
    help="Type on disk; computed is in float64.",
)
@click.option(
    "--ddof",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Sums of squares are divided by the number of volumes minus this.",
)
@common_options
@click.pass_context
def std(
    ctx: click.Context, runs: tuple[str, ...], output: str | None, dtype: str, ddof: int
) -> None:
    """Write the standard deviation over time of every voxel of RUN.

    Several runs on one grid are joined along time. One pass.
    """
    write_voxelwise("std", Std(ddof), runs, output, dtype, Settings.of(ctx))
