"""`lazyvox smooth`: every volume, smoothed with a Gaussian."""

from typing import Any

import click
import numpy as np

from lazyvox.array.expression import elementwise
from lazyvox.array.memory_reader import in_memory_array
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
from lazyvox.cli.mask import mask_of_option
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
from lazyvox.image.smooth_transform import FWHM_OF_SIGMA
from lazyvox.image.smoothing import smooth_img
from lazyvox.lazyimage.classes import LazyImage, image_like
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.load import as_image
from lazyvox.lazyimage.series import as_series

__all__ = ["smooth"]


def _width(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    return None if value is None else parse_widths(ctx, param, value)


@click.command(
    cls=Command,
    epilog=examples(
        "lazyvox smooth run.nii.gz --fwhm 6 -o smooth.nii.gz",
        "lazyvox smooth run.nii.gz --sigma 2.548 --mask mask.nii.gz -o smooth.nii.gz",
    ),
)
@click.argument("run", metavar="RUN", type=PATH)
@click.option(
    "--fwhm",
    metavar="MM",
    callback=_width,
    help="Full width at half maximum of the Gaussian in mm, or three, as in 6,6,8, for the axes; "
    "as 3dmerge -1blur_fwhm counts.",
)
@click.option(
    "--sigma",
    metavar="MM",
    callback=_width,
    help="Its standard deviation in mm instead, as fslmaths -s counts: fwhm / 2.3548.",
)
@click.option(
    "--mask",
    metavar="MASK",
    type=PATH,
    help="Voxels outside of this mask become 0 after smoothing, as with fslmaths -s and -mas.",
)
@output_option(IMAGE_OUTPUT_TEXT)
@dtype_option(REALS, "Type on disk; by default that of floats, and float32 for integers.")
@scale_option
@chunks_option
@common_options
@click.pass_context
def smooth(  # noqa: PLR0913, PLR0917 - a parameter for each option
    ctx: click.Context,
    run: str,
    fwhm: Any,
    sigma: Any,
    mask: str | None,
    output: str | None,
    dtype: str | None,
    scale: str | None,
    chunks: Chunks,
) -> None:
    """Smooth every volume of RUN with a Gaussian.

    Values are those of nilearn's smooth_img: the image is mirrored at its edges, and voxels that
    are not finite count as 0. One pass; each block is written as it is computed.
    """
    settings = Settings.of(ctx)
    if (fwhm is None) == (sigma is None):
        msg = "give the width of the Gaussian: either --fwhm MM, or --sigma MM"
        raise WrongUsageError(msg)
    inputs = [run, *([mask] if mask else [])]
    target = ImageOutput.checked(output, inputs, settings, dtype, scale, chunks)
    width = fwhm if sigma is None else np.multiply(sigma, FWHM_OF_SIGMA)
    img = smooth_img(as_image(run), width)
    if mask is not None:
        img = _masked(img, mask)
    perform(save_job("smooth", inputs, img, target, settings), settings)


def _masked(img: LazyImage, mask: str) -> LazyImage:
    """Return an image that is 0 outside of a mask."""
    inside = mask_of_option(mask, as_series(img).grid)
    assert inside is not None, "bug in lazyvox: a mask was given"
    if len(img.shape) == 4:
        inside = inside[..., None]
    array = lazy_dataobj(img)
    zero = array.dtype.type(0)
    return image_like(img, elementwise(np.where, in_memory_array(inside, "the mask"), array, zero))
