"""`lazyvox convert`: the same image in another format, type or compression."""

from dataclasses import replace

import click

from lazyvox.cli.image_output import (
    Chunks,
    ImageOutput,
    chunks_option,
    dtype_option,
    save_job,
    scale_option,
)
from lazyvox.cli.job import perform
from lazyvox.cli.settings import (
    PATH,
    Command,
    Settings,
    common_options,
    examples,
    overwrite_option,
)
from lazyvox.lazyimage.load import as_image

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
@dtype_option(_TYPES, "Type on disk; by default that of IN.")
@scale_option
@chunks_option
@click.option(
    "--compresslevel",
    type=int,
    metavar="N",
    help="Compression level: 0 to 9 for gzip and Zarr, by default 1; 1 to 22 for zstd.",
)
@click.option(
    "--seekable",
    is_flag=True,
    help="Write .gz or .zst so that any volume is read immediately, without an index.",
)
@common_options
@click.pass_context
def convert(
    ctx: click.Context,
    image: str,
    output: str,
    dtype: str | None,
    scale: str | None,
    chunks: Chunks,
    compresslevel: int | None,
    *,
    seekable: bool,
) -> None:
    """Write the image IN as OUT, in the format and compression that OUT's ending says.

    Without --dtype and --scale, stored integers, slope and intercept stay as they are, to the
    bit. Images larger than memory are no problem; OUT appears when it is complete.
    """
    settings = Settings.of(ctx)
    form = replace(
        ImageOutput.checked(output, [image], settings, dtype, scale, chunks),
        compresslevel=compresslevel,
        seekable=seekable,
    )
    perform(save_job("convert", [image], as_image(image), form, settings), settings)
