"""`lazyvox resample`: images on another grid, or with another voxel size."""

from typing import Any

import click
import numpy as np

from lazyvox._typing import Array
from lazyvox.cli.image_output import (
    REALS,
    Chunks,
    ImageOutput,
    chunks_option,
    dtype_option,
    save_job,
    scale_option,
)
from lazyvox.cli.job import perform
from lazyvox.cli.outcome import WrongUsageError
from lazyvox.cli.outputs import IMAGE_OUTPUT_TEXT
from lazyvox.cli.settings import (
    PATH,
    Command,
    Settings,
    common_options,
    examples,
    output_option,
    parse_widths,
)
from lazyvox.errors import DimensionError
from lazyvox.geometry.affines import voxel_sizes
from lazyvox.image.resample_transform import ORDERS
from lazyvox.image.resampling import resample_img, resample_to_img
from lazyvox.lazyimage.grids import affine_of
from lazyvox.lazyimage.load import as_image

__all__ = ["resample"]


def _zooms(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    if value is None:
        return None
    zooms = np.broadcast_to(parse_widths(ctx, param, value), 3)
    if not zooms.all():
        msg = f"voxels must be larger than 0 mm on every axis. Got {value!r}"
        raise click.BadParameter(msg, ctx, param)
    return zooms


@click.command(
    cls=Command,
    epilog=examples(
        "lazyvox resample atlas.nii.gz --like run.nii.gz --interpolation nearest -o atlas3.nii.gz",
        "lazyvox resample run.nii.gz --zooms 4 --interpolation linear -o small.nii.gz",
    ),
)
@click.argument("image", metavar="IMG", type=PATH)
@click.option(
    "--like",
    metavar="GRID",
    type=PATH,
    help="Image whose grid is taken: shape, voxel size and position.",
)
@click.option(
    "--zooms",
    metavar="MM",
    callback=_zooms,
    help="Voxel size, or three, as in 2,2,3, in place of --like: the axes keep their directions, "
    "the first voxel keeps its centre, and the grid covers the last voxel.",
)
@click.option(
    "--interpolation",
    type=click.Choice(tuple(ORDERS)),
    default="continuous",
    show_default=True,
    help="Cubic spline, linear, or the nearest voxel; nearest for labels and masks.",
)
@output_option(IMAGE_OUTPUT_TEXT)
@dtype_option(REALS, "Type on disk; by default that of the values.")
@scale_option
@chunks_option
@common_options
@click.pass_context
def resample(  # noqa: PLR0913, PLR0917 - a parameter for each option
    ctx: click.Context,
    image: str,
    like: str | None,
    zooms: Array | None,
    interpolation: str,
    output: str | None,
    dtype: str | None,
    scale: str | None,
    chunks: Chunks,
) -> None:
    """Resample IMG, 3D or 4D, to another grid; nothing is registered.

    Both images are taken to be aligned in the space of their affines, as by flirt -applyxfm with
    the identity, or 3dresample. Values are those of nilearn's resample_to_img and resample_img:
    0 outside of the image.

    Floats keep their type; signed integers become floats with a cubic spline, and are rounded
    with the others.
    """
    settings = Settings.of(ctx)
    if (like is None) == (zooms is None):
        msg = "say which grid to resample to: either --like GRID, or --zooms MM"
        raise WrongUsageError(msg)
    inputs = [image, *([like] if like else [])]
    target = ImageOutput.checked(output, inputs, settings, dtype, scale, chunks)
    img = as_image(image)
    if zooms is None:
        grid = as_image(like)
        if len(grid.shape) < 3:
            msg = f"--like must be an image of 3 axes or more. Got shape {grid.shape} of {like}."
            raise DimensionError(msg)
        made = resample_to_img(img, grid, interpolation)
    else:
        matrix = affine_of(img).copy()
        matrix[:3, :3] *= zooms / voxel_sizes(matrix)
        made = resample_img(img, matrix, interpolation=interpolation, clip=False)
    perform(save_job("resample", inputs, made, target, settings), settings)
