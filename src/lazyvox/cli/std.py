"""`lazyvox std`: the standard deviation over time."""

import click

from lazyvox.cli.settings import (
    Command,
    Settings,
    common_options,
    examples,
    output_option,
    runs_argument,
)
from lazyvox.cli.voxelwise import OUTPUT_TEXT, ddof_option, type_option, write_voxelwise
from lazyvox.stream.voxelwise import Std

__all__ = ["std"]


@click.command(
    cls=Command,
    epilog=examples(
        "lazyvox std run.nii.gz -o std.nii.gz",
    ),
)
@runs_argument
@output_option(OUTPUT_TEXT)
@type_option
@ddof_option
@common_options
@click.pass_context
def std(
    ctx: click.Context, runs: tuple[str, ...], output: str | None, dtype: str, ddof: int
) -> None:
    """Write the standard deviation over time of every voxel of RUN.

    Several runs on one grid are joined along time. One pass.
    """
    write_voxelwise("std", Std(ddof), runs, output, dtype, Settings.of(ctx))
