"""`lazyvox concat`: images joined along time."""

import click
import numpy as np

from lazyvox.cli.job import Written, perform, save_job
from lazyvox.cli.outputs import IMAGE_ENDINGS, check_output, list_endings
from lazyvox.cli.settings import (
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
from lazyvox.lazyimage.load import as_image
from lazyvox.lazyimage.save import PreparedSave, prepare_save

__all__ = ["concat"]

_TYPES = ("uint8", "int16", "int32", "float32", "float64")


@click.command(
    cls=Command,
    epilog=examples(
        "lazyvox concat run-1.nii.gz run-2.nii.gz -o runs.nii.gz",
        "lazyvox concat volume_*.nii -o series.nii.gz",
    ),
)
@runs_argument
@output_option(f"Image to write; ends in {list_endings(IMAGE_ENDINGS)}.")
@click.option(
    "--dtype",
    type=click.Choice(_TYPES),
    metavar="TYPE",
    help="Type of the values; by default that which holds those of all images, or float32 where "
    f"integers are scaled. One of {', '.join(_TYPES)}.",
)
@common_options
@click.pass_context
def concat(
    ctx: click.Context, runs: tuple[str, ...], output: str | None, dtype: str | None
) -> None:
    """Write images on one grid as one image, joined along time.

    All images are 3D, or all are 4D. One pass; each block is written as it is read.
    """
    settings = Settings.of(ctx)
    target = check_output(output, IMAGE_ENDINGS, runs, settings)
    img = _joined(runs)
    array = lazy_dataobj(img)
    stored = array.dtype if dtype is None else np.dtype(dtype)

    def prepare() -> PreparedSave:
        return prepare_save(
            img,
            target or "series.nii.gz",
            dtype=stored,
            overwrite=settings.overwrite,
            n_jobs=settings.jobs,
        )

    def written() -> Written:
        return Written(target, array.shape, str(stored))

    perform(save_job("concat", runs, prepare, written, settings), settings)


def _joined(paths: tuple[str, ...]) -> LazyImage:
    imgs = [as_image(path) for path in paths]
    arrays = [lazy_dataobj(img) for img in imgs]
    held = np.result_type(*[array.dtype.newbyteorder("=") for array in arrays])
    is_scaled = held == np.float64 and all(one.ondisk_dtype.kind in "iu" for one in arrays)
    return concat_imgs(imgs, dtype=np.float32 if is_scaled else held)
