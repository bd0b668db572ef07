"""`lazyvox convert`: the same image in another format, type or compression."""

import click
import numpy as np

from lazyvox.cli.job import Written, perform, save_job
from lazyvox.cli.outcome import WrongUsageError
from lazyvox.cli.outputs import IMAGE_ENDINGS, check_output
from lazyvox.cli.settings import (
    PATH,
    Command,
    Settings,
    common_options,
    examples,
    overwrite_option,
)
from lazyvox.lazyimage.load import as_image, load
from lazyvox.lazyimage.save import PreparedSave, prepare_save

__all__ = ["convert"]

_TYPES = (
    "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64",
    "float32", "float64", "complex64", "complex128",
)  # fmt: skip


@click.command(
    cls=Command,
    epilog=examples(
        "lazyvox convert run.nii.gz run.nii",
        "lazyvox convert run.nii small.nii.gz --dtype int16 --scale auto",
        "lazyvox convert run.nii.gz any-volume-at-once.nii.gz --seekable",
    ),
)
@click.argument("image", metavar="IN", type=PATH)
@click.argument("output", metavar="OUT", type=PATH)
@overwrite_option
@click.option(
    "--dtype",
    type=click.Choice(_TYPES),
    metavar="TYPE",
    help=f"Type on disk; by default that of IN. One of {', '.join(_TYPES)}.",
)
@click.option(
    "--scale",
    metavar="auto|SLOPE,INTER",
    help="Scaling of integers: auto finds slope and intercept in a pass of its own. "
    "Without it values are rounded, and refused where they do not fit.",
)
@click.option(
    "--compresslevel",
    type=int,
    metavar="N",
    help="0 to 9 for gzip, by default 1; 1 to 22 for zstd.",
)
@click.option(
    "--seekable",
    is_flag=True,
    help="Write .gz or .zst so that any volume is read at once, without an index.",
)
@common_options
@click.pass_context
def convert(
    ctx: click.Context,
    image: str,
    output: str,
    dtype: str | None,
    scale: str | None,
    compresslevel: int | None,
    *,
    seekable: bool,
) -> None:
    """Write the image IN as OUT, in the format and compression that OUT's ending says.

    Without --dtype and --scale, stored integers, slope and intercept stay as they are, to the
    bit. Images larger than memory are no problem; OUT appears when it is complete.
    """
    settings = Settings.of(ctx)
    scaling = _parse_scale(scale)
    target = check_output(output, IMAGE_ENDINGS, [image], settings)
    img = as_image(image)

    def prepare() -> PreparedSave:
        return prepare_save(
            img,
            target,
            dtype=dtype,
            compresslevel=compresslevel,
            scale=scaling,
            seekable=seekable,
            overwrite=settings.overwrite,
            n_jobs=settings.jobs,
        )

    def written() -> Written:
        stored = np.dtype(load(target).header.get_data_dtype())
        return Written(target, tuple(img.shape), str(stored.newbyteorder("=")))

    perform(save_job("convert", [image], prepare, written, settings), settings)


def _parse_scale(text: str | None) -> str | tuple[float, float] | bool | None:
    if text is None or text == "auto":
        return text
    if text == "none":
        return False
    try:
        slope, inter = (float(part) for part in text.split(","))
    except ValueError:
        msg = f"--scale must be auto, none or two numbers such as 0.5,0. Got {text!r}"
        raise WrongUsageError(msg) from None
    return slope, inter
