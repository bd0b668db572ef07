"""`lazyvox compare`: every way of doing a job, measured on one's own data."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from lazyvox._typing import override
from lazyvox.cli.comparing import (
    Task,
    absolute,
    check_folder,
    compare_and_report,
    memory_of,
    opened,
    source_of,
)
from lazyvox.cli.outcome import WrongUsageError
from lazyvox.cli.outputs import IMAGE_ENDINGS, check_output, list_endings, stem_of
from lazyvox.cli.settings import PATH, Command, Settings, common_options, examples, output_option
from lazyvox.compare.measuring import Job
from lazyvox.compare.ways import CONCAT, EXTRACT, LOAD, MEAN, Way, choose_ways
from lazyvox.errors import DimensionError, ParameterError
from lazyvox.extraction import Voxels, extract
from lazyvox.image import concat_imgs
from lazyvox.planning.memory import counted
from lazyvox.runtime.cores import resolve_n_jobs
from lazyvox.runtime.dry_run import plan

__all__ = ["compare"]

_FOLDER_TEXT = "Folder for compare.json, .csv, .png and .html; made where there is none."
_Command = TypeVar("_Command", bound=Callable[..., Any] | click.Command)


class _DefaultGroup(click.Group):
    """A group whose first word may be left out.

    Parameters
    ----------
    name : str
        Name of the group.
    default : click.Command
        Command that runs where the first word is no name of a command: files of such a name
        are ``./name``.
    commands : dict of str to click.Command
        The other commands.
    """

    def __init__(
        self, name: str, default: click.Command, commands: dict[str, click.Command]
    ) -> None:
        super().__init__(name, commands=commands, help=default.help, add_help_option=False)
        self.default = default

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_named = bool(args) and args[0] in self.commands
        # An empty name, which cannot be typed, is that of the default.
        return super().parse_args(ctx, args if is_named else ["", *args])

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self.commands.get(cmd_name) if cmd_name else self.default


class _DefaultCommand(Command):
    """The command of a `_DefaultGroup` that has no name of its own."""

    @override
    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        words = " ".join(self.collect_usage_pieces(ctx))
        formatter.write_usage(ctx.command_path.rstrip(), words)


def _methods_option(ways: Sequence[Way]) -> Callable[[_Command], _Command]:
    names = ", ".join(way.name for way in ways)
    families = ", ".join(dict.fromkeys(way.family.name.lower() for way in ways))

    def choose(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[Way, ...]:
        del param
        try:
            return choose_ways(ways, None if value is None else value.split(","))
        except ParameterError as error:
            msg = f"--methods: {error}"
            raise WrongUsageError(msg, ctx) from None

    option: Callable[[_Command], _Command] = click.option(
        "--methods",
        metavar="NAMES",
        callback=choose,
        help=f"Methods, with commas between; by default all: {names}. {families} select all of "
        "theirs.",
    )
    return option


@click.command(
    cls=_DefaultCommand,
    epilog=examples(
        "lazyvox compare run.nii.gz --mask left.nii.gz --mask right.nii.gz -o compared",
        "lazyvox compare run.nii.gz --mask m.nii.gz --methods numpy,lazyvox -o compared",
        "lazyvox compare load run.nii.gz",
        "lazyvox compare mean run.nii.gz -o means",
        "lazyvox compare concat a.nii.gz b.nii.gz -o both.nii.gz",
    ),
)
@click.argument("run", metavar="RUN", type=PATH)
@click.option(
    "--mask", "masks", metavar="MASK", multiple=True, type=PATH, help="Mask; once or more."
)
@_methods_option(EXTRACT)
@output_option(_FOLDER_TEXT)
@common_options
@click.pass_context
def compare_regions(
    ctx: click.Context,
    run: str,
    masks: tuple[str, ...],
    methods: tuple[Way, ...],
    output: str | None,
) -> None:
    """Measure every way of taking masks out of RUN, side by side.

    Each method (NiftiMasker, NumPy indexing, lazyvox; given paths, images in memory, shared
    memory) runs in a process tree of its own, with one worker for each mask where it has workers.
    Shows time, peak memory, bytes read, and whether values agree; writes a table, a plot and a
    page. `compare load IMG...`, `compare mean RUN` and `compare concat A B ... -o FILE` do the
    same for loading, averaging and joining; write ./load for a file of that name.
    """
    settings = Settings.of(ctx)
    if not masks:
        msg = "missing option --mask: which voxels should be taken?"
        raise WrongUsageError(msg, ctx)
    if output is None and not settings.explain:
        msg = "missing option -o/--output: where should the result go?"
        raise WrongUsageError(msg, ctx)
    folder = check_folder(output, [run, *masks], settings)
    source, decoded = source_of(run)
    with settings.budget():
        # Masks that do not fit are found out before minutes have passed.
        plan(extract, run, [Voxels(mask) for mask in masks])
    n_jobs = len(masks) if settings.jobs is None else resolve_n_jobs(settings.jobs)
    facts = {
        "run": absolute(run),
        "masks": [absolute(mask) for mask in masks],
        "n_jobs": n_jobs,
        "memory": memory_of(settings),
    }
    task = Task(
        "compare",
        f"{counted(len(masks), 'mask')} out of {source.name}",
        (source,),
        tuple(Path(mask).name for mask in masks),
        Job(facts, decoded, min(n_jobs, len(masks))),
    )
    compare_and_report(ctx, task, methods, folder)


@click.command(
    cls=Command, epilog=examples("lazyvox compare load run.nii.gz mask.nii.gz -o loading")
)
@click.argument("images", metavar="IMG...", nargs=-1, required=True, type=PATH)
@_methods_option(LOAD)
@output_option(_FOLDER_TEXT)
@common_options
@click.pass_context
def load(
    ctx: click.Context, images: tuple[str, ...], methods: tuple[Way, ...], output: str | None
) -> None:
    """Measure opening IMG, and reading all of its values, with nibabel, nilearn and lazyvox."""
    settings = Settings.of(ctx)
    folder = check_folder(output, images, settings)
    sources = [source_of(image) for image in images]
    facts = {"images": [absolute(image) for image in images], "memory": memory_of(settings)}
    task = Task(
        "compare load",
        f"Loading {_counted(images)}",
        tuple(source for source, _ in sources),
        (),
        Job(facts, sum(decoded for _, decoded in sources)),
    )
    compare_and_report(ctx, task, methods, folder)


@click.command(cls=Command, epilog=examples("lazyvox compare mean run.nii.gz"))
@click.argument("run", metavar="RUN", type=PATH)
@_methods_option(MEAN)
@output_option(_FOLDER_TEXT)
@common_options
@click.pass_context
def mean(ctx: click.Context, run: str, methods: tuple[Way, ...], output: str | None) -> None:
    """Measure the mean over time of RUN, from a path and from what was loaded."""
    settings = Settings.of(ctx)
    folder = check_folder(output, [run], settings)
    source, decoded = source_of(run)
    if len(source.shape) != 4:
        msg = f"{source.name}: a mean over time needs a 4D image. Got shape {source.shape}."
        raise DimensionError(msg)
    facts = {"run": absolute(run), "memory": memory_of(settings)}
    task = Task("compare mean", f"Mean of {source.name}", (source,), (), Job(facts, decoded))
    compare_and_report(ctx, task, methods, folder)


@click.command(
    cls=Command, epilog=examples("lazyvox compare concat a.nii.gz b.nii.gz -o both.nii.gz")
)
@click.argument("images", metavar="IMG...", nargs=-1, required=True, type=PATH)
@_methods_option(CONCAT)
@click.option("--report", metavar="FOLDER", type=PATH, help=_FOLDER_TEXT)
@output_option(
    f"Image to write, by lazyvox, as float32; ends in {list_endings(IMAGE_ENDINGS)}.",
)
@common_options
@click.pass_context
def concat(
    ctx: click.Context,
    images: tuple[str, ...],
    methods: tuple[Way, ...],
    report: str | None,
    output: str | None,
) -> None:
    """Write IMG... as one image, joined along time, and measure nilearn's way beside ours.

    `--methods lazyvox` only writes it.
    """
    settings = Settings.of(ctx)
    if all(way.name != "lazyvox" for way in methods):
        msg = "--methods: lazyvox must be among them, since it is what writes the output"
        raise WrongUsageError(msg, ctx)
    target = check_output(output, IMAGE_ENDINGS, images, settings)
    folder = check_folder(report, images, settings, option="--report")
    sources = [source_of(image) for image in images]
    # Grids that do not fit are found out before anything runs.
    concat_imgs([opened(image) for image in images])
    facts = {
        "images": [absolute(image) for image in images],
        "target": absolute(target) if target else "",
        "ending": Path(target).name[len(stem_of(target)) :],
        "memory": memory_of(settings),
    }
    task = Task(
        "compare concat",
        f"Joining {_counted(images)}",
        tuple(source for source, _ in sources),
        (),
        Job(facts, sum(decoded for _, decoded in sources)),
    )
    compare_and_report(ctx, task, methods, folder)


def _counted(images: Sequence[str]) -> str:
    return Path(images[0]).name if len(images) == 1 else counted(len(images), "image")


def _set_jobs(command: click.Command, text: str) -> click.Command:
    """Say what --jobs means for a command, or take it away where it means nothing."""
    for param in list(command.params):
        if isinstance(param, click.Option) and param.name == "jobs":
            param.help = text
            if not text:
                command.params.remove(param)
    return command


compare = _DefaultGroup(
    "compare",
    _set_jobs(
        compare_regions,
        "Worker processes of the methods that have some; by default one for each mask. -1 is all "
        "cores.",
    ),
    {command.name or "": _set_jobs(command, "") for command in (load, mean, concat)},
)
