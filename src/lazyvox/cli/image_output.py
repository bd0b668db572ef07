"""The image that a command writes: its options, and the job that saves it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

import click
from nibabel.spatialimages import SpatialImage

from lazyvox.cli.job import Job, Written
from lazyvox.cli.outcome import WrongUsageError
from lazyvox.cli.outputs import IMAGE_ENDINGS, check_output
from lazyvox.cli.settings import Settings
from lazyvox.formats.zarr_names import ZARR_ENDING
from lazyvox.lazyimage.encoding import Scale
from lazyvox.lazyimage.save import PreparedSave, prepare_save
from lazyvox.store.files.paths import printable

__all__ = [
    "FLOATS",
    "REALS",
    "Chunks",
    "ImageOutput",
    "chunks_option",
    "dtype_option",
    "save_job",
    "scale_option",
]

#: Types on disk of values that are computed in floating point.
FLOATS = ("float32", "float64")

#: Types on disk that every program reads.
REALS = ("uint8", "int16", "int32", *FLOATS)


#: Value of --chunks.
Chunks: TypeAlias = str | tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class ImageOutput:
    """A file that an image is written to, and the form of its values there.

    Attributes
    ----------
    path : str
        The file; empty where only the plan was asked for and no file was named.
    dtype : str or None
        Type on disk; None for that of the image.
    scale, compresslevel, seekable
        See `lazyvox.save`.
    chunks : "time", "space", tuple of int or None
        Chunks of a Zarr store, see `lazyvox.interop.to_zarr`; None for "time".
    """

    path: str
    dtype: str | None = None
    scale: Scale = field(default=None, kw_only=True)
    compresslevel: int | None = field(default=None, kw_only=True)
    seekable: bool = field(default=False, kw_only=True)
    chunks: Chunks = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse chunks of a file that has none."""
        if self.chunks is not None and self.path and not self.path.lower().endswith(ZARR_ENDING):
            msg = (
                f"--chunks concerns Zarr stores, whose names end in {ZARR_ENDING}. Got the output "
                f"{printable(self.path)}"
            )
            raise WrongUsageError(msg)

    @classmethod
    def checked(
        cls,
        output: str | None,
        inputs: Sequence[str],
        settings: Settings,
        dtype: str | None = None,
        scale: str | None = None,
        chunks: Chunks = None,
    ) -> "ImageOutput":
        """Return the output of one image that was asked for, or raise the usage error.

        Parameters
        ----------
        output : str or None
            Value of -o.
        inputs : sequence of str
            Files that the command reads.
        settings : Settings
            Whether the output may exist, and whether it is needed at all.
        dtype, scale : str or None
            Values of --dtype and --scale.
        chunks : "time", "space", tuple of int or None
            Value of --chunks.

        Returns
        -------
        ImageOutput
            The output.
        """
        scaling = _parse_scale(scale)
        path = check_output(output, IMAGE_ENDINGS, inputs, settings)
        return cls(path, dtype, scale=scaling, chunks=chunks)

    def prepare(self, img: SpatialImage, settings: Settings) -> PreparedSave:
        """Return the save of an image, prepared; reads no voxel."""
        return prepare_save(
            img,
            self.path or ("image.nii.gz" if self.chunks is None else f"image{ZARR_ENDING}"),
            dtype=self.dtype,
            scale=self.scale,
            compresslevel=self.compresslevel,
            seekable=self.seekable,
            overwrite=settings.overwrite,
            n_jobs=settings.jobs,
            chunks=self.chunks or "time",
        )

    def written(self, save: PreparedSave) -> Written:
        """Return the facts about the file of a save that is done."""
        return Written(self.path, tuple(save.img.shape), save.encoding.dtype.name)


def save_job(
    command: str,
    inputs: Sequence[str],
    img: SpatialImage | Callable[[], SpatialImage],
    output: ImageOutput,
    settings: Settings,
    *,
    facts: Mapping[str, Any] | None = None,
    remark: str = "",
) -> Job:
    """Return the job of a command that saves one image.

    Parameters
    ----------
    command : str
        Name of the command.
    inputs : sequence of str
        Files that it reads.
    img : image or callable
        The image; or a function that makes it, which is called with the memory budget in force.
    output : ImageOutput
        Where it goes.
    settings : Settings
        Threads, progress, and whether the file may exist.
    facts, remark
        As of `Job`.

    Returns
    -------
    Job
        A job whose save is prepared once: what is planned is what runs.
    """

    @cache
    def prepared() -> PreparedSave:
        return output.prepare(img if isinstance(img, SpatialImage) else img(), settings)

    def work() -> list[Written]:
        prepared().run(settings.progress)
        return [output.written(prepared())]

    return Job(command, inputs, lambda: prepared().plan, work, facts or {}, remark)


def dtype_option(types: Sequence[str], text: str) -> Callable[[Any], Any]:
    """Return a decorator that adds --dtype, one of some types, with its help text."""
    return click.option(
        "--dtype",
        type=click.Choice(types),
        metavar="TYPE",
        help=f"{text} One of {', '.join(types)}.",
    )


def scale_option(command: Any) -> Any:
    """Add --scale."""
    add = click.option(
        "--scale",
        metavar="auto|none|SLOPE,INTER",
        help="Scaling of integers: auto finds slope and intercept in a pass of its own. Without "
        "it values are rounded where they are whole but for rounding errors, and refused where "
        "they are not or do not fit; with none all are rounded.",
    )
    return add(command)


def chunks_option(command: Any) -> Any:
    """Add --chunks."""
    add = click.option(
        "--chunks",
        metavar="time|space|N,N,...",
        callback=_parse_chunks,
        help="Chunks of a .zarr: time, a volume each, by default; space, all volumes of a rectangle of "
        "a slice; or a length for each axis, as in 16,16,8,-1, with -1 for the whole axis.",
    )
    return add(command)


def _parse_chunks(ctx: click.Context, param: click.Parameter, text: str | None) -> Chunks:
    del ctx, param
    if text is None or text in {"time", "space"}:
        return text
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        msg = f"--chunks must be time, space or a length for each axis, such as 16,16,8,-1. Got {text!r}"
        raise WrongUsageError(msg) from None


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
