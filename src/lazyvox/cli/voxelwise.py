"""`lazyvox mean`, `std` and `tsnr`: one value per voxel, written as an image."""

from collections.abc import Sequence
from typing import Any

import click
import numpy as np

from lazyvox.cli.job import Job, Written, perform
from lazyvox.cli.outputs import IMAGE_ENDINGS, check_output, list_endings
from lazyvox.cli.settings import (
    Command,
    Settings,
    common_options,
    examples,
    output_option,
    runs_argument,
)
from lazyvox.lazyimage.save import save
from lazyvox.stream.consumer import Consumer
from lazyvox.stream.scan import Scan
from lazyvox.stream.voxelwise import TSNR, Mean, Std

__all__ = ["mean", "std", "tsnr"]

_OUTPUT_TEXT = f"Image to write; ends in {list_endings(IMAGE_ENDINGS)}."

#: Types of the values on disk. What is stored is computed in float64.
_TYPES = ("float32", "float64")

_type_option = click.option(
    "--dtype",
    type=click.Choice(_TYPES),
    default="float32",
    show_default=True,
    help="Type on disk; computed is in float64.",
)

_ddof_option = click.option(
    "--ddof",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Sums of squares are divided by the number of volumes minus this.",
)


@click.command(cls=Command, epilog=examples("lazyvox mean run.nii.gz -o mean.nii.gz"))
@runs_argument
@output_option(_OUTPUT_TEXT)
@_type_option
@common_options
@click.pass_context
def mean(ctx: click.Context, runs: tuple[str, ...], output: str | None, dtype: str) -> None:
    """Write the mean over time of every voxel of RUN.

    Several runs on one grid are joined along time. One pass.
    """
    _write("mean", Mean(), runs, output, dtype, Settings.of(ctx))


@click.command(cls=Command, epilog=examples("lazyvox std run.nii.gz -o std.nii.gz"))
@runs_argument
@output_option(_OUTPUT_TEXT)
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
    _write("std", Std(ddof), runs, output, dtype, Settings.of(ctx))


@click.command(cls=Command, epilog=examples("lazyvox tsnr run.nii.gz -o tsnr.nii.gz"))
@runs_argument
@output_option(_OUTPUT_TEXT)
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
    _write("tsnr", TSNR(ddof), runs, output, dtype, Settings.of(ctx))


def _write(
    command: str,
    consumer: Consumer[Any],
    runs: Sequence[str],
    output: str | None,
    dtype: str,
    settings: Settings,
) -> None:
    """Run one consumer over a series and write the image that it results in."""
    target = check_output(output, IMAGE_ENDINGS, runs, settings)
    scan = Scan(list(runs))
    handle = scan.add(consumer)

    def work() -> list[Written]:
        scan.run(n_jobs=settings.n_jobs, progress=settings.progress)
        img = handle.result()
        save(img, target, dtype=np.dtype(dtype), overwrite=settings.overwrite, n_jobs=1)
        return [Written(target, tuple(img.shape), dtype)]

    perform(Job(command, runs, lambda: scan.plan(n_jobs=settings.n_jobs), work), settings)
