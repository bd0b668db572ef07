"""`lazyvox split`: every volume of a series, as an image of its own."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import click
from nibabel.spatialimages import SpatialImage

from lazyvox.cli.image_output import Chunks, ImageOutput, chunks_option
from lazyvox.cli.job import Job, Written, perform
from lazyvox.cli.outcome import WrongUsageError
from lazyvox.cli.outputs import IMAGE_ENDINGS, check_output, list_endings
from lazyvox.cli.settings import PATH, Command, Settings, common_options, examples, output_option
from lazyvox.errors import DimensionError
from lazyvox.lazyimage.dataobj import lazy_dataobj, name_of
from lazyvox.lazyimage.load import as_image
from lazyvox.lazyimage.reading_plan import reading_of
from lazyvox.lazyimage.save import PreparedSave
from lazyvox.planning.plan import Plan
from lazyvox.runtime.progress import resolve_progress
from lazyvox.store.files.paths import printable
from lazyvox.store.files.urls import is_url

__all__ = ["split"]

#: The number of a volume in a name: as it is, or with zeros in front up to a width.
_NUMBER = re.compile(r"\{(?::0[1-9]d)?\}")


@dataclass(frozen=True)
class _Split:
    """A series, and the file of each of its volumes."""

    img: SpatialImage
    files: Sequence[str]
    settings: Settings
    chunks: Chunks = None

    @cached_property
    def first(self) -> PreparedSave:
        """The save of the first volume."""
        return self._prepared(0)

    def plan(self) -> Plan:
        """Return the plan: the saves follow each other, and go through the series once."""
        array = lazy_dataobj(self.img)
        reading = reading_of(array, 1)
        return replace(
            self.first.plan,
            shape=array.shape,
            passes=reading.passes,
            bytes_read=reading.bytes_read,
            bytes_decoded=reading.bytes_decoded,
            scratch_bytes=self.first.plan.scratch_bytes * len(self.files),
        )

    def work(self) -> list[Written]:
        """Write the volumes in their order."""
        reporter = resolve_progress(self.settings.progress)
        reporter.start(len(self.files), "volumes", "split")
        written = []
        try:
            for number, path in enumerate(self.files):
                save = self._prepared(number) if number else self.first
                save.run()
                written.append(ImageOutput(path).written(save))
                reporter.advance(1)
        finally:
            reporter.close()
        return written

    def _prepared(self, number: int) -> PreparedSave:
        form = ImageOutput(self.files[number], chunks=self.chunks)
        return form.prepare(self.img.slicer[..., number], self.settings)


@click.command(
    cls=Command,
    epilog=examples("lazyvox split run.nii.gz -o 'volumes/vol{:04d}.nii.gz'"),
)
@click.argument("run", metavar="RUN", type=PATH)
@output_option(
    "Names of the images, with {} where the number of the volume stands, counted from 0, or "
    f"{{:04d}} for four digits; they end in {list_endings(IMAGE_ENDINGS)}."
)
@chunks_option
@common_options
@click.pass_context
def split(ctx: click.Context, run: str, output: str | None, chunks: Chunks) -> None:
    """Write every volume of RUN as an image of its own.

    Stored values, slope and intercept stay as they are, to the bit. One pass. All names are
    checked before the first volume is written; after an error or Ctrl-C the volumes that are
    there are complete.
    """
    settings = Settings.of(ctx)
    if output is None:
        # A missing output is an error, but for a plan.
        check_output(output, IMAGE_ENDINGS, [run], settings)
    pattern = _check_pattern(output or "vol{:04d}.nii.gz")
    img = as_image(run)
    if len(img.shape) != 4:
        msg = f"an image that is split must be 4D. Got shape {img.shape} of {name_of(img)}."
        raise DimensionError(msg)
    files = [pattern.format(number) for number in range(img.shape[3])]
    check_output(files[0], IMAGE_ENDINGS, [run], settings, files=files)
    job = _Split(img, files, settings, chunks)
    # Refuses chunks of other files before the first is written.
    ImageOutput(files[0], chunks=chunks)
    perform(Job("split", [run], job.plan, job.work), settings)


def _check_pattern(output: str) -> str:
    """Return a pattern of names, in which nothing but the number may be filled in."""
    folder, name = os.path.split(output)
    left = _NUMBER.sub("", name)
    if len(_NUMBER.findall(name)) != 1 or set("{}") & {*left, *folder}:
        msg = (
            f"--output {printable(output)}: the name must hold the number of the volume once, as "
            f"{{}} or, with zeros in front, {{:04d}}. Pass vol{{:04d}}.nii.gz, say"
        )
        raise WrongUsageError(msg)
    return output if is_url(output) else str(Path(output))
