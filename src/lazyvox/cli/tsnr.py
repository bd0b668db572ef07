"""`lazyvox tsnr`: the temporal signal-to-noise ratio."""

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
from lazyvox.stream.voxelwise import TSNR

__all__ = ["tsnr"]


@click.command(
    cls=Command,
    epilog=examples(
        "lazyvox tsnr run.nii.gz -o tsnr.nii.gz",
    ),
)
@runs_argument
@output_option(OUTPUT_TEXT)
@type_option
@ddof_option
@common_options
@click.pass_context
def tsnr(
    ctx: click.Context, runs: tuple[str, ...], output: str | None, dtype: str, ddof: int
) -> None:
    """Write the temporal signal-to-noise ratio of every voxel of RUN.

    Several runs on one grid are joined along time. It is 0 where nothing varies. One pass.
    """
    write_voxelwise("tsnr", TSNR(ddof), runs, output, dtype, Settings.of(ctx))
