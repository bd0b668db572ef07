"""`lazyvox slice`: a part of an image."""

import re
from collections.abc import Sequence

import click
from nibabel.spatialimages import SpatialImage

from lazyvox._typing import override
from lazyvox.cli.image_output import Chunks, ImageOutput, chunks_option, save_job
from lazyvox.cli.index_text import Entry, parse_index, parse_ranges
from lazyvox.cli.job import Job, Written, perform
from lazyvox.cli.npy import plan_npy, write_npy
from lazyvox.cli.outcome import WrongUsageError
from lazyvox.cli.outputs import IMAGE_ENDINGS, check_output, list_endings
from lazyvox.cli.settings import PATH, Command, Settings, common_options, examples, output_option
from lazyvox.cli.volumes import numbers_of
from lazyvox.errors import DimensionError, ImageIndexError
from lazyvox.lazyimage.dataobj import lazy_dataobj, name_of
from lazyvox.lazyimage.load import as_image
from lazyvox.planning.indexing import expand_key

__all__ = ["slice_command"]

_LEADING_MINUS = re.compile(r"-[0-9]")
_ENDINGS = (".npy", *IMAGE_ENDINGS)
_OUTPUT_TEXT = f"What to write; ends in {list_endings(_ENDINGS)}."


class _IndexCommand(Command):
    """A command with an argument that may begin with a minus sign."""

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # No option begins with a minus and a digit; a space in front makes it an argument.
        spaced = [f" {arg}" if _LEADING_MINUS.match(arg) else arg for arg in args]
        return super().parse_args(ctx, spaced)


@click.command(
    "slice",
    cls=_IndexCommand,
    epilog=examples(
        'lazyvox slice run.nii.gz "..., 700" -o volume.nii.gz',
        'lazyvox slice run.nii.gz ":, :, 10:20, ::2" -o part.nii.gz',
        'lazyvox slice run.nii.gz "30, 36, 30, :" -o voxel.npy',
        "lazyvox slice run.nii.gz --volumes 4: -o steady.nii.gz",
        "lazyvox slice run.nii.gz --volumes 0:10,50,-1 -o some.nii.gz",
    ),
)
@click.argument("run", type=PATH)
@click.argument("index", required=False)
@click.option(
    "--volumes",
    metavar="RANGES",
    help="In place of INDEX: whole volumes, as ranges such as 4: or :-10 or ::2, and numbers, "
    "separated by commas. They count from 0, negative ones from the end; the stop of a range is "
    "not part of it. The result is 4D, or 3D for a single number.",
)
@output_option(_OUTPUT_TEXT)
@chunks_option
@common_options
@click.pass_context
def slice_command(
    ctx: click.Context,
    run: str,
    index: str | None,
    volumes: str | None,
    output: str | None,
    chunks: Chunks,
) -> None:
    """Write the part INDEX of the image RUN; decodes no more than it needs.

    INDEX is what NumPy takes: integers, slices and an ellipsis, separated by commas. Negative
    numbers count from the end.

    An image keeps its three spatial axes: there, an integer is a slice of length 1. Affine and
    voxel sizes fit the part. A .npy file has the axes that NumPy gives: an integer drops its axis.
    """
    settings = Settings.of(ctx)
    if (index is None) == (volumes is None):
        msg = "give either INDEX, such as '..., 7', or --volumes, such as 4:"
        raise WrongUsageError(msg)
    form = ImageOutput(check_output(output, _ENDINGS, [run], settings), chunks=chunks)
    target = form.path
    key: tuple[Entry, ...] | None = None if index is None else parse_index(index)
    ranges = None if volumes is None else parse_ranges(volumes, "--volumes")
    img = as_image(run)
    if key is None:
        assert ranges is not None, "bug in lazyvox: neither an index nor volumes"
        key = _key_of_volumes(ranges, img)
    if target.lower().endswith(".npy"):
        job = _array_job(img, run, key, target, settings)
    else:
        part = img.slicer[spatial_key(key, img.shape)]
        job = save_job("slice", [run], part, form, settings)
    perform(job, settings)


def _key_of_volumes(ranges: Sequence[int | slice], img: SpatialImage) -> tuple[Entry, ...]:
    """Return the index of whole volumes: a number, a slice, or a list where there are several."""
    if len(img.shape) != 4:
        msg = f"--volumes takes those of a 4D image. Got shape {img.shape} of {name_of(img)}."
        raise DimensionError(msg)
    numbers = numbers_of(ranges, img.shape[3])
    return (Ellipsis, ranges[0] if len(ranges) == 1 else numbers)


def _array_job(
    img: SpatialImage, run: str, key: tuple[Entry, ...], target: str, settings: Settings
) -> Job:
    array = lazy_dataobj(img).view(key)

    def work() -> list[Written]:
        write_npy(array, target, overwrite=settings.overwrite)
        return [Written(target, array.shape, str(array.dtype))]

    return Job("slice", [run], lambda: plan_npy(array), work)


def spatial_key(key: tuple[Entry, ...], shape: Sequence[int]) -> tuple[Entry, ...]:
    """Return an index in which integers on the spatial axes are slices of length 1.

    Examples
    --------
    >>> spatial_key((-1, Ellipsis, 5), (4, 5, 6, 7))
    (slice(3, 4, None), slice(None, None, None), slice(None, None, None), 5)
    """
    entries: list[Entry] = []
    for axis, entry in enumerate(e for e in expand_key(key, len(shape)) if e is not Ellipsis):
        if axis < 3 and isinstance(entry, int):
            if not -shape[axis] <= entry < shape[axis]:
                msg = f"index {entry} is out of bounds for axis {axis} with size {shape[axis]}."
                raise ImageIndexError(msg)
            start = entry % shape[axis]
            entries.append(slice(start, start + 1))
        else:
            entries.append(entry)
    return tuple(entries)
