"""`lazyvox tsnr`: the temporal signal-to-noise ratio."""

import click

from lazyvox.cli.settings import Settings, common_options, examples, output_option, runs_argument
from lazyvox.cli.voxelwise import OUTPUT_TEXT, TYPES, write_voxelwise
from lazyvox.stream.moments import TSNR

__all__ = ["tsnr"]


@click.command(
    epilog=examples(
        "lazyvox tsnr run.nii.gz -o tsnr.nii.gz",
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
def tsnr(
    ctx: click.Context, runs: tuple[str, ...], output: str | None, dtype: str, ddof: int
) -> None:
    """Write the temporal signal-to-noise ratio of every voxel of RUN.

    Several runs on one grid are joined along time. It is 0 where nothing varies. One pass.
    """
    write_voxelwise("tsnr", TSNR(ddof), runs, output, dtype, Settings.of(ctx))
