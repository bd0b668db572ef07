"""`lazyvox mean`: the mean over time."""

import click

from lazyvox.cli.settings import (
    Command,
    Settings,
    common_options,
    examples,
    output_option,
    runs_argument,
)
from lazyvox.cli.voxelwise import OUTPUT_TEXT, type_option, write_voxelwise
from lazyvox.stream.voxelwise import Mean

__all__ = ["mean"]


@click.command(
    cls=Command,
    epilog=examples(
        "lazyvox mean run.nii.gz -o mean.nii.gz",
    ),
)
@runs_argument
@output_option(OUTPUT_TEXT)
@type_option
@common_options
@click.pass_context
def mean(ctx: click.Context, runs: tuple[str, ...], output: str | None, dtype: str) -> None:
    """Write the mean over time of every voxel of RUN.

    Several runs on one grid are joined along time. One pass.
    """
    write_voxelwise("mean", Mean(), runs, output, dtype, Settings.of(ctx))
