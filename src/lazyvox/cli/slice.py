"""`lazyvox slice`: a part of an image."""

import re
from collections.abc import Sequence

import click
import numpy as np

from lazyvox._typing import override
from lazyvox.cli.index_text import Entry, parse_index
from lazyvox.cli.job import Job, Written, perform, save_job
from lazyvox.cli.npy import plan_npy, write_npy
from lazyvox.cli.outputs import IMAGE_ENDINGS, check_output, list_endings
from lazyvox.cli.settings import PATH, Command, Settings, common_options, examples, output_option
from lazyvox.errors import ImageIndexError
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.load import as_image
from lazyvox.lazyimage.save import PreparedSave, prepare_save
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
    ),
)
@click.argument("run", type=PATH)
@click.argument("index")
@output_option(_OUTPUT_TEXT)
@common_options
@click.pass_context
def slice_command(ctx: click.Context, run: str, index: str, output: str | None) -> None:
    """Write the part INDEX of the image RUN; decodes no more than it needs.

    INDEX is what NumPy takes: integers, slices and an ellipsis, separated by commas. Negative
    numbers count from the end.

    An image keeps its three spatial axes: there, an integer is a slice of length 1. Affine and
    voxel sizes fit the part. A .npy file has the axes that NumPy gives: an integer drops its axis.
    """
    settings = Settings.of(ctx)
    key = parse_index(index)
    target = check_output(output, _ENDINGS, [run], settings)
    is_array = target.lower().endswith(".npy")
    job = (
        _array_job(run, key, target, settings)
        if is_array
        else _image_job(run, key, target, settings)
    )
    perform(job, settings)


def _array_job(run: str, key: tuple[Entry, ...], target: str, settings: Settings) -> Job:
    array = lazy_dataobj(as_image(run)).view(key)

    def work() -> list[Written]:
        write_npy(array, target, overwrite=settings.overwrite)
        return [Written(target, array.shape, str(array.dtype))]

    return Job("slice", [run], lambda: plan_npy(array), work)


def _image_job(run: str, key: tuple[Entry, ...], target: str, settings: Settings) -> Job:
    img = as_image(run)
    part = img.slicer[spatial_key(key, img.shape)]
    array = lazy_dataobj(part)

    def prepare() -> PreparedSave:
        path = target or "part.nii.gz"
        return prepare_save(part, path, overwrite=settings.overwrite, n_jobs=settings.jobs)

    def written() -> Written:
        return Written(target, array.shape, str(np.dtype(part.get_data_dtype())))

    return save_job("slice", [run], prepare, written, settings)


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
