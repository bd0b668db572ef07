"""`lazyvox concat`: images joined along time."""

import click
import numpy as np

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
from lazyvox.cli.outputs import IMAGE_OUTPUT_TEXT
from lazyvox.cli.settings import (
    POSITIVE,
    Command,
    Settings,
    common_options,
    examples,
    output_option,
    runs_argument,
)
from lazyvox.image import concat_imgs
from lazyvox.lazyimage.classes import LazyImage
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.describe import set_repetition_time
from lazyvox.lazyimage.load import as_image

__all__ = ["concat"]


@click.command(
    cls=Command,
    epilog=examples(
        "lazyvox concat run-1.nii.gz run-2.nii.gz -o runs.nii.gz",
        "lazyvox concat volume_*.nii --t-r 2.5 -o series.nii.gz",
    ),
)
@runs_argument
@output_option(IMAGE_OUTPUT_TEXT)
@dtype_option(
    REALS,
    "Type of the values; by default that which holds those of all images, or float32 where "
    "integers are scaled.",
)
@scale_option
@chunks_option
@click.option(
    "--t-r",
    metavar="SECONDS",
    type=POSITIVE,
    help="Time between volumes, for the header; by default that of the first image.",
)
@common_options
@click.pass_context
def concat(
    ctx: click.Context,
    runs: tuple[str, ...],
    output: str | None,
    dtype: str | None,
    scale: str | None,
    chunks: Chunks,
    t_r: float | None,
) -> None:
    """Write images on one grid as one image, joined along time.

    All images are 3D, or all are 4D. One pass; each block is written as it is read.
    """
    settings = Settings.of(ctx)
    target = ImageOutput.checked(output, runs, settings, dtype, scale, chunks)
    img = _joined(runs)
    if t_r is not None:
        set_repetition_time(img.header, t_r)
    perform(save_job("concat", runs, img, target, settings), settings)


def _joined(paths: tuple[str, ...]) -> LazyImage:
    imgs = [as_image(path) for path in paths]
    arrays = [lazy_dataobj(img) for img in imgs]
    held = np.result_type(*[array.dtype.newbyteorder("=") for array in arrays])
    is_scaled = held == np.float64 and all(one.ondisk_dtype.kind in "iu" for one in arrays)
    return concat_imgs(imgs, dtype=np.float32 if is_scaled else held)
